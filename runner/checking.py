"""The health of one Kustomization's objects: waited for, and explained where it does not come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from runner import diagnose, health, redact
from runner.fleet import Unit
from runner.model import FLUX, Finding, Health, ResourceRef, Status
from runner.ports import Phase, Progress
from runner.schedule import Turn
from runner.session import Session


def wait(
    session: Session,
    turn: Turn,
    unit: Unit,
    refs: list[ResourceRef],
    timeout: float,
    versions: Mapping[ResourceRef, str],
) -> health.Verdict:
    """Wait for what a Kustomization has to have healthy, by its own rules, for `timeout` seconds.

    `versions` has the `resourceVersion` that objects were applied at. The wait ends early when the run is
    told to stop, or when a newer run waits for it.
    """
    world, access = session.world, session.access(unit.id)

    def reports_status(ref: ResourceRef) -> bool:
        api = access.cluster.api(ref.group, ref.kind, ref.version)
        return api is not None and api.status

    return health.wait(
        refs,
        access.observer,
        world.clock,
        timeout=timeout,
        judge=health.Judge(unit.kustomization.health_check_exprs, reports_status),
        jobs_with_ttl=_jobs_with_ttl(unit),
        since=versions,
        overrides=lambda ref: None if unit.kustomization.target else _child(session, turn, ref),
        cancelled=lambda: session.stopped() or session.superseded(),
        listener=lambda text: world.listener(Progress(unit.id, Phase.CHECKING, text)),
        fail_fast=session.options.fail_fast,
        doomed=diagnose.Examiner(access.cluster, world.pool, world.clock).doomed,
    )


def unhealthy(verdict: health.Verdict) -> tuple[Health, ...]:
    """What is not as it should be."""
    return tuple(each for each in verdict.healths if each.status is not Status.CURRENT)


def explain(
    session: Session, unit: Unit, verdict: health.Verdict
) -> tuple[tuple[Health, ...], tuple[Finding, ...]]:
    """What is not healthy, and why, for people; whatever fails in finding out changes nothing."""
    # Of the whole run: a Pod may print what another Kustomization brought.
    secrets = [value for unit in list(session.units.values()) for value in redact.of(unit)]
    denied: set[str] = set()
    cluster, sick = session.access(unit.id).cluster, unhealthy(verdict)
    found = diagnose.why(sick, cluster, session.world.pool, secrets, denied)
    if denied:
        session.warnings.append(diagnose.complaint(denied))
    return tuple(replace(each, message=redact.scrub(each.message, secrets)) for each in sick), found


def _jobs_with_ttl(unit: Unit) -> set[ResourceRef]:
    return {
        ResourceRef.of(m)
        for m in unit.objects
        if m["kind"] == "Job" and (m.get("spec") or {}).get("ttlSecondsAfterFinished") is not None
    }


def _child(session: Session, turn: Turn, ref: ResourceRef) -> tuple[Status, str] | None:
    """A Kustomization of this run is as healthy as its outcome: no controller writes its status."""
    if (ref.group, ref.kind) != (FLUX, "Kustomization"):
        return None
    id_ = f"{ref.namespace}/{ref.name}"
    if id_ not in session.units:
        return None
    outcome = turn.outcome(id_)
    if outcome is None:
        return Status.IN_PROGRESS, "it is being reconciled"
    if outcome.ok:
        return Status.CURRENT, ""
    return Status.FAILED, outcome.error or f"it is {outcome.state}"
