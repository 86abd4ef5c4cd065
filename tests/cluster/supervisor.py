"""Runs a control plane's programs for one parent process, and ends them all when that parent is gone.

Run as a file, on its own, with the standard library only. Commands come as JSON lines on standard input,
each but the last ("end") is answered by one JSON line on standard output. The end of standard input, however
the parent ended, is the end of every program and of the data directory.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PARENT_CHECK_SECONDS = 0.5
PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


@dataclasses.dataclass
class Supervisor:
    """The programs that run, by name."""

    directory: Path
    running: dict[str, subprocess.Popen[bytes]] = dataclasses.field(default_factory=dict)

    def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        """Carry out one command; what went wrong is an answer too."""
        name = command["name"]
        try:
            if command["do"] == "start":
                return self.start(name, command["argv"])
            if command["do"] == "stop":
                return self.stop(name)
            return {"ended": self.running[name].poll()}
        except (OSError, KeyError) as error:
            return {"error": f"{name}: {command['do']} failed: {error!r}"}

    def start(self, name: str, argv: list[str]) -> dict[str, Any]:
        """Start a program in the data directory, its output appended to its log there."""
        with (self.directory / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                argv,
                cwd=self.directory,
                # Nothing of the caller's: proxies, cluster settings or a home directory must not matter.
                env={"PATH": os.defpath, "HOME": str(self.directory), "TMPDIR": str(self.directory)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_end_with_supervisor,  # noqa: PLW1509 - this process has one thread
            )
        return {"pid": self.running[name].pid}

    def stop(self, name: str) -> dict[str, Any]:
        """Kill a program and wait until it is gone."""
        process = self.running.pop(name)
        process.kill()
        return {"ended": process.wait()}

    def end(self) -> None:
        """Kill everything and remove the data: nothing in it is worth an orderly shutdown."""
        for process in self.running.values():
            process.kill()
        for process in self.running.values():
            process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def _end_with_supervisor() -> None:
    """Have the kernel kill this program when the supervisor itself is killed."""
    if sys.platform == "linux":
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _commands(parent: int) -> Iterator[dict[str, Any]]:
    """The commands, until the pipe is closed or the parent is gone.

    The parent is watched too, because a process that it forked may hold its end of the pipe open.
    """
    pending = b""
    while os.getppid() == parent:
        readable, _, _ = select.select([sys.stdin.fileno()], [], [], PARENT_CHECK_SECONDS)
        if not readable:
            continue
        received = os.read(sys.stdin.fileno(), 65536)
        if not received:
            return
        *lines, pending = (pending + received).split(b"\n")
        for command in map(json.loads, lines):
            if command["do"] == "end":
                return
            yield command


def _terminated(_number: int, _frame: object) -> None:
    raise SystemExit(1)


def main() -> None:
    """Supervise until the parent (its process id is the second argument) is gone."""
    signal.signal(signal.SIGTERM, _terminated)
    supervisor = Supervisor(Path(sys.argv[1]))
    try:
        for command in _commands(int(sys.argv[2])):
            # The answer has no reader when the parent is gone: then the loop ends next.
            with contextlib.suppress(BrokenPipeError):
                os.write(sys.stdout.fileno(), json.dumps(supervisor.answer(command)).encode() + b"\n")
    finally:
        supervisor.end()


if __name__ == "__main__":
    main()
