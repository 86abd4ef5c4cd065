"""One HTTP client for every fetch: checked addresses, deadlines, limits, retries, redirects."""

from __future__ import annotations

import queue
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import IO
from urllib.parse import SplitResult, urlsplit

import urllib3
from urllib3 import exceptions

from runner.clients.network.failures import Refused, lost
from runner.clients.network.messages import PORTS, Failure, Reply, Request, parsed, redirected, shown
from runner.clients.network.proxies import Proxy, from_environment
from runner.clients.network.resolve import Resolver, Unresolved
from runner.clients.network.retries import AGAIN, Passing, retried, retry_after
from runner.clients.network.tls import Tls
from runner.errors import SourceError

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
TOTAL_SECONDS = 60.0
"""For one answer to the last byte, retries and redirects included; Flux's default for a source."""
CANCEL_SECONDS = 0.2
"""How long an interrupt goes unnoticed by who waits for an answer."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_REDIRECTS = 5
IN_MEMORY = 1 << 20
PIECE = 1 << 16


@dataclass(slots=True)
class Http:
    """Sends requests; any number of threads may."""

    resolver: Resolver
    tls: Tls = field(default_factory=Tls)
    proxy: Proxy | None = None  # None: what the environment says
    total: float = TOTAL_SECONDS
    cancelled: threading.Event = field(default_factory=threading.Event)
    _pools: dict[tuple[str, ...], urllib3.HTTPConnectionPool] = field(default_factory=dict)
    _context: ssl.SSLContext | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, request: Request) -> Reply:
        """The answer to a request.

        Raises:
            Forbidden: the target, or one that it redirects to, may not be reached.
            Refused: the server says no.
            Failure, Passing, Unresolved: there was no answer; or too much of one.
        """
        deadline = time.monotonic() + self.total
        return retried(lambda: self._within(request, deadline), deadline, self.cancelled)

    def close(self) -> None:
        self.cancelled.set()
        with self._lock:
            for pool in self._pools.values():
                pool.close()

    def _within(self, request: Request, deadline: float) -> Reply:
        """One attempt that ends by the deadline, whatever the server or the resolver does.

        Time-outs of a socket begin anew with each byte, and a look-up has none at all: so the attempt has
        a thread of its own, which is left to itself when it is late.
        """
        done: queue.SimpleQueue[Reply | BaseException] = queue.SimpleQueue()
        given_up = threading.Event()

        def work() -> None:
            try:
                done.put(self._follow(request, deadline, given_up))
            except BaseException as exc:  # noqa: BLE001 -- raised again by who waits
                done.put(exc)

        threading.Thread(target=work, daemon=True, name="fetch").start()
        while not self.cancelled.is_set() and (left := deadline - time.monotonic()) > 0:
            with suppress(queue.Empty):
                result = done.get(timeout=min(left, CANCEL_SECONDS))
                if isinstance(result, BaseException):
                    raise result
                return result
        given_up.set()
        why = "was cancelled" if self.cancelled.is_set() else f"did not answer within {self.total:g} s"
        raise Failure(f"{shown(request.url)} {why}")

    def _follow(self, request: Request, deadline: float, given_up: threading.Event) -> Reply:
        for _ in range(MOST_REDIRECTS + 1):
            response = self._open(request, deadline)
            try:
                headers = {name.lower(): value for name, value in response.headers.items()}
                if response.status in REDIRECTS and "location" in headers:
                    request = redirected(request, response.status, headers["location"])
                    continue
                _judge(request, response.status, headers)
                body = self._body(response, request, deadline, given_up)
                return Reply(response.status, headers, body, request.url)
            finally:
                response.drain_conn() if _short(response) else response.close()
                response.release_conn()
        raise Failure(f"{shown(request.url)}: more than {MOST_REDIRECTS} redirects")

    def _open(self, request: Request, deadline: float) -> urllib3.BaseHTTPResponse:
        where = parsed(request.url)
        port = where.port or PORTS[where.scheme]
        host = str(where.hostname)
        proxy = self.proxy or from_environment(where.scheme, host, port)
        target = f"{where.path or '/'}?{where.query}" if where.query else where.path or "/"
        headers = {"User-Agent": "kustodian", "Accept-Encoding": "identity", **request.headers}
        headers["Host"] = where.netloc.rpartition("@")[2]
        try:
            if proxy is not None:
                return self._proxied(proxy, where, request, deadline, headers)
            addresses = self.resolver.pinned(host, port).addresses
        except Unresolved as exc:
            if exc.again:
                raise Passing(exc.message) from exc
            raise
        for number, address in enumerate(addresses, 1):
            pool = self._pool(where.scheme, host, address, port)
            try:
                return self._urlopen(pool, request, target, headers, deadline)
            except exceptions.NewConnectionError as exc:
                if number == len(addresses):
                    raise Passing(f"{shown(request.url)} cannot be reached: nobody listens there") from exc
        raise Failure(f"{shown(request.url)} has no address")

    def _proxied(
        self, proxy: Proxy, where: SplitResult, request: Request, deadline: float, headers: Mapping[str, str]
    ) -> urllib3.BaseHTTPResponse:
        """The proxy resolves the name; what this machine knows about it counts all the same."""
        host, port = str(where.hostname), where.port or PORTS[where.scheme]
        with suppress(Unresolved):  # behind a proxy often nobody else resolves outside names
            self.resolver.pinned(host, port)
        if not proxy.trusted:
            parts = urlsplit(proxy.url)
            self.resolver.pinned(str(parts.hostname), parts.port or PORTS[parts.scheme])
        login = f"{proxy.user}:{proxy.password}" if proxy.user or proxy.password else None
        manager = urllib3.ProxyManager(
            proxy.url,
            proxy_headers=urllib3.make_headers(proxy_basic_auth=login) if login else None,
            ssl_context=self._tls(),
            proxy_ssl_context=Tls().context() if proxy.url.startswith("https:") else None,
        )
        url = where._replace(netloc=where.netloc.rpartition("@")[2], fragment="").geturl()
        try:
            return self._urlopen(manager, request, url, headers, deadline)
        except exceptions.NewConnectionError as exc:
            raise Passing(f"{shown(request.url)}: the proxy cannot be reached") from exc

    def _pool(self, scheme: str, host: str, address: str, port: int) -> urllib3.HTTPConnectionPool:
        key = (scheme, host, address, str(port))
        with self._lock:
            if key not in self._pools:
                if scheme == "https":
                    verify = self.tls.verify
                    self._pools[key] = urllib3.HTTPSConnectionPool(
                        address,
                        port,
                        maxsize=4,
                        ssl_context=self._made(),
                        server_hostname=host,
                        assert_hostname=host if verify else False,
                        cert_reqs="CERT_REQUIRED" if verify else "CERT_NONE",
                    )
                else:
                    self._pools[key] = urllib3.HTTPConnectionPool(address, port, maxsize=4)
            return self._pools[key]

    def _tls(self) -> ssl.SSLContext:
        with self._lock:
            return self._made()

    def _made(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = self.tls.context()
            if not self.tls.verify:  # somebody said so; once in the source is enough
                urllib3.disable_warnings(exceptions.InsecureRequestWarning)
        return self._context

    def _urlopen(
        self,
        pool: urllib3.HTTPConnectionPool | urllib3.PoolManager,
        request: Request,
        target: str,
        headers: Mapping[str, str],
        deadline: float,
    ) -> urllib3.BaseHTTPResponse:
        left = max(deadline - time.monotonic(), 0.05)
        timeout = urllib3.Timeout(connect=min(CONNECT_SECONDS, left), read=min(READ_SECONDS, left))
        try:
            return pool.urlopen(
                request.method,
                target,
                body=request.body,
                headers=headers,
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except exceptions.NewConnectionError:
            raise
        except exceptions.HTTPError as exc:
            raise lost(exc, request.url) from exc

    def _body(
        self,
        response: urllib3.BaseHTTPResponse,
        request: Request,
        deadline: float,
        given_up: threading.Event,
    ) -> IO[bytes]:
        size, body = 0, SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 -- handed on
        try:
            length = response.headers.get("Content-Length", "0")
            if length.isdecimal() and int(length) > request.limit:
                raise _too_big(request)
            while piece := response.read(PIECE, decode_content=False):
                size += len(piece)
                if size > request.limit:
                    raise _too_big(request)
                if given_up.is_set() or time.monotonic() > deadline:
                    raise Failure(f"{shown(request.url)} did not answer within {self.total:g} s")
                body.write(piece)
        except exceptions.HTTPError as exc:
            body.close()
            raise lost(exc, request.url) from exc
        except SourceError:
            body.close()
            raise
        body.seek(0)
        return body


def _judge(request: Request, status: int, headers: Mapping[str, str]) -> None:
    where = shown(request.url)
    if status in AGAIN:
        after = retry_after(headers, time.time())
        raise Passing(f"{where} answers with HTTP status {status}", after=after, code=status)
    if not 200 <= status < 300:  # noqa: PLR2004 -- success
        raise Refused(f"{where} answers with HTTP status {status}", code=status, headers=headers)


def _too_big(request: Request) -> Failure:
    return Failure(f"{shown(request.url)} answers more than {request.limit:,} bytes")


def _short(response: urllib3.BaseHTTPResponse) -> bool:
    """Whether the rest of an answer is worth reading to keep the connection."""
    length = response.headers.get("Content-Length", "")
    return length.isdecimal() and int(length) < PIECE
