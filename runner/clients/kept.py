"""Fetched content in a directory, by its digest: shared between runs, safe to lose, never believed."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

LIMIT = 1 << 30
"""Bytes. What was not asked for longest goes first."""
LIFETIME = 30 * 24 * 3600.0
"""Seconds since a content was last asked for."""
ABANDONED = 3600.0
"""Seconds after which what a killed run was writing is swept out."""
_PIECE = 1 << 20
_STAGED = ".part"


@dataclass(frozen=True, slots=True)
class KeptContent:
    """Files named after where they come from and their SHA-256; any number of runs may share them.

    Content is only ever found by who names the same repository: knowing a digest is no right to read it.
    """

    directory: Path
    limit: int = LIMIT
    lifetime: float = LIFETIME

    def open(self, origin: str, digest: str) -> IO[bytes] | None:
        """The content with this digest, at its start; None when it is not there as it should be."""
        path = self._path(origin, digest)
        try:
            file = path.open("rb")
        except OSError:
            return None
        try:
            sound = sha256(file) == digest
            if sound:
                file.seek(0)
                os.utime(path)
                return file
        except OSError:
            sound = False
        file.close()
        if not sound:
            with suppress(OSError):
                path.unlink()
        return None

    def find(self, origin: str, name: str) -> IO[bytes] | None:
        """What was kept under a name that is no digest of it: whoever asks has to verify it."""
        path = self._path(origin, name)
        try:
            file = path.open("rb")
            os.utime(path)
        except OSError:
            return None
        return file

    def put(self, origin: str, digest: str, content: IO[bytes]) -> None:
        """Keep a content that was verified; that it cannot be written is no failure."""
        path = self._path(origin, digest)
        staged = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, suffix=_STAGED, delete=False) as file:
                staged = Path(file.name)
                shutil.copyfileobj(content, file)
            staged.replace(path)
        except OSError:
            if staged is not None:
                with suppress(OSError):
                    staged.unlink()

    def tidy(self) -> None:
        """Let go of what nobody asked for in a long time, and of the oldest when there is too much."""
        now, total = time.time(), 0
        for used, size, path in sorted(self._files(), reverse=True):
            total += size
            age = now - used
            lifetime = ABANDONED if path.suffix == _STAGED else self.lifetime
            if total > self.limit or age > lifetime:
                with suppress(OSError):
                    path.unlink()

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        for path in self.directory.glob("*/*"):
            with suppress(OSError):  # another run may have swept it out
                found = path.stat()
                yield found.st_mtime, found.st_size, path

    def _path(self, origin: str, digest: str) -> Path:
        name = hashlib.sha256(f"{origin}\0{digest}".encode()).hexdigest()
        return self.directory / name[:2] / name


def sha256(file: IO[bytes]) -> str:
    """`sha256:<hex>` of what is left in a file."""
    whole = hashlib.sha256()
    while piece := file.read(_PIECE):
        whole.update(piece)
    return f"sha256:{whole.hexdigest()}"
