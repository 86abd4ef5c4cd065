"""What source-controller does for a repository: its files as a tarball, served, and told in a status."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.e2e.fluxed import SOURCES
from tests.e2e.harness import Bench, Repository

MANAGER = "source-controller"


@dataclass
class Artifacts:
    """Tarballs by the commit they were made of, at an address of their own."""

    address: str
    packed: dict[str, bytes] = field(default_factory=dict)

    def publish(self, world: Bench, name: str) -> str:
        """Make the work tree's files the artifact of a GitRepository in the cluster; gives its revision."""
        commit = world.repository.git("rev-parse", "HEAD")
        packed = self.packed.setdefault(commit, pack(world.repository))
        revision = f"main@sha1:{commit}"
        artifact = {
            "path": f"{commit}.tar.gz",
            "url": f"{self.address}/{commit}.tar.gz",
            "revision": revision,
            "digest": f"sha256:{hashlib.sha256(packed).hexdigest()}",
            "lastUpdateTime": "2026-01-01T00:00:00Z",
            "size": len(packed),
        }
        path = f"/apis/{SOURCES}/v1/namespaces/{world.namespace}/gitrepositories/{name}/status"
        body = {"status": {"artifact": artifact}}
        answer = world.api.request(
            "PATCH", f"{path}?fieldManager={MANAGER}", body, "application/merge-patch+json"
        )
        assert answer.status == HTTPStatus.OK, answer.body
        return revision


def pack(repository: Repository) -> bytes:
    """The committed files as source-controller packs them: the same files give the same bytes."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(filter(None, repository.git("ls-files", "-z").split("\0"))):
            content = (repository.path / name).read_bytes()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0)


@contextmanager
def serving() -> Iterator[Artifacts]:
    """A server on this machine until the end of the context."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = artifacts.packed.get(self.path.strip("/").removesuffix(".tar.gz"))
            self.send_response(HTTPStatus.NOT_FOUND if found is None else HTTPStatus.OK)
            self.send_header("Content-Length", str(len(found or b"")))
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        artifacts = Artifacts(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield artifacts
        finally:
            server.shutdown()
            thread.join()
