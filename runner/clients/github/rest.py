"""PyGithub's requester on our wire.

Its objects are not used: they send requests of their own when an attribute is read (the whole commit for
its sha, every changed file of a comparison), and a run counts what it sends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from runner.clients.github.failures import translate
from runner.clients.github.wire import Answer, Wire
from runner.ports import Clock


class Rest:
    """GitHub's API, a request at a time; it neither waits nor repeats."""

    def __init__(self, wire: Wire, base_url: str, token: str, clock: Clock) -> None:
        from github import Auth
        from github.Requester import Requester

        class Wired(Requester):
            """A class of its own: connections are injected into classes, and the others keep theirs."""

        def connect(*_: object, **__: object) -> _Connection:
            return _Connection(wire)

        Wired.injectConnectionClasses(connect, connect)  # type: ignore[arg-type]
        self._clock = clock
        self._requester: Any = Wired(
            auth=Auth.Token(token),
            base_url=base_url,
            timeout=0,  # the wire has its own
            user_agent="kustodian",
            per_page=100,
            verify=True,
            retry=None,
            pool_size=None,
            api_version="2022-11-28",
        )

    def send(
        self, method: str, path: str, body: Mapping[str, Any] | None, query: Mapping[str, Any]
    ) -> object:
        """The answer, from JSON. Raises Failure."""
        with _translated(self._clock):
            _, answer = self._requester.requestJsonAndCheck(method, path, parameters=dict(query), input=body)
        return answer

    def graphql(self, query: str) -> object:
        with _translated(self._clock):
            _, answer = self._requester.graphql_query(query, {})
        return answer


@contextmanager
def _translated(clock: Clock) -> Iterator[None]:
    """Nothing of an exception but our words gets out: it holds the request, and that the token."""
    from github import GithubException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except (GithubException, HTTPError, OSError) as exc:  # those of requests are OSErrors
        raise translate(exc, clock.now()) from None


class _Connection:
    """What PyGithub takes for a connection. It keeps none of its own: the wire's are reused."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._request: tuple[str, str, str | None, Mapping[str, str]] = ("GET", "/", None, {})

    def request(self, verb: str, url: str, body: str | None, headers: Mapping[str, str], *_: object) -> None:
        self._request = (verb, url, body, headers)

    def getresponse(self) -> Answer:
        return self._wire.exchange(*self._request)

    def close(self) -> None:
        return
