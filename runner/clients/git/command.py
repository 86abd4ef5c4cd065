"""Runs git so that neither the caller's environment nor its configuration changes the answer."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, NamedTuple

from runner.errors import UsageError

_STRAY = (
    # What git sets for its hooks and aliases: any of these would send us to another repository.
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX"),
    *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_CEILING_DIRECTORIES", "GIT_SHALLOW_FILE"),
    *("GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE", "GIT_REPLACE_REF_BASE", "GIT_INTERNAL_SUPER_PREFIX"),
    *("GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_EXTERNAL_DIFF", "GIT_ATTR_SOURCE", "GIT_DEFAULT_HASH"),
    *("GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS"),
)
_QUIET = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",  # reading must not write to the checkout, not even a fresher index
    "GIT_NO_REPLACE_OBJECTS": "1",  # Flux sees the commit itself
    "GIT_PAGER": "cat",
    "LANGUAGE": "C",  # what it says is read
    "LC_ALL": "C",
}
_OFFLINE = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}  # before git 2.44 only the second helps
_SETTINGS = {
    "safe.directory": "*",  # in a container the checkout belongs to somebody else
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
}


class Answer(NamedTuple):
    """What one git command came to."""

    status: int
    output: bytes
    error: str

    @property
    def text(self) -> str:
        """The output without its last newline, in the form that file names have in Python."""
        return os.fsdecode(self.output.removesuffix(b"\n"))


@dataclass(frozen=True, slots=True)
class GitCommand:
    """The git program, in one directory, with variables and settings besides the usual ones."""

    directory: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    settings: Sequence[tuple[str, str]] = ()

    def offline(self) -> GitCommand:
        """The same, where a clone made with `--filter` asks nobody for what it lacks."""
        return replace(self, variables={**self.variables, **_OFFLINE})

    def run(self, *arguments: str, stdin: IO[bytes] | None = None, patience: float | None = None) -> Answer:
        """Run to the end or for `patience` seconds, whatever the exit status."""
        with self._started(arguments, stdin, subprocess.PIPE, alone=patience is not None) as process:
            try:
                output, error = process.communicate(timeout=patience)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # a helper of git's may hold the pipes
                process.communicate()
                return Answer(-signal.SIGKILL, b"", f"Timeout: no end after {patience:g} s")
            except BaseException:
                process.kill()  # an interrupt does not wait for it
                raise
            return Answer(process.returncode, output, error.decode(errors="replace").removesuffix("\n"))

    def output(self, *arguments: str) -> bytes:
        """The output of a command that can only fail when the repository is damaged."""
        answer = self.run(*arguments)
        if answer.status:
            raise UsageError(f"{self.directory} can't be read: git {arguments[0]} failed: {answer.error}")
        return answer.output

    @contextmanager
    def stream(self, *arguments: str, stdin: IO[bytes]) -> Iterator[IO[bytes]]:
        """The output while it is being written; leaving early ends the command."""
        with self._started(arguments, stdin, subprocess.DEVNULL) as process:
            try:
                if process.stdout is None:
                    raise AssertionError("the output is a pipe")
                yield process.stdout  # where it is cut short, that shows in what was read
            finally:
                process.kill()  # does nothing once it has ended

    def _started(
        self, arguments: Sequence[str], stdin: IO[bytes] | None, stderr: int, *, alone: bool = False
    ) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                ["git", "-C", str(self.directory), "--no-pager", *arguments],
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=self.environment(),
                process_group=0 if alone else None,
            )
        except OSError as error:
            raise UsageError("git can't be run", hint="install git, or put it on PATH.") from error

    def environment(self) -> dict[str, str]:
        """What git runs with: ours after what the caller passes the same way (a proxy, credentials)."""
        inherited = {name: value for name, value in os.environ.items() if name not in _STRAY}
        count = os.environ.get("GIT_CONFIG_COUNT", "")
        first = int(count) if count.isdecimal() else 0
        settings = (*self.settings, *_SETTINGS.items())
        environment = {
            **inherited,
            **_QUIET,
            **self.variables,
            "GIT_CONFIG_COUNT": str(first + len(settings)),
        }
        for number, (key, value) in enumerate(settings, start=first):
            environment[f"GIT_CONFIG_KEY_{number}"] = key
            environment[f"GIT_CONFIG_VALUE_{number}"] = value
        return environment
