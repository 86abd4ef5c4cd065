"""The ceiling: requests with nothing around them, over connections that stay open."""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from urllib.parse import urlsplit

import orjson

from runner.model import FIELD_MANAGER
from tests.bench.manifests import Manifest
from tests.bench.measure import BenchError
from tests.cluster import ControlPlane
from tests.cluster.api import APPLY
from tests.cluster.control_plane import CERTIFICATE, KEY

PLURALS = {
    "Deployment": "deployments",
    "Ingress": "ingresses",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
}
_SECONDS = 60.0
_QUERY = f"fieldManager={FIELD_MANAGER}&force=true"
_HEADERS = {"Content-Type": APPLY, "Accept": "application/json"}
Sendable = tuple[str, bytes]
"""The path of an object, and its text."""


def sendable(manifest: Manifest) -> Sendable:
    """What is sent of an object, made beforehand."""
    version, meta = manifest["apiVersion"], manifest["metadata"]
    base = f"/apis/{version}" if "/" in version else f"/api/{version}"
    path = f"{base}/namespaces/{meta['namespace']}/{PLURALS[manifest['kind']]}/{meta['name']}"
    return path, orjson.dumps(manifest)


def dry_runs_and_applies(plane: ControlPlane, objects: Sequence[Sendable], threads: int) -> float:
    """Seconds that so many threads take to dry-run and apply every object.

    Raises:
        BenchError: the server refused one.
    """
    left, lock, failures = iter(objects), threading.Lock(), list[BaseException]()

    def work() -> None:
        try:
            with closing(_connection(plane)) as connection:
                for path, body in _taken(left, lock):
                    _patch(connection, f"{path}?{_QUERY}&dryRun=All", body)
                    _patch(connection, f"{path}?{_QUERY}", body)
        except (BenchError, OSError, http.client.HTTPException) as error:
            failures.append(error)

    crew = [threading.Thread(target=work) for _ in range(threads)]
    begun = time.perf_counter()
    for each in crew:
        each.start()
    for each in crew:
        each.join()
    if failures:
        raise BenchError(f"the bare loop: {failures[0]}")
    return time.perf_counter() - begun


def _taken(left: Iterator[Sendable], lock: threading.Lock) -> Iterator[Sendable]:
    while True:
        with lock:
            one = next(left, None)
        if one is None:
            return
        yield one


def _connection(plane: ControlPlane) -> http.client.HTTPSConnection:
    place = plane.kubeconfig.parent
    context = ssl.create_default_context(cafile=str(plane.directory / "ca.crt"))
    context.load_cert_chain(place / CERTIFICATE, place / KEY)
    server = urlsplit(plane.server)
    return http.client.HTTPSConnection(server.hostname or "", server.port, timeout=_SECONDS, context=context)


def _patch(connection: http.client.HTTPSConnection, path: str, body: bytes) -> None:
    connection.request("PATCH", path, body, _HEADERS)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status not in {http.client.OK, http.client.CREATED}:
        raise BenchError(f"{path}: {answer.status} {text[:300]!r}")
