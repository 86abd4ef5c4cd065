"""Requests and answers, and the URLs that they go to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import IO
from urllib.parse import SplitResult, urljoin, urlsplit

from runner.errors import SourceError

PORTS = {"http": 80, "https": 443}
_CREDENTIALS = frozenset({"authorization", "cookie"})


class Failure(SourceError):
    """There is no answer, or none that can be used."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `limit` is the largest body, in bytes, that is of use."""

    url: str
    limit: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    method: str = "GET"
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: IO[bytes]  # at its start
    url: str  # after redirects

    def read(self) -> bytes:
        return self.body.read()


def parsed(url: str) -> SplitResult:
    """The parts of an http or https URL. Raises Failure for any other."""
    parts = SplitResult("", "", "", "", "")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in PORTS and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or any(character <= " " or character == "\x7f" for character in url):
        raise Failure(f"{shown(url)} is no http:// or https:// URL")
    return parts


def shown(url: str) -> str:
    """A URL as it may be printed: without user, password, query and fragment, which may hold secrets."""
    try:
        parts = urlsplit(url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    except ValueError:
        return "(a URL that cannot be read)"


def redirected(request: Request, status: int, location: str) -> Request:
    """The request that a redirect asks for; credentials stay with the origin they are for."""
    url = urljoin(request.url, location)
    old, new = parsed(request.url), parsed(url)
    if (old.scheme, new.scheme) == ("https", "http"):
        raise Failure(f"{shown(request.url)} redirects to {shown(url)}, which is not encrypted")
    headers = request.headers
    if _origin(old) != _origin(new):
        headers = {name: value for name, value in headers.items() if name.lower() not in _CREDENTIALS}
    moved = replace(request, url=url, headers=headers)
    if request.method == "POST":
        if status in {307, 308} and _origin(old) != _origin(new):
            raise Failure(f"{shown(request.url)} redirects a login to {shown(url)}")
        if status not in {307, 308}:
            return replace(moved, method="GET", body=None)
    return moved


def _origin(url: SplitResult) -> tuple[str, str, int]:
    return url.scheme, str(url.hostname), url.port or PORTS[url.scheme]
