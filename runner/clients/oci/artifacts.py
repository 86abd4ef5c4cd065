"""Artifacts of OCI registries: a reference → a manifest → one layer → files."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from runner.clients import archive
from runner.clients.kept import KeptContent
from runner.clients.network import Http, Policy, Proxy, Resolver, Tls
from runner.clients.oci import credentials
from runner.clients.oci.credentials import Login
from runner.clients.oci.reference import is_digest, is_tag, place
from runner.clients.oci.registry import DOCKER_MANIFEST, INDEXES, OCI_MANIFEST, Descriptor, Registry
from runner.errors import SourceError
from runner.once import Once
from runner.registries import Layer, OciAccess

_HINT = "`flux push artifact` makes what an OCIRepository can read."
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1"
T = TypeVar("T")

_PLATFORM = {"os": "linux", "architecture": "amd64"}  # the one that Flux takes out of an index
_ORIGIN = "org.opencontainers.image.revision"


@dataclass(slots=True)
class OciArtifacts:
    """Reads registries; every tag is looked up once in a run, so that all of it sees the same."""

    policy: Policy
    kept: KeptContent
    helpers: bool  # whether docker's configuration may have a program run
    limits: archive.Limits = field(default_factory=archive.Limits)
    resolver: Resolver | None = None
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _registries: dict[OciAccess, Registry] = field(default_factory=dict, repr=False)
    _manifests: Once[Descriptor] = field(default_factory=Once, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def tags(self, access: OciAccess) -> Sequence[str]:
        """Every tag of a repository."""
        return _told(access, lambda: self._registry(access).tags())

    def digest(self, access: OciAccess, tag: str) -> str:
        """The digest of the manifest, or index, that a tag names now."""
        if not is_tag(tag):
            raise SourceError(f"{access.source}: {tag!r} cannot be a tag")
        return _told(access, lambda: self._manifest(access, tag).digest)

    def pull(self, access: OciAccess, digest: str, layer: Layer, target: Path) -> None:
        """Write the files of one layer of an artifact below `target`."""
        if not is_digest(digest):
            raise SourceError(f"{access.source}: {digest!r} is no digest of the form sha256:<64 digits>")

        def pulled() -> None:
            manifest = self._image(access, self._manifest(access, digest))
            chosen = _layer(manifest, layer, self.limits.bytes)
            self._unpack(access, chosen, layer, target)

        _told(access, pulled)

    def origin(self, access: OciAccess, digest: str) -> str:
        """What the annotation of the manifest says, which `flux push artifact` sets."""

        def read() -> str:
            noted = self._image(access, self._manifest(access, digest)).document.get("annotations")
            return str(noted.get(_ORIGIN) or "") if isinstance(noted, Mapping) else ""

        return _told(access, read)

    def cancel(self) -> None:
        """End every wait."""
        self._cancelled.set()

    def close(self) -> None:
        self.cancel()
        for registry in self._registries.values():
            registry.http.close()

    def _unpack(self, access: OciAccess, chosen: Mapping[str, Any], layer: Layer, target: Path) -> None:
        digest, size = str(chosen["digest"]), int(chosen["size"])
        origin = str(self._registry(access).place)
        packed = self.kept.open(origin, digest)
        if packed is None:
            packed = self._registry(access).blob(digest, size)
            self.kept.put(origin, digest, packed)
            packed.seek(0)
        with packed:
            archive.extract(packed, target, self.limits, skip_links=not layer.copied)

    def _manifest(self, access: OciAccess, reference: str) -> Descriptor:
        def asked() -> Descriptor:
            found = self._registry(access).manifest(reference)
            if found.media_type.startswith(_SCHEMA_1):
                raise SourceError(f"{reference} has a manifest of docker's schema 1", hint=_HINT)
            return found

        found = self._manifests.get((access, reference), asked)
        return self._manifests.get((access, found.digest), lambda: found)

    def _image(self, access: OciAccess, found: Descriptor) -> Descriptor:
        """The manifest itself, or the one of an index that Flux takes."""
        if found.media_type not in INDEXES:
            return found
        for child in _mappings(found.document.get("manifests")):
            platform = child.get("platform") or _PLATFORM  # without one it counts as Flux's
            wanted = isinstance(platform, Mapping) and all(
                platform.get(key) == value for key, value in _PLATFORM.items()
            )
            if wanted and is_digest(str(child.get("digest"))):
                image = self._manifest(access, str(child["digest"]))
                if image.media_type in INDEXES:
                    raise SourceError(f"{found.digest} is an index of indexes", hint=_HINT)
                return image
        raise SourceError(f"{found.digest} is an index without a manifest for linux/amd64", hint=_HINT)

    def _registry(self, access: OciAccess) -> Registry:
        with self._lock:
            if access not in self._registries:
                self._registries[access] = self._made(access)
            return self._registries[access]

    def _made(self, access: OciAccess) -> Registry:
        where = place(access.url, access.source)
        plain_too = access.insecure or where.local
        resolver = self.resolver = self.resolver or Resolver(self.policy)
        given = access.certificates
        # Flux checks no certificate of an `insecure` registry that has none of its own.
        tls = Tls(given.ca, given.certificate, given.key, verify=given.named or not access.insecure)
        proxy = None
        if access.proxy is not None:
            named = Proxy.of(access.proxy.address)
            user, password = access.proxy.user or named.user, access.proxy.password or named.password
            proxy = Proxy(named.url, user, password)
        http = Http(resolver, tls, proxy, access.timeout, self._cancelled)

        def login() -> Login | None:
            for config in access.docker_configs or ():
                if found := credentials.of_config(config, where.registry, "its Secret"):
                    return found
            if access.docker_configs is not None:
                return None
            return credentials.of_machine(where.registry, helpers=self.helpers)

        return Registry(where, http, login, plain_too)


def _told(access: OciAccess, work: Callable[[], T]) -> T:
    """What went wrong, with the source that it went wrong with."""
    try:
        return work()
    except SourceError as exc:
        raise SourceError(f"{access.source}: {exc.message}", hint=exc.hint) from exc


def _layer(manifest: Descriptor, wanted: Layer, limit: int) -> Mapping[str, Any]:
    """The layer that a selector means: the first of its media type, or the first of all."""
    if manifest.media_type not in {OCI_MANIFEST, DOCKER_MANIFEST}:
        raise SourceError(f"{manifest.digest} is of the type {manifest.media_type!r}", hint=_HINT)
    layers = _mappings(manifest.document.get("layers"))
    if not layers:
        raise SourceError("no layers found in artifact", hint=_HINT)
    found = [each for each in layers if wanted.media_type in {"", each.get("mediaType")}]
    if not found:
        raise SourceError(
            f"failed to find layer with media type '{wanted.media_type}' in artifact",
            hint=f"it has {', '.join(sorted({str(each.get('mediaType')) for each in layers}))}.",
        )
    chosen = found[0]
    size = chosen.get("size")
    if not is_digest(str(chosen.get("digest"))) or not isinstance(size, int) or size < 0:
        raise SourceError(f"{manifest.digest} names a layer without a size or a sha256 digest")
    if size > limit:
        raise SourceError(f"the artifact's layer has {size:,} bytes, more than {limit:,}")
    return chosen


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
