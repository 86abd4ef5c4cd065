"""What was gathered about objects that are not healthy, and who among it belongs to whom; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.health.fields import flag, mapping, mappings, moment, number, text, texts
from runner.model import FIELD_MANAGER, Manifest, ResourceRef

MOST_PODS = 5
"""How many Pods of one workload are looked at; the others show the same."""

_REVISION = "deployment.kubernetes.io/revision"  # pkg/controller/deployment/util/deployment_util.go
_TEMPLATE = "deprecated.daemonset.template.generation"  # api/apps/v1/types.go


@dataclass(slots=True)
class Evidence:
    """All that could be read; what could not is missing."""

    objects: dict[ResourceRef, Manifest] = field(default_factory=dict)
    owned: dict[ResourceRef, tuple[Manifest, ...]] = field(default_factory=dict)
    events: dict[str, tuple[Manifest, ...]] = field(default_factory=dict)  # by the uid of their object
    logs: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)  # by Pod's uid and container


def uid(manifest: Manifest) -> str:
    return text(manifest, "metadata.uid")


def owned_by(owner: Manifest, candidates: Iterable[Manifest]) -> list[Manifest]:
    """Those that the owner controls."""
    return [
        each
        for each in candidates
        if any(
            reference.get("uid") == uid(owner) and reference.get("controller") is True
            for reference in mappings(each, "metadata.ownerReferences")
        )
    ]


def newest(sets: Iterable[Manifest]) -> Manifest | None:
    """The ReplicaSet that a Deployment is rolling out."""
    return max(sets, key=lambda each: (_revision(each), text(each, "metadata.name")), default=None)


def troubled(pods: Iterable[Manifest]) -> list[Manifest]:
    """Pods that are not what they should be, the telling ones first; those that go anyway do not count."""
    bad = [
        pod
        for pod in pods
        if not text(pod, "metadata.deletionTimestamp")
        and text(pod, "status.phase") != "Succeeded"
        and ("Ready", "True")
        not in {(c.get("type"), c.get("status")) for c in mappings(pod, "status.conditions")}
    ]
    return sorted(bad, key=lambda pod: (-_restarts(pod), text(pod, "metadata.name")))[:MOST_PODS]


def is_current(owner: Manifest, pod: Manifest) -> bool:
    """Whether a Pod is made after the owner's present template: what an older one shows may be over soon."""
    labels = mapping(pod, "metadata.labels")
    match text(owner, "kind"):
        case "StatefulSet":
            return labels.get("controller-revision-hash") == text(owner, "status.updateRevision")
        case "DaemonSet":
            generation = mapping(owner, "metadata.annotations").get(_TEMPLATE)
            return labels.get("pod-template-generation") == generation
        case "ReplicaSet":
            made = moment(pod, "metadata.creationTimestamp")
            return made is not None and made >= changed_at(owner)
        case _:
            return True  # a Job's template never changes, and a Deployment's Pods are its newest ReplicaSet's


def is_observed(manifest: Manifest) -> bool:
    """Whether the controller has seen the object as it is now."""
    generation = number(manifest, "metadata.generation", 0)
    return number(manifest, "status.observedGeneration", generation) == generation


def changed_at(manifest: Manifest) -> float:
    """When the object itself was last changed, by the server's clock: by us, else by anybody."""
    entries = [e for e in mappings(manifest, "metadata.managedFields") if not e.get("subresource")]
    entries = [e for e in entries if e.get("manager") == FIELD_MANAGER] or entries
    times = [moment(entry, "time") or 0.0 for entry in entries]
    return max(times, default=moment(manifest, "metadata.creationTimestamp") or 0.0)


def happened_at(event: Manifest) -> float:
    """When an event was last seen: each of its writers uses another field."""
    paths = ("series.lastObservedTime", "lastTimestamp", "eventTime", "metadata.creationTimestamp")
    return next((found for path in paths if (found := moment(event, path)) is not None), 0.0)


def selector(manifest: Manifest) -> str:
    """`spec.selector` as a query; "" when it selects nothing in particular."""
    labels = mapping(manifest, "spec.selector.matchLabels")
    parts = [f"{key}={value}" for key, value in sorted(labels.items())]
    for expression in mappings(manifest, "spec.selector.matchExpressions"):
        key, values = expression.get("key"), ",".join(texts(expression, "values"))
        match expression.get("operator"):
            case "In":
                parts.append(f"{key} in ({values})")
            case "NotIn":
                parts.append(f"{key} notin ({values})")
            case "Exists":
                parts.append(str(key))
            case "DoesNotExist":
                parts.append(f"!{key}")
            case _:
                pass
    return ",".join(parts)


def crashed(pod: Manifest) -> list[tuple[str, bool]]:
    """The containers whose last words are worth reading; True: those of the run before the present one."""
    found = []
    for status in container_statuses(pod):
        if number(status, "state.terminated.exitCode", 0) != 0:
            found.append((text(status, "name"), False))
        elif mapping(status, "lastState.terminated") and not flag(status, "ready"):
            found.append((text(status, "name"), True))
    return found


def container_statuses(pod: Manifest) -> tuple[Mapping[str, Any], ...]:
    return (*mappings(pod, "status.initContainerStatuses"), *mappings(pod, "status.containerStatuses"))


def claims(pod: Manifest) -> list[str]:
    """The names of the claims that a Pod mounts."""
    names = (text(volume, "persistentVolumeClaim.claimName") for volume in mappings(pod, "spec.volumes"))
    return [name for name in names if name]


def _restarts(pod: Manifest) -> int:
    return sum(number(status, "restartCount", 0) for status in container_statuses(pod))


def _revision(manifest: Manifest) -> int:
    value = str(mapping(manifest, "metadata.annotations").get(_REVISION, ""))
    return int(value) if value.isdecimal() else 0
