"""Whether a dependency is ready where `dependsOn[].readyExpr` decides.

Flux asks about the objects in the cluster, whose status its controller writes. Nobody writes it here, so
the objects are those of Git with the status that the controller would have written by now.
"""

from __future__ import annotations

from typing import Any

from runner import cel
from runner.model import Manifest, State
from runner.state import Record

VARIABLES = ("self", "dep")
_GENERATION = 1  # of an object that may be in no cluster
_UNSEEN = -1  # what Flux's definition has an object observe before the controller does


def why_not(expression: str, itself: Manifest, dependency: Manifest) -> str:
    """Why the dependency is not ready by the expression, in Flux's words; "" when it is."""
    meta = dependency["metadata"]
    name = f"dependency '{meta.get('namespace')}/{meta.get('name')}'"
    try:
        ready = cel.condition(expression, VARIABLES).holds({"self": itself, "dep": dependency})
    except cel.ExpressionError as exc:
        return f"{name}: {exc}"
    return "" if ready else f"{name} is not ready according to readyExpr eval"


def begun(manifest: Manifest) -> Manifest:
    """One that is being reconciled, or about to be."""
    ready = _condition("Unknown", "Progressing", "Reconciliation in progress")
    reconciling = {**ready, "type": "Reconciling", "status": "True"}
    return _with(manifest, {"observedGeneration": _UNSEEN, "conditions": [ready, reconciling]})


def ended(manifest: Manifest, state: State | None, *, message: str = "", revision: str = "") -> Manifest:
    """One whose last word is known: None is one that nobody ever reconciled."""
    match state:
        case None:
            return _with(manifest, {"observedGeneration": _UNSEEN})
        case State.READY:
            applied = {"lastAppliedRevision": revision, "lastAttemptedRevision": revision} if revision else {}
            ready = _condition("True", "ReconciliationSucceeded", message or f"Applied revision: {revision}")
            return _with(manifest, {"observedGeneration": _GENERATION, "conditions": [ready], **applied})
        case State.BLOCKED | State.FAILED | State.SUSPENDED | State.SKIPPED:
            reason = "DependencyNotReady" if state is State.BLOCKED else "ReconciliationFailed"
            failed = _condition("False", reason, message)
            return _with(manifest, {"observedGeneration": _UNSEEN, "conditions": [failed]})


def recorded(manifest: Manifest, record: Record | None) -> Manifest:
    """One as it was left by the run that reconciled it last."""
    if record is None:
        return ended(manifest, None)
    revision = record.history[0].revision if record.history else ""
    return ended(manifest, record.state, message=record.message, revision=revision)


def _condition(status: str, reason: str, message: str) -> dict[str, Any]:
    return {
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": _GENERATION,
    }


def _with(manifest: Manifest, status: dict[str, Any]) -> Manifest:
    return {
        **manifest,
        "metadata": {**manifest["metadata"], "generation": _GENERATION},
        "status": status,
    }
