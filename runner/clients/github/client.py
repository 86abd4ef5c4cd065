"""The face of GitHub: whatever goes wrong behind it becomes a warning."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import quote

from runner.clients.github.api import PULLS, Api, as_pull
from runner.clients.github.calls import Pause
from runner.clients.github.checks import Checks
from runner.clients.github.comments import Comments
from runner.clients.github.failures import GONE, Failure
from runner.clients.github.issues import Issues
from runner.errors import RunnerError
from runner.forge import ANNOTATIONS_LIMIT, Ancestry, Check, Comment, Issue, Pull, Telling, Told
from runner.ports import Clock
from runner.redact import scrub

API_URL = "https://api.github.com"
TIMEOUT = 15.0
"""Seconds in which GitHub takes a connection, and sends something."""

T = TypeVar("T")
_FAILED = Told(Telling.FAILED)


class GitHub:
    """One repository, as one run sees it. No attribute shows the token."""

    def __init__(
        self,
        token: str,
        repository: str,
        *,
        clock: Clock,
        api_url: str = API_URL,
        pause: Pause | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        self._api = Api(token, repository, api_url, clock=clock, pause=pause, timeout=timeout)
        self._comments = Comments(self._api)
        self._checks = Checks(self._api)
        self._issues = Issues(self._api)
        self._warnings: dict[str, None] = {}
        self._mutex = threading.RLock()

        def scrubbed(text: str) -> str:
            return scrub(text, [token])

        self._scrubbed: Callable[[str], str] = scrubbed

    def __repr__(self) -> str:
        return "GitHub()"

    @property
    def warnings(self) -> Sequence[str]:
        return tuple(self._warnings)

    def close(self) -> None:
        self._api.close()

    def cancel(self) -> None:
        self._api.cancelled.set()

    def pull(self, number: int) -> Pull | None:
        return self._try(f"pull request #{number} is not known", lambda: self._api.pull(number)[0], None)

    def pulls(self, commit: str) -> Sequence[Pull]:
        def ask() -> Sequence[Pull]:
            path = f"/commits/{quote(commit)}/pulls"
            return tuple(as_pull(each) for each in self._api.list(path, permission=PULLS))

        return self._try(f"the pull requests of {commit} are not known", ask, ())

    def compare(self, base: str, head: str) -> Ancestry:
        def ask() -> Ancestry:
            # Files, up to 300 with their patches, come with the first page alone.
            path = f"/compare/{quote(base)}...{quote(head)}"
            try:
                answer = self._api.get(path, permission="contents: read", per_page=1, page=2)
            except Failure as exc:
                if exc.status == GONE and exc.said.startswith("No common ancestor"):
                    return Ancestry.DIVERGED
                raise
            return Ancestry(answer["status"])

        return self._try(f"{base} and {head} cannot be compared", ask, Ancestry.UNKNOWN)

    def find(self, pull: int, key: str) -> Comment | None:
        told = f"the comment on pull request #{pull} cannot be found"
        return self._try(told, lambda: self._comments.find(pull, key), None)

    def comment(self, pull: int, key: str, body: str, *, head: str = "") -> Told:
        told = f"the comment on pull request #{pull} is not up to date"
        return self._try(told, lambda: self._comments.write(pull, key, body, head), _FAILED)

    def check(self, check: Check) -> Told:
        told = self._try(f"check {check.name} is not up to date", lambda: self._checks.write(check), _FAILED)
        if told.how is not Telling.FAILED:
            missing = f"check {check.name} lacks annotations"
            self._try(missing, lambda: self._checks.annotate(check), None)
            if (left := len(check.annotations) - ANNOTATIONS_LIMIT) > 0:
                self._warn(f"{missing}: {left} are more than a check can have here")
        return told

    def status(self, check: Check) -> Told:
        told = f"commit status {check.name} is not up to date"
        return self._try(told, lambda: self._checks.status(check), _FAILED)

    def issue(self, issue: Issue) -> Told:
        told = f"the issue {issue.title!r} is not up to date"
        return self._try(told, lambda: self._issues.write(issue), _FAILED)

    def _try(self, told: str, do: Callable[[], T], otherwise: T) -> T:
        """Never raises, but to pass an interruption on: what is deployed stays so, told or not."""
        with self._mutex:
            try:
                return do()
            except Failure as exc:
                self._warn(exc.message if exc.alone else f"{told}: {exc.message}")
            except RunnerError:
                raise
            except Exception as exc:  # noqa: BLE001 -- such as an answer that is not of GitHub's API
                self._warn(f"{told}: GitHub's answer is not understood ({type(exc).__name__})")
            return otherwise

    def _warn(self, text: str) -> None:
        self._warnings[self._scrubbed(text)] = None
