"""An API server with one Kustomization and no answer to anything else but a refusal."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

GROUP = "kustomize.toolkit.fluxcd.io"
KINDS = {
    "v1": {"configmaps": "ConfigMap", "secrets": "Secret"},
    f"{GROUP}/v1": {"kustomizations": "Kustomization"},
}


@contextmanager
def refusing(code: int, kustomization: Mapping[str, Any], kubeconfig: Path) -> Iterator[Path]:
    """Serve until the end of the context; gives the kubeconfig that names the server."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self.path.partition("?")[0], code, kustomization)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = {"server": f"http://127.0.0.1:{server.server_port}"}
        context = {"cluster": "it", "user": "it"}
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{"name": "it", "cluster": address}],
            "contexts": [{"name": "it", "context": context}],
            "users": [{"name": "it", "user": {}}],
        }  # fmt: skip
        kubeconfig.write_text(json.dumps(config))
        try:
            yield kubeconfig
        finally:
            server.shutdown()
            thread.join()


def answer(path: str, code: int, kustomization: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
    if path == "/api":
        return HTTPStatus.OK, {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        version = {"groupVersion": f"{GROUP}/v1", "version": "v1"}
        groups = [{"name": GROUP, "versions": [version], "preferredVersion": version}]
        return HTTPStatus.OK, {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    for version, kinds in KINDS.items():
        if path.removeprefix("/api/").removeprefix("/apis/") == version:
            resources = [
                {"name": n, "kind": k, "namespaced": True, "verbs": ["get"]} for n, k in kinds.items()
            ]
            listing = {"kind": "APIResourceList", "groupVersion": version, "resources": resources}
            return HTTPStatus.OK, listing
    *_, plural, name = path.split("/")
    if plural == "kustomizations":
        return HTTPStatus.OK, kustomization
    return code, refusal(code, plural, name)


def refusal(code: int, plural: str, name: str) -> dict[str, Any]:
    """What a real server says."""
    reason, why = {404: ("NotFound", "not found"), 403: ("Forbidden", "is forbidden: it is not yours")}[code]
    return {
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": f'{plural} "{name}" {why}', "details": {"name": name, "kind": plural},
    }  # fmt: skip
