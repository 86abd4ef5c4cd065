"""The registry as a process, and artifacts pushed to it by hand, right ones and wrong ones."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.registry.build import program

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.cncf.flux.config.v1+json"
LAYER = "application/vnd.cncf.flux.content.v1.tar+gzip"


@dataclass(frozen=True)
class Registry:
    """`host` is 127.0.0.1:port."""

    host: str

    def push(self, path: str, tag: str, files: Mapping[str, str], **options: Any) -> str:
        """Push an artifact with one layer of files; its digest."""
        return self.push_layers(path, tag, [(LAYER, packed(files))], **options)

    def push_layers(self, path: str, tag: str, layers: list[tuple[str, bytes]], **changes: Any) -> str:
        config = self.blob(path, b"{}")
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": config, "size": 2},
            "layers": [
                {"mediaType": kind, "digest": self.blob(path, content), "size": len(content)}
                for kind, content in layers
            ],
            **changes,
        }
        return self.manifest(path, tag, manifest)

    def manifest(self, path: str, tag: str, document: Mapping[str, Any]) -> str:
        body = json.dumps(document).encode()
        self._send("PUT", f"/v2/{path}/manifests/{tag}", body, str(document["mediaType"]))
        return f"sha256:{hashlib.sha256(body).hexdigest()}"

    def blob(self, path: str, content: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self._send("POST", f"/v2/{path}/blobs/uploads/?digest={digest}", content, "application/octet-stream")
        return digest

    def _send(self, method: str, target: str, body: bytes, kind: str) -> None:
        request = urllib.request.Request(
            f"http://{self.host}{target}", body, {"Content-Type": kind}, method=method
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            assert answer.status in {201, 202}


@contextmanager
def registry() -> Iterator[Registry]:
    """A registry of one's own, empty, gone afterwards."""
    process = subprocess.Popen([program(), "-port", "0"], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        port = line.rpartition("port ")[2].strip()
        assert port.isdecimal(), line
        drain = threading.Thread(target=process.stderr.read, daemon=True)
        drain.start()
        yield Registry(f"127.0.0.1:{port}")
        process.kill()
        drain.join()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def packed(files: Mapping[str, str], *entries: tarfile.TarInfo) -> bytes:
    """A gzip'd tar of files, and of entries without content; the same bytes each time."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
        for entry in entries:
            tar.addfile(entry)
    return gzip.compress(plain.getvalue(), mtime=0)


def entry(name: str, kind: bytes, target: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    """An entry of an archive that is no file with a content."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, mode
    return info
