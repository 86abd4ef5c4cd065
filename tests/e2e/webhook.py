"""A mutating webhook: a server on loopback with an authority of its own, registered for one namespace."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.cluster.api import Api
from tests.cluster.certificates import Authority

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
Changes = Callable[[dict[str, Any]], list[dict[str, Any]]]
"""The JSON patch that a webhook answers for an object."""


@contextmanager
def webhook(
    api: Api, directory: Path, namespace: str, changes: Changes, *rules: tuple[str, str]
) -> Iterator[list[str]]:
    """Changes what is written in a namespace, for (group, resource) pairs; the names of what it was asked."""
    authority, asked = Authority.create(), list[str]()
    with serving(authority, directory, changes, asked) as port:
        name = f"hook-{uuid.uuid4().hex[:8]}"
        answer = api.request("POST", CONFIGURATIONS, configuration(name, namespace, authority, port, rules))
        assert answer.status == 201, answer.body
        try:
            yield asked
        finally:
            api.request("DELETE", f"{CONFIGURATIONS}/{name}")


def configuration(
    name: str, namespace: str, authority: Authority, port: int, rules: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    bundle = base64.b64encode(authority.credential.certificate).decode()
    rule = {"apiVersions": ["*"], "operations": ["CREATE", "UPDATE"]}
    hook = {
        "name": "changes.example.org",
        "clientConfig": {"url": f"https://127.0.0.1:{port}/", "caBundle": bundle},
        "rules": [{**rule, "apiGroups": [group], "resources": [resource]} for group, resource in rules],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
    }
    return {"metadata": {"name": name}, "webhooks": [hook]}


@contextmanager
def serving(authority: Authority, directory: Path, changes: Changes, asked: list[str]) -> Iterator[int]:
    """The server that the API server asks; its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            request = review["request"]
            asked.append(request["name"])
            patch = base64.b64encode(json.dumps(changes(request["object"])).encode()).decode()
            response = {"uid": request["uid"], "allowed": True, "patchType": "JSONPatch", "patch": patch}
            body = json.dumps({**review, "response": response}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    credential = authority.server()
    (directory / "hook.crt").write_bytes(credential.certificate)
    (directory / "hook.key").write_bytes(credential.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "hook.crt", directory / "hook.key")
    with Server(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
