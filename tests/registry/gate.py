"""Stands in front of a registry: asks for logins, and does on purpose what networks do by accident."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

USER, PASSWORD = "robot", "open sesame"
BASIC = f"Basic {b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"


@dataclass
class Rule:
    """What happens to requests whose path has `part` in it, the first `times` of them."""

    part: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int = -1  # the body ends after so many bytes, whatever was announced
    unannounced: bool = False  # no Content-Length: the body ends with the connection
    reset: bool = False  # no answer at all
    drip: bool = False  # the headers never end
    change: Callable[[bytes], bytes] = bytes  # of the right body
    times: int = 1_000


@dataclass
class Gate:
    """`login` is "", basic or bearer; tokens are good for `uses` requests."""

    upstream: str
    host: str = ""
    login: str = ""
    uses: int = 1_000
    rules: list[Rule] = field(default_factory=list)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    tokens: dict[str, int] = field(default_factory=dict)
    asked: list[dict[str, list[str]]] = field(default_factory=list)  # at the token server
    tls: ssl.SSLContext | None = None
    tunnels: list[str] = field(default_factory=list)  # what it was asked to connect to, as a proxy
    closing: threading.Event = field(default_factory=threading.Event)
    mutex: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    @contextmanager
    def before(cls, upstream: str, **options: object) -> Iterator[Gate]:
        gate = cls(upstream, **options)

        class Handler(_Handler):
            owner = gate

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        if gate.tls is not None:
            server.socket = gate.tls.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        gate.host = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield gate
        finally:
            gate.closing.set()
            server.shutdown()
            server.server_close()
            thread.join()

    def paths(self) -> list[str]:
        return [path for path, _ in self.seen]

    def allowed(self, given: str) -> bool:
        if self.login == "basic":
            return given == BASIC
        token = given.removeprefix("Bearer ")
        with self.mutex:
            left = self.tokens.get(token, 0)
            self.tokens[token] = left - 1
        return left > 0

    def rule(self, path: str) -> Rule | None:
        with self.mutex:
            for rule in self.rules:
                if rule.part in path and rule.times > 0:
                    rule.times -= 1
                    return rule
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: Gate

    def do_GET(self) -> None:
        gate = self.owner
        given = {name.lower(): value for name, value in self.headers.items()}
        gate.seen.append((self.path, given))
        rule = gate.rule(self.path)
        if self.path.startswith("/token"):
            self._token(given)
        elif rule is not None and rule.reset:
            self.close_connection = True
            self.connection.close()
        elif rule is not None and rule.drip:
            self._drip()
        elif rule is not None and rule.status:
            self._answer(rule.status, rule.headers, rule.body, rule.cut, announced=not rule.unannounced)
        elif gate.login and not gate.allowed(given.get("authorization", "")):
            self._challenge()
        else:
            self._forward(given, rule or Rule(""))

    def _token(self, given: dict[str, str]) -> None:
        gate = self.owner
        gate.asked.append(parse_qs(urlsplit(self.path).query))
        if given.get("authorization") != BASIC:
            return self._answer(401, {}, b"{}")
        token = f"token-{len(gate.asked)}"
        gate.tokens[token] = gate.uses
        return self._answer(200, {}, json.dumps({"token": token}).encode())

    def _challenge(self) -> None:
        gate = self.owner
        told = 'Basic realm="a registry"'
        if gate.login == "bearer":
            told = f'Bearer realm="http://{gate.host}/token",service="the registry",scope="repository:x:pull"'
        self._answer(401, {"WWW-Authenticate": told}, b"{}")

    def _drip(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        number = 0
        try:
            while not self.owner.closing.wait(0.05):
                number += 1
                self.wfile.write(f"X-{number % 50}: y\r\n".encode() if number % 50 == 0 else b"X")
                self.wfile.flush()
        except OSError:
            return

    def _forward(self, given: dict[str, str], rule: Rule) -> None:
        upstream = http.client.HTTPConnection(self.owner.upstream, timeout=30)
        try:
            accept = given.get("accept", "*/*")
            upstream.request("GET", self.path, headers={"Accept": accept})
            answer = upstream.getresponse()
            body = rule.change(answer.read())
            names = ("Content-Type", "Docker-Content-Digest", "Link")
            headers = {name: value for name in names if (value := answer.getheader(name))}
            self._answer(answer.status, {**headers, **rule.headers}, body, rule.cut)
        finally:
            upstream.close()

    def _answer(
        self, status: int, headers: dict[str, str], body: bytes, cut: int = -1, *, announced: bool = True
    ) -> None:
        self.send_response(status)
        length = {"Content-Length": str(len(body))} if announced else {"Connection": "close"}
        for name, value in {**length, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body if cut < 0 else body[:cut])
        if cut >= 0:
            self.close_connection = True

    def do_CONNECT(self) -> None:
        """A tunnel, wherever it is said to lead, to the upstream."""
        gate = self.owner
        gate.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        gate.tunnels.append(self.path)
        host, _, port = gate.upstream.partition(":")
        with socket.create_connection((host, int(port))) as other:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_pump, args=(other, self.connection), daemon=True)
            back.start()
            _pump(self.connection, other)
            back.join()
        self.close_connection = True

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Tests look at `seen`."""


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
