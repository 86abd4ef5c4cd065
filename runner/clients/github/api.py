"""GitHub's API for one repository, with repetitions and permissions; connected to when it is first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from runner.clients.github.calls import Calls, Pause
from runner.clients.github.failures import Failure
from runner.clients.github.rest import Rest
from runner.clients.github.wire import Wire
from runner.forge import Pull
from runner.ports import Clock

PER_PAGE = 100
ROBOT = "github-actions[bot]"
"""Who writes with the token of a workflow."""

METADATA = "metadata: read"
PULLS = "pull-requests: read"

Json = dict[str, Any]
T = TypeVar("T")


class Api:
    """Every path is below the repository's."""

    def __init__(
        self, token: str, repository: str, base_url: str, *, clock: Clock, pause: Pause | None, timeout: float
    ) -> None:
        self.cancelled = threading.Event()
        self._calls = Calls(clock, pause or self.cancelled.wait)
        self._wire: Wire | None = None
        self._rest: Rest | None = None

        def connect() -> tuple[Wire, Rest]:
            wire = Wire(base_url, clock, timeout)
            return wire, Rest(wire, base_url, token, clock)

        self._connect: Callable[[], tuple[Wire, Rest]] = connect
        self._repository = f"/repos/{repository}"
        self._viewer = ""

    def close(self) -> None:
        if self._wire:
            self._wire.close()

    def get(self, path: str, *, permission: str, **query: str | int) -> Json:
        return self._calls.make(
            lambda: _checked(dict, self._send("GET", path, None, query)), permission=permission
        )

    def list(self, path: str, *, permission: str, **query: str | int) -> list[Json]:
        """One page of a list."""
        query = {"per_page": PER_PAGE, **query}
        return self._calls.make(
            lambda: _checked(list, self._send("GET", path, None, query)), permission=permission
        )

    def post(self, path: str, body: Json, *, permission: str, done: Callable[[], Json | None]) -> Json:
        """Create something; `done` finds it when the answer was lost."""
        return self._write("POST", path, body, permission, done)

    def patch(
        self, path: str, body: Json, *, permission: str, done: Callable[[], Json | None] | None = None
    ) -> Json:
        """Edit something; with `done` when twice is not the same as once."""
        return self._write("PATCH", path, body, permission, done)

    def viewer(self) -> str:
        """Who the token writes as. Only GraphQL tells this to every kind of token."""
        if not self._viewer:
            try:
                answer = self._calls.make(
                    lambda: _checked(dict, self._connected().graphql("query { viewer { login } }")),
                    permission=METADATA,
                )
                self._viewer = str(answer["data"]["viewer"]["login"])
            except Failure as exc:
                if exc.again or exc.alone:
                    raise
                self._viewer = ROBOT  # there are servers without GraphQL, and this is the usual one
        return self._viewer

    def pull(self, number: int, permission: str = PULLS) -> tuple[Pull, int]:
        """A pull request, and how many comments it has."""
        answer = self.get(f"/pulls/{number}", permission=permission)
        return as_pull(answer), int(answer["comments"])

    def _write(
        self, method: str, path: str, body: Json, permission: str, done: Callable[[], Json | None] | None
    ) -> Json:
        return self._calls.make(
            lambda: _checked(dict, self._send(method, path, body, {})),
            permission=permission,
            write=True,
            done=done,
        )

    def _send(self, method: str, path: str, body: Json | None, query: Mapping[str, str | int]) -> object:
        return self._connected().send(method, self._repository + path, body, query)

    def _connected(self) -> Rest:
        if self._rest is None:
            self._wire, self._rest = self._connect()
        return self._rest


def as_pull(answer: Json) -> Pull:
    return Pull(
        number=answer["number"],
        head=answer["head"]["sha"],
        base=answer["base"]["ref"],
        open=answer["state"] == "open",
        merged=answer["merged_at"] is not None,
        url=answer["html_url"],
    )


def _checked(kind: type[T], answer: object) -> T:
    """A proxy's page, for one, is no answer of GitHub's."""
    if not isinstance(answer, kind):
        raise Failure("GitHub's answer is not understood")
    return answer
