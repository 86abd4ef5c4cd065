"""Programs that the tests build from pinned Go modules, once, into the cache: what such builds share."""

from __future__ import annotations

import contextlib
import fcntl
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runner.clients.kustomize.toolchain import go_environment

REPORT_EVERY_SECONDS = 30.0
LOG_TAIL_LINES = 15


class BuildError(RuntimeError):
    """A program that the tests need could not be built."""


@contextlib.contextmanager
def alone(home: Path, what: str) -> Iterator[None]:
    """Let one process at a time build into a directory; the others say that they wait."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "build.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process is building {what}: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def progress(label: str, began: float) -> Iterator[None]:
    """Say every now and then that the build still goes on: Go itself is silent for minutes."""
    done = threading.Event()

    def report() -> None:
        while not done.wait(REPORT_EVERY_SECONDS):
            say(f"{label}: {span(time.monotonic() - began)} so far")

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield
    finally:
        done.set()
        reporter.join()


def download(compiler: Path, module: str, cwd: Path) -> dict[str, Any]:
    """What Go tells of a module once that is in Go's own cache; `Dir` is where, `Sum` its hash.

    Raises:
        BuildError: it cannot be had.
    """
    answer = subprocess.run(
        [compiler, "mod", "download", "-json", module],
        cwd=cwd,
        env=go_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise BuildError(
            f"{module}: could not be downloaded: {(answer.stderr or answer.stdout).strip()}; "
            "check that the Go module proxy can be reached"
        )
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def tail(log: str) -> str:
    """The end of what a failed build said."""
    return "\n".join(log.splitlines()[-LOG_TAIL_LINES:])


def span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the person who waits reads this
