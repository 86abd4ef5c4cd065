"""The files of the work tree, by name and content: what is compared with a commit's."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from runner.clients.git.command import GitCommand
from runner.clients.git.disk import Disk, shown
from runner.clients.git.listing import SUBMODULE, SYMLINK, index_entries, new_files
from runner.errors import UsageError
from runner.ports import Blob, PathChange, PathChangeKind

_TYPE = 0o170000


def files_on_disk(git: GitCommand, root: Path, algorithm: str) -> dict[str, Blob]:
    """Tracked and new, not ignored files as they are on disk: no filter, a nested repository as tracked."""
    disk, found = Disk(root), {}
    tracked = {entry.path: entry for entry in index_entries(git)}
    for path in (*tracked, *new_files(git)):
        there, entry = disk.look(path.removesuffix("/")), tracked.get(path)
        if there is None or stat.S_ISDIR(there.st_mode):
            if entry is not None and (entry.blob.mode == SUBMODULE if there else not entry.on_disk):
                found[path] = entry.blob
        elif stat.S_ISLNK(there.st_mode):
            target = os.readlink(root / path)  # noqa: PTH115 -- Path would tidy it up
            found[path] = Blob(SYMLINK, _id(os.fsencode(target), algorithm))
        elif stat.S_ISREG(there.st_mode):
            mode = 0o100755 if there.st_mode & stat.S_IXUSR else 0o100644
            found[path] = Blob(mode, _id(_content(root, path), algorithm))
    return found


def differences(old: Mapping[str, Blob], new: Mapping[str, Blob]) -> tuple[PathChange, ...]:
    """What became of each file, by path."""
    return tuple(sorted(_differences(old, new)))


def _differences(old: Mapping[str, Blob], new: Mapping[str, Blob]) -> Iterator[PathChange]:
    for path in {*old, *new}:
        before, after = old.get(path), new.get(path)
        if before is None or after is None:
            yield PathChange(path, PathChangeKind.ADDED if before is None else PathChangeKind.DELETED)
        elif before.mode & _TYPE != after.mode & _TYPE:
            yield PathChange(path, PathChangeKind.TYPE)
        elif before.id != after.id:
            yield PathChange(path, PathChangeKind.MODIFIED)
        elif before.mode != after.mode:
            yield PathChange(path, PathChangeKind.MODE)


def _id(content: bytes, algorithm: str) -> str:
    """What names a file's content in Git."""
    return hashlib.new(algorithm, b"blob %d\0%s" % (len(content), content)).hexdigest()


def _content(root: Path, path: str) -> bytes:
    try:
        return (root / path).read_bytes()
    except OSError as error:
        raise UsageError(f"{shown(path)} can't be read: {error.strerror}") from error
