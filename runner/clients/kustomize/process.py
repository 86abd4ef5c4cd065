"""One render worker process: a line goes in, a line comes out."""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_CHUNK = 1 << 16
"""What a pipe holds; room for more would only have to be made and given back, every time."""
_SLACK = 1 << 20
_KEPT_STDERR = 4096
_LAST_WORDS = (b"fatal error: ", b"panic: ", b"SIGSEGV: ")
_INHERITED = (
    *("PATH", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
"""What the decryptor needs to reach the services of clouds. The worker shows none but TMPDIR to a build."""


class Died(Exception):
    """The worker ended, or had to be ended, before it answered."""


class TimedOut(Died):
    """The worker did not answer in time, not even to say so."""


class Oversized(Died):
    """The answer is longer than the limit."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one worker may use."""

    memory: int
    """Bytes of memory."""
    answer: int
    """Bytes of one answer."""
    file: int
    """Bytes of one file that it reads."""
    objects: int
    """Objects of one build or file."""

    def arguments(self) -> list[str]:
        """The worker's command line."""
        sizes = {"memory-mib": self.memory, "answer-mib": self.answer, "file-mib": self.file}
        flags = [f"-{name}={max(1, size >> 20)}" for name, size in sizes.items()]
        return [*flags, f"-objects={self.objects}"]


class Process:
    """A running worker. Not thread-safe: the pool gives it to one thread at a time."""

    def __init__(self, binary: Path, limits: Limits, environment: Mapping[str, str] | None = None) -> None:
        self._limit = limits.answer + _SLACK  # the worker itself says when an answer is too long
        self._child = subprocess.Popen(
            [binary, *limits.arguments()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment() | dict(environment or {}),
            cwd="/",
            start_new_session=True,  # a Ctrl-C at the terminal is for the parent
            bufsize=0,
        )
        self._stdin, self._stdout, self._stderr = (
            _open_pipe(pipe) for pipe in (self._child.stdin, self._child.stdout, self._child.stderr)
        )
        self._poll = select.poll()
        self._poll.register(self._stdout, select.POLLIN)
        self._poll.register(self._stderr, select.POLLIN)
        self._log = b""

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    def ask(self, line: bytes, seconds: float) -> bytes:
        """Send one request and give its answer.

        Raises:
            Died: there is no answer; the process is gone then.
        """
        try:
            return self._exchange(memoryview(line), time.monotonic() + seconds)
        except Died:
            self.kill()
            raise
        except OSError as error:
            self.kill()
            raise Died(self._obituary()) from error
        except BaseException:
            self.kill()  # an interrupt leaves an answer in the pipe that nobody asked for
            raise

    def end(self) -> None:
        """End the process and everything that it started; any thread may do that, at any time."""
        if self._child.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()

    def kill(self) -> None:
        """End the process and close its pipes; only for the thread that has it, safe to repeat."""
        self.end()
        for pipe in (self._stdin, self._stdout, self._stderr):
            if not pipe.closed:
                self._keep_log()
                pipe.close()

    def _exchange(self, line: memoryview, deadline: float) -> bytes:
        chunks: list[bytes] = []
        size = 0
        line = self._send(line)
        while True:
            for fd, _ in self._wait(deadline):
                if fd == self._stdin.fileno():
                    line = self._send(line)
                elif fd == self._stderr.fileno():
                    if not self._keep_log():
                        self._poll.unregister(fd)
                else:
                    chunk = self._read()
                    chunks.append(chunk)
                    size += len(chunk)
                    if chunk.endswith(b"\n"):
                        return b"".join(chunks)
                    if size > self._limit:
                        raise Oversized(f"its answer is longer than {self._limit >> 20} MiB")

    def _send(self, line: memoryview) -> memoryview:
        """Write what the pipe takes right now, which as a rule is all; the rest is to be sent again."""
        with contextlib.suppress(BlockingIOError):
            line = line[os.write(self._stdin.fileno(), line) :]
        if line:
            self._poll.register(self._stdin, select.POLLOUT)
        else:
            with contextlib.suppress(KeyError):  # it was not waited for
                self._poll.unregister(self._stdin)
        return line

    def _wait(self, deadline: float) -> list[tuple[int, int]]:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimedOut("it gave no answer in time")
        return self._poll.poll(math.ceil(left * 1000))

    def _read(self) -> bytes:
        chunk = os.read(self._stdout.fileno(), _CHUNK)
        if not chunk:
            self._child.wait()
            raise Died(self._obituary())
        return chunk

    def _keep_log(self) -> bool:
        """Take what stands on standard error, keep its end; False once there is no more to come."""
        try:
            chunk = os.read(self._stderr.fileno(), _CHUNK)
        except BlockingIOError:
            return True
        except (OSError, ValueError):
            return False
        self._log = _trimmed(self._log + chunk)
        return bool(chunk)

    def _obituary(self) -> str:
        self._keep_log()
        code = self._child.returncode
        how = f"ended with code {code}" if code is None or code >= 0 else _signal_name(-code)
        said = self._log.decode(errors="replace").strip()
        return f"it {how}" + (f"; it said: {_gist(said)}" if said else "")


def _environment() -> dict[str, str]:
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return inherited | {"GOTRACEBACK": "none"}  # no megabytes of stacks after a crash


def _open_pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise AssertionError("every stream is a pipe")
    os.set_blocking(pipe.fileno(), False)
    return pipe


def _signal_name(number: int) -> str:
    try:
        return f"was ended by {signal.Signals(number).name}"
    except ValueError:
        return f"was ended by signal {number}"


def _trimmed(log: bytes) -> bytes:
    """The part worth keeping: from Go's own word on why it stops, else the end."""
    for mark in _LAST_WORDS:
        if (start := log.find(mark)) >= 0:
            return log[start : start + _KEPT_STDERR]
    return log[-_KEPT_STDERR:]


def _gist(log: str) -> str:
    lines = log.splitlines()
    is_cause = any(log.startswith(mark.decode()) for mark in _LAST_WORDS)
    return lines[0 if is_cause else -1][:300]
