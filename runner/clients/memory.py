"""What can be computed again, kept in a directory: content-addressed, safe to share and to lose."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
CODE = ("*.py", "render/*.py", "sources/*.py", "discover/*.py", "clients/kustomize/*.py", "clients/git/*.py")
LIMIT = 512 << 20
"""Bytes. What was not asked for longest goes first."""

TIDY_SECONDS = 3600.0
_DIGEST = 32  # bytes of SHA-256


@dataclass(frozen=True)
class DirectoryMemory:
    """Files of one repository below a directory; what is damaged or unreadable is as if it were not there."""

    directory: Path
    repository: str  # nothing that another repository kept is ever found
    worker: Path

    @cached_property
    def stamp(self) -> str:
        """The code that renders, and the worker."""
        found = self.worker.stat()  # its content has too many bytes to be read each time
        whole = hashlib.sha256(f"{self.repository}\0{found.st_size}\0{found.st_mtime_ns}".encode())
        for path in sorted(path for pattern in CODE for path in PACKAGE.glob(pattern)):
            whole.update(path.read_bytes())
        return whole.hexdigest()

    def get(self, key: str) -> bytes | None:
        try:
            path = self._path(key)
            packed = path.read_bytes()
        except OSError:
            return None
        value = packed[_DIGEST:]
        if _seal(path, value) != packed[:_DIGEST]:
            return None
        with suppress(OSError):
            os.utime(path)
        return value

    def put(self, key: str, value: bytes) -> None:
        path = self._path(key)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(_seal(path, value) + value)
            Path(name).replace(path)

    def tidy(self) -> None:
        """Let go of what was not asked for longest, once there is too much of it.

        That takes a look at every file, so not each run does it.
        """
        marker = self.directory / "tidied"
        with suppress(OSError):
            if time.time() - marker.stat().st_mtime < TIDY_SECONDS:
                return
        with suppress(OSError):
            marker.touch()
            files = sorted(self._files(), reverse=True)
            total = 0
            for _, size, path in files:
                total += size
                if total > LIMIT:
                    path.unlink(missing_ok=True)

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        for path in self.directory.glob("*/*"):
            if path.is_dir():  # what was fetched is kept beside, and tidied by itself
                continue
            found = path.stat()
            yield found.st_mtime, found.st_size, path

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(f"{self.stamp}\0{key}".encode()).hexdigest()
        return self.directory / name[:2] / name


def _seal(path: Path, value: bytes) -> bytes:
    """Of a value in its own place: a sound one of another key counts no more than a damaged one."""
    return hashlib.sha256(path.name.encode() + value).digest()
