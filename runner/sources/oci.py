"""An OCIRepository → which artifact of which registry, as source-controller chooses it.

Source: source-controller 1.9.5, internal/controller/ocirepository_controller.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.errors import UsageError
from runner.model import Manifest, ResourceRef, SourceRef
from runner.ports import Artifacts, Builder
from runner.registries import Certificates, Layer, OciAccess
from runner.sources.spec import Found, Live, Objects, Spec, certificates_of, found, proxy_of, value

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

    def find(self, source: SourceRef, manifest: Manifest, objects: Objects, recorded: str) -> Found:
        wanted = self.wanted(source, manifest, objects, recorded)

        def pull(target: Path) -> tuple[str, ...]:
            self.fetch().pull(wanted.access, wanted.digest, wanted.layer, target)
            return ()

        def origin() -> str:
            return self.fetch().origin(wanted.access, wanted.digest)

        # A copied layer is stored as it is, ignore files or not.
        return Found(wanted, wanted.revision, wanted.ignore, not wanted.layer.copied, pull, origin)

    def wanted(self, source: SourceRef, manifest: Manifest, objects: Objects, recorded: str) -> Wanted:
        """What an OCIRepository stands for now; while it is suspended, what it stood for (`recorded`).

        Raises:
            UsageError: it is malformed, asks for what is not supported, or needs what cannot be had.
            SourceError: the registry cannot be asked.
        """
        spec = Spec(source, _checked(source, manifest))
        access = self._access(source, spec, objects)
        layer = _selected(spec)
        if spec.flag("suspend"):
            if not recorded:
                raise UsageError(
                    f"{source} is suspended, and no revision of it is on record",
                    hint="resume it, or let spec.ref.digest say which artifact is meant: without `suspend`.",
                )
            return Wanted(access, recorded, layer, spec.text("ignore"))
        return Wanted(access, self._revision(spec, access, layer), layer, spec.text("ignore"))

    def _revision(self, spec: Spec, access: OciAccess, layer: Layer) -> str:
        """Flux's order: the digest, else the newest of a range, else the tag, else `latest`."""
        ref = spec.part("ref", _REF)
        if digest := ref.text("digest"):
            return digest
        tag = ref.text("tag") or "latest"
        if within := ref.text("semver"):
            tag = self._newest(spec, access, within, ref.text("semverFilter"), layer)
        return f"{tag}@{self.fetch().digest(access, tag)}"

    def _newest(self, spec: Spec, access: OciAccess, within: str, matching: str, layer: Layer) -> str:
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

    def _access(self, source: SourceRef, spec: Spec, objects: Objects) -> OciAccess:
        def named(name: str, kind: str = "Secret") -> Manifest:
            return found(ResourceRef(source.namespace, name, "", kind, "v1"), objects, self.live)

        certificates, proxy = Certificates(), None
        if name := spec.part("certSecretRef", {"name"}).text("name"):
            certificates = certificates_of(named(name), f"{source}: Secret {name}")
        if name := spec.part("proxySecretRef", {"name"}).text("name"):
            proxy = proxy_of(named(name), f"{source}: Secret {name}")
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


def _selected(spec: Spec) -> Layer:
    selector = spec.part("layerSelector", _LAYER)
    operation = selector.text("operation") or "extract"
    if operation not in {"extract", "copy"}:
        raise spec.wrong(f"has the unsupported layer operation {operation!r}")
    return Layer(selector.text("mediaType"), copied=operation == "copy")


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
    found = value(secret, _DOCKER_CONFIG, what)
    if not found:
        raise UsageError(
            f"{what} has no {_DOCKER_CONFIG}", hint="make it with `kubectl create secret docker-registry`."
        )
    return found
