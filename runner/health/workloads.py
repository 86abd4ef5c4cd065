"""The kinds that run Pods: have all their replicas arrived?"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runner.health.fields import conditions, flag, number, strict_number, text
from runner.model import Manifest, Status

Judgement = tuple[Status, str]
"""A status, and the reason for it in kstatus's words."""

_NO_DEADLINE = 2**31 - 1  # what the Deployment controller takes for "no progressDeadlineSeconds"


def deployment(manifest: Manifest) -> Judgement:
    """kstatus, deploymentConditions: the only workload that says itself that it gave up."""
    states = conditions(manifest)
    if any(c.type == "Progressing" and c.reason == "ProgressDeadlineExceeded" for c in states):
        return Status.FAILED, "Progress deadline exceeded"
    wanted = number(manifest, "spec.replicas", 1)
    total = number(manifest, "status.replicas", 0)
    updated = number(manifest, "status.updatedReplicas", 0)
    available = number(manifest, "status.availableReplicas", 0)
    ready = number(manifest, "status.readyReplicas", 0)
    if lacking := (
        _lacking(("Replicas", total, wanted), ("Updated", updated, wanted))
        or _extra(total, wanted)
        or _lacking(("Available", available, updated), ("Ready", ready, wanted))
    ):
        return lacking
    # Without a deadline the controller never writes `Progressing`, so there is nothing to ask for.
    deadline = number(manifest, "spec.progressDeadlineSeconds", _NO_DEADLINE) != _NO_DEADLINE
    if deadline and ("Progressing", "True", "NewReplicaSetAvailable") not in {c[:3] for c in states}:
        return Status.IN_PROGRESS, "ReplicaSet not Available"
    if ("Available", "True") not in {c[:2] for c in states}:
        return Status.IN_PROGRESS, "Deployment not Available"
    return Status.CURRENT, f"Deployment is available. Replicas: {total}"


def stateful_set(manifest: Manifest) -> Judgement:
    """kstatus, stsConditions: a StatefulSet has no conditions to read, only counts and revisions."""
    if text(manifest, "spec.updateStrategy.type") == "OnDelete":
        return Status.CURRENT, "StatefulSet is using the ondelete update strategy"
    wanted = number(manifest, "spec.replicas", 1)
    total = number(manifest, "status.replicas", 0)
    ready = number(manifest, "status.readyReplicas", 0)
    updated = number(manifest, "status.updatedReplicas", 0)
    if lacking := _lacking(("Replicas", total, wanted), ("Ready", ready, wanted)) or _extra(total, wanted):
        return lacking
    partition = number(manifest, "spec.updateStrategy.rollingUpdate.partition", -1)
    if partition != -1:
        done = (Status.CURRENT, f"Partition rollout complete. updated: {updated}")
        return _lacking(("updated", updated, wanted - partition)) or done
    current = number(manifest, "status.currentReplicas", 0)
    if lacking := _lacking(("current", current, wanted)):
        return lacking
    if text(manifest, "status.currentRevision") != text(manifest, "status.updateRevision"):
        return Status.IN_PROGRESS, "Waiting for updated revision to match current"
    return Status.CURRENT, f"All replicas scheduled as expected. Replicas: {total}"


def daemon_set(manifest: Manifest) -> Judgement:
    """kstatus, daemonsetConditions: its controller always writes a generation, so none means not seen yet."""
    for path in ("metadata.generation", "status.observedGeneration"):
        if strict_number(manifest, path) is None:
            return Status.IN_PROGRESS, f"{text(manifest, 'kind')} {path} not found"
    wanted = number(manifest, "status.desiredNumberScheduled", -1)
    if wanted == -1:
        return Status.IN_PROGRESS, "Missing .status.desiredNumberScheduled"
    return _lacking(
        ("Current", number(manifest, "status.currentNumberScheduled", 0), wanted),
        ("Updated", number(manifest, "status.updatedNumberScheduled", 0), wanted),
        ("Available", number(manifest, "status.numberAvailable", 0), wanted),
        ("Ready", number(manifest, "status.numberReady", 0), wanted),
    ) or (Status.CURRENT, f"All replicas scheduled as expected. Replicas: {wanted}")


def replica_set(manifest: Manifest) -> Judgement:
    """kstatus, replicasetConditions."""
    if ("ReplicaFailure", "True") in {c[:2] for c in conditions(manifest)}:
        return Status.IN_PROGRESS, "Replica Failure condition. Check Pods"
    wanted = number(manifest, "spec.replicas", 1)
    total = number(manifest, "status.replicas", 0)
    return (
        _lacking(
            ("Labelled", number(manifest, "status.fullyLabeledReplicas", 0), wanted),
            ("Available", number(manifest, "status.availableReplicas", 0), wanted),
            ("Ready", number(manifest, "status.readyReplicas", 0), wanted),
        )
        or _extra(total, wanted)
        or (Status.CURRENT, f"ReplicaSet is available. Replicas: {total}")
    )


def job(manifest: Manifest) -> Judgement:
    """fluxcd/pkg, runtime/statusreaders: kstatus calls a Job Current once it runs, Flux waits for its end."""
    if flag(manifest, "spec.suspend"):
        return Status.CURRENT, "Job is suspended"
    parallelism = number(manifest, "spec.parallelism", 1)
    completions = number(manifest, "spec.completions", parallelism)
    succeeded = number(manifest, "status.succeeded", 0)
    failed = number(manifest, "status.failed", 0)
    for condition in conditions(manifest):
        if condition[:2] == ("Complete", "True"):
            return Status.CURRENT, f"Job Completed. succeeded: {succeeded}/{completions}"
        if condition[:2] == ("Failed", "True"):
            return Status.FAILED, f"Job Failed. failed: {failed}/{completions}"
    if not text(manifest, "status.startTime"):
        return Status.IN_PROGRESS, f"Job not started. active: 0/{parallelism}"
    active = number(manifest, "status.active", 0)
    return (
        Status.IN_PROGRESS,
        f"Job in progress. success:{succeeded}, active: {active}, failed: {failed}",
    )


def _lacking(*counts: tuple[str, int, int]) -> Judgement | None:
    """The first count of (label, have, want) that is too low."""
    for label, have, want in counts:
        if have < want:
            return Status.IN_PROGRESS, f"{label}: {have}/{want}"
    return None


def _extra(total: int, wanted: int) -> Judgement | None:
    if total > wanted:
        return Status.IN_PROGRESS, f"Pending termination: {total - wanted}"
    return None


WORKLOADS: Mapping[tuple[str, str], Callable[[Manifest], Judgement]] = {
    ("apps", "Deployment"): deployment,
    ("extensions", "Deployment"): deployment,
    ("apps", "StatefulSet"): stateful_set,
    ("apps", "DaemonSet"): daemon_set,
    ("extensions", "DaemonSet"): daemon_set,
    ("apps", "ReplicaSet"): replica_set,
    ("extensions", "ReplicaSet"): replica_set,
}
