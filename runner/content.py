"""What a tree of files holds, by names of contents alone: enough to tell that a build would see the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class Content:
    """Regular files by path, each with what names its content: a Git object id."""

    files: Mapping[str, str] = field(repr=False)

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

    @cached_property
    def _entries(self) -> Mapping[str, Mapping[str, bool]]:
        """The entries of every directory, and whether each is a directory."""
        found: dict[str, dict[str, bool]] = {"": {}}
        for path in self.files:
            parent, _, name = path.rpartition("/")
            below = False
            while True:
                known = parent in found
                found.setdefault(parent, {})[name] = below
                if known or not parent:
                    break
                parent, _, name = parent.rpartition("/")
                below = True
        return found
