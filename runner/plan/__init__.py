"""Wanted × live → what applying would do to each object, by asking the server for a dry-run.

Source of the rules: fluxcd/pkg/ssa, Apply and Diff.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from runner import redact
from runner.errors import ClusterError, NotServed
from runner.model import FLUX, Action, Change, Manifest, ResourceRef
from runner.ports import Cluster

SOURCE_GROUPS = ("source.toolkit.fluxcd.io", "source.extensions.fluxcd.io")
PART_OF, INSTANCE = "app.kubernetes.io/part-of", "app.kubernetes.io/instance"
VIRTUAL = "virtual: the cluster does not serve this kind of Flux's"
UNCHECKED = "not checked by the server: these credentials may only read"
BOOTSTRAP = "part of Flux's own installation"


@dataclass(frozen=True, slots=True)
class Assessment:
    """What applying one object would do."""

    ref: ResourceRef
    manifest: Manifest = field(repr=False)  # as it would be sent
    action: Action
    reason: str = ""
    error: str = ""
    hint: str = ""
    live: Manifest | None = field(default=None, repr=False)
    merged: Manifest | None = field(default=None, repr=False)  # what it becomes, by the dry-run
    warnings: tuple[str, ...] = ()
    proven: bool = False  # unchanged without a dry-run; of `live` and `merged` there is the metadata

    @property
    def change(self) -> Change:
        return Change(self.ref, self.action, self.reason)


class Proofs(Protocol):
    """What is known of objects without asking for them singly."""

    def seen(self, ref: ResourceRef) -> Manifest | None:
        """The metadata of a live object, if it is at hand."""

    def hold(self, manifest: Manifest, live: Manifest) -> bool:
        """Whether a live object (its metadata is enough) is on record as what an apply would make of it."""


class NoProofs:
    """Nothing is known: every object is asked for."""

    def seen(self, _ref: ResourceRef) -> Manifest | None:
        return None

    def hold(self, _manifest: Manifest, _live: Manifest) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Ground:
    """What decides about objects beside their own text."""

    virtual: frozenset[tuple[str, str]] = frozenset()  # Flux's kinds that the cluster lacks: (group, kind)
    install_flux: bool = False
    read_secrets: bool = True
    namespaces: frozenset[str] = frozenset()  # that this run creates, and that are not there yet
    kinds: frozenset[tuple[str, str]] = frozenset()  # (group, kind) that this run defines
    unresolved: Mapping[ResourceRef, tuple[str, ...]] = field(default_factory=dict)
    reduced: bool = False  # where a dry-run is forbidden, compare with what can be read
    proofs: Proofs = field(default_factory=NoProofs)


def virtual_kinds(manifests: Iterable[Manifest], cluster: Cluster) -> frozenset[tuple[str, str]]:
    """Flux's Kustomization and source kinds in use that the cluster does not serve.

    Decided once, at the start of a run: definitions that arrive during it count in the next.
    """
    used = {_group_kind(manifest) for manifest in manifests}
    return frozenset(
        (group, kind)
        for group, kind in used
        if ((group == FLUX and kind == "Kustomization") or group in SOURCE_GROUPS)
        and cluster.api(group, kind) is None
    )


def scoped(manifests: Iterable[Manifest], cluster: Cluster) -> tuple[Manifest, ...]:
    """The same objects, without a namespace where the kind has none."""
    return tuple(_scoped(manifest, cluster) for manifest in manifests)


def assess(
    manifests: Sequence[Manifest], cluster: Cluster, pool: Executor, ground: Ground
) -> tuple[Assessment, ...]:
    """One assessment for each object, in the order given; an object's failure is its own."""
    return tuple(pool.map(lambda manifest: _assess(manifest, cluster, ground), manifests))


def skipped(manifest: Manifest, ground: Ground) -> str:
    """Why an object is not applied, whatever the cluster holds; "" when it is."""
    if _group_kind(manifest) in ground.virtual:
        return VIRTUAL
    if is_bootstrap(manifest) and not (ground.install_flux and not _is_kustomize_controller(manifest)):
        return BOOTSTRAP
    return ""


def is_bootstrap(manifest: Manifest) -> bool:
    """Whether an object is one that `flux bootstrap` commits to run the controllers.

    Its Namespace is applied like any other; Kustomizations and sources are not part of it.
    """
    labels = manifest["metadata"].get("labels") or {}
    return labels.get(PART_OF) == "flux" and INSTANCE in labels and manifest["kind"] != "Namespace"


def marker(manifest: Manifest | None, name: str) -> str:
    """The value of one of Flux's markers, label or annotation, in lower case."""
    meta = (manifest or {}).get("metadata") or {}
    for where in ("labels", "annotations"):
        if value := (meta.get(where) or {}).get(f"{FLUX}/{name}"):
            return str(value).lower()
    return ""


def drifted(live: Manifest, merged: Manifest) -> str:
    """What differs between the live object and what applying would make of it; "" when nothing does.

    Labels, annotations, and everything but `metadata` and `status` count (Flux's hasDrifted).
    """
    before, after = live["metadata"], merged["metadata"]
    for part in ("labels", "annotations"):
        if (before.get(part) or {}) != (after.get(part) or {}):
            return f"metadata.{part} changed"
    fields = sorted((live.keys() | merged.keys()) - {"metadata", "status"})
    changed = [name for name in fields if not _same(live.get(name), merged.get(name))]
    return f"{', '.join(changed)} changed" if changed else ""


def _same(before: object, after: object) -> bool:
    """Equal as JSON: `1` is not `true`, though Python takes them for equal."""
    if before != after:
        return False
    sort = orjson.OPT_SORT_KEYS
    return orjson.dumps(before, option=sort) == orjson.dumps(after, option=sort)


def _assess(manifest: Manifest, cluster: Cluster, ground: Ground) -> Assessment:
    ref = ResourceRef.of(manifest)
    if reason := skipped(manifest, ground):
        return Assessment(ref, manifest, Action.SKIPPED, reason)
    if names := ground.unresolved.get(ref):
        return Assessment(ref, manifest, Action.UNKNOWN, f"not fully known: {', '.join(names)}")
    try:
        if redact.is_secret(manifest) and not ground.read_secrets:
            return _unread(ref, manifest)
        return _compare(ref, manifest, cluster, ground)
    except NotServed as exc:
        if (ref.group, ref.kind) in ground.kinds:
            return Assessment(ref, manifest, Action.CREATED, "not yet checked: this run defines its kind")
        return Assessment(ref, manifest, Action.UNKNOWN, error=exc.message, hint=_hint(ref) or exc.hint)
    except ClusterError as exc:
        if exc.reason == "NotFound" and ref.namespace in ground.namespaces:
            reason = "not yet checked: this run creates its namespace"
            return Assessment(ref, manifest, Action.CREATED, reason)
        return Assessment(ref, manifest, Action.UNKNOWN, error=exc.message, hint=exc.hint)


def _compare(ref: ResourceRef, manifest: Manifest, cluster: Cluster, ground: Ground) -> Assessment:
    seen = ground.proofs.seen(ref)
    if seen is not None and (settled := _settled(ref, manifest, seen, ground)):
        return settled
    live = cluster.get(ref)
    if settled := _settled(ref, manifest, live, ground):
        return settled
    try:
        result = cluster.apply(manifest, dry_run=True)
    except ClusterError as exc:
        if not ground.reduced or exc.reason != "Forbidden":
            raise
        return _by_reading(ref, manifest, live)
    if live is None:
        return Assessment(ref, manifest, Action.CREATED, merged=result.manifest, warnings=result.warnings)
    difference = drifted(live, result.manifest)
    action = Action.CONFIGURED if difference else Action.UNCHANGED
    merged, warnings = result.manifest, result.warnings
    return Assessment(ref, manifest, action, difference, live=live, merged=merged, warnings=warnings)


def _settled(
    ref: ResourceRef, manifest: Manifest, live: Manifest | None, ground: Ground
) -> Assessment | None:
    """What needs no dry-run: what is left alone, and what is proven; metadata is enough of `live`."""
    if live is not None and is_bootstrap(live) and not ground.install_flux:
        return Assessment(ref, manifest, Action.SKIPPED, BOOTSTRAP, live=live)
    if reason := left_alone(manifest, live):
        return Assessment(ref, manifest, Action.SKIPPED, reason, live=live)
    if live is not None and ground.proofs.hold(manifest, live):
        return Assessment(ref, manifest, Action.UNCHANGED, live=live, merged=live, proven=True)
    return None


def _by_reading(ref: ResourceRef, manifest: Manifest, live: Manifest | None) -> Assessment:
    """Without the right to apply: what the server would add or refuse is not known."""
    if live is None:
        return Assessment(ref, manifest, Action.CREATED, UNCHECKED)
    merged = overlaid(live, manifest)
    difference = drifted(live, merged)
    action = Action.CONFIGURED if difference else Action.UNCHANGED
    return Assessment(
        ref, manifest, action, f"{difference}; {UNCHECKED}".lstrip("; "), live=live, merged=merged
    )


def overlaid(live: Any, wanted: Any) -> Any:  # noqa: ANN401 -- JSON
    """What is live with what is wanted over it: near to what an apply would make of it.

    Items of a list are told apart by name where all have one; another list is replaced as a whole.
    """
    if isinstance(live, Mapping) and isinstance(wanted, Mapping):
        return {**live, **{key: overlaid(live.get(key), value) for key, value in wanted.items()}}
    if not isinstance(live, list) or not isinstance(wanted, list) or not _all_named([*live, *wanted]):
        return wanted
    names = [item["name"] for item in wanted]
    over = {item["name"]: item for item in wanted}
    kept = [overlaid(item, over.pop(item["name"], {})) for item in live]
    return kept + [over[name] for name in names if name in over]


def _all_named(items: Sequence[Any]) -> bool:
    return all(isinstance(item, Mapping) and isinstance(item.get("name"), str) for item in items)


def _unread(ref: ResourceRef, manifest: Manifest) -> Assessment:
    return Assessment(ref, manifest, Action.UNKNOWN, "not compared: no Secret is read (--read-secrets)")


def left_alone(manifest: Manifest, live: Manifest | None) -> str:
    """Flux's markers that keep an object as it is, on the desired or on the live one."""
    for carrier in (manifest, live):
        if marker(carrier, "reconcile") == "disabled":
            return f"{FLUX}/reconcile: disabled"
        if marker(carrier, "ssa") == "ignore":
            return f"{FLUX}/ssa: Ignore"
    if live is not None and marker(manifest, "ssa") == "ifnotpresent":
        return f"{FLUX}/ssa: IfNotPresent"
    return ""


def _is_kustomize_controller(manifest: Manifest) -> bool:
    return "kustomize-controller" in str(manifest["metadata"].get("name"))


def _scoped(manifest: Manifest, cluster: Cluster) -> Manifest:
    meta: Mapping[str, Any] = manifest["metadata"]
    if not meta.get("namespace"):
        return manifest
    api = cluster.api(*_group_kind(manifest))
    if api is None or api.namespaced:
        return manifest
    return {**manifest, "metadata": {key: value for key, value in meta.items() if key != "namespace"}}


def _group_kind(manifest: Manifest) -> tuple[str, str]:
    return str(manifest["apiVersion"]).rpartition("/")[0], manifest["kind"]


def _hint(ref: ResourceRef) -> str:
    if ref.group == "helm.toolkit.fluxcd.io":
        return "HelmReleases need Flux's helm-controller and source-controller in the cluster."
    return "install what defines this kind first, and let this Kustomization depend on it."


def defines(manifests: Iterable[Manifest]) -> frozenset[tuple[str, str]]:
    """The (group, kind) pairs that CustomResourceDefinitions among the objects define."""
    return frozenset(
        (str(spec.get("group")), str((spec.get("names") or {}).get("kind")))
        for manifest in manifests
        if manifest["kind"] == "CustomResourceDefinition"
        for spec in [manifest.get("spec") or {}]
    )


def absent(namespaces: Iterable[str], cluster: Cluster, pool: Executor) -> frozenset[str]:
    """Those namespaces that the cluster does not have yet."""
    wanted = sorted(namespaces)
    live = pool.map(lambda name: cluster.get(ResourceRef("", name, "", "Namespace", "v1")), wanted)
    return frozenset(name for name, found in zip(wanted, live, strict=True) if found is None)
