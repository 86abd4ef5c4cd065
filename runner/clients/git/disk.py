"""Writes and removes files below one directory: never through a symlink, never outside of it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

from runner.errors import UsageError

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ASTRAY = re.compile(r"(?:\A|/)(?:\.{0,2}|\.git)(?:/|\Z)", re.ASCII | re.IGNORECASE)


def shown(name: str) -> str:
    """A file name that can be printed: no control characters, no bytes that are not UTF-8."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


class Writer:
    """Files below `root`; quick when they come in the order of a tree.

    Each directory is opened from its parent. That makes a symlink on the way an error, whoever put it
    there, and spares the kernel the walk from the top for each of ten thousand files. Only the
    directories that lead to the last file are kept open.
    """

    def __init__(self, root: Path) -> None:
        try:
            self._handles = [os.open(root, _DIRECTORY)]  # of the root, and of each of `_names`
        except OSError as error:
            raise UsageError(f"{root} can't be opened: {error.strerror}") from error
        self._names: list[str] = []
        self._directory = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            os.close(handle)

    def write(self, path: str, mode: int, content: Iterable[bytes]) -> None:
        """A new file, executable or not; an existing one is never written to."""
        _check(path)
        try:
            directory, name = self._enter(path, create=True)
            file = os.open(name, _NEW_FILE, 0o755 if mode & 0o100 else 0o644, dir_fd=directory)
            try:
                for chunk in content:
                    _write(file, chunk)
            finally:
                os.close(file)
        except OSError as error:
            raise UsageError(f"{shown(path)} can't be written: {error.strerror}") from error

    def remove(self, path: str) -> None:
        """Remove a file; one that is gone already is no error."""
        _check(path)
        try:
            with suppress(FileNotFoundError):
                directory, name = self._enter(path, create=False)
                os.unlink(name, dir_fd=directory)
        except OSError as error:
            raise UsageError(f"{shown(path)} can't be removed: {error.strerror}") from error

    def tidy(self, directory: str) -> None:
        """Remove a directory and those above it, as far as nothing is in them."""
        while directory:
            try:
                parent, name = self._enter(directory, create=False)
                os.rmdir(name, dir_fd=parent)
            except OSError:  # something is in it, or it is gone already
                return
            directory, _, _ = directory.rpartition("/")

    def _enter(self, path: str, *, create: bool) -> tuple[int, str]:
        """The directory that holds a path, opened, and the path's last name."""
        directory, _, name = path.rpartition("/")
        if directory != self._directory:
            self._walk(directory.split("/") if directory else [], create=create)
            self._directory = directory
        return self._handles[-1], name

    def _walk(self, names: list[str], *, create: bool) -> None:
        while self._names != names[: len(self._names)]:
            self._names.pop()
            os.close(self._handles.pop())
        self._directory = "/".join(self._names)  # for when the rest of the way is barred
        for name in names[len(self._names) :]:
            self._handles.append(_opened(name, self._handles[-1], create=create))
            self._names.append(name)
            self._directory = "/".join(self._names)


class Disk:
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


def _check(path: str) -> None:
    """Git refuses to make such trees; a server that was talked into keeping one must not lead us astray."""
    if _ASTRAY.search(path):
        raise UsageError(f"{shown(path)} is not a path that Git allows in a commit")


def _opened(name: str, parent: int, *, create: bool) -> int:
    try:
        return os.open(name, _DIRECTORY, dir_fd=parent)
    except FileNotFoundError:
        if not create:
            raise
    os.mkdir(name, dir_fd=parent)
    return os.open(name, _DIRECTORY, dir_fd=parent)


def _write(file: int, content: bytes) -> None:
    written = os.write(file, content)
    while written < len(content):
        content = content[written:]
        written = os.write(file, content)
