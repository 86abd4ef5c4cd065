"""Object or event → the signs of trouble in it; pure. What they mean is the table's business."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.health.causes import Place
from runner.health.evidence import container_statuses, is_observed
from runner.health.fields import OddObjectError, conditions, flag, mapping, mappings, number, text, texts
from runner.model import Health, Manifest, ResourceRef, Status

_STARTING = frozenset({"ContainerCreating", "PodInitializing", ""})  # pkg/kubelet/kubelet_pods.go
_RESTARTS = 3  # before the kubelet's pauses of 10, 20 and 40 seconds a crash is no loop
_PULLS = frozenset({"ErrImagePull", "ImagePullBackOff"})
# What stands before the registry's own words: pkg/kubelet/images/image_manager.go, and gRPC's status.
_PULLING = re.compile(r'^(?:Back-off pulling image "[^"]*": )?(?:\w+: )?(?:rpc error: code = \w+ desc = )?')


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing that an object or an event says about itself."""

    subject: ResourceRef
    place: Place
    reason: str
    message: str = ""
    kind: str = ""  # of the subject; of an event's Pod with its stage
    words: Mapping[str, str] = field(default_factory=dict)
    container: str = ""
    passing: bool = False  # it shows, but the object may be about to get over it


def of_object(ref: ResourceRef, manifest: Manifest) -> Iterator[Sign]:
    """The signs in an object itself; one that makes no sense has none."""
    try:
        if text(manifest, "metadata.deletionTimestamp"):
            yield from _terminating(ref, manifest)
        yield from _KINDS.get((ref.group, ref.kind), _other)(ref, manifest)
        if not is_observed(manifest):
            yield Sign(ref, Place.OBJECT, "NotObserved", kind=ref.kind)
    except OddObjectError:
        return


def of_absence(health: Health) -> Iterator[Sign]:
    if health.status is Status.NOT_FOUND:
        yield Sign(health.ref, Place.OBJECT, "NotFound", kind=health.ref.kind)


def of_event(ref: ResourceRef, manifest: Manifest, event: Manifest) -> Sign:
    """The sign that an event about this object is."""
    words = {}
    place = text(event, "involvedObject.fieldPath")  # spec.containers{app}
    if place.endswith("}"):
        kind = "init container" if place.startswith("spec.initContainers") else "container"
        words["container"] = f"{kind} {place.rpartition('{')[2][:-1]}"
    kind = f"Pod/{_stage(manifest)}" if ref.kind == "Pod" else ref.kind
    return Sign(ref, Place.EVENT, text(event, "reason"), text(event, "message"), kind, words)


def _terminating(ref: ResourceRef, manifest: Manifest) -> Iterator[Sign]:
    finalizers = texts(manifest, "metadata.finalizers")
    if ref.kind == "Namespace":
        finalizers += texts(manifest, "spec.finalizers")
    told = [
        c.message
        for c in conditions(manifest)
        if c.status == "True" and (c.type.startswith("NamespaceContent") or c.type.startswith("NamespaceFin"))
    ]
    for name in finalizers:
        yield Sign(ref, Place.FINALIZER, name, "; ".join(told) or "nothing says what is left", ref.kind)
    yield Sign(ref, Place.OBJECT, "Terminating", kind=ref.kind)


def _pod(ref: ResourceRef, manifest: Manifest) -> Iterator[Sign]:
    if reason := text(manifest, "status.reason"):
        yield Sign(ref, Place.OBJECT, reason, text(manifest, "status.message"), "Pod")
    for condition in conditions(manifest):
        if condition[:2] == ("PodScheduled", "False"):
            gates = ", ".join(text(gate, "name") for gate in mappings(manifest, "spec.schedulingGates"))
            yield Sign(ref, Place.CONDITION, condition.reason, condition.message, "Pod", {"gates": gates})
    for status in container_statuses(manifest):
        yield from _container(ref, manifest, status)
    node = text(manifest, "spec.nodeName")
    if not container_statuses(manifest):
        yield Sign(ref, Place.OBJECT, "NotStarted" if node else "NotScheduled", "", "Pod", {"node": node})


def _container(ref: ResourceRef, pod: Manifest, status: Mapping[str, Any]) -> Iterator[Sign]:
    name = text(status, "name")
    spec = next((c for c in _containers(pod) if text(c, "name") == name), {})
    init = any(text(c, "name") == name for c in mappings(pod, "spec.initContainers"))
    words = {
        "container": f"{'init ' if init else ''}container {name}",
        "image": text(spec, "image") or text(status, "image"),
        "namespace": ref.namespace,
    }
    waiting = text(status, "state.waiting.reason")
    ended = _ended(status)
    if ended is not None:
        stays = text(pod, "spec.restartPolicy", "Always") != "Always"
        yield Sign(
            ref,
            Place.ENDED if stays else Place.CRASH,
            text(ended, "reason"),
            text(ended, "message").strip(),
            "Pod",
            words | _ending(ended, status, spec),
            name,
            passing=waiting != "CrashLoopBackOff" or number(status, "restartCount", 0) < _RESTARTS,
        )
    elif waiting not in _STARTING:
        message = text(status, "state.waiting.message")
        if waiting in _PULLS:
            message = _PULLING.sub("", message)
        yield Sign(ref, Place.WAITING, waiting, message, "Pod", words, name)
    elif not flag(status, "ready") and _runs(status):
        yield Sign(ref, Place.OBJECT, "ContainerNotReady", "", "Pod", words, name)


def _ended(status: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """How a container that is not ready ended, now or the time before; None when it did not, or did well."""
    if now := mapping(status, "state.terminated"):
        return now if number(now, "exitCode", 0) != 0 else None
    waiting = text(status, "state.waiting.reason")
    if waiting not in {"CrashLoopBackOff", ""} or flag(status, "ready"):
        return None  # it waits for something else by now
    return mapping(status, "lastState.terminated") or None


def _runs(status: Mapping[str, Any]) -> bool:
    return isinstance(mapping(status, "state").get("running"), Mapping)


def _ending(ended: Mapping[str, Any], status: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, str]:
    times = number(status, "restartCount", 0)
    memory = text(spec, "resources.limits.memory")
    said = text(ended, "message").strip()
    return {
        "ended": _exit(number(ended, "exitCode", 0), number(ended, "signal", 0)),
        "restarts": f"{times} time{'' if times == 1 else 's'}",
        "limit": f" of {memory}" if memory else "",
        "said": f" ({said.splitlines()[-1]})" if said else "",
    }


def _exit(code: int, number_: int) -> str:
    """`exit code 137 (SIGKILL)`: shells and runtimes add 128 to the signal's number."""
    number_ = number_ or (code - 128 if code > 128 else 0)  # noqa: PLR2004 - see above
    try:
        return f"exit code {code} ({signal.Signals(number_).name})"
    except ValueError:
        return f"exit code {code}" + (", though it should keep running" if code == 0 else "")


def _stage(pod: Manifest) -> str:
    statuses = container_statuses(pod)
    if any(_runs(status) or _ended(status) for status in statuses):
        return "running"  # or between two attempts
    waiting = {text(status, "state.waiting.reason") for status in statuses}
    return "creating" if waiting <= _STARTING else "waiting"


def _containers(pod: Manifest) -> tuple[Mapping[str, Any], ...]:
    return (*mappings(pod, "spec.initContainers"), *mappings(pod, "spec.containers"))


def _workload(ref: ResourceRef, manifest: Manifest) -> Iterator[Sign]:
    if ref.kind == "Deployment" and flag(manifest, "spec.paused"):
        yield Sign(ref, Place.OBJECT, "Paused", kind=ref.kind)
    words = {"deadline": str(number(manifest, "spec.progressDeadlineSeconds", 600))}
    for condition in conditions(manifest):
        if condition[:2] == ("ReplicaFailure", "True") or condition.reason == "ProgressDeadlineExceeded":
            yield Sign(ref, Place.CONDITION, condition.reason, condition.message, ref.kind, words)


def _job(ref: ResourceRef, manifest: Manifest) -> Iterator[Sign]:
    failed = number(manifest, "status.failed", 0)
    words = {
        "failed": f"{failed} time{'' if failed == 1 else 's'}",
        "limit": str(number(manifest, "spec.backoffLimit", 6)),
        "deadline": str(number(manifest, "spec.activeDeadlineSeconds", 0)),
    }
    for condition in conditions(manifest):
        if condition[:2] == ("Failed", "True"):
            yield Sign(ref, Place.CONDITION, condition.reason, condition.message, ref.kind, words)


def _claim(ref: ResourceRef, manifest: Manifest) -> Iterator[Sign]:
    phase = text(manifest, "status.phase", "Pending")
    if phase != "Bound":
        yield Sign(ref, Place.OBJECT, phase, "", ref.kind, {"volume": text(manifest, "spec.volumeName")})


def _service(ref: ResourceRef, manifest: Manifest) -> Iterator[Sign]:
    given = mappings(manifest, "status.loadBalancer.ingress")
    if text(manifest, "spec.type") == "LoadBalancer" and not given:
        yield Sign(ref, Place.OBJECT, "LoadBalancerPending", kind=ref.kind)


def _named(*types: str) -> Any:  # noqa: ANN401 - one of the readers below
    """A reader of conditions that should be True."""

    def read(ref: ResourceRef, manifest: Manifest) -> Iterator[Sign]:
        for condition in conditions(manifest):
            if condition.type in types and condition.status == "False":
                yield Sign(ref, Place.CONDITION, condition.reason, condition.message, ref.kind)

    return read


def _other(ref: ResourceRef, manifest: Manifest) -> Iterator[Sign]:
    """Flux's kinds, and most custom resources: Ready is what counts, Stalled that it gave up."""
    for condition in conditions(manifest):
        stalled = condition[:2] == ("Stalled", "True")
        if stalled or (condition.type == "Ready" and condition.status in {"False", "Unknown"}):
            reason = condition.reason or condition.type
            yield Sign(ref, Place.CONDITION, reason, condition.message or "nothing more", ref.kind)


_KINDS = {
    ("", "Pod"): _pod,
    ("apps", "Deployment"): _workload,
    ("apps", "ReplicaSet"): _workload,
    ("apps", "StatefulSet"): _workload,
    ("apps", "DaemonSet"): _workload,
    ("batch", "Job"): _job,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Service"): _service,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _named("NamesAccepted", "Established"),
    ("apiregistration.k8s.io", "APIService"): _named("Available"),
}
