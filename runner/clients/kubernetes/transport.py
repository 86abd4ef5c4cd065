"""Requests over the pool of the `kubernetes` package, as bytes: one attempt each."""

from __future__ import annotations

import math
import os
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3 import exceptions

from runner.clients.kubernetes.connections import Connections
from runner.clients.kubernetes.failures import Reply, warnings_of
from runner.clients.kubernetes.retries import PATIENCE, Attempts, Cancelled, Gate, Lost, Policy, Stage
from runner.clients.network.tls import hung_up

CONNECT_SECONDS = 5.0
READ_SECONDS = 60.0
LAST_SECONDS = 3.0
"""What is left for answers once the run is interrupted: a silent server must not keep it from telling."""
QUIET_SECONDS = 90.0
"""A watch that is silent for so long is dead: the server sends bookmarks about every minute."""

CONTAINER_MARK = Path("/.dockerenv")
"""Exists in containers that Docker started."""

Headers = Sequence[tuple[str, str]]
"""Names and values; a name may come twice."""


class Credentials(Protocol):
    """What authenticates requests."""

    def headers(self) -> Headers:
        """The headers to send now; refreshed when they have expired."""

    def renew(self, refused: Headers) -> bool:
        """The server refused these: whether there are others now."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, before it is sent."""

    method: str
    path: str
    counts_as: str  # the word in `Cluster.requests`
    query: Mapping[str, str | int] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = "application/json"
    accept: str = "application/json"
    policy: Policy = Policy.REPEATABLE
    fence: Callable[[], float] | None = None  # how many seconds this attempt may take
    patience: float = PATIENCE
    acting: str = ""  # the user to impersonate


class Transport:
    """A server's pool of connections, with what all users of it share: retries, counters, the interrupt."""

    def __init__(
        self, server: str, pool: urllib3.PoolManager, credentials: Credentials, *, shown: str = ""
    ) -> None:
        """`shown` is the address for messages, where `server` is only what it was resolved to."""
        self.server = server_for_messages(shown or server)
        self._base = server.rstrip("/")
        self._root = urlsplit(self._base).path
        self._pool = pool
        self._direct: urllib3.HTTPConnectionPool | None = None
        self._credentials = credentials
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._streams: set[Stream] = set()
        self._connections = Connections(pool)
        self._end = math.inf  # on the monotonic clock; after it nothing is sent
        self.cancelled = threading.Event()
        self._attempts = Attempts(Gate(self.cancelled), self.cancelled, self.server, threading.Event())

    @property
    def counts(self) -> Mapping[str, int]:
        with self._lock:
            return dict(self._counts)

    def send(self, request: Request) -> Reply:
        """The server's answer, after retries. Raises Lost when there is none."""

        def attempt() -> Reply:
            return self._authenticated(request, self._exchange)

        return self._attempts.make(attempt, request.policy, request.patience)

    @contextmanager
    def stream(self, request: Request) -> Iterator[Stream | Reply]:
        """The open body of a successful answer, or the answer that is no success."""
        if self.cancelled.is_set():
            raise Cancelled(self.server)
        opened: list[Stream] = []

        def attempt() -> Reply:
            def open_stream(request: Request, headers: Headers) -> Reply:
                response = self._urlopen(
                    request, headers, urllib3.Timeout(CONNECT_SECONDS, QUIET_SECONDS), preload=False
                )
                if response.status == 200:  # noqa: PLR2004 - OK
                    opened.append(Stream(response))
                    return Reply(response.status, b"", response.headers)
                with self._failures():
                    return _whole(response)

            return self._authenticated(request, open_stream)

        reply = self._attempts.make(attempt, request.policy, request.patience)
        if not opened:
            yield reply
            return
        with self._lock:
            self._streams.add(opened[0])
        try:
            if self.cancelled.is_set():
                opened[0].cut()
            yield opened[0]
        finally:
            with self._lock:
                self._streams.discard(opened[0])
            opened[0].close()

    def cancel(self) -> None:
        """End every wait between attempts and every open stream; requests have LAST_SECONDS to finish."""
        with self._lock:
            first = self._end == math.inf
            if first:
                self._end = time.monotonic() + LAST_SECONDS
        if first:
            cut = threading.Timer(LAST_SECONDS, self._connections.cut)
            cut.daemon = True
            cut.start()
        self._end_waits()

    def _end_waits(self) -> None:
        self.cancelled.set()
        with self._lock:
            streams = tuple(self._streams)
        for stream in streams:
            stream.cut()

    def close(self) -> None:
        """End what waits, and close the connections that nobody uses."""
        self._end_waits()
        self._direct = None
        self._pool.clear()

    def _authenticated(self, request: Request, exchange: Callable[[Request, Headers], Reply]) -> Reply:
        headers = self._credentials.headers()
        reply = exchange(request, impersonating(headers, request.acting))
        if reply.code == 401 and self._credentials.renew(headers):  # noqa: PLR2004 - Unauthorized
            return exchange(request, impersonating(self._credentials.headers(), request.acting))
        return reply

    def _exchange(self, request: Request, headers: Headers) -> Reply:
        timeout = urllib3.Timeout(CONNECT_SECONDS, READ_SECONDS)
        query = dict(request.query)
        if request.fence is not None:
            seconds = max(min(request.fence(), READ_SECONDS), 0.05)
            timeout = urllib3.Timeout(total=seconds, connect=min(CONNECT_SECONDS, seconds))
            # The server must give up as well: a write it finishes later would be outside of the fence.
            query["timeout"] = f"{int(seconds * 1000)}ms"
        return _whole(self._urlopen(request, headers, timeout, query=query))

    def _urlopen(
        self,
        request: Request,
        headers: Headers,
        timeout: urllib3.Timeout,
        *,
        query: Mapping[str, str | int] | None = None,
        preload: bool = True,
    ) -> urllib3.BaseHTTPResponse:
        if self._end < math.inf:
            timeout = self._last()
        query = request.query if query is None else query
        path = request.path + (f"?{urlencode(query)}" if query else "")
        with self._lock:
            self._counts[request.counts_as] += 1
        with self._failures():
            pool, root = self._way()
            return pool.urlopen(
                request.method,
                root + path,
                body=request.body,
                headers=_headers(request, headers, packed=preload),
                timeout=timeout,
                retries=False,
                redirect=False,  # credentials go nowhere else
                preload_content=preload,
            )

    def _last(self) -> urllib3.Timeout:
        """What is left for a request of a run that is interrupted. Raises Cancelled when that is nothing."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise Cancelled(self.server)
        return urllib3.Timeout(total=left)

    def _way(self) -> tuple[urllib3.PoolManager | urllib3.HTTPConnectionPool, str]:
        """The pool that leads to the server, and what it wants in front of a path.

        Finding it anew for every request takes a tenth of it; a proxy may want to know the whole address.
        """
        if isinstance(self._pool, urllib3.ProxyManager):
            return self._pool, self._base
        if (direct := self._direct) is None:
            direct = self._direct = self._pool.connection_from_url(self._base)
        return direct, self._root

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except exceptions.HTTPError as error:
            raise lost(error, self.server) from None


class Stream:
    """The body of an answer that goes on."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response
        self._ended = threading.Event()

    def lines(self) -> Iterator[bytes]:
        """Whole lines as they come. A cut connection is an end like another; the half line is dropped."""
        pending = b""
        try:
            while chunk := self._response.read1(65536):
                if self._ended.is_set():  # after which a socket may give what is still encrypted
                    return
                *whole, pending = (pending + chunk).split(b"\n")
                yield from (line for line in whole if line.strip())
        except (exceptions.HTTPError, OSError, ValueError, AttributeError):
            # What comes out of a socket that another thread closes is not specified; the stream is over.
            return

    def cut(self) -> None:
        """End the stream, also for a thread that is blocked in it."""
        self._ended.set()
        try:
            self._response.shutdown()
        except (OSError, ValueError, RuntimeError, AttributeError):
            return  # it had ended

    def close(self) -> None:
        """Cut it and free its connection."""
        self.cut()
        self._response.close()


def _headers(request: Request, given: Headers, *, packed: bool) -> Mapping[str, str]:
    """All headers of a request; a compressor would hold events back, so a stream is not `packed`."""
    sent = {"User-Agent": "kustodian", "Accept": request.accept}
    if packed:
        sent["Accept-Encoding"] = "gzip"
    if request.body is not None:
        sent["Content-Type"] = request.content_type
    if len(dict(given)) == len(given):
        return {**sent, **dict(given)}
    several = urllib3.HTTPHeaderDict(sent)
    for name, value in given:
        several.add(name, value)
    return several


def impersonating(headers: Headers, user: str) -> Headers:
    """The headers to act as a user; one that the kubeconfig acts as is not in between, as in client-go.

    The API server knows the groups of a ServiceAccount by itself, as long as no other group is named.
    """
    if not user:
        return headers
    own = [(name, value) for name, value in headers if not name.startswith("Impersonate-")]
    return [("Impersonate-User", user), *own]


def lost(error: exceptions.HTTPError, server: str) -> Lost:
    """What a failure of the connection means."""
    cause = error.original_error if isinstance(error, exceptions.ProxyError) else error
    match cause:
        case exceptions.SSLError() if not hung_up(cause):
            hint = "check certificate-authority and tls-server-name in the kubeconfig"
            told = Lost(f"server {server} is not trusted: {_plain(cause)}", stage=Stage.HOPELESS, hint=hint)
        case exceptions.NameResolutionError():
            told = _unreachable(server, "its name cannot be resolved", Stage.NOBODY)
        case exceptions.NewConnectionError():
            told = _unreachable(server, _plain(cause), Stage.NOBODY)
        case exceptions.ConnectTimeoutError():
            told = _unreachable(server, "no answer to the connection attempt", Stage.CONNECTING)
        case exceptions.TimeoutError():
            told = Lost(f"server {server} did not answer in time", stage=Stage.SENT)
        case exceptions.LocationParseError() | exceptions.LocationValueError():
            told = Lost(f"server {server} is no address", stage=Stage.HOPELESS)
        case _ if isinstance(error, exceptions.ProxyError):
            told = _unreachable(server, f"the proxy refused: {_plain(cause)}", Stage.CONNECTING)
        case _:
            told = Lost(f"server {server} cut the connection", stage=Stage.SENT)
    return told


def server_for_messages(server: str) -> str:
    """An address without the credentials that may be in it."""
    parts = urlsplit(server)
    _, at, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=host, query="", fragment="").geturl() if at or parts.query else server


def _unreachable(server: str, why: str, stage: Stage) -> Lost:
    hint = ""
    if urlsplit(server).hostname in {"127.0.0.1", "localhost", "::1"} and CONTAINER_MARK.exists():
        hint = (
            "inside a container action this address is the container itself: "
            "give the kubeconfig an address that can be reached from there"
        )
    return Lost(f"server {server} cannot be reached: {why}", stage=stage, hint=hint)


def _plain(error: BaseException) -> str:
    """The operating system's or the TLS library's own words in an error."""
    inner = error.__cause__ or error.__context__ or (error.args[-1] if error.args else None)
    if isinstance(inner, ssl.SSLError):  # whose numbers are no errno
        return str(getattr(inner, "verify_message", "") or inner)
    if isinstance(inner, OSError) and inner.errno and inner.errno > 0:
        return os.strerror(inner.errno).lower()
    return str(inner or error).rpartition(": ")[2]


def _whole(response: urllib3.BaseHTTPResponse) -> Reply:
    return Reply(
        code=response.status,
        body=response.data,
        headers=response.headers,
        warnings=warnings_of(response.headers.getlist("Warning")),
    )
