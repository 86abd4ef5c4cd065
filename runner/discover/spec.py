"""Read a Kustomization object: Flux's fields, defaults and validation; refuse what we would get wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from runner.errors import UsageError
from runner.model import (
    FLUX,
    DeletionPolicy,
    Kustomization,
    Manifest,
    PostBuild,
    ResourceRef,
    SourceRef,
    VariableSource,
)

HONOURED = frozenset(
    [
        "buildMetadata",
        "commonMetadata",
        "components",
        "deletionPolicy",
        "dependsOn",
        "healthChecks",
        "ignoreMissingComponents",
        "images",
        "interval",
        "namePrefix",
        "nameSuffix",
        "patches",
        "path",
        "postBuild",
        "prune",
        "retryInterval",
        "sourceRef",
        "suspend",
        "targetNamespace",
        "timeout",
        "wait",
    ]
)
REFUSED: Mapping[str, str] = {
    "decryption": "SOPS decryption is not supported: its Secrets would be applied encrypted",
    "force": "recreating objects is not supported; leave it out, or set it to false",
    "healthCheckExprs": "health checks by CEL expression are not supported; list the objects in healthChecks",
    "ignore": "ignore rules are not supported; mark the object with kustomize.toolkit.fluxcd.io/ssa: Merge",
    "kubeConfig": "applying to another cluster is not supported; run against that cluster instead",
    "serviceAccountName": "impersonation is not supported; run with that account's credentials instead",
}
SERVED = "v1"
OLD_VERSIONS = frozenset({"v1beta1", "v1beta2"})
T = TypeVar("T")

SOURCE_KINDS = ("GitRepository", "OCIRepository", "Bucket", "ExternalArtifact")

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_NO_TIMEOUT = 30.0  # seconds; Flux's timeout defaults to the interval less this, and never to less than this


def is_kustomization(manifest: Manifest) -> bool:
    """Whether an object is a Flux Kustomization, of whatever version."""
    group = str(manifest.get("apiVersion", "")).rpartition("/")[0]
    return group == FLUX and manifest.get("kind") == "Kustomization"


def parse(manifest: Manifest) -> Kustomization:
    """A Kustomization from its object.

    Source of the rules: the CRD of kustomize-controller 1.9.

    Raises:
        UsageError: a field is missing, malformed, unknown, or one we do not honour; all of them are named.
    """
    meta = manifest.get("metadata") or {}
    name, own = str(meta.get("name", "")), str(meta.get("namespace") or "")
    reader = _Reader(f"Kustomization {own}/{name}")
    spec = reader.mapping(manifest, "spec", required=True)
    reader.names(manifest, spec)
    if not own:
        reader.problem("metadata.namespace is missing")
    interval = reader.duration(spec, "interval", required=True)
    parsed = Kustomization(
        namespace=own,
        name=name,
        manifest=manifest,
        source=reader.source(spec, own),
        path=reader.text(spec, "path"),
        depends_on=reader.each(spec, "dependsOn", lambda item: reader.dependency(item, own)),
        prune=reader.flag(spec, "prune", required=True),
        wait=reader.flag(spec, "wait"),
        suspend=reader.flag(spec, "suspend"),
        interval=interval,
        timeout=reader.timeout(spec, interval),
        deletion_policy=DeletionPolicy(
            reader.choice(spec, "deletionPolicy", tuple(DeletionPolicy)) or DeletionPolicy.MIRROR_PRUNE
        ),
        health_checks=reader.each(spec, "healthChecks", reader.health_check),
        post_build=reader.post_build(spec, own),
        labels=reader.strings(reader.mapping(spec, "commonMetadata"), "labels"),
        annotations=reader.strings(reader.mapping(spec, "commonMetadata"), "annotations"),
    )
    reader.finish()
    return parsed


def seconds(duration: str) -> float:
    """A duration such as `1h30m` in seconds. Raises ValueError."""
    if not _DURATION.fullmatch(duration):
        raise ValueError(f"{duration!r} is not a duration such as 10m or 1h30m")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(duration))


class _Reader:
    """Reads one object's fields and collects everything that is wrong with them."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.problems: list[str] = []

    def problem(self, text: str) -> None:
        self.problems.append(text)

    def finish(self) -> None:
        if self.problems:
            raise UsageError(
                f"{self.subject}: {'; '.join(self.problems)}",
                hint="the fields are described in Flux's Kustomization API, "
                "kustomize.toolkit.fluxcd.io/v1; README.md lists which of them are honoured.",
            )

    def names(self, manifest: Manifest, spec: Mapping[str, Any]) -> None:
        """Identity, version, and every field that would otherwise be dropped in silence."""
        if not (manifest.get("metadata") or {}).get("name"):
            self.problem("metadata.name is missing")
        version = str(manifest.get("apiVersion", "")).rpartition("/")[2]
        if version != SERVED and version not in OLD_VERSIONS:
            self.problem(f"apiVersion {manifest.get('apiVersion')} is not served by Flux")
        for field in sorted(spec):
            if field in REFUSED and spec[field] not in (None, False, [], {}, ""):
                self.problem(f"spec.{field}: {REFUSED[field]}")
            elif field not in HONOURED and field not in REFUSED:
                self.problem(f"spec.{field} is not a field of a Kustomization")

    def mapping(self, where: Mapping[str, Any], field: str, *, required: bool = False) -> Mapping[str, Any]:
        value = where.get(field)
        if value is None:
            if required:
                self.problem(f"{field} is missing")
            return {}
        if not isinstance(value, Mapping):
            self.problem(f"{field} is not an object")
            return {}
        return value

    def text(self, where: Mapping[str, Any], field: str, *, required: bool = False) -> str:
        value = where.get(field)
        if value is None or value == "":
            if required:
                self.problem(f"{field} is missing")
            return ""
        if not isinstance(value, str):
            self.problem(f"{field} is {value!r}, not a string")
            return ""
        return value

    def flag(self, where: Mapping[str, Any], field: str, *, required: bool = False) -> bool:
        value = where.get(field)
        if value is None and required:
            self.problem(f"spec.{field} is missing")
        elif value is not None and not isinstance(value, bool):
            self.problem(f"{field} is {value!r}, neither true nor false")
        return value is True

    def choice(self, where: Mapping[str, Any], field: str, choices: Sequence[str]) -> str:
        value = self.text(where, field)
        if value and value not in choices:
            self.problem(f"{field} is {value!r}, not one of {', '.join(choices)}")
            return ""
        return value

    def duration(self, spec: Mapping[str, Any], field: str, *, required: bool = False) -> float:
        text = self.text(spec, field)
        if not text:
            if required and spec.get(field) in (None, ""):
                self.problem(f"spec.{field} is missing")
            return 0.0
        try:
            return seconds(text)
        except ValueError as exc:
            self.problem(f"spec.{field}: {exc}")
            return 0.0

    def timeout(self, spec: Mapping[str, Any], interval: float) -> float:
        """Honoured as written; without one the interval less half a minute, as in Flux."""
        self.duration(spec, "retryInterval")  # of no use here, but a wrong one is wrong
        if spec.get("timeout") is None:
            return max(interval - _NO_TIMEOUT, _NO_TIMEOUT)
        return self.duration(spec, "timeout")

    def each(
        self, where: Mapping[str, Any], field: str, read: Callable[[Mapping[str, Any]], T]
    ) -> tuple[T, ...]:
        value = where.get(field) or []
        if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
            self.problem(f"{field} is not a list of objects")
            return ()
        return tuple(read(item) for item in value)

    def strings(self, where: Mapping[str, Any], field: str) -> Mapping[str, str]:
        value = self.mapping(where, field)
        if wrong := sorted(str(k) for k, v in value.items() if not isinstance(v, str)):
            self.problem(f"{field}: the value of {', '.join(wrong)} is not a string; put it in quotes")
        return {str(k): v for k, v in value.items() if isinstance(v, str)}

    def source(self, spec: Mapping[str, Any], namespace: str) -> SourceRef:
        if spec.get("sourceRef") is None:
            self.problem("spec.sourceRef is missing")
            return SourceRef("", "", "")
        where = self.mapping(spec, "sourceRef")
        kind = self.choice(where, "kind", SOURCE_KINDS)
        if not where.get("kind"):
            self.problem("spec.sourceRef.kind is missing")
        if not where.get("name"):
            self.problem("spec.sourceRef.name is missing")
        return SourceRef(kind, self.text(where, "namespace") or namespace, self.text(where, "name"))

    def dependency(self, item: Mapping[str, Any], namespace: str) -> str:
        if item.get("readyExpr"):
            self.problem("dependsOn.readyExpr is not supported: readiness is Flux's built-in rule here")
        name = self.text(item, "name")
        if not name:
            self.problem("an entry of dependsOn has no name")
        return f"{self.text(item, 'namespace') or namespace}/{name}"

    def health_check(self, item: Mapping[str, Any]) -> ResourceRef:
        if not item.get("kind") or not item.get("name"):
            self.problem("an entry of healthChecks has no kind or no name")
        api_version = self.text(item, "apiVersion") or "apps/v1"  # Flux's default
        group, _, version = api_version.rpartition("/")
        return ResourceRef(
            self.text(item, "namespace"), self.text(item, "name"), group, self.text(item, "kind"), version
        )

    def post_build(self, spec: Mapping[str, Any], namespace: str) -> PostBuild | None:
        if spec.get("postBuild") is None:
            return None
        where = self.mapping(spec, "postBuild")
        self.choice(where, "substituteStrategy", ("WithVariables", "Always"))
        if unknown := sorted(where.keys() - {"substitute", "substituteFrom", "substituteStrategy"}):
            self.problem(f"postBuild.{unknown[0]} is not a field of a Kustomization")
        return PostBuild(
            substitute=self.strings(where, "substitute"),
            substitute_from=self.each(where, "substituteFrom", lambda item: self.variables(item, namespace)),
        )

    def variables(self, item: Mapping[str, Any], namespace: str) -> VariableSource:
        kind, name = self.choice(item, "kind", ("ConfigMap", "Secret")), self.text(item, "name")
        if not name or not item.get("kind"):
            self.problem("an entry of substituteFrom has no kind or no name")
        return VariableSource(kind, namespace, name, optional=self.flag(item, "optional"))
