"""What the flux command line answered before: the same program makes the same of the same input.

Kept outside of the checkout, beside the program. A key has all that an answer depends on: the program's own
bytes, its options, the Kustomization, and every file of the tree, by path, kind and content. Of a build only
what was printed is kept, never that it failed: that can have to do with what is outside of the tree.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.clients.kustomize.toolchain import cache_dir, digest


@dataclass(frozen=True)
class Answers:
    """Texts by key, each in a file."""

    directory: Path

    @classmethod
    def of(cls, program: Path) -> Answers:
        """Those of one program."""
        with program.open("rb") as file:
            made = hashlib.file_digest(file, "sha256").hexdigest()
        return cls(cache_dir() / "flux-answers" / made)

    def get(self, key: str) -> str | None:
        try:
            with (self.directory / key).open(encoding="utf-8", errors="surrogateescape", newline="") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def put(self, key: str, answer: str) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        staged = tempfile.NamedTemporaryFile(dir=self.directory, delete=False)  # noqa: SIM115 - closed below
        with staged:
            staged.write(answer.encode("utf-8", errors="surrogateescape"))
        Path(staged.name).rename(self.directory / key)


def build_key(root: Path, path: str, kustomization: Mapping[str, Any], options: Sequence[str]) -> str:
    """The key of a build of the tree below `root`."""
    asked = json.dumps([path, kustomization, list(options)], sort_keys=True)
    return digest([b"build", asked.encode(), *_tree(root)])


def line_key(line: str, variables: Mapping[str, str], *, strict: bool) -> str:
    """The key of a line that variables are put into."""
    asked = json.dumps([line, dict(variables), strict], sort_keys=True)
    return digest([b"envsubst", asked.encode()])


def _tree(root: Path) -> list[bytes]:
    parts = []
    for path in sorted(root.rglob("*")):
        parts.append(os.fsencode(path.relative_to(root)))
        if path.is_symlink():
            parts += [b"link", os.fsencode(path.readlink())]
        elif path.is_file():
            parts += [b"file", path.read_bytes()]
        else:
            parts += [b"directory", b""]
    return parts
