"""Writes the files of a commit or of the work tree as they are: no filters, links or nested repositories."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, BinaryIO

from runner.clients.git.command import GitCommand
from runner.errors import UsageError

_SYMLINK, _SUBMODULE = 0o120000, 0o160000
_CHUNK = 1 << 20
_WARNINGS = 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One file that git knows: its mode, the hash of its content, its path."""

    mode: int
    blob: str
    path: str
    on_disk: bool = True  # False: a sparse checkout leaves it out on purpose


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


def write_commit(git: GitCommand, commit: str, target: Path) -> tuple[str, ...]:
    """Write a commit's files below `target`; returns what to warn about."""
    left_out = LeftOut()
    _write_blobs(git, list(_commit_entries(git, commit)), target, left_out)
    return left_out.warnings()


def write_worktree(git: GitCommand, root: Path, target: Path) -> tuple[str, ...]:
    """Write tracked and new, not ignored files as they are on disk; returns what to warn about."""
    left_out, disk, sparse = LeftOut(), _Disk(root), []
    tracked = {entry.path: entry for entry in _index_entries(git)}
    new = _split(git.output("ls-files", "-z", "--others", "--exclude-standard"))
    for path in (*tracked, *new):
        found = disk.look(path.removesuffix("/"))
        entry = tracked.get(path)
        if found is None:
            sparse += [entry] if entry and not entry.on_disk else []
        elif stat.S_ISLNK(found.st_mode):
            left_out.symlink(path, os.readlink(root / path))  # noqa: PTH115 — Path would tidy it up
        elif stat.S_ISDIR(found.st_mode):
            left_out.nested(path.removesuffix("/"))
        elif stat.S_ISREG(found.st_mode):
            _copy(root, path, target, found.st_mode)
    _write_blobs(git, sparse, target, left_out)
    return left_out.warnings()


def shown(name: str) -> str:
    """A file name that can be printed: no control characters, no bytes that are not UTF-8."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def _commit_entries(git: GitCommand, commit: str) -> Iterator[Entry]:
    for line in _split(git.output("ls-tree", "-r", "-z", "--full-tree", commit)):
        facts, _, path = line.partition("\t")
        mode, _, blob = facts.split()
        yield Entry(int(mode, 8), blob, path)


def _index_entries(git: GitCommand) -> Iterator[Entry]:
    for line in _split(git.output("ls-files", "-z", "--cached", "-t", "--stage")):
        facts, _, path = line.partition("\t")
        tag, mode, blob, _ = facts.split()
        yield Entry(int(mode, 8), blob, path, on_disk=tag != "S")


def _split(output: bytes) -> Sequence[str]:
    return [os.fsdecode(part) for part in output.split(b"\0") if part]


def _write_blobs(git: GitCommand, entries: Sequence[Entry], target: Path, left_out: LeftOut) -> None:
    """One process for all blobs: starting one per file would take minutes for a large repository."""
    blobs = [entry for entry in entries if entry.mode != _SUBMODULE]
    with TemporaryFile() as wanted:  # a file, so that neither side waits for the other's pipe
        wanted.writelines(f"{entry.blob}\n".encode() for entry in blobs)
        wanted.seek(0)
        with git.stream("cat-file", "--batch", "--buffer", stdin=wanted) as output:
            for entry in blobs:
                _write_blob(entry, output, target, left_out)
    for entry in entries:
        if entry.mode == _SUBMODULE:
            left_out.nested(entry.path)


def _write_blob(entry: Entry, output: IO[bytes], target: Path, left_out: LeftOut) -> None:
    header = output.readline().split()
    if len(header) != 3 or header[1] != b"blob":  # noqa: PLR2004 — <hash> blob <size>
        raise UsageError(
            f"{shown(entry.path)} can't be read: its content is not in this clone",
            hint="clone without `filter`, or run `git fsck`.",
        )
    size = int(header[2])
    if entry.mode == _SYMLINK:
        left_out.symlink(entry.path, os.fsdecode(output.read(size)))
    else:
        _check(entry.path)
        with _create(target, entry.path, entry.mode) as file:
            for chunk in _chunks(output, size):
                file.write(chunk)
    output.read(1)  # the newline after the content


def _chunks(source: IO[bytes], size: int) -> Iterable[bytes]:
    while size and (chunk := source.read(min(size, _CHUNK))):
        size -= len(chunk)
        yield chunk
    if size:
        raise UsageError("git cat-file ended in the middle of a file")


def _copy(root: Path, path: str, target: Path, mode: int) -> None:
    _check(path)
    try:
        with (root / path).open("rb") as source, _create(target, path, mode) as copy:
            shutil.copyfileobj(source, copy, _CHUNK)
    except OSError as error:
        raise UsageError(f"{shown(path)} can't be read: {error.strerror}") from error


def _check(path: str) -> None:
    """Git refuses to make such trees; a server that was talked into keeping one must not lead us astray."""
    if any(part in {"", ".", ".."} or part.lower() == ".git" for part in path.split("/")):
        raise UsageError(f"{shown(path)} is not a path that Git allows in a commit")


def _create(target: Path, path: str, mode: int) -> BinaryIO:
    """A new file, executable or not; an existing one is never written to."""
    name = os.path.join(target, path)  # noqa: PTH118 — ten thousand Path objects take longer than the files
    permissions = 0o755 if mode & 0o100 else 0o644
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        try:
            return open(os.open(name, flags, permissions), "wb")  # noqa: PTH123
        except FileNotFoundError:
            os.makedirs(os.path.dirname(name), exist_ok=True)  # noqa: PTH103, PTH120
            return open(os.open(name, flags, permissions), "wb")  # noqa: PTH123
    except OSError as error:
        raise UsageError(f"{shown(path)} can't be written: {error.strerror}") from error


class _Disk:
    """Looks at files without ever following a symlink, those that a tracked directory became included."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._directories: dict[str, bool] = {"": True}

    def look(self, path: str) -> os.stat_result | None:
        """What is at a path; None when nothing is, or when it is behind a symlink."""
        if not self._is_directory(os.path.dirname(path)):  # noqa: PTH120
            return None
        try:
            return os.lstat(os.path.join(self._root, path))  # noqa: PTH118
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _is_directory(self, path: str) -> bool:
        if path not in self._directories:
            found = self.look(path)
            self._directories[path] = found is not None and stat.S_ISDIR(found.st_mode)
        return self._directories[path]
