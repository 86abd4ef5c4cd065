"""One HTTP exchange at a time: counted, within its time, and with nobody but GitHub."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar
from urllib.parse import urljoin, urlsplit

from runner.clients.github.failures import Failure
from runner.ports import Clock

MOST_REQUESTS = 15
"""What a run may send: a repository's workflows share 1000 in an hour."""

DEADLINE = 30.0
"""Seconds until the last byte of an answer."""

MOST_BYTES = 32 * 1024 * 1024
REDIRECTS = frozenset({301, 302, 307, 308})
PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What PyGithub reads of a response."""

    status: int
    headers: Mapping[str, str]
    text: str

    def getheaders(self) -> Iterable[tuple[str, str]]:
        return self.headers.items()

    def read(self) -> str:
        return self.text


class Raw(Protocol):
    """The body of an answer, as urllib3 has it."""

    def read1(self, amt: int, decode_content: bool) -> bytes: ...  # noqa: FBT001 -- theirs


Prepared = TypeVar("Prepared")


class Wire:
    """Sends requests; proxies and authorities are those of the environment."""

    def __init__(self, base_url: str, clock: Clock, timeout: float) -> None:
        import requests

        self.sent = 0
        self._origin = urlsplit(base_url)
        self._clock = clock
        self._timeout = timeout
        self._session = requests.Session()
        self._session.auth = _as_it_is

    def close(self) -> None:
        self._session.close()

    def exchange(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        """The answer, after redirections within GitHub: a repository that was renamed."""
        url = f"{self._origin.scheme}://{self._origin.netloc}{path}"
        answer = self._send(method, url, body, headers)
        if answer.status in REDIRECTS:
            url = urljoin(url, answer.headers.get("location", ""))
            if urlsplit(url)[:2] != self._origin[:2]:
                raise Failure("GitHub redirects to another server: is GITHUB_API_URL right?")
            answer = self._send(method, url, body, headers)
        if answer.status in REDIRECTS:
            raise Failure("GitHub redirects in a circle")
        return answer

    def _send(self, method: str, url: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        if self.sent >= MOST_REQUESTS:
            raise Failure(f"this run has sent its {MOST_REQUESTS} requests to GitHub", alone=True)
        self.sent += 1
        deadline = self._clock.monotonic() + DEADLINE
        with self._session.request(
            method,
            url,
            data=None if body is None else body.encode(),
            headers=dict(headers),
            timeout=self._timeout,
            stream=True,  # a time-out of requests is for one read; the deadline is for all of them
            allow_redirects=False,
        ) as response:
            text = self._read(response.raw, deadline)
        found = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, found, text)

    def _read(self, raw: Raw, deadline: float) -> str:
        pieces, size = [], 0
        while piece := raw.read1(PIECE, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if self._clock.monotonic() > deadline:
                raise Failure("GitHub did not answer in time", again=True, lost=True)
            if size > MOST_BYTES:
                raise Failure("GitHub answers more than can be of use")
        return b"".join(pieces).decode("utf-8", errors="replace")


def _as_it_is(request: Prepared) -> Prepared:
    """No credentials but PyGithub's: without this, requests takes those of a .netrc."""
    return request
