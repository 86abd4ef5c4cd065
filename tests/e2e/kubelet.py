"""Pods as a kubelet would leave them, where no kubelet runs: their statuses, and their logs over HTTPS."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.cluster import wait_until
from tests.cluster.api import MERGE
from tests.e2e.harness import Bench

NOBODY = "played-by-a-test"
"""A scheduler's name: no scheduler, and so no kwok, touches a Pod that asks for it."""


def play(bench: Bench, app: str, status: Mapping[str, Any], namespace: str = "") -> str:
    """Give the Pod of a workload this status, once it is there; its name."""
    pods = f"/api/v1/namespaces/{namespace or bench.namespace}/pods"

    def found() -> list[dict[str, Any]]:
        return bench.api.get(f"{pods}?labelSelector=app={app}").body["items"]

    name = wait_until(found, f"{app} has a Pod")[0]["metadata"]["name"]

    def played() -> bool:
        answer = bench.api.request("PATCH", f"{pods}/{name}/status", {"status": status}, MERGE)
        assert answer.status == 200, answer.body
        got = bench.api.get(f"{pods}/{name}").body["status"].get("containerStatuses")
        return bool(got == answer.body["status"].get("containerStatuses"))

    wait_until(played, f"{name} has the status that is played")
    return str(name)


@contextmanager
def node(bench: Bench, name: str, logs: Mapping[tuple[str, bool], str]) -> Iterator[None]:
    """A node whose kubelet has these logs, by container and whether it is the previous run's."""
    directory = bench.plane.directory
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(logs))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.crt", directory / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        answer = bench.api.request("POST", "/api/v1/nodes", _node(name, server.server_address[1]))
        assert answer.status == 201, answer.body
        yield
    finally:
        bench.api.request("DELETE", f"/api/v1/nodes/{name}")
        server.shutdown()
        server.server_close()


def _node(name: str, port: int) -> dict[str, Any]:
    addresses = [{"type": kind, "address": "127.0.0.1"} for kind in ("Hostname", "InternalIP")]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "spec": {"taints": [{"key": "played", "effect": "NoSchedule"}]},
        "status": {"addresses": addresses, "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}},
    }


def _handler(logs: Mapping[tuple[str, bool], str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            log = logs.get((path.rpartition("/")[2], "previous=true" in query))
            body = (log or "not found").encode()
            self.send_response(200 if log is not None else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    return Handler
