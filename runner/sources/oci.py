"""An OCIRepository → which artifact of which registry, as source-controller chooses it.

Source: source-controller 1.9.5, internal/controller/ocirepository_controller.go.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.durations import seconds
from runner.errors import UsageError
from runner.model import Manifest, ResourceRef, SourceRef
from runner.ports import Artifacts, Builder
from runner.registries import Certificates, Layer, OciAccess, ProxyAccess

HONOURED = frozenset(
    {
        "certSecretRef", "ignore", "insecure", "interval", "layerSelector", "provider", "proxySecretRef",
        "ref", "secretRef", "serviceAccountName", "suspend", "timeout", "url",
    }
)  # fmt: skip
VERSIONS = frozenset({"source.toolkit.fluxcd.io/v1", "source.toolkit.fluxcd.io/v1beta2"})
_REF = frozenset({"digest", "semver", "semverFilter", "tag"})
_LAYER = frozenset({"mediaType", "operation"})
_CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_TIMEOUT = 60.0
_DOCKER_CONFIG = ".dockerconfigjson"

Objects = Mapping[ResourceRef, Manifest]
Live = Callable[[ResourceRef], Manifest]
"""An object that the desired state lacks; raises UsageError when there is none, or it is not read here."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One artifact: `revision` is `tag@sha256:<hex>`, or the digest alone."""

    access: OciAccess
    revision: str
    layer: Layer
    ignore: str = ""

    @property
    def digest(self) -> str:
        return self.revision.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class OciRepositories:
    """Reads the artifacts that OCIRepositories stand for."""

    fetch: Callable[[], Artifacts]  # connects to nothing
    builder: Builder
    live: Live

    def wanted(self, source: SourceRef, manifest: Manifest, objects: Objects, recorded: str) -> Wanted:
        """What an OCIRepository stands for now; while it is suspended, what it stood for (`recorded`).

        Raises:
            UsageError: it is malformed, asks for what is not supported, or needs what cannot be had.
            SourceError: the registry cannot be asked.
        """
        spec = _Spec(source, _checked(source, manifest))
        access = self._access(source, spec, objects)
        layer = spec.layer()
        if spec.flag("suspend"):
            if not recorded:
                raise UsageError(
                    f"{source} is suspended, and no revision of it is on record",
                    hint="resume it, or let spec.ref.digest say which artifact is meant: without `suspend`.",
                )
            return Wanted(access, recorded, layer, spec.text("ignore"))
        return Wanted(access, self._revision(spec, access, layer), layer, spec.text("ignore"))

    def pull(self, wanted: Wanted, target: Path) -> None:
        self.fetch().pull(wanted.access, wanted.digest, wanted.layer, target)

    def _revision(self, spec: _Spec, access: OciAccess, layer: Layer) -> str:
        """Flux's order: the digest, else the newest of a range, else the tag, else `latest`."""
        ref = spec.part("ref", _REF)
        if digest := ref.text("digest"):
            return digest
        tag = ref.text("tag") or "latest"
        if within := ref.text("semver"):
            tag = self._newest(spec, access, within, ref.text("semverFilter"), layer)
        return f"{tag}@{self.fetch().digest(access, tag)}"

    def _newest(self, spec: _Spec, access: OciAccess, within: str, matching: str, layer: Layer) -> str:
        tags = self.fetch().tags(access)
        try:
            found = self.builder.newest(tags, within, matching, chart=layer.media_type == _CHART)
        except UsageError as exc:
            raise spec.wrong(f"has a spec.ref that cannot be read: {exc.message}") from exc
        if not found:
            raise spec.wrong(
                f"finds no match for semver: {within}", hint=f"the repository has {len(tags)} tags."
            )
        return found

    def _access(self, source: SourceRef, spec: _Spec, objects: Objects) -> OciAccess:
        def named(name: str, kind: str = "Secret") -> Manifest:
            ref = ResourceRef(source.namespace, name, "", kind, "v1")
            desired = objects.get(ref)
            return desired if desired is not None and "sops" not in desired else self.live(ref)

        certificates, proxy = Certificates(), None
        if name := spec.part("certSecretRef", {"name"}).text("name"):
            certificates = _certificates(named(name), f"{source}: Secret {name}")
        if name := spec.part("proxySecretRef", {"name"}).text("name"):
            proxy = _proxy(named(name), f"{source}: Secret {name}")
        pull_secrets = []
        if name := spec.part("secretRef", {"name"}).text("name"):
            pull_secrets.append(name)
        if name := spec.text("serviceAccountName"):
            account = named(name, "ServiceAccount")
            pull_secrets += [str(each.get("name")) for each in account.get("imagePullSecrets") or []]
        configs = tuple(_docker_config(named(name), f"{source}: Secret {name}") for name in pull_secrets)
        return OciAccess(
            str(source),
            spec.text("url"),
            spec.flag("insecure"),
            configs if pull_secrets else None,
            certificates,
            proxy,
            spec.duration("timeout", _TIMEOUT),
        )


class _Spec:
    """An object's spec, or a part of it, whose values are checked as they are read."""

    def __init__(self, source: SourceRef, values: Mapping[str, Any], at: str = "spec") -> None:
        self.source, self.values, self.at = source, values, at

    def text(self, field: str) -> str:
        value = self.values.get(field)
        if value is not None and not isinstance(value, str):
            raise self.wrong(f"has {self.at}.{field}, which is not a string")
        return value or ""

    def flag(self, field: str) -> bool:
        value = self.values.get(field)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(f"has {self.at}.{field}, which is neither true nor false")
        return bool(value)

    def duration(self, field: str, default: float) -> float:
        try:
            return seconds(self.text(field)) if self.text(field) else default
        except ValueError as exc:
            raise self.wrong(f"has {self.at}.{field}: {exc}") from exc

    def part(self, field: str, known: frozenset[str] | set[str]) -> _Spec:
        value = self.values.get(field)
        if value is not None and not isinstance(value, Mapping):
            raise self.wrong(f"has {self.at}.{field}, which is not an object")
        part = value or {}
        if unknown := sorted(str(key) for key in part.keys() - known):
            raise self.wrong(f"sets {self.at}.{field}.{unknown[0]}, which is not supported")
        return _Spec(self.source, part, f"{self.at}.{field}")

    def layer(self) -> Layer:
        selector = self.part("layerSelector", _LAYER)
        operation = selector.text("operation") or "extract"
        if operation not in {"extract", "copy"}:
            raise self.wrong(f"has the unsupported layer operation {operation!r}")
        return Layer(selector.text("mediaType"), copied=operation == "copy")

    def wrong(self, text: str, *, hint: str = "") -> UsageError:
        return UsageError(f"{self.source} {text}", hint=hint or "README.md says what of a source is read.")


def _checked(source: SourceRef, manifest: Manifest) -> Mapping[str, Any]:
    """The spec of an OCIRepository that can be honoured. Raises UsageError."""
    version, spec = str(manifest.get("apiVersion")), manifest.get("spec")
    if version not in VERSIONS:
        raise UsageError(f"{source} is of {version}, which is not supported", hint="use v1.")
    if not isinstance(spec, Mapping):
        raise UsageError(f"{source} has no spec")
    if verify := spec.get("verify"):
        provider = verify.get("provider", "cosign") if isinstance(verify, Mapping) else verify
        raise UsageError(
            f"{source} sets spec.verify ({provider}): signatures are not checked here",
            hint="verify the artifact before it is tagged, and pin it by spec.ref.digest.",
        )
    provider = spec.get("provider") or "generic"
    if provider != "generic":
        raise UsageError(
            f"{source} sets spec.provider {provider}: only generic is supported",
            hint="log in to the registry in an earlier step; docker's configuration is read.",
        )
    if unknown := sorted(str(key) for key in spec.keys() - HONOURED):
        raise UsageError(f"{source} sets spec.{unknown[0]}, which is not supported", hint="leave it out.")
    return spec


def _docker_config(secret: Manifest, what: str) -> str:
    found = _value(secret, _DOCKER_CONFIG, what)
    if not found:
        raise UsageError(
            f"{what} has no {_DOCKER_CONFIG}", hint="make it with `kubectl create secret docker-registry`."
        )
    return found


def _certificates(secret: Manifest, what: str) -> Certificates:
    ca, certificate, key = (_value(secret, name, what) for name in ("ca.crt", "tls.crt", "tls.key"))
    if not (ca or certificate or key):
        raise UsageError(f"{what} has neither ca.crt nor tls.crt and tls.key")
    if bool(certificate) is not bool(key):
        raise UsageError(f"{what} has only one of tls.crt and tls.key")
    return Certificates(named=True, ca=ca, certificate=certificate, key=key)


def _proxy(secret: Manifest, what: str) -> ProxyAccess:
    address, user, password = (_value(secret, name, what) for name in ("address", "username", "password"))
    if not address:
        raise UsageError(f"{what} has no address")
    return ProxyAccess(address, user, password)


def _value(secret: Manifest, key: str, what: str) -> str:
    """One value of a Secret; it is never quoted."""
    plain = (secret.get("stringData") or {}).get(key)
    if isinstance(plain, str):
        return plain
    coded = (secret.get("data") or {}).get(key)
    try:
        return b64decode(coded, validate=False).decode() if coded else ""
    except (ValueError, TypeError):
        raise UsageError(f"{what} has a {key} that is not base64 of a text") from None
