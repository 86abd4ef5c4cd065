"""The command line, each time in a new process, but forked from one that has everything imported.

What a command does, its exit code, its output and its end are those of `python -m runner.cli`; only the half
second of imports is spared. With `--cold` (conftest.py) Python starts anew each time, as it always does for a
test that needs a process to send signals to.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import itertools
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

MODULE = "runner.cli"
ROOT = Path(__file__).parents[1]
OTHERS = ("jinja2", "kubernetes.client", "kubernetes.config", "rich.live", "rich.table", "tenacity")
"""What the product imports where it is used, of other people's."""

AT_START = ("LANG", "LC_", "PYTHON")
"""Variables that Python reads when it starts: with another value of these it has to."""

COLD = "KUSTODIAN_TESTS_COLD"


class Forker:
    """A process that forks commands; one at a time or many."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="forker-")
        self._address = str(Path(self._directory.name) / "socket")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.forked", self._address],
            cwd=ROOT,
            stdin=subprocess.PIPE,  # it ends when this is closed, however this process ends
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        ready, seed = self._process.stdout.readline().split()
        assert ready == b"ready"
        self.hashed = int(seed)

    def run(
        self, arguments: Sequence[str], env: Mapping[str, str], files: Sequence[BinaryIO], timeout: float
    ) -> int:
        """Run a command to its end and give its exit status; `files` are its stdin, stdout and stderr."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(self._address)
            socket.send_fds(connection, [b"."], [file.fileno() for file in files])
            asked = {"arguments": list(arguments), "env": dict(env), "cwd": str(Path.cwd())}
            connection.sendall(json.dumps(asked).encode())
            connection.shutdown(socket.SHUT_WR)
            with connection.makefile("rb") as answer:
                pid = int(answer.readline())
                try:
                    return int(answer.readline())
                except TimeoutError:
                    os.kill(pid, signal.SIGKILL)
                    raise subprocess.TimeoutExpired(arguments, timeout) from None

    def close(self) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
        self._directory.cleanup()


class Forkers:
    """Two of them, by turns: as each has another seed of hashes, no two runs in a row agree by chance."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started: list[Forker] = []
        self._turn = itertools.count()

    def next(self) -> Forker:
        with self._lock:
            if len(self._started) < 2:
                self._started.append(Forker())
                atexit.register(self._started[-1].close)
            return self._started[next(self._turn) % len(self._started)]


FORKERS = Forkers()


def run(
    *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """What `python -m runner.cli` does with these arguments, whatever its exit code."""
    env = os.environ if env is None else env
    command = [sys.executable, "-m", MODULE, *arguments]
    if COLD in os.environ or _read_at_start(env) != _read_at_start(os.environ):
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=timeout, check=False)
    with (
        Path(os.devnull).open("rb") as nothing,
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as error,
    ):
        status = FORKERS.next().run(arguments, env, (nothing, output, error), timeout)
        texts = []
        for file in (output, error):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess(command, status, *texts)


def _read_at_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(AT_START)}


def serve(address: str) -> None:
    """Fork a command for each connection until stdin is closed; returns in the forked process alone."""
    _import_everything()
    gc.freeze()  # what is shared with the forked processes stays shared
    waked, wake = socket.socketpair()
    wake.setblocking(False)  # noqa: FBT003 - its only parameter
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno())
    running: dict[int, socket.socket] = {}
    with waked, wake, socket.socket(socket.AF_UNIX) as server, selectors.DefaultSelector() as selector:
        server.bind(address)
        server.listen()
        for file in (server, waked, sys.stdin):
            selector.register(file, selectors.EVENT_READ)
        sys.stdout.write(f"ready {hash(MODULE)}\n")
        sys.stdout.flush()
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if sys.stdin in ready:
                os._exit(0)
            if waked in ready:
                waked.recv(4096)
                _tell_ends(running)
            if server in ready:
                connection, _ = server.accept()
                _, files, _, _ = socket.recv_fds(connection, 1, 3)
                asked = _rest(connection)
                if (pid := os.fork()) == 0:
                    for other in (connection, *running.values()):
                        other.close()
                    break
                for each in files:
                    os.close(each)
                connection.sendall(b"%d\n" % pid)
                running[pid] = connection
        signal.set_wakeup_fd(-1)
    _become(asked, files)


def _rest(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as whole:
        return whole.read()


def _become(asked: bytes, files: Sequence[int]) -> None:
    """Have this process look as if it had been started for the command."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    start = json.loads(asked)
    os.chdir(start["cwd"])
    os.environ.clear()
    os.environ.update(start["env"])
    sys.argv = [MODULE, *start["arguments"]]


def _tell_ends(running: dict[int, socket.socket]) -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with running.pop(pid) as connection, contextlib.suppress(BrokenPipeError):
                connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def _import_everything() -> None:
    import runner

    for module in pkgutil.walk_packages(runner.__path__, "runner."):
        if module.name != MODULE and not module.name.endswith(".__main__"):
            importlib.import_module(module.name)
    for name in OTHERS:
        importlib.import_module(name)
    if threading.active_count() > 1:
        raise RuntimeError("an import has started a thread: what is forked now may hang")


if __name__ == "__main__":
    serve(sys.argv[1])
    runpy.run_module(MODULE, run_name="__main__", alter_sys=True)
