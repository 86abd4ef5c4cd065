"""What the reader sees: headings, the commands as typed, and what they really answer."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PATIENCE = 10.0
"""Seconds that an interrupted command has to end by itself; the command line takes six at most."""

_OUTCOME = re.compile(r"^\S \S+/(\S+)\s+(ready|failed|blocked|suspended|skipped)\b(.*)$", re.MULTILINE)
_BY = re.compile(r"by \S+/(\S+)")
_REQUESTS = re.compile(r"^Requests: (.+)$", re.MULTILINE)
_WRITES = frozenset({"POST", "PATCH", "PUT", "DELETE"})
_UNDER_WAY = re.compile(r"^\[[^]]+\] \S+/\S+ +(applying|checking health|pruning)\b")
_STEP = re.compile(r"^\[[^]]+\] (.*)$")


class DemoError(Exception):
    """Something was not as the demo promises."""


class Stopped(BaseException):
    """A signal asked the demo to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass(frozen=True)
class Answer:
    """What a command printed."""

    text: str

    @property
    def states(self) -> dict[str, str]:
        """Kustomization → ready, failed or blocked."""
        return {name: state for name, state, _ in _OUTCOME.findall(self.text)}

    @property
    def unready(self) -> set[str]:
        """Kustomizations that failed or could not start."""
        return {name for name, state in self.states.items() if state != "ready"}

    @property
    def changed(self) -> set[str]:
        """Kustomizations of which some object was not as Git wants it."""
        lines = _OUTCOME.findall(self.text)
        return {name for name, _, rest in lines if re.search("created|configured|deleted|moved", rest)}

    @property
    def blocked(self) -> dict[str, str]:
        """Kustomization → the one that it could not start without."""
        lines = _OUTCOME.findall(self.text)
        return {name: ",".join(_BY.findall(rest)) for name, state, rest in lines if state == "blocked"}

    @property
    def writes(self) -> int:
        """How many requests changed something, as the command counted them."""
        found = _REQUESTS.search(self.text)
        if found is None:
            raise DemoError("the command did not say what it asked of the API server")
        counts = (each.split() for each in found[1].split(", "))
        return sum(int(number.replace(",", "")) for number, verb in counts if verb in _WRITES)


def say(text: str = "") -> None:
    """Print a line, now."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def heading(text: str) -> None:
    """Begin a chapter."""
    say(f"\n\n{_bold(text)}")


def typed(command: str) -> None:
    """Show a command as a user would type it."""
    say(f"\n{_bold(f'$ {command}')}")


def check(what: str, expected: object, seen: object) -> None:
    """Stop the demo when the world is not as expected."""
    if seen != expected:
        raise DemoError(f"{what}: expected {expected}, saw {seen}")


class Kustodian:
    """The command line of this project, run in a directory."""

    def __init__(self, directory: Path, environment: Mapping[str, str], flags: Sequence[str]) -> None:
        self._program = Path(sys.executable).with_name("kustodian")
        self._directory = directory
        self._environment = {**os.environ, **environment, "PYTHONIOENCODING": sys.stdout.encoding}
        for name in [name for name in self._environment if name.startswith("GIT_")]:
            del self._environment[name]  # a hook's repository is not the demo's
        self._flags = tuple(flags)
        if not self._program.exists():
            raise DemoError(f"{self._program} is not there; install this project: pip install -e .")

    def __call__(self, command: str, *arguments: str, exit_code: int = 0) -> Answer:
        """Run a command that talks to the cluster."""
        return self.offline(command, *arguments, *self._flags, exit_code=exit_code)

    def offline(self, *words: str, exit_code: int = 0) -> Answer:
        """Run a command that needs no cluster; any exit code but this one ends the demo."""
        command = shlex.join(["kustodian", *words])
        typed(command)
        code, text = self._run([str(self._program), *words])
        check(f"exit code of `{command}`", exit_code, code)
        return Answer(text)

    def _run(self, argv: list[str]) -> tuple[int, str]:
        live = sys.stderr.isatty()
        with subprocess.Popen(
            argv,
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if live else subprocess.PIPE,
            encoding=sys.stdout.encoding,
            errors="replace",
            # Ctrl-C is for the demo, which tells the command once.
            start_new_session=True,
        ) as process:
            try:
                with _copied(process.stderr, _calm):
                    text = _echo(process.stdout)
                return process.wait(), text
            except BaseException:
                _end(process)
                raise


def _bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else text


def _echo(stream: IO[str] | None) -> str:
    lines: list[str] = []
    for line in stream or ():
        if not lines:
            say()
        lines.append(line)
        say(line.rstrip("\n"))
    return "".join(lines)


@contextlib.contextmanager
def _copied(stream: IO[str] | None, wanted: Callable[[str, set[str]], bool]) -> Iterator[None]:
    """Copy the lines that are wanted from a command's stderr to ours meanwhile."""
    if stream is None:
        yield
        return

    def copy() -> None:
        before: set[str] = set()
        for line in stream:
            if wanted(line, before):
                sys.stderr.write(line)
                sys.stderr.flush()

    thread = threading.Thread(target=copy, daemon=True)
    thread.start()
    yield
    thread.join()


def _calm(line: str, before: set[str]) -> bool:
    """Of a log, only what was finished, and each thing once; the terminal shows the rest as it happens."""
    step = _STEP.match(line)
    if step is None:
        return True
    if _UNDER_WAY.match(line) or step[1] in before:
        return False
    before.add(step[1])
    return True


def _end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
