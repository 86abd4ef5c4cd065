"""Writes the files of a tree or of the work tree as they are: no filters, links or nested repositories."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from runner.clients.git.command import GitCommand
from runner.clients.git.disk import Disk, Writer, shown
from runner.clients.git.listing import (
    SUBMODULE,
    SYMLINK,
    Entry,
    index_entries,
    new_files,
    tree_entries,
)
from runner.errors import UsageError
from runner.ports import Blob

_CHUNK = 1 << 20
_WARNINGS = 20


@dataclass(slots=True)
class LeftOut:
    """What an artifact does not hold although the repository does."""

    _found: list[tuple[str, str]] = field(default_factory=list)

    def symlink(self, path: str, target: str) -> None:
        link = f"symlink {shown(path)} → {shown(target)}"
        self._found.append((path, f"{link} is left out: Flux's source-controller packs no symlinks"))

    def nested(self, path: str) -> None:
        name = shown(path)
        self._found.append((path, f"submodule {name} is left out: its files are in another repository"))

    def warnings(self) -> tuple[str, ...]:
        """In the order of paths; a repository full of links does not flood the report."""
        told = [message for _, message in sorted(self._found)]
        more = len(told) - _WARNINGS
        return (*told[:_WARNINGS], *([f"and {more} more are left out"] if more > 0 else []))


def write_tree(git: GitCommand, tree: str, target: Path) -> tuple[str, ...]:
    """Write a tree's files below `target`; returns what to warn about."""
    return write_entries(git, tree_entries(git, tree), target)


def write_entries(git: GitCommand, entries: Sequence[Entry], target: Path) -> tuple[str, ...]:
    """Write some entries of a tree below `target`; returns what to warn about."""
    left_out = LeftOut()
    with Writer(target) as writer:
        _write_blobs(git, entries, writer, left_out)
    return left_out.warnings()


def write_files(git: GitCommand, files: Mapping[str, Blob], target: Path) -> None:
    """Write some regular files below `target`."""
    entries = [Entry(path, blob) for path, blob in sorted(files.items())]
    with Writer(target) as writer:
        _write_blobs(git, entries, writer, LeftOut())


def switch_tree(git: GitCommand, target: Path, old: str, new: str) -> tuple[str, ...]:
    """Turn the files of one tree below `target` into those of another; returns what to warn about.

    What is not a file of the old tree is never written to or removed.
    """
    before, after = dict(_blobs(git, old)), dict(_blobs(git, new))
    left_out = LeftOut()
    with Writer(target) as writer:
        _remove(writer, [path for path in before if _is_file(before, path) and not _is_file(after, path)])
        wanted = []
        for path, blob in after.items():
            if not _is_file(after, path):
                wanted.append(Entry(path, blob))
            elif before.get(path) != blob:
                if _is_file(before, path):
                    writer.remove(path)
                wanted.append(Entry(path, blob))
        _write_blobs(git, wanted, writer, left_out)
    return left_out.warnings()


def write_worktree(git: GitCommand, root: Path, target: Path) -> tuple[str, ...]:
    """Write tracked and new, not ignored files as they are on disk; returns what to warn about."""
    left_out, disk, sparse = LeftOut(), Disk(root), []
    tracked = {entry.path: entry for entry in index_entries(git)}
    with Writer(target) as writer:
        for path in (*tracked, *new_files(git)):
            found = disk.look(path.removesuffix("/"))
            entry = tracked.get(path)
            if found is None:
                sparse += [entry] if entry and not entry.on_disk else []
            elif stat.S_ISLNK(found.st_mode):
                left_out.symlink(path, os.readlink(root / path))  # noqa: PTH115 — Path would tidy it up
            elif stat.S_ISDIR(found.st_mode):
                left_out.nested(path.removesuffix("/"))
            elif stat.S_ISREG(found.st_mode):
                writer.write(path, found.st_mode, _on_disk(root, path))
        _write_blobs(git, sparse, writer, left_out)
    return left_out.warnings()


def _blobs(git: GitCommand, tree: str) -> Iterator[tuple[str, Blob]]:
    return ((entry.path, entry.blob) for entry in tree_entries(git, tree))


def _is_file(files: Mapping[str, Blob], path: str) -> bool:
    return path in files and files[path].mode not in {SYMLINK, SUBMODULE}


def _remove(writer: Writer, paths: Sequence[str]) -> None:
    """Before anything is written: a file may become a directory, and a directory a file."""
    for path in paths:
        writer.remove(path)
    for directory in sorted({path.rpartition("/")[0] for path in paths}, reverse=True):
        writer.tidy(directory)


def _write_blobs(git: GitCommand, entries: Sequence[Entry], writer: Writer, left_out: LeftOut) -> None:
    """One process for all blobs: starting one per file would take minutes for a large repository."""
    blobs = [entry for entry in entries if entry.blob.mode != SUBMODULE]
    with TemporaryFile() as wanted:  # a file, so that neither side waits for the other's pipe
        wanted.write("".join(f"{entry.blob.id}\n" for entry in blobs).encode())
        wanted.seek(0)
        with git.stream("cat-file", "--batch", "--buffer", stdin=wanted) as output:
            for entry in blobs:
                _write_blob(entry, output, writer, left_out)
    for entry in entries:
        if entry.blob.mode == SUBMODULE:
            left_out.nested(entry.path)


def _write_blob(entry: Entry, output: IO[bytes], writer: Writer, left_out: LeftOut) -> None:
    header = output.readline().split()
    if len(header) != 3 or header[1] != b"blob":  # noqa: PLR2004 — <hash> blob <size>
        raise UsageError(
            f"{shown(entry.path)} can't be read: its content is not in this clone",
            hint="clone without `filter`, or run `git fsck`.",
        )
    size = int(header[2])
    if entry.blob.mode == SYMLINK:
        left_out.symlink(entry.path, os.fsdecode(output.read(size)))
    else:
        writer.write(entry.path, entry.blob.mode, _chunks(output, size))
    output.read(1)  # the newline after the content


def _chunks(source: IO[bytes], size: int) -> Iterator[bytes]:
    while size and (chunk := source.read(min(size, _CHUNK))):
        size -= len(chunk)
        yield chunk
    if size:
        raise UsageError("git cat-file ended in the middle of a file")


def _on_disk(root: Path, path: str) -> Iterator[bytes]:
    try:
        with (root / path).open("rb") as source:
            while chunk := source.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise UsageError(f"{shown(path)} can't be read: {error.strerror}") from error
