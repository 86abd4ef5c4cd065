"""object → status, by the rules of kstatus as Flux uses them (fluxcd/cli-utils, pkg/kstatus/status).

The words of the messages are kstatus's: people search for them.

One rule is left out, because the object alone cannot decide it: Flux also reads the Pods of a
StatefulSet or a ReplicaSet that is in progress, and calls it Failed (`1 pods have failed`) when one of
them crash-loops. Here such a set stays InProgress until the time is up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from runner.health.fields import (
    OddObjectError,
    conditions,
    mappings,
    moment,
    strict_number,
    strict_text,
    text,
)
from runner.health.shapes import SHAPES
from runner.health.workloads import WORKLOADS, Judgement, job
from runner.model import Manifest, Status

NOTHING_SAID = (Status.CURRENT, "Resource is current")
"""What kstatus says of an object whose kind it does not know and that says nothing of itself."""

JOB = ("batch", "Job")

SCHEDULE_WINDOW = 15.0
"""Seconds a Pod may be unschedulable before that counts as a failure; kstatus's ScheduleWindow."""


def compute(manifest: Manifest, *, now: float | None = None) -> Judgement:
    """How far an object is from its spec, and why; never raises.

    `now`, in seconds since the epoch, lets a Pod that cannot be scheduled turn Failed; without it such
    a Pod stays InProgress. An object that makes no sense is Unknown, with what is wrong with it.
    """
    try:
        return _compute(manifest, now)
    except OddObjectError as error:
        return Status.UNKNOWN, str(error)


def seconds_until_stuck(manifest: Manifest, *, now: float) -> float:
    """How long until this object's status changes although nothing happens to it; infinite for most."""
    if compute(manifest, now=now) != _NOT_SCHEDULED:
        return math.inf
    return SCHEDULE_WINDOW - age(manifest, now)


def _compute(manifest: Manifest, now: float | None) -> Judgement:
    kind = group_kind(manifest)
    if kind == JOB:
        # Flux's Job reader asks none of the generic questions: a Job that is done stays done while its
        # TTL deletes it.
        return job(manifest)
    if generic := _generic(manifest):
        return generic
    if kind == ("", "Pod"):
        return _pod(manifest, now)
    if rule := _RULES.get(kind):
        return rule(manifest)
    shape = SHAPES.get(kind)
    return (shape(manifest) if shape else None) or _ready(manifest)


def group_kind(manifest: Manifest) -> tuple[str, str]:
    """The group and the kind that an object says it has."""
    return text(manifest, "apiVersion").rpartition("/")[0], text(manifest, "kind")


def _generic(manifest: Manifest) -> Judgement | None:
    """kstatus, checkGenericProperties: what counts before the kind does."""
    if strict_text(manifest, "metadata.deletionTimestamp"):
        return Status.TERMINATING, "Resource scheduled for deletion"
    generation = strict_number(manifest, "metadata.generation")
    if generation is not None:
        observed = strict_number(manifest, "status.observedGeneration")
        if observed not in {None, generation}:
            kind = text(manifest, "kind")
            return (
                Status.IN_PROGRESS,
                f"{kind} generation is {generation}, but latest observed generation is {observed}",
            )
    for condition in conditions(manifest):
        if condition.status != "True":
            continue
        if condition.type == "Reconciling":
            return Status.IN_PROGRESS, condition.message
        if condition.type == "Stalled":
            return Status.FAILED, condition.message
    return None


def _ready(manifest: Manifest) -> Judgement:
    """kstatus, checkReadyCondition: the habit of custom resources.

    A kind that has no Ready condition, or whose controller has not written it yet, is Current at once.
    """
    for condition in conditions(manifest):
        if condition.type != "Ready":
            continue
        if condition.status == "True":
            return Status.CURRENT, "Resource is Ready"
        if condition.status in {"False", "Unknown"}:
            return Status.IN_PROGRESS, condition.message
    return NOTHING_SAID


def _always_ready(_: Manifest) -> Judgement:
    return Status.CURRENT, "Resource is always ready"


def _disruption_budget(_: Manifest) -> Judgement:
    # The generic rules held its observedGeneration against its generation already: all there is to know.
    return Status.CURRENT, "AllowedDisruptions has been computed."


def _claim(manifest: Manifest) -> Judgement:
    """kstatus, pvcConditions; a class that binds on first use stays InProgress until a Pod mounts it."""
    phase = text(manifest, "status.phase", "unknown")
    if phase != "Bound":
        return Status.IN_PROGRESS, f"PVC is not Bound. phase: {phase}"
    return Status.CURRENT, "PVC is Bound"


def _service(manifest: Manifest) -> Judgement:
    """kstatus, serviceConditions: the cluster's address is waited for, a load balancer's is not."""
    if text(manifest, "spec.type") == "LoadBalancer" and not text(manifest, "spec.clusterIP"):
        return Status.IN_PROGRESS, "ClusterIP not set. Service type: LoadBalancer"
    return Status.CURRENT, "Service is ready"


def _definition(manifest: Manifest) -> Judgement:
    """kstatus, crdConditions; the first condition that decides does, in the order written."""
    for condition in conditions(manifest):
        match condition.type, condition.status:
            case "NamesAccepted", "False":
                return Status.FAILED, condition.message
            case "Established", "False" if condition.reason != "Installing":
                return Status.FAILED, condition.message
            case "Established", "True":
                return Status.CURRENT, "CRD is established"
            case _:
                pass
    return Status.IN_PROGRESS, "Install in progress"


_NOT_SCHEDULED = (Status.IN_PROGRESS, "Pod has not been scheduled")


def _pod(manifest: Manifest, now: float | None) -> Judgement:
    """kstatus, podConditions. A Pod that ran and failed is Current: it has nothing left to do."""
    match text(manifest, "status.phase"):
        case "Succeeded":
            return Status.CURRENT, "Pod has completed successfully"
        case "Failed":
            return Status.CURRENT, "Pod has completed, but not successfully"
        case "Running":
            return _running_pod(manifest)
        case "Pending":
            return _pending_pod(manifest, now)
        case "":
            return Status.IN_PROGRESS, "Pod phase not available"
        case phase:
            raise OddObjectError(f"unknown phase {phase}")


def _running_pod(manifest: Manifest) -> Judgement:
    if any(condition[:2] == ("Ready", "True") for condition in conditions(manifest)):
        return Status.CURRENT, "Pod is Ready"
    crashing = [
        text(container, "name")
        for container in mappings(manifest, "status.containerStatuses")
        if text(container, "state.waiting.reason") == "CrashLoopBackOff"
    ]
    if crashing:
        return Status.FAILED, f"Containers in CrashLoop state: {','.join(crashing)}"
    return Status.IN_PROGRESS, "Pod is running but is not Ready"


def _pending_pod(manifest: Manifest, now: float | None) -> Judgement:
    scheduled = next((c for c in conditions(manifest) if c[:2] == ("PodScheduled", "False")), None)
    if scheduled is None or scheduled.reason != "Unschedulable":
        return Status.IN_PROGRESS, "Pod is in the Pending phase"
    if now is None or age(manifest, now) < SCHEDULE_WINDOW:
        return _NOT_SCHEDULED
    return Status.FAILED, "Pod could not be scheduled"


def age(manifest: Manifest, now: float) -> float:
    """Seconds since an object was made."""
    # As in kstatus, an object that does not say when it was made was made long ago.
    created = moment(manifest, "metadata.creationTimestamp")
    return math.inf if created is None else now - created


_RULES: Mapping[tuple[str, str], Callable[[Manifest], Judgement]] = {
    **WORKLOADS,
    ("", "ConfigMap"): _always_ready,
    ("", "Secret"): _always_ready,
    ("batch", "CronJob"): _always_ready,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Service"): _service,
    ("policy", "PodDisruptionBudget"): _disruption_budget,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
}
