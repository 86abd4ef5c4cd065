"""One Kustomization of a run, with as many further attempts as were asked for."""

from __future__ import annotations

from dataclasses import replace

from runner import happenings, unit
from runner.desired import Desired
from runner.model import Change, Outcome, State
from runner.ports import Phase, Progress
from runner.schedule import Turn
from runner.session import Session
from runner.unit import Work


def reconcile(session: Session, source: Desired, turn: Turn) -> Outcome:
    """How it ended; after a failure that may pass it is tried again when its `retryInterval` is over.

    Raises LockError or Moved when the whole run has to end or to begin anew.
    """
    work = Work(session, source.renderer_now(), turn, session.units[turn.id])
    outcome = unit.reconcile(work)
    while outcome.state is State.FAILED and not work.hopeless and outcome.attempts <= session.options.retries:
        if not _pause(session, turn):
            break
        work = Work(session, source.renderer_now(), turn, session.units[turn.id])
        outcome = _together(outcome, unit.reconcile(work))
    happenings.tell(session, outcome, work.reason)
    return outcome


def _pause(session: Session, turn: Turn) -> bool:
    """Let `retryInterval` pass; whether there may be another attempt, as the run goes on."""
    clock, seconds = session.world.clock, session.units[turn.id].kustomization.retry_interval
    until = clock.monotonic() + seconds
    session.world.listener(Progress(turn.id, Phase.RETRYING, f"in {seconds:g}s"))

    def ended() -> bool:
        return session.stopped() or session.superseded()

    turn.pause(lambda: clock.monotonic() >= until or ended())
    return not ended()


def _together(before: Outcome, after: Outcome) -> Outcome:
    """The last attempt's outcome, with what the earlier ones wrote."""
    wrote = {change.ref: change for change in before.changes if change.action.writes}
    changes = [each if each.action.writes else wrote.get(each.ref, each) for each in after.changes]
    seen = {change.ref for change in changes}
    earlier: list[Change] = [change for ref, change in wrote.items() if ref not in seen]
    return replace(
        after,
        changes=(*earlier, *changes),
        attempts=before.attempts + 1,
        started_at=before.started_at,
        waited_for=before.waited_for,
    )
