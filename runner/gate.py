"""Whether a dependency within the run is ready, where a `readyExpr` decides."""

from __future__ import annotations

from runner import readiness
from runner.graph import Milestone, Need
from runner.model import Manifest, Outcome, State
from runner.session import Session


def why_not(
    session: Session, id_: str, need: Need, reached: Milestone | None, outcome: Outcome | None
) -> str:
    """Why the need's expression is not true, now that what is needed came this far; "" when it is."""
    itself = readiness.begun(session.units[id_].kustomization.manifest)
    return readiness.why_not(need.expression, itself, _dependency(session, need.id, reached, outcome))


def _dependency(session: Session, id_: str, reached: Milestone | None, outcome: Outcome | None) -> Manifest:
    """The dependency's object, with the status that Flux's controller would have given it by now."""
    manifest = session.units[id_].kustomization.manifest
    if outcome is not None and outcome.state in {State.SKIPPED, State.SUSPENDED}:
        record = session.records.get(id_)
        return readiness.recorded(manifest, record)
    if reached is Milestone.READY or (outcome is not None and outcome.state is State.READY):
        return readiness.ended(manifest, State.READY, revision=session.revision)
    if outcome is None:
        return readiness.begun(manifest)
    return readiness.ended(manifest, outcome.state, message=outcome.error)
