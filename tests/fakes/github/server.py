"""GitHub over HTTP. Whatever it would not understand, or a run may not do, fails the test."""

from __future__ import annotations

import gzip
import json
import re
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from tests.fakes.github import description
from tests.fakes.github.repository import Refusal, Repository

MOST_CALLS = 15
TOKEN = "ghs_of-the-workflow"
VIEWER = re.compile(r"\s*query\s*\{\s*viewer\s*\{\s*login\s*\}\s*\}\s*")
GRANTED = {
    "contents": "read",
    "pull-requests": "write",
    "issues": "write",
    "checks": "write",
    "statuses": "write",
    "metadata": "read",
}
SCOPES = (
    ("/comments", "pull-requests"),
    ("/issues", "issues"),
    ("/pulls", "pull-requests"),
    ("/check-runs", "checks"),
    ("/status", "statuses"),
    ("/compare", "contents"),
    ("", "metadata"),
)


@dataclass(frozen=True)
class Fault:
    """What happens to a request instead of, or after, its being done."""

    status: int = 0
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    page: str = ""  # this and not JSON, as proxies answer
    done: bool = False  # it is done all the same, but its answer is lost
    reset: bool = False  # the connection is cut instead of an answer
    silent: bool = False  # there is no answer as long as the server runs
    drip: Callable[[], None] | None = None  # the right answer, byte by byte; called before each


@dataclass(frozen=True)
class Call:
    """A request as it came."""

    method: str
    url: str
    path: str
    query: dict
    body: object
    headers: dict
    text: str


class Server:
    """One repository; `prefix` is where the API of an Enterprise Server is."""

    def __init__(self, repository=None, *, token=TOKEN, prefix=""):
        self.repository = repository or Repository()
        self.token = token
        self.prefix = prefix
        self.granted = dict(GRANTED)
        self.expected = set()  # scopes whose lack is what a test is about
        self.renamed_from = ""
        self.calls = []
        self.wrong = []
        self._faults = []
        self._closing = threading.Event()
        self._mutex = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self):
        return f"http://127.0.0.1:{self._http.server_port}{self.prefix}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind, *_):
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        assert kind or not self.wrong, "\n".join(self.wrong)

    def on(self, method, part, fault, times=1):
        """The next requests with this method and this in their path fare like that."""
        self._faults += [(method, part, fault)] * times

    def withhold(self, scope, level=""):
        """The token lacks a permission, and the test knows."""
        self.granted[scope] = level
        self.expected.add(scope)

    def sent(self, method):
        return [
            call.path.removeprefix(f"/repos/{self.repository.name}")
            for call in self.calls
            if call.method == method
        ]

    def answer(self, call):
        """What happens to a request: a fault, or status and body; anything wrong is written down."""
        with self._mutex:
            self.calls.append(call)
            if len(self.calls) > MOST_CALLS:
                self.wrong.append(f"call {len(self.calls)} of one run: {call.method} {call.path}")
            fault = self._fault(call)
            if fault and not (fault.done or fault.drip):
                return fault, (fault.status, self._error(fault))
            try:
                done = self._do(call)
            except Refusal as refusal:
                done = refusal.status, refusal.body
            except Exception as exc:  # noqa: BLE001 -- the test has to hear of it, and not the client
                self._complain(call, f"this server does not work: {exc!r}")
                done = 500, {}
            return fault, (fault.status, self._error(fault)) if fault and fault.done else done

    def _fault(self, call):
        for number, (method, part, fault) in enumerate(self._faults):
            if method == call.method and part in call.path:
                del self._faults[number]
                return fault
        return None

    def _error(self, fault):
        return Refusal(fault.status, fault.message).body

    def _do(self, call):
        if call.headers.get("authorization") not in {f"token {self.token}", f"Bearer {self.token}"}:
            raise Refusal(401, "Bad credentials")
        if not call.headers.get("user-agent"):
            self._complain(call, "no User-Agent")
        if call.method == "POST" and call.path == "/graphql":
            return self._graphql(call)
        name, path = description.operation(call.method, call.path)
        if not name or f"{path['owner']}/{path['repo']}" != self.repository.name:
            self._complain(call, "not described")
            raise Refusal(404, "Not Found")
        if wrong := description.wrong_request(name, path, call.query, call.body):
            self._complain(call, *wrong)
            raise Refusal(422, "Invalid request.\n\n" + "\n".join(wrong))
        self._permit(call)
        try:
            status, body = self.repository.operations[name](path, call.query, call.body)
        except Refusal as refusal:
            status, body = refusal.status, refusal.body
        for problem in description.wrong_answer(name, status, body):
            self._complain(call, f"answer {status}: {problem}")
        return status, body

    def _graphql(self, call):
        if not isinstance(call.body, dict) or not VIEWER.fullmatch(call.body.get("query", "")):
            self._complain(call, "this query is not expected")
        return 200, {"data": {"viewer": {"login": self.repository.viewer}}}

    def _permit(self, call):
        place = call.path.removeprefix(f"/repos/{self.repository.name}")
        # The longest name wins: the check runs of a commit are no statuses.
        scope = next(scope for part, scope in SCOPES if part in place)
        needed = "write" if call.method != "GET" else "read"
        if self.granted.get(scope) not in {needed, "write"}:
            if scope not in self.expected:
                self._complain(call, f"the token lacks {scope}: {needed}")
            raise Refusal(403, "Resource not accessible by integration")

    def _complain(self, call, *problems):
        self.wrong += [f"{call.method} {call.url}: {problem}" for problem in problems]

    # ── HTTP ──

    def _handler(server):  # noqa: N805 -- `self` is the handler's below
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else each chunk waits for the client to acknowledge the last

            def do_GET(self):
                server._serve(self)

            do_POST = do_PATCH = do_PUT = do_DELETE = do_GET  # noqa: N815 -- their names

            def log_message(self, *_):
                pass

        return Handler

    def _serve(self, client):
        text = client.rfile.read(int(client.headers.get("Content-Length") or 0)).decode()
        call = self._call(client, text)
        if moved := self._moved(call):
            with self._mutex:
                self.calls.append(call)
            return _send(
                client, 301 if call.method == "GET" else 307, {"message": "Moved"}, {"Location": moved}
            )
        fault, (status, body) = self.answer(call)
        if fault and fault.silent:
            self._closing.wait()
        if fault and (fault.reset or fault.silent):
            client.close_connection = True
            return client.connection.shutdown(socket.SHUT_RDWR)
        if fault and fault.page:
            return _send(client, status, fault.page, fault.headers)
        return _send(client, status, body, fault.headers if fault else {}, fault.drip if fault else None)

    def _call(self, client, text):
        url = urlsplit(client.path)  # a proxy is asked for a whole URL
        path, root = url.path, self.prefix.removesuffix("/v3")
        path = (
            path.removeprefix(self.prefix)
            if path.startswith(f"{self.prefix}/repo")
            else path.removeprefix(root)
        )
        path = re.sub("^/repositories/1(?=/|$)", f"/repos/{self.repository.name}", path)
        headers = {name.lower(): value for name, value in client.headers.items()}
        body = json.loads(text) if text else None
        return Call(client.command, client.path, path, dict(parse_qsl(url.query)), body, headers, text)

    def _moved(self, call):
        old = f"/repos/{self.renamed_from}"
        if not self.renamed_from or not call.path.startswith(old):
            return ""
        query = f"?{urlsplit(call.url).query}" if call.query else ""
        return f"{self.url}/repositories/1{call.path.removeprefix(old)}{query}"


def _send(client, status, body, headers, drip=None):
    """In chunks and compressed, as GitHub does."""
    data = gzip.compress((body if isinstance(body, str) else json.dumps(body)).encode())
    client.send_response(status)
    kind = "text/html" if isinstance(body, str) else "application/json; charset=utf-8"
    sent = {"Content-Type": kind, "Content-Encoding": "gzip", "Transfer-Encoding": "chunked", **headers}
    for name, value in sent.items():
        client.send_header(name, value)
    client.end_headers()
    for piece in (data[at : at + 1] for at in range(len(data))) if drip else (data,):
        if drip:
            drip()
        try:
            client.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        except OSError:  # the client has seen enough
            client.close_connection = True
            return
    client.wfile.write(b"0\r\n\r\n")
