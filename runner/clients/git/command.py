"""Runs git so that neither the caller's environment nor its configuration changes the answer."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from runner.errors import UsageError

if TYPE_CHECKING:
    from git import Git

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
        status, output, error = _git().execute(
            self._command(arguments),
            with_extended_output=True,
            with_exceptions=False,
            stdout_as_string=False,
            strip_newline_in_stdout=False,
            istream=cast("int", stdin),
            kill_after_timeout=patience,
            env=self._environment(),
        )
        return Answer(status, output, error)

    def output(self, *arguments: str) -> bytes:
        """The output of a command that can only fail when the repository is damaged."""
        answer = self.run(*arguments)
        if answer.status:
            raise UsageError(f"{self.directory} can't be read: git {arguments[0]} failed: {answer.error}")
        return answer.output

    @contextmanager
    def stream(self, *arguments: str, stdin: IO[bytes]) -> Iterator[IO[bytes]]:
        """The output while it is being written; leaving early ends the command."""
        from git import GitCommandError

        process = _git().execute(
            self._command(arguments), istream=cast("int", stdin), as_process=True, env=self._environment()
        )
        try:
            yield cast("IO[bytes]", process.stdout)
        finally:
            process.stdout.close()
            process.stderr.close()
            with suppress(GitCommandError):  # it was cut short; what is missing shows in what was read
                process.wait()

    def _command(self, arguments: Sequence[str]) -> list[str]:
        from git import Git

        git = [Git.GIT_PYTHON_GIT_EXECUTABLE or "git", "-C", str(self.directory), "--no-pager", *arguments]
        # GitPython adds to the environment but can't take from it, and an empty GIT_DIR is an error.
        stray = [name for name in _STRAY if name in os.environ and name not in self.variables]
        return ["env", *(part for name in stray for part in ("-u", name)), *git] if stray else git

    def _environment(self) -> dict[str, str]:
        """Ours comes after what the caller passes the same way (a proxy, credentials): the last counts."""
        count = os.environ.get("GIT_CONFIG_COUNT", "")
        first = int(count) if count.isdecimal() else 0
        settings = (*self.settings, *_SETTINGS.items())
        environment = {**_QUIET, **self.variables, "GIT_CONFIG_COUNT": str(first + len(settings))}
        for number, (key, value) in enumerate(settings, start=first):
            environment[f"GIT_CONFIG_KEY_{number}"] = key
            environment[f"GIT_CONFIG_VALUE_{number}"] = value
        return environment


def _git() -> Git:
    try:
        from git import Git
    except ImportError as error:  # GitPython looks for the program when it is imported
        raise UsageError("git can't be run", hint="install git, or put it on PATH.") from error
    return Git()
