"""What goes away: whether it is deleted or stays behind, and what is lost with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from runner.changes import ObjectChange, Severity, Signal
from runner.model import FLUX, Action, Manifest, ResourceRef
from runner.signals.rules import DEFINITION, HELM_RELEASE, KUSTOMIZATION, Kind, Scene, at, kind, say, some

_KEEP = {"prune": "disabled", "reconcile": "disabled", "ssa": "ignore"}

Loss = Callable[[Manifest], str]


def _claims(manifest: Manifest) -> str:
    policy = at(manifest, "spec.persistentVolumeClaimRetentionPolicy.whenDeleted")
    return "and its volume claims with it" if policy == "Delete" else "its volume claims stay"


_LOSSES: Mapping[Kind, Loss] = {
    ("", "PersistentVolumeClaim"): lambda _: "and its data with it, unless the volume is retained",
    ("", "PersistentVolume"): lambda _: "and the cluster no longer knows its data",
    ("apps", "StatefulSet"): _claims,
    ("", "Namespace"): lambda _: "and everything in it, whoever made it",
    DEFINITION: lambda crd: f"and every {at(crd, 'spec.names.kind', 'object of its kind')} in the cluster",
    ("networking.k8s.io", "NetworkPolicy"): lambda _: "what it kept from its Pods is let through",
    ("policy", "PodDisruptionBudget"): lambda _: "evictions are not limited any more",
    ("autoscaling", "HorizontalPodAutoscaler"): lambda hpa: (
        f"{at(hpa, 'spec.scaleTargetRef.kind', 'its target')}/{at(hpa, 'spec.scaleTargetRef.name', '')}"
        " is not scaled any more"
    ),
    HELM_RELEASE: lambda _: "and its release is uninstalled",
}
"""Kinds with which more goes than the object."""


def removed(changes: Sequence[ObjectChange], scene: Scene) -> Iterator[Signal]:
    """Of each Kustomization: what takes more with it one by one, then the others in one line."""
    objects = {str(change.ref): change for change in changes if kind(change) == KUSTOMIZATION}
    deleted: defaultdict[str, list[ObjectChange]] = defaultdict(list)
    kept: defaultdict[tuple[str, str], list[ObjectChange]] = defaultdict(list)
    for change in changes:
        if change.after is not None or change.before is None:
            continue
        if reason := _stays(change, scene, objects):
            kept[change.kustomization, reason].append(change)
        elif loss := _loss(change, scene):
            yield say(change, "prune", Severity.CAUTION, f"is deleted: {loss}")
        else:
            deleted[change.kustomization].append(change)
    for gone in deleted.values():
        yield _together(gone, "prune", "deleted")
    for (_, reason), left in kept.items():
        text = f"no longer wanted, but {'stays' if len(left) == 1 else 'stay'} in the cluster: {reason}"
        yield _together(left, "orphan", text)


def _together(changes: Sequence[ObjectChange], code: str, text: str) -> Signal:
    if len(changes) == 1:
        return say(changes[0], code, Severity.NOTE, f"is {text}")
    names = some(str(change.ref) for change in changes)
    return Signal(
        code, Severity.NOTE, f"{len(changes)} objects are {text}: {names}", changes[0].kustomization
    )


def _loss(change: ObjectChange, scene: Scene) -> str:
    manifest = change.before or {}
    if kind(change) == KUSTOMIZATION:
        its = scene.base.get(f"{change.ref.namespace}/{change.ref.name}")
        if its is None:
            return ""
        return (
            "and what it deployed with it" if its.deletes else f"what it deployed stays: {_policy(manifest)}"
        )
    find = _LOSSES.get(kind(change))
    return find(manifest) if find else ""


def _policy(manifest: Manifest) -> str:
    policy = at(manifest, "spec.deletionPolicy", "MirrorPrune")
    return "prune: false" if policy == "MirrorPrune" else f"deletionPolicy: {policy}"


def _stays(change: ObjectChange, scene: Scene, objects: Mapping[str, ObjectChange]) -> str:
    """Why nothing deletes an object that is wanted no more; "" when it is deleted."""
    seen: set[str] = set()
    while True:
        if reason := _kept(change, scene):
            return reason
        namespace, _, name = change.kustomization.partition("/")
        owner = objects.get(f"Kustomization/{namespace}/{name}")
        if change.kustomization in scene.head or owner is None or change.kustomization in seen:
            return ""
        # Its Kustomization goes too. Where that one stays in the cluster, so does all that it made.
        seen.add(change.kustomization)
        change = owner


def _kept(change: ObjectChange, scene: Scene) -> str:
    if change.action is Action.SKIPPED and change.reason:
        return change.reason
    if marked := _marked(change.before or {}):
        return marked
    name = change.kustomization
    if its := scene.head.get(name):
        if its.suspend:
            return f"{name} is suspended"
        return "" if its.prune else f"{name} has prune: false"
    if its := scene.base.get(name):
        return "" if its.deletes else f"{name} has {_policy(its.manifest)}"
    return ""


def _marked(manifest: Manifest) -> str:
    """Flux's markers, label or annotation, that keep an object from being pruned."""
    for marker, keep in _KEEP.items():
        for where in ("labels", "annotations"):
            values = at(manifest, f"metadata.{where}", {})
            value = values.get(f"{FLUX}/{marker}") if isinstance(values, Mapping) else None
            if str(value).lower() == keep:
                return f"{FLUX}/{marker}: {keep}"
    return ""


def renamed(changes: Iterable[ObjectChange], scene: Scene) -> Iterator[Signal]:
    """Kustomizations that come while another with their source and path goes: renamed, it seems."""
    every = [change for change in changes if kind(change) == KUSTOMIZATION]
    gone = {_origin(each.ref, each.before): each.ref for each in every if each.before and not each.after}
    for change in every:
        if change.before is not None or change.after is None:
            continue
        old = gone.get(_origin(change.ref, change.after))
        its = scene.base.get(f"{old.namespace}/{old.name}") if old else None
        if its and its.deletes:
            text = (
                f"has the source and path of {old}, which goes: the objects move here."
                " A controller of Flux would delete them and create them anew,"
                " unless the old one is given deletionPolicy: Orphan first"
            )
            yield say(change, "renamed", Severity.NOTE, text)


def _origin(ref: ResourceRef, manifest: Manifest) -> tuple[str, ...]:
    source = at(manifest, "spec.sourceRef", {})
    path = str(at(manifest, "spec.path", "")).removeprefix(".").strip("/")
    return (
        str(at(source, "kind", "")),
        str(at(source, "namespace", ref.namespace)),
        str(at(source, "name", "")),
        path,
        str(at(manifest, "spec.targetNamespace", "")),
    )
