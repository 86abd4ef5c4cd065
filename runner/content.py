"""What a tree of files holds, by names of contents alone: enough to tell that a build would see the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class Content:
    """Regular files by path, each with what names its content: a Git object id."""

    files: Mapping[str, str] = field(repr=False)
    empty: frozenset[str] = frozenset()
    """Directories that are there although nothing is in them or below."""

    def id(self, path: str) -> str:
        """What names the content of a file; "" where there is none."""
        return self.files.get(path, "")

    def is_directory(self, path: str) -> bool:
        return path in {"", "."} or path in self._entries

    def listing(self, directory: str) -> str:
        """What names the list of a directory's entries."""
        entries = self._entries.get("" if directory == "." else directory, {})
        told = "\0".join(f"{name}{'/' if below else ''}" for name, below in sorted(entries.items()))
        return hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()

    def part(self, paths: Iterable[str]) -> Content:
        """Only some of the files."""
        return Content({path: self.files[path] for path in paths})

    def around(self, path: str) -> Iterator[str]:
        """The file at a path; of a directory its own files, and of each directory in it one below, if any."""
        if path in self.files:
            yield path
            return
        directory = "" if path == "." else path
        for name in self._entries.get(directory, ()):
            yield from self._first(f"{directory}/{name}" if directory else name)

    def _first(self, path: str) -> list[str]:
        if path in self.files:
            return [path]
        below = (self._first(f"{path}/{name}") for name in self._entries[path])
        return next((found for found in below if found), [])

    @cached_property
    def _entries(self) -> Mapping[str, Mapping[str, bool]]:
        """The entries of every directory, and whether each is a directory."""
        found: dict[str, dict[str, bool]] = {"": {}}
        for path in self.files:
            _enter(found, path, below=False)
        for path in self.empty:
            _enter(found, path, below=True)
            found.setdefault(path, {})
        return found


def _enter(found: dict[str, dict[str, bool]], path: str, *, below: bool) -> None:
    parent, _, name = path.rpartition("/")
    while True:
        known = parent in found
        found.setdefault(parent, {})[name] = below
        if known or not parent:
            return
        parent, _, name = parent.rpartition("/")
        below = True
