"""The distribution specification, as far as it takes to read one artifact."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any
from urllib.parse import urljoin, urlsplit

from runner.clients.kept import sha256
from runner.clients.network import Http, Refused, Reply, Request
from runner.clients.network.resolve import Forbidden
from runner.clients.oci import challenge
from runner.clients.oci.credentials import Login
from runner.clients.oci.reference import Place, is_digest
from runner.errors import SourceError

MANIFEST_LIMIT = 4 << 20
"""Bytes: what the specification asks registries to take."""
TAGS_LIMIT = 16 << 20
MOST_TAGS = 100_000
MOST_PAGES = 1000

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
_ACCEPT = f"{OCI_MANIFEST}, {OCI_INDEX}, {DOCKER_MANIFEST}, {DOCKER_LIST}"
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404
_NEXT = re.compile(r'<([^>]+)>\s*;[^,]*\brel="?next"?')


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A manifest as it was served, which has this digest."""

    media_type: str
    digest: str
    document: Mapping[str, Any]


@dataclass(slots=True)
class Registry:
    """One repository, asked as whoever `login` is; it is called when the registry wants to know."""

    place: Place
    http: Http
    login: Callable[[], Login | None]
    plain_too: bool = False  # plain HTTP is tried when TLS cannot be talked
    _base: str = ""
    _authorization: str = field(default="", repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def manifest(self, reference: str) -> Descriptor:
        """The manifest that a tag or a digest names; its bytes have the digest that is told.

        Raises:
            SourceError: there is none, it is not what its digest says, or no manifest at all.
        """
        reply = self._get(f"manifests/{reference}", MANIFEST_LIMIT, f"{reference} of {self.place}", _ACCEPT)
        with reply.body:
            body = reply.read()
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        told = reply.headers.get("docker-content-digest", digest)
        if is_digest(reference) and reference != digest:
            raise SourceError(f"{self.place} serves for {reference} a manifest whose digest is {digest}")
        if is_digest(told) and told != digest:
            raise SourceError(f"{self.place} serves for {reference} a manifest that is not what it says")
        document = _document(body)
        if document is None:
            raise SourceError(f"{self.place} serves for {reference} what is no manifest")
        served = reply.headers.get("content-type", "").partition(";")[0].strip()
        return Descriptor(str(document.get("mediaType") or served), digest, document)

    def blob(self, digest: str, size: int) -> IO[bytes]:
        """A blob's content, which was verified, at its start. Raises SourceError."""
        reply = self._get(f"blobs/{digest}", size, f"blob {digest} of {self.place}", "*/*")
        if (found := sha256(reply.body)) != digest:
            reply.body.close()
            raise SourceError(f"{self.place} serves for the blob {digest} what has the digest {found}")
        reply.body.seek(0)
        return reply.body

    def tags(self) -> tuple[str, ...]:
        """Every tag of the repository. Raises SourceError."""
        found: list[str] = []
        path = "tags/list?n=1000"
        for _ in range(MOST_PAGES):
            reply = self._get(path, TAGS_LIMIT, f"the tags of {self.place}", "application/json")
            with reply.body:
                document = _document(reply.read()) or {}
            page = document.get("tags") or []
            if not isinstance(page, list) or len(found) + len(page) > MOST_TAGS:
                raise SourceError(f"{self.place} has a list of tags that cannot be read")
            found += (str(tag) for tag in page)
            following = _NEXT.search(reply.headers.get("link", ""))
            if following is None:
                return tuple(found)
            path = urljoin(self._url(path), following[1])
            if urlsplit(path)[:2] != urlsplit(self._base)[:2]:
                raise SourceError(f"{self.place} goes on with its list of tags at another server")
        raise SourceError(f"{self.place} has a list of tags without an end")

    def _get(self, path: str, limit: int, what: str, accept: str) -> Reply:
        with self._lock:
            self._find()
            url = self._url(path)
            try:
                return self._send(url, limit, accept)
            except Refused as exc:
                if exc.code != _UNAUTHORIZED:
                    raise self._told(exc, what) from exc
                self._log_in(exc, what)
            try:
                return self._send(url, limit, accept)
            except Refused as exc:
                raise self._told(exc, what) from exc

    def _send(self, url: str, limit: int, accept: str) -> Reply:
        headers = {"Accept": accept}
        if self._authorization:
            headers["Authorization"] = self._authorization
        return self.http.send(Request(url, limit, headers))

    def _url(self, path: str) -> str:
        return path if "://" in path else f"{self._base}/v2/{self.place.path}/{path}"

    def _find(self) -> None:
        """Choose the scheme, once: plain HTTP only where it is allowed, and TLS is not spoken."""
        if self._base:
            return
        secure = f"https://{self.place.registry}"
        if self.plain_too and not self._answers(secure):
            self._base = f"http://{self.place.registry}"
        else:
            self._base = secure

    def _answers(self, base: str) -> bool:
        try:
            self.http.send(Request(f"{base}/v2/", MANIFEST_LIMIT)).body.close()
        except Refused:
            return True
        except Forbidden:
            raise
        except SourceError:
            return False
        return True

    def _log_in(self, refused: Refused, what: str) -> None:
        """Answer the registry's challenge: for the first time, or because a token has expired."""
        asked = challenge.read(refused.headers.get("www-authenticate", ""))
        if asked is None:
            raise SourceError(f"{what}: the registry asks for a login of an unknown kind")
        plain = self._base.startswith("http:")
        login = self.login()
        self._authorization = challenge.authorization(asked, login, self.http, self.place.path, plain=plain)
        if not self._authorization:
            raise self._told(refused, what)

    def _told(self, exc: Refused, what: str) -> SourceError:
        if exc.code == _NOT_FOUND:
            return SourceError(f"{what}: the registry has no such thing")
        if exc.code in {_UNAUTHORIZED, _FORBIDDEN}:
            return SourceError(
                f"{what}: the registry refuses (HTTP status {exc.code})",
                hint="log in to it, or give the source a spec.secretRef; "
                "`docker login` in an earlier step is enough.",
            )
        return exc


def _document(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
