"""A commit's artifact whose files are known by name, and written only once somebody reads them."""

from __future__ import annotations

import hashlib
import stat
import tempfile
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from runner.content import Content
from runner.model import Artifact
from runner.ports import Blob, Builder, Memory, Repository
from runner.rendered import ArtifactListing

_IGNORE_FILE = ".sourceignore"
_KNOWN = ("seen", "excluded", "directories", "warnings")
_MANY = 1000  # new files, from which on all may as well be written


Files = Mapping[str, Blob]
Write = Callable[[Collection[str]], Path]
"""Writes some files, and tells into which new directory."""


@dataclass(frozen=True, slots=True)
class Late:
    """One commit. Which of its files are in the artifact is remembered from commits with the same rules.

    Whether a file is left out depends on its path and on the ignore files, and on no other file.
    """

    repository: Repository
    builder: Builder
    memory: Memory
    commit: str

    def artifact(self, target: Path, ignore: str) -> Artifact:
        """The artifact below `target`; without help from the memory its files are written at once."""
        files = self.repository.files(self.commit)
        key = _key(files, ignore)
        write = self._parts(files, target)
        kept = _read(self.memory.get(key))
        new = _regular(files).difference(kept["seen"] if kept else ())
        if kept is None or len(new) > _MANY:
            known = {"seen": [*_regular(files)], **self._write(target, ignore)}
            prepare, part = _nothing, None
        else:
            known = _together(kept, new, self._listed(write, files, new, ignore)) if new else kept
            prepare, part = _Once(lambda: self._write(target, ignore)), write
        if known is not kept:
            with suppress(orjson.JSONEncodeError):  # a file's name need not be text
                self.memory.put(key, orjson.dumps(known))
        return Artifact(
            target,
            self.repository.revision(self.commit),
            tuple(known["warnings"]),
            _content(files, known),
            prepare,
            part,
        )

    def _write(self, target: Path, ignore: str) -> dict[str, Any]:
        artifact = self.repository.export(self.commit, target)
        listing = self.builder.artifact(target, ignore)
        drop_excluded(target, listing)
        return {
            "excluded": listing.excluded,
            "directories": listing.directories,
            "warnings": artifact.warnings,
        }

    def _listed(self, write: Write, files: Files, new: Collection[str], ignore: str) -> ArtifactListing:
        """What would be left out of some files alone."""
        rules = [path for path in _regular(files) if _is_rule(path)]
        return self.builder.artifact(write({*new, *rules}), ignore)

    def _parts(self, files: Files, target: Path) -> Write:
        def part(paths: Collection[str]) -> Path:
            into = Path(tempfile.mkdtemp(prefix=f"{target.name}-part-", dir=target.parent))
            self.repository.write({path: files[path] for path in paths}, self.commit, into)
            return into

        return part


def drop_excluded(target: Path, listing: ArtifactListing) -> None:
    """Remove what source-controller would not pack."""
    for path in listing.excluded:
        (target / path).unlink()
    for path in sorted(listing.directories, reverse=True):
        if not any((target / path).iterdir()):  # else something in it was brought back
            (target / path).rmdir()


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


def _together(known: Mapping[str, Any], new: Iterable[str], listing: ArtifactListing) -> dict[str, Any]:
    return {
        "seen": [*known["seen"], *new],
        "excluded": sorted({*known["excluded"], *listing.excluded}),
        "directories": sorted({*known["directories"], *listing.directories}),
        "warnings": known["warnings"],
    }


def _content(files: Files, known: Mapping[str, Any]) -> Content:
    """What is there once everything is written and `drop_excluded` is done."""
    excluded = _regular(files).intersection(known["excluded"])
    kept = {path: blob.id for path, blob in files.items() if path not in excluded and stat.S_ISREG(blob.mode)}
    if not excluded:
        return Content(kept)
    full = {above for path in kept for above in _above(path)}
    emptied = {above for path in excluded for above in _above(path)} - full
    return Content(kept, frozenset(emptied.difference(known["directories"])))


def _regular(files: Files) -> set[str]:
    return {path for path, blob in files.items() if stat.S_ISREG(blob.mode)}


def _is_rule(path: str) -> bool:
    return path.rpartition("/")[2] == _IGNORE_FILE


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _key(files: Files, ignore: str) -> str:
    """Everything that decides whether a file is left out, and what is warned of."""
    whole = hashlib.sha256(ignore.encode())
    for path, blob in sorted(files.items(), key=lambda item: item[0]):
        if _is_rule(path) or not stat.S_ISREG(blob.mode):
            whole.update(f"\0{path}\0{blob.mode:o}\0{blob.id}".encode(errors="surrogateescape"))
    return f"artifact {whole.hexdigest()}"


def _read(packed: bytes | None) -> dict[str, Any] | None:
    try:
        known = orjson.loads(packed or b"")
        return known if all(isinstance(known[key], list) for key in _KNOWN) else None
    except (KeyError, ValueError, TypeError):
        return None
