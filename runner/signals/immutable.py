"""Fields that the API server lets nobody change: the object has to be made anew.

Source: the update validation of kubernetes/pkg/apis and apiextensions-apiserver.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from runner.changes import ObjectChange, Severity, Signal
from runner.model import FLUX, Manifest
from runner.signals.rules import DEFINITION, Kind, Scene, at, containers, kind, pod, say

_RBAC = "rbac.authorization.k8s.io"

_FIXED: Mapping[Kind, Mapping[str, object]] = {
    ("apps", "Deployment"): {"spec.selector": None},
    ("apps", "DaemonSet"): {"spec.selector": None},
    ("apps", "ReplicaSet"): {"spec.selector": None},
    ("apps", "StatefulSet"): {
        "spec.selector": None,
        "spec.serviceName": "",
        "spec.podManagementPolicy": "OrderedReady",
        "spec.volumeClaimTemplates": [],
    },
    ("batch", "Job"): {"spec.selector": None, "spec.template": None, "spec.completionMode": "NonIndexed"},
    ("", "Secret"): {"type": "Opaque"},
    (_RBAC, "RoleBinding"): {"roleRef": None},
    (_RBAC, "ClusterRoleBinding"): {"roleRef": None},
    ("storage.k8s.io", "StorageClass"): {
        "provisioner": None,
        "parameters": {},
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    },
    ("networking.k8s.io", "IngressClass"): {"spec.controller": None},
    ("scheduling.k8s.io", "PriorityClass"): {"value": 0, "preemptionPolicy": "PreemptLowerPriority"},
    ("node.k8s.io", "RuntimeClass"): {"handler": None},
    DEFINITION: {"spec.scope": None, "spec.names.kind": None},
}
"""Paths, each with what stands there when nothing does."""

_MUTABLE_IN_VOLUMES = frozenset(
    {
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
    }
)
_MUTABLE_IN_CLAIMS = frozenset({"resources", "volumeAttributesClassName"})
_CONTENT = ("binaryData", "data", "immutable", "stringData")


def immutable(change: ObjectChange, scene: Scene) -> Iterator[Signal]:
    """One signal for each object: what of it cannot change, and what comes of that."""
    if change.before is None or change.after is None or change.was:
        return  # what a generator renamed is another object
    fields = list(dict.fromkeys(_changed(change, change.before, change.after)))
    if not fields:
        return
    names = ", ".join(fields)
    if _forced(change, scene):
        text = f"is deleted and created anew (force), because {names} cannot be changed"
        yield say(change, "immutable", Severity.CAUTION, text)
    else:
        text = f"cannot be changed in {names}: the API server will refuse it; it has to be made anew"
        yield say(change, "immutable", Severity.BLOCKER, text)


def _changed(change: ObjectChange, before: Manifest, after: Manifest) -> Iterator[str]:
    for path, default in _FIXED.get(kind(change), {}).items():
        if at(before, path, default) != at(after, path, default):
            yield path
    match kind(change):
        case ("", "ConfigMap" | "Secret") if before.get("immutable") is True:
            yield from (f.path for f in change.fields if f.path.startswith(_CONTENT))
        case ("", "Service"):
            yield from _service(before, after)
        case ("", "PersistentVolumeClaim"):
            yield from _claim(before, after)
        case ("", "PersistentVolume"):
            yield from _differing(before, after, _MUTABLE_IN_VOLUMES, {"volumeMode": "Filesystem"})
        case ("", "Pod"):
            if _fixed_in_pods(before) != _fixed_in_pods(after):
                yield "spec"
        case ("batch", "Job"):
            yield from _completions(before, after)
        case _:
            pass


def _service(before: Manifest, after: Manifest) -> Iterator[str]:
    """Its address stays its own; only a Service without one, an ExternalName, can get one."""
    old, new = at(before, "spec.clusterIP", ""), at(after, "spec.clusterIP", "")
    external = "ExternalName" in {at(before, "spec.type"), at(after, "spec.type")}
    if old and new and old != new and not external:
        yield "spec.clusterIP"


def _claim(before: Manifest, after: Manifest) -> Iterator[str]:
    bound = at(before, "spec.volumeName") is None  # a claim may be given its volume
    unless = _MUTABLE_IN_CLAIMS | ({"volumeName"} if bound else frozenset())
    yield from _differing(before, after, unless, {"volumeMode": "Filesystem"})
    old, new = (quantity(at(each, "spec.resources.requests.storage")) for each in (before, after))
    if old is not None and new is not None and new < old:
        yield "spec.resources.requests.storage (to less)"


def _differing(
    before: Manifest, after: Manifest, unless: frozenset[str], defaults: Mapping[str, object]
) -> Iterator[str]:
    old, new = at(before, "spec", {}), at(after, "spec", {})
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return
    for name in sorted((old.keys() | new.keys()) - unless):
        if at(old, name, defaults.get(name)) != at(new, name, defaults.get(name)):
            yield f"spec.{name}"


def _completions(before: Manifest, after: Manifest) -> Iterator[str]:
    """An indexed Job may grow and shrink, as long as all of it runs at once."""
    old, new = (_size(each) for each in (before, after))
    elastic = at(before, "spec.completionMode") == "Indexed" and old[0] == old[1] and new[0] == new[1]
    if old[0] != new[0] and not elastic:
        yield "spec.completions"


def _size(job: Manifest) -> tuple[Any, Any]:
    completions, parallelism = at(job, "spec.completions"), at(job, "spec.parallelism")
    if completions is None and parallelism is None:
        return 1, 1
    return completions, 1 if parallelism is None else parallelism


def _fixed_in_pods(manifest: Manifest) -> tuple[Any, ...]:
    spec = pod(manifest)
    rest = {
        name: value
        for name, value in spec.items()
        if name not in {"activeDeadlineSeconds", "containers", "initContainers", "tolerations"}
    }
    return rest, [
        {name: value for name, value in container.items() if name != "image"}
        for container in containers(spec)
    ]


def _forced(change: ObjectChange, scene: Scene) -> bool:
    for where in ("labels", "annotations"):
        values = at(change.after, f"metadata.{where}", {})
        if isinstance(values, Mapping) and str(values.get(f"{FLUX}/force")).lower() == "enabled":
            return True
    its = scene.head.get(change.kustomization)
    return its is not None and at(its.manifest, "spec.force") is True


_SUFFIXES: Mapping[str, Decimal] = {
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)},
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", start=1)},
    "m": Decimal("0.001"),
}


def quantity(value: object) -> Decimal | None:
    """A quantity as a number; None for what is none."""
    text = str(value)
    for suffix, factor in _SUFFIXES.items():
        if text.endswith(suffix):
            text, scale = text.removesuffix(suffix), factor
            break
    else:
        scale = Decimal(1)
    try:
        return Decimal(text) * scale
    except InvalidOperation:
        return None
