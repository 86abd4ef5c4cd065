"""Read a Kustomization object: Flux's fields and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.discover import check
from runner.durations import seconds
from runner.errors import UsageError
from runner.model import (
    FLUX,
    DeletionPolicy,
    HealthCheckExpr,
    IgnoreRule,
    Kustomization,
    Manifest,
    PostBuild,
    ResourceRef,
    SourceRef,
    VariableSource,
)

_NO_TIMEOUT = 30.0  # seconds; Flux's timeout defaults to the interval less this, and never to less than this


def is_kustomization(manifest: Manifest) -> bool:
    """Whether an object is a Flux Kustomization, of whatever version."""
    return manifest.get("kind") == "Kustomization" and (
        str(manifest.get("apiVersion", "")).rpartition("/")[0] == FLUX
    )


def parse(manifest: Manifest) -> Kustomization:
    """A Kustomization from its object.

    Raises:
        UsageError: a field is missing, malformed, unknown, or one we do not honour; all of them are named.
    """
    meta = manifest.get("metadata") or {}
    name, own = str(meta.get("name", "")), str(meta.get("namespace") or "")
    if wrong := list(check.problems(manifest)):
        raise UsageError(
            f"Kustomization {own}/{name}: {'; '.join(wrong)}",
            hint="the fields are described in Flux's Kustomization API, "
            "kustomize.toolkit.fluxcd.io/v1; README.md lists what becomes of each.",
        )
    spec = {field: value for field, value in manifest["spec"].items() if value is not None}
    interval = seconds(spec["interval"])
    metadata = spec.get("commonMetadata") or {}
    return Kustomization(
        namespace=own,
        name=name,
        manifest=manifest,
        source=_source(spec["sourceRef"], own),
        path=spec.get("path", ""),
        depends_on=tuple(
            f"{each.get('namespace') or own}/{each['name']}" for each in spec.get("dependsOn", ())
        ),
        ready_exprs=tuple(each.get("readyExpr") or "" for each in spec.get("dependsOn", ())),
        prune=spec["prune"],
        wait=spec.get("wait", False),
        suspend=spec.get("suspend", False),
        force=spec.get("force", False),
        ignore=tuple(_ignore(each) for each in spec.get("ignore", ())),
        interval=interval,
        timeout=seconds(spec["timeout"])
        if "timeout" in spec  # as written: Flux never waits for less than half a minute
        else max(interval - _NO_TIMEOUT, _NO_TIMEOUT),
        retry_interval=seconds(spec["retryInterval"]) if "retryInterval" in spec else interval,
        deletion_policy=DeletionPolicy(spec.get("deletionPolicy", DeletionPolicy.MIRROR_PRUNE)),
        health_checks=tuple(_health_check(each) for each in spec.get("healthChecks", ())),
        health_check_exprs=tuple(_health_check_expr(each) for each in spec.get("healthCheckExprs", ())),
        post_build=_post_build(spec["postBuild"], own) if "postBuild" in spec else None,
        decrypts="decryption" in spec,
        keys_from=_keys_from(spec.get("decryption") or {}, own),
        service_account=spec.get("serviceAccountName", ""),
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        warnings=tuple(check.warnings(manifest)),
    )


def root(id_: str, entry: str) -> Kustomization:
    """The root as it is when Git does not contain it: what `flux bootstrap` would have written.

    Raises:
        UsageError: `id_` is not `namespace/name`.
    """
    namespace, slash, name = id_.partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise UsageError(f"--root {id_!r} is not NAMESPACE/NAME", hint="Flux's is flux-system/flux-system.")
    return parse(
        {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"namespace": namespace, "name": name},
            "spec": {
                "interval": "10m",
                "path": f"./{entry}",
                "prune": True,
                "sourceRef": {"kind": "GitRepository", "name": name},
            },
        }
    )


def _source(where: Mapping[str, Any], namespace: str) -> SourceRef:
    return SourceRef(where["kind"], where.get("namespace") or namespace, where["name"])


def _ignore(item: Mapping[str, Any]) -> IgnoreRule:
    target = item.get("target") or {}
    return IgnoreRule(tuple(item["paths"]), {name: text for name, text in target.items() if text})


def _keys_from(where: Mapping[str, Any], namespace: str) -> VariableSource | None:
    secret = where.get("secretRef")
    return VariableSource("Secret", namespace, secret["name"]) if secret else None


def _health_check(item: Mapping[str, Any]) -> ResourceRef:
    api_version = item.get("apiVersion") or "apps/v1"  # Flux's default
    group, _, version = api_version.rpartition("/")
    return ResourceRef(item.get("namespace") or "", item["name"], group, item["kind"], version)


def _health_check_expr(item: Mapping[str, Any]) -> HealthCheckExpr:
    return HealthCheckExpr(
        group=item["apiVersion"].rpartition("/")[0],
        kind=item.get("kind") or "",
        current=item["current"],
        in_progress=item.get("inProgress") or "",
        failed=item.get("failed") or "",
    )


def _post_build(where: Mapping[str, Any], namespace: str) -> PostBuild:
    return PostBuild(
        substitute=where.get("substitute") or {},
        substitute_from=tuple(
            VariableSource(each["kind"], namespace, each["name"], optional=each.get("optional") is True)
            for each in where.get("substituteFrom") or ()
        ),
    )
