"""A commit's artifact whose files are known by name, and written only once somebody reads them."""

from __future__ import annotations

import hashlib
import stat
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from runner.content import Content
from runner.model import Artifact
from runner.ports import Blob, Builder, Memory, Repository

_IGNORE_FILE = ".sourceignore"


@dataclass(frozen=True, slots=True)
class Late:
    """One commit. Which of its files are in the artifact is remembered from the last time it was asked."""

    repository: Repository
    builder: Builder
    memory: Memory
    commit: str

    def artifact(self, target: Path, ignore: str) -> Artifact:
        """The artifact below `target`; without help from the memory its files are written at once."""
        files = self.repository.files(self.commit)
        key = _key(files, ignore)
        known = _read(self.memory.get(key))
        if known is None:
            written = self._write(target, ignore)
            known = {"excluded": written[1], "warnings": list(written[0].warnings)}
            self.memory.put(key, orjson.dumps(known))
            prepare = _nothing
        else:
            prepare = _Once(lambda: self._write(target, ignore))
        excluded = set(known["excluded"])
        content = {
            path: blob.id for path, blob in files.items() if stat.S_ISREG(blob.mode) and path not in excluded
        }
        return Artifact(
            target,
            self.repository.revision(self.commit),
            tuple(known["warnings"]),
            Content(content),
            prepare,
        )

    def _write(self, target: Path, ignore: str) -> tuple[Artifact, list[str]]:
        artifact = self.repository.export(self.commit, target)
        excluded = list(self.builder.artifact(target, ignore).excluded)
        for path in excluded:
            (target / path).unlink()
        return artifact, excluded


class _Once:
    """Does something the first time it is called; others wait until it is done."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work, self._lock, self._done = work, threading.Lock(), False

    def __call__(self) -> None:
        with self._lock:
            if not self._done:
                self._work()
                self._done = True


def _nothing() -> None:
    return


def _key(files: Mapping[str, Blob], ignore: str) -> str:
    """Everything that decides which files are left out, and what is warned of."""
    whole = hashlib.sha256(ignore.encode())
    for path, blob in sorted(files.items()):
        counts = path.rpartition("/")[2] == _IGNORE_FILE or not stat.S_ISREG(blob.mode)
        line = f"\0{path}\0{blob.mode:o}\0{blob.id if counts else ''}"
        whole.update(line.encode(errors="surrogateescape"))
    return f"artifact {whole.hexdigest()}"


def _read(packed: bytes | None) -> dict[str, Any] | None:
    try:
        known = orjson.loads(packed or b"")
        return known if isinstance(known["excluded"], list) and isinstance(known["warnings"], list) else None
    except (KeyError, ValueError, TypeError):
        return None
