"""An HTTP proxy in front of an API server that misbehaves as a test tells it to."""

from __future__ import annotations

import base64
import contextlib
import http.client
import itertools
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import yaml

CHUNKED = b"%x\r\n%s\r\n"


@dataclass(frozen=True)
class Seen:
    """A request that came to the proxy."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def watches(self) -> bool:
        return "watch" in self.query


@dataclass(frozen=True)
class Fault:
    """What happens to a request instead of, or besides, its being forwarded."""

    answer: tuple[int, dict[str, str], bytes] | None = None
    """Answer this without asking the server."""
    drop: bool = False
    """Cut the connection instead of forwarding it."""
    lose: bool = False
    """Forward it, but cut the connection instead of answering."""
    headers: dict[str, str] = field(default_factory=dict)
    """Forward it with these headers."""
    first: bytes = b""
    """Before anything of the answer's body."""
    cut_after: int | None = None
    """Bytes of the answer's body until the connection is cut."""
    hold: threading.Event | None = None
    """Wait for this before anything."""
    then: Callable[[], object] | None = None
    """Forward it, and do this once the server has answered, before the client learns of it."""


def writes(request: Seen) -> bool:
    """Whether a request changes something."""
    return request.method != "GET" and "dryRun" not in request.query


def status(code: int, reason: str, message: str, **headers: str) -> Fault:
    """Refuse with one of the API's own `Status` objects."""
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "message": message,
        "code": code,
    }
    return Fault(answer=(code, {"Content-Type": "application/json", **headers}, json.dumps(body).encode()))


@dataclass
class Rule:
    """A fault for the requests that match, so many times."""

    matches: Callable[[Seen], bool]
    fault: Fault
    times: int


class FaultyProxy:
    """Speaks plain HTTP and forwards to the server of a kubeconfig, as that kubeconfig's user."""

    def __init__(self, kubeconfig: Path) -> None:
        self.seen: list[Seen] = []
        self.rules: list[Rule] = []
        self.asked: list[str] = []
        """What stood in the request lines, prefixes and whole addresses included."""
        self.prefix = ""
        """What is in front of the server's own paths; nothing else is forwarded."""
        self._changed = threading.Condition()
        self._upstream = _Upstream(kubeconfig)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._open: set[socket.socket] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self.cut_all()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def kubeconfig(self, directory: Path) -> Path:
        return write_kubeconfig(directory / "proxied", self.url)

    def on(self, matches: Callable[[Seen], bool], fault: Fault, *, times: int = 1) -> None:
        with self._changed:
            self.rules.append(Rule(matches, fault, times))

    def clear(self) -> None:
        with self._changed:
            self.rules.clear()

    def wait_until_seen(
        self, matches: Callable[[Seen], bool], count: int = 1, timeout: float = 20.0
    ) -> list[Seen]:
        """The requests that match, as soon as there are so many."""
        with self._changed:
            enough = self._changed.wait_for(lambda: sum(map(matches, self.seen)) >= count, timeout)
            assert enough, f"not seen: {[(s.method, s.path, s.query) for s in self.seen]}"
            return [s for s in self.seen if matches(s)]

    def cut_all(self) -> None:
        """Cut every connection."""
        with self._changed:
            connections = tuple(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _fault(self, request: Seen) -> Fault:
        with self._changed:
            self.seen.append(request)
            self._changed.notify_all()
            for rule in self.rules:
                if rule.times > 0 and rule.matches(request):
                    rule.times -= 1
                    return rule.fault
        return Fault()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Connection(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                with proxy._changed:
                    proxy._open.add(self.connection)

            def finish(self) -> None:
                with proxy._changed:
                    proxy._open.discard(self.connection)
                with contextlib.suppress(OSError):
                    super().finish()

            def forward(self) -> None:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    proxy._serve(self)
                    return
                self.close_connection = True

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward  # noqa: N815 - the library's names

            def log_message(self, *_: object) -> None:
                return

        return Connection

    def _serve(self, client: BaseHTTPRequestHandler) -> None:
        url = urlsplit(client.path)
        self.asked.append(client.path)
        if not url.path.startswith(self.prefix):
            client.send_error(404)
            return
        url = url._replace(scheme="", netloc="", path=url.path.removeprefix(self.prefix))
        query = {key: values[-1] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        body = client.rfile.read(int(client.headers.get("Content-Length") or 0))
        headers = {key: value for key, value in client.headers.items() if key.lower() != "host"}
        fault = self._fault(Seen(client.command, url.path, query, headers, body))
        if fault.hold is not None:
            fault.hold.wait(30)
        if fault.drop:
            client.close_connection = True
            client.connection.shutdown(socket.SHUT_RDWR)
            return
        if fault.answer is not None:
            code, extra, text = fault.answer
            client.send_response(code)
            for name, value in extra.items():
                client.send_header(name, value)
            client.send_header("Content-Length", str(len(text)))
            client.end_headers()
            client.wfile.write(text)
            return
        with self._upstream.exchange(
            client.command, url.geturl(), body, {**headers, **fault.headers}
        ) as answer:
            if fault.then is not None:
                fault.then()
            if fault.lose:
                answer.read()
                client.close_connection = True
                client.connection.shutdown(socket.SHUT_RDWR)
                return
            self._relay(client, answer, fault)

    def _relay(self, client: BaseHTTPRequestHandler, answer: http.client.HTTPResponse, fault: Fault) -> None:
        client.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"transfer-encoding", "content-length", "connection"}:
                client.send_header(name, value)
        client.send_header("Transfer-Encoding", "chunked")
        client.end_headers()
        left = fault.cut_after
        for piece in itertools.chain(
            [fault.first] if fault.first else [], iter(lambda: answer.read1(65536), b"")
        ):
            sent = piece if left is None else piece[:left]
            client.wfile.write(CHUNKED % (len(sent), sent) if sent else b"")
            if left is not None:
                left -= len(sent)
                if left <= 0:
                    client.close_connection = True
                    client.connection.shutdown(socket.SHUT_RDWR)
                    return
        client.wfile.write(b"0\r\n\r\n")


class _Upstream:
    """The server and the certificate of a kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        self.address = urlsplit(config["clusters"][0]["cluster"]["server"])
        self.context = ssl.create_default_context(
            cadata=_text(config["clusters"][0]["cluster"], "certificate-authority", kubeconfig)
        )
        user = config["users"][0]["user"]
        certificate = kubeconfig.parent / ".proxy.pem"
        certificate.write_text(
            _text(user, "client-certificate", kubeconfig) + _text(user, "client-key", kubeconfig)
        )
        self.context.load_cert_chain(certificate)

    @contextlib.contextmanager
    def exchange(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPSConnection(
            self.address.hostname or "", self.address.port, context=self.context, timeout=60
        )
        try:
            connection.request(method, path, body or None, headers)
            yield connection.getresponse()
        finally:
            connection.close()


def _text(section: dict[str, Any], key: str, kubeconfig: Path) -> str:
    if f"{key}-data" in section:
        return base64.b64decode(section[f"{key}-data"]).decode()
    return (kubeconfig.parent / section[key]).read_text()


def write_kubeconfig(path: Path, server: str, *, proxy: str = "", **user: object) -> Path:
    """A kubeconfig with one context, `test`, in JSON."""
    cluster = {"server": server} | ({"proxy-url": proxy} if proxy else {})
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": user}],
    }
    path.write_text(json.dumps(config))
    return path
