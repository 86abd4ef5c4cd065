"""Runs a program that reads what a stranger's server sends: with an end in time, in size and in memory."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from runner.errors import SourceError

TOLD = 1 << 20
"""Bytes of what a program says that are read, where no more are asked for."""
MEMORY = 4 << 20
"""KiB of address space: packs are mapped into it."""
_POLL = 0.1
# The shell's limits, which everything below it inherits: git fetches through programs of its own. One that
# cannot be set is lower already, or (of memory) the system has none.
_LIMITED = 'ulimit -f "$1" 2>/dev/null; ulimit -v "$2" 2>/dev/null; shift 2; exec "$@"'
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Ended:
    """What one program came to."""

    status: int  # negative: the signal that ended it
    output: bytes = field(repr=False)
    error: str


@dataclass(frozen=True, slots=True)
class Limited:
    """Where and how long programs may run, and how large a file they may write."""

    directory: Path
    environment: Mapping[str, str]
    deadline: float  # on the monotonic clock
    cancelled: threading.Event
    size: int  # bytes

    def full(self) -> bool:
        """Whether git was ended because of the size of a pack: it does not say so itself."""
        packs = self.directory.glob("objects/pack/tmp_*")
        return any(each.stat().st_size >= self.size for each in packs)

    def run(self, *command: str, stdin: IO[bytes] | None = None, most: int = TOLD) -> Ended:
        """Run to the end. Raises SourceError when it is late, cannot be run, or was cancelled."""
        blocks = str(max(self.size, most) // _BLOCK + 1)
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as error:
            try:
                process = subprocess.Popen(
                    ["/bin/sh", "-c", _LIMITED, "limited", blocks, str(MEMORY), *command],
                    cwd=self.directory,
                    env=dict(self.environment),
                    stdin=subprocess.DEVNULL if stdin is None else stdin,
                    stdout=output,
                    stderr=error,
                    process_group=0,
                )
            except OSError as exc:
                raise SourceError(f"{command[0]} can't be run", hint=f"install {command[0]}.") from exc
            try:
                self._wait(process, command[0])
            finally:
                if process.poll() is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)  # with the programs of its own
                    process.wait()
            if _size(output) > most:
                raise SourceError(f"{command[0]} says more than {most:,} bytes")
            return Ended(process.returncode, _read(output, most), _said(error))

    def _wait(self, process: subprocess.Popen[bytes], name: str) -> None:
        while not self.cancelled.is_set() and (left := self.deadline - time.monotonic()) > 0:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=min(left, _POLL))
                return
        raise SourceError(
            "fetching was cancelled" if self.cancelled.is_set() else f"{name} had no end in time"
        )


def _size(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size


def _read(file: IO[bytes], most: int) -> bytes:
    file.seek(0)
    return file.read(most)


def _said(error: IO[bytes]) -> str:
    return _read(error, TOLD).decode(errors="replace").strip()
