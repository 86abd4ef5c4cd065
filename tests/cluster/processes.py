"""The test control plane's programs, run by a supervisor that ends them when this process ends."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SUPERVISOR = Path(__file__).with_name("supervisor.py")


class Processes:
    """A supervisor and the programs it was told to run."""

    def __init__(self, directory: Path, held: Sequence[int]) -> None:
        """Start the supervisor for `directory`; it keeps the descriptors in `held` open while it runs."""
        self._directory = directory
        self._one_at_a_time = threading.Lock()
        self._supervisor = subprocess.Popen(
            [sys.executable, "-I", str(SUPERVISOR), str(directory), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=held,
            # Ctrl-C is for this process, which then stops the supervisor in its own time.
            start_new_session=True,
        )

    @property
    def supervisor_pid(self) -> int:
        """The supervisor's process id: every program is its child."""
        return self._supervisor.pid

    def start(self, name: str, argv: Sequence[str]) -> int:
        """Start a program and return its process id."""
        return int(self._ask({"do": "start", "name": name, "argv": list(argv)})["pid"])

    def stop(self, name: str) -> None:
        """Kill a program; it is gone when this returns."""
        self._ask({"do": "stop", "name": name})

    def ended(self, name: str) -> int | None:
        """The exit status of a program that ended by itself."""
        status: int | None = self._ask({"do": "poll", "name": name})["ended"]
        return status

    def log_tail(self, name: str, lines: int = 20) -> str:
        """The end of what a program wrote."""
        log = self._directory / f"{name}.log"
        return (
            "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
            if log.exists()
            else "(no output)"
        )

    def close(self) -> None:
        """End every program and the supervisor, which removes the directory."""
        stdin, stdout = self._supervisor.stdin, self._supervisor.stdout
        if stdin is None or stdout is None or stdin.closed:
            return
        # Closing is not enough: a process forked from this one may hold the pipe open.
        with contextlib.suppress(BrokenPipeError):
            stdin.write(b'{"do": "end"}\n')
            stdin.flush()
        with contextlib.suppress(BrokenPipeError):
            stdin.close()
        self._supervisor.wait()
        stdout.close()

    def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._supervisor.stdin, self._supervisor.stdout
        if stdin is None or stdout is None or stdin.closed:
            raise RuntimeError(f"the control plane in {self._directory}: has been stopped; start a new one")
        with self._one_at_a_time:
            try:
                stdin.write(json.dumps(command).encode() + b"\n")
                stdin.flush()
                line = stdout.readline()
            except BrokenPipeError:
                line = b""
        if not line:
            raise RuntimeError(
                f"the control plane in {self._directory}: its supervisor has died; start a new one"
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer
