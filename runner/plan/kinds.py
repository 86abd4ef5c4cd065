"""What the cluster serves of what is wanted, and what a run itself defines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from typing import Any

from runner.model import FLUX, Manifest, ResourceRef
from runner.ports import Cluster

SOURCE_GROUPS = ("source.toolkit.fluxcd.io", "source.extensions.fluxcd.io")
_ROLES = frozenset({"ClusterRole", "Role"})
_RBAC = "rbac.authorization.k8s.io"


def virtual_kinds(manifests: Iterable[Manifest], cluster: Cluster) -> frozenset[tuple[str, str]]:
    """Flux's Kustomization and source kinds in use that the cluster does not serve.

    Decided once, at the start of a run: definitions that arrive during it count in the next.
    """
    used = {group_kind(manifest) for manifest in manifests}
    return frozenset(
        (group, kind)
        for group, kind in used
        if ((group == FLUX and kind == "Kustomization") or group in SOURCE_GROUPS)
        and cluster.api(group, kind) is None
    )


def scoped(manifests: Iterable[Manifest], cluster: Cluster) -> tuple[Manifest, ...]:
    """The same objects, without a namespace where the kind has none."""
    return tuple(_scoped(manifest, cluster) for manifest in manifests)


def defines(manifests: Iterable[Manifest]) -> frozenset[tuple[str, str]]:
    """The (group, kind) pairs that CustomResourceDefinitions among the objects define."""
    return frozenset(
        (str(spec.get("group")), str((spec.get("names") or {}).get("kind")))
        for manifest in manifests
        if manifest["kind"] == "CustomResourceDefinition"
        for spec in [manifest.get("spec") or {}]
    )


def served(manifests: Iterable[Manifest]) -> frozenset[tuple[str, str, str]]:
    """Each (group, kind, version) that is to be had by CustomResourceDefinitions among the objects."""
    return frozenset(
        (str(spec.get("group")), str((spec.get("names") or {}).get("kind")), str(version.get("name")))
        for manifest in manifests
        if manifest["kind"] == "CustomResourceDefinition"
        for spec in [manifest.get("spec") or {}]
        for version in spec.get("versions") or ()
        if version.get("served")
    )


def absent(namespaces: Iterable[str], cluster: Cluster, pool: Executor) -> frozenset[str]:
    """Those namespaces that the cluster does not have yet."""
    wanted = sorted(namespaces)
    live = pool.map(lambda name: cluster.get(ResourceRef("", name, "", "Namespace", "v1")), wanted)
    return frozenset(name for name, found in zip(wanted, live, strict=True) if found is None)


def roles(manifests: Iterable[Manifest]) -> frozenset[ResourceRef]:
    """The roles among the objects."""
    found = (ResourceRef.of(manifest) for manifest in manifests if manifest["kind"] in _ROLES)
    return frozenset(ref for ref in found if ref.group == _RBAC)


def binds(manifest: Manifest) -> ResourceRef | None:
    """The role that a binding names."""
    if group_kind(manifest) not in {(_RBAC, "RoleBinding"), (_RBAC, "ClusterRoleBinding")}:
        return None
    role = manifest.get("roleRef") or {}
    namespace = (manifest["metadata"].get("namespace") or "") if role.get("kind") == "Role" else ""
    return ResourceRef(namespace, str(role.get("name")), _RBAC, str(role.get("kind")), "v1")


def _scoped(manifest: Manifest, cluster: Cluster) -> Manifest:
    meta: Mapping[str, Any] = manifest["metadata"]
    if not meta.get("namespace"):
        return manifest
    api = cluster.api(*group_kind(manifest))
    if api is None or api.namespaced:
        return manifest
    return {**manifest, "metadata": {key: value for key, value in meta.items() if key != "namespace"}}


def group_kind(manifest: Manifest) -> tuple[str, str]:
    return str(manifest["apiVersion"]).rpartition("/")[0], manifest["kind"]
