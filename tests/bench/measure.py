"""What a process takes: time by the clock, time on the cores, memory."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

PROC = Path("/proc")
SAMPLE_SECONDS = 0.1
LIMIT_SECONDS = 1800.0
"""After which a process counts as hanging."""
DIRECTORY = "bench-of-kustodian-"
"""What the directories are called that a benchmark works in. Not `kustodian-`: every run sweeps out what is
called so and is a minute old, also from under a benchmark."""
_ERROR_LINES = 15


class BenchError(Exception):
    """Something that is measured did not do its work, so that its time says nothing."""


@dataclass(frozen=True)
class Usage:
    """What one process and those that it started took."""

    wall: float
    cpu: float
    memory: int | None
    """The sum of the high-water marks of the process and its children; None where /proc does not tell."""
    stdout: bytes = field(repr=False)
    own: int | None = None
    """The high-water mark of the process alone."""


def run(argv: Sequence[str | Path], *, watch_memory: bool = True, cwd: Path | None = None) -> Usage:
    """Run a command to its end.

    Raises:
        BenchError: it failed, or did not end.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begun = time.perf_counter()
        child = subprocess.Popen(argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        limit = threading.Timer(LIMIT_SECONDS, child.kill)
        limit.start()
        try:
            with _Memory(child.pid, watch=watch_memory) as memory:
                _, status, used = os.wait4(child.pid, 0)
            wall = time.perf_counter() - begun
            child.returncode = os.waitstatus_to_exitcode(status)
        finally:
            limit.cancel()
            child.kill()  # does nothing once it has ended
        out.seek(0)
        err.seek(0)
        if child.returncode:
            said = err.read().decode(errors="replace").splitlines()[-_ERROR_LINES:]
            command = " ".join(str(each) for each in argv[:6])
            raise BenchError("\n".join([f"{command} ... ended with {child.returncode}", *said]))
        return Usage(wall, used.ru_utime + used.ru_stime, memory.high, out.read(), memory.own)


def resident(pid: int) -> int | None:
    """The memory of a process as it stands, in bytes."""
    return _status(pid, "VmRSS:")


def high_water(pid: int) -> int | None:
    """The most memory that a process had so far, in bytes."""
    return _status(pid, "VmHWM:")


def processor_time(pid: int) -> float:
    """Seconds that a running process had a core; 0 where /proc does not tell."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class _Memory:
    """Looks now and then how large a process and its children have been; the kernel keeps their maxima.

    Not `ru_maxrss`: a child starts with its parent's, which is ours.
    """

    def __init__(self, pid: int, *, watch: bool) -> None:
        self._pid = pid
        self._watch = watch
        self._marks: dict[int, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        if self._watch:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._watch:
            self._thread.join()

    @property
    def high(self) -> int | None:
        return sum(self._marks.values()) or None

    @property
    def own(self) -> int | None:
        return self._marks.get(self._pid)

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            # A child that is about to become another program still has our memory, which is no more of it.
            children = [pid for pid in _children(self._pid) if _program(pid) != _program(self._pid)]
            for pid in (self._pid, *children):
                if mark := high_water(pid):
                    self._marks[pid] = mark


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in (PROC / str(pid) / "task").iterdir():
            with contextlib.suppress(OSError):
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _program(pid: int) -> str:
    with contextlib.suppress(OSError):
        return str((PROC / str(pid) / "exe").readlink())
    return ""


def _status(pid: int, name: str) -> int | None:
    with contextlib.suppress(OSError):
        for line in (PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    return None
