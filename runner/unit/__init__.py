"""One Kustomization, from its rendering to its record: render, apply in stages, health, prune, record."""

from __future__ import annotations

from dataclasses import replace

from runner import checking, extent, removal
from runner.errors import RunnerError
from runner.mirror import Reason
from runner.model import Action, Change, Outcome, ResourceRef, State, kustomization_ref
from runner.options import Dependents, PruneOrder
from runner.ports import Phase
from runner.unit import applying, ending, rendering
from runner.unit.applying import owned_by_another
from runner.unit.work import ENDS_THE_RUN, PLAN_AGAIN, Failed, Work

__all__ = ["Work", "owned_by_another", "reconcile"]

_MOST_NAMED = 3


def reconcile(work: Work) -> Outcome:
    """Reconcile; what goes wrong with this Kustomization alone is its outcome.

    Raises LockError or Moved when the whole run has to end or to begin anew.
    """
    work.started_at = work.session.world.clock.now()
    try:
        if outcome := _stands_aside(work):
            return outcome
        rendering.render(work)
        if _is_verified_only(work):
            work.entries |= work.session.fresh(work.unit).inventory
        else:
            work.reason = Reason.APPLY
            applying.apply_stages(work)
        work.applied_at = work.session.world.clock.now()
        work.turn.applied()
        if work.session.options.prune_order is PruneOrder.BEFORE_HEALTH:
            work.reason = Reason.PRUNE
            _prune(work)
        work.reason = Reason.HEALTH
        _health(work)
        work.tell(Phase.READY)
        if work.session.options.prune_order is PruneOrder.AFTER_HEALTH:
            work.reason = Reason.PRUNE
            _prune(work)
        work.reason = Reason.SUCCEEDED
        ending.record(work, State.READY, "")
    except ENDS_THE_RUN:
        raise
    except RunnerError as exc:
        return ending.failed(work, exc)
    return ending.outcome(work, State.READY)


def _stands_aside(work: Work) -> Outcome | None:
    """Suspended ones and those out of scope count as they were left."""
    suspended = work.unit.kustomization.suspend
    left = work.session.dependents.get(work.unit.id) is Dependents.NONE
    if not suspended and not left and work.session.options.selects(work.unit.id):
        return None
    record = work.session.records.get(work.unit.id)
    if record is not None and record.state is State.READY:
        work.turn.ready()
    if record is not None and suspended and work.session.options.selects(work.unit.id):
        # Its spec decides what becomes of its objects when it goes.
        work.session.write(replace(work.session.fresh(work.unit), manifest=work.manifest()))
    state = State.SUSPENDED if suspended else State.SKIPPED
    work.tell(Phase(state), work.session.why_paused(work.unit.id))
    return Outcome(work.unit.id, state, reason=work.session.why_paused(work.unit.id))


def _is_verified_only(work: Work) -> bool:
    """Whether only its health counts, as nothing of it changed; variables may have come in meanwhile."""
    verify = work.session.dependents.get(work.unit.id) is Dependents.VERIFY
    return verify and extent.same(work.session, work.unit)


def _health(work: Work) -> None:
    """Wait, and let dependents start the moment it is over, not when there is a slot again."""
    refs = _judged(work)
    if refs:
        work.tell(Phase.CHECKING)
    began = work.session.world.clock.monotonic()
    with work.turn.resting():
        verdict = work.wait(refs, work.unit.kustomization.timeout)
        if refs:
            work.checked = work.session.world.clock.monotonic() - began
        if verdict.ok:
            work.ready_at = work.session.world.clock.now()
            work.turn.ready()
    if not verdict.ok:
        work.unhealthy = checking.unhealthy(verdict)
        if work.session.superseded():
            work.session.gave_way = True
            raise Failed("a newer commit waits to be deployed, so its health was not waited for")
        work.stop_if_told()
        work.diagnose(verdict)
        raise Failed(f"health check failed: {verdict.error}", hint=_unpruned(work))


def _unpruned(work: Work) -> str:
    """What was to be deleted once all was healthy."""
    stale = removal.stale(work.session, work.session.fresh(work.unit))
    if not stale or not work.unit.kustomization.prune:
        return ""
    left = f" and {len(stale) - _MOST_NAMED} more" if len(stale) > _MOST_NAMED else ""
    names = ", ".join(str(entry.ref) for entry in stale[:_MOST_NAMED])
    return f"{names}{left} left Git, and will be deleted once all of this is healthy."


def _judged(work: Work) -> list[ResourceRef]:
    """What has to be healthy: with `wait` everything applied and all children, else `healthChecks`."""
    k = work.unit.kustomization
    own = None if k.target else kustomization_ref(k.id)
    if not k.wait:
        return [ref for ref in k.health_checks if ref != own]
    left_out = {c.ref for c in work.changes if c.action is Action.SKIPPED}
    children = [kustomization_ref(id_) for id_ in work.session.children(k.id)]
    return [*(ref for ref in work.entries if ref not in left_out), *children]


def _prune(work: Work) -> None:
    """Drop what left Git, now that what replaces it is healthy."""
    record = work.session.fresh(work.unit)
    everything = removal.stale(work.session, record)
    stale = removal.ripe(work.session, work.unit.id, everything)
    work.entries |= {e.ref: e for e in everything if e not in stale}
    if not stale:
        return
    if not work.unit.kustomization.prune:
        work.changes += [Change(e.ref, Action.SKIPPED, "left behind: prune: false") for e in stale]
        return
    if work.session.prune_later or work.session.blind:
        work.entries |= {entry.ref: entry for entry in stale}
        return
    if work.session.expected is not None and (
        other := [e.ref for e in stale if (work.unit.id, e.ref) not in work.session.expected]
    ):
        raise Failed(f"{other[0]} is stale, and the plan does not say so", hint=PLAN_AGAIN)
    work.tell(Phase.PRUNING)
    timeout = work.unit.kustomization.timeout
    removed = removal.remove(work.session, record, stale, timeout, work.turn.resting)
    work.changes += removed.changes
    work.session.held_back(removed.held)
    kept = {e.ref: e for e in stale if e.ref in removed.inventory}
    work.entries |= kept
    if removed.errors:
        work.session.write(replace(record, inventory=removed.inventory))
        raise Failed("delete failed: " + "\n".join(removed.errors))
    work.tell(Phase.READY, "pruned")
