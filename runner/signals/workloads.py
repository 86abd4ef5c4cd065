"""What Pods may do to their node, and whether there are any."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from runner.changes import Severity
from runner.model import Manifest
from runner.signals.rules import Rule, at, containers, kinds, mappings, pod, texts

_SCALED = kinds("apps", "Deployment", "StatefulSet")
_AUTOSCALER = kinds("autoscaling", "HorizontalPodAutoscaler")
_HARMLESS = frozenset({"NET_BIND_SERVICE"})  # the one capability that Kubernetes' strictest profile allows


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _to_zero(before: Manifest, after: Manifest) -> Iterator[str]:
    if before and _number(at(after, "spec.replicas")) == 0 and _number(at(before, "spec.replicas")) != 0:
        yield "is scaled to 0: nothing of it runs"


def _given_up(before: Manifest, after: Manifest) -> Iterator[str]:
    was = _number(at(before, "spec.replicas"))
    if was is not None and was != 1 and at(after, "spec.replicas") is None:
        yield f"no longer says spec.replicas: from {was} it becomes 1, unless something else sets it"


def _least(before: Manifest, after: Manifest) -> Iterator[str]:
    if not before:
        return
    old, new = (_number(at(each, "spec.minReplicas", 1)) for each in (before, after))
    if new == 0 != old:
        yield "may scale to 0: minReplicas is 0"
    elif at(after, "spec.minReplicas") is None and old is not None and old > 1:
        yield f"may scale down to 1: minReplicas, which was {old}, is removed"


def _privileged(manifest: Manifest) -> Iterator[str]:
    for container in containers(pod(manifest)):
        if at(container, "securityContext.privileged") is True:
            yield f"runs container {container.get('name')} privileged"


def _escalating(manifest: Manifest) -> Iterator[str]:
    for container in containers(pod(manifest)):
        if at(container, "securityContext.allowPrivilegeEscalation") is True:
            yield f"lets container {container.get('name')} gain more privileges than it starts with"


def _capable(manifest: Manifest) -> Iterator[str]:
    for container in containers(pod(manifest)):
        for capability in texts(at(container, "securityContext.capabilities.add")):
            if capability not in _HARMLESS:
                yield f"gives container {container.get('name')} the capability {capability}"


def _of_the_host(manifest: Manifest) -> Iterator[str]:
    for name, what in (("hostNetwork", "network"), ("hostPID", "processes"), ("hostIPC", "shared memory")):
        if at(pod(manifest), name) is True:
            yield f"shares the {what} of its node ({name})"


def _host_paths(manifest: Manifest) -> Iterator[str]:
    for volume in mappings(at(pod(manifest), "volumes")):
        if path := at(volume, "hostPath.path"):
            yield f"mounts {path} of its node (hostPath)"


def _newly(find: Callable[[Manifest], Iterable[str]]) -> Callable[[Manifest, Manifest], Iterable[str]]:
    """What is true now and was not before; of a new object, all of it."""

    def found(before: Manifest, after: Manifest) -> list[str]:
        already = frozenset(find(before))
        return [text for text in dict.fromkeys(find(after)) if text not in already]

    return found


_ANY = kinds("")

RULES = (
    Rule("scale-to-zero", Severity.CAUTION, _ANY, _to_zero),
    Rule("scale-to-zero", Severity.CAUTION, _AUTOSCALER, _least),
    Rule("replicas", Severity.NOTE, _SCALED, _given_up),
    Rule("privileged", Severity.CAUTION, _ANY, _newly(_privileged)),
    Rule("privilege-escalation", Severity.CAUTION, _ANY, _newly(_escalating)),
    Rule("capabilities", Severity.CAUTION, _ANY, _newly(_capable)),
    Rule("host-namespace", Severity.CAUTION, _ANY, _newly(_of_the_host)),
    Rule("host-path", Severity.CAUTION, _ANY, _newly(_host_paths)),
)
