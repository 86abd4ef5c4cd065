"""Kubernetes Events about Kustomizations, with the reasons and words of Flux's kustomize-controller.

Only what happened is told: a run that changes nothing writes none. They are for people who look at the
cluster; that one could not be written is a warning, and no failure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from runner.errors import ClusterError, LockError
from runner.mirror import Reason
from runner.model import FLUX, Action, Outcome, ResourceRef, State, kustomization_ref
from runner.report import clean, style
from runner.session import Session
from runner.state import config_map_ref

COMPONENT = "kustodian"
"""Who reports: an Event by the controller's name would say that the controller ran."""

MOST = 1000
"""Characters of a message; the API takes 1,024 bytes of a note."""

_TOLD = (Action.CREATED, Action.CONFIGURED, Action.MOVED)  # Flux's change log has what was written
_REVISION = f"{FLUX}/revision"


PROGRESSING = "Progressing"
"""Flux's reason for what it has written or deleted, on the way."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One Event to be written."""

    reason: str  # Flux's word
    message: str
    warning: bool = False


def of(outcome: Outcome, before: State | None, failure: Reason = Reason.APPLY) -> Iterator[Happening]:
    """What is told of one Kustomization.

    `before` is its outcome on record when the run began, `failure` what it failed in, if it did.
    """
    written = [c for c in outcome.changes if c.action in _TOLD]
    deleted = [c for c in outcome.changes if c.action is Action.DELETED]
    for changes in (written, deleted):
        if changes:
            yield Happening(PROGRESSING, "\n".join(f"{c.ref} {c.action}" for c in changes))
    match outcome.state:
        case State.READY:
            if outcome.changed or before is not State.READY:
                yield Happening(Reason.SUCCEEDED, f"Reconciliation finished{_took(outcome)}")
        case State.FAILED:
            yield Happening(failure, outcome.error, warning=True)
        case State.BLOCKED:
            needs = "; ".join(f"dependency '{need}' is not ready" for need in outcome.waited_for)
            told = f"Dependencies do not meet ready condition: {outcome.error or needs}"
            yield Happening(Reason.DEPENDENCY, told)
        case State.SUSPENDED | State.SKIPPED:
            return


def tell(session: Session, outcome: Outcome, failure: Reason = Reason.APPLY) -> None:
    """Write what happened to one Kustomization, once this run has written anything at all."""
    if not session.wrote or session.mute or session.stopped():
        return
    id_ = outcome.kustomization
    known = session.store.records.get(id_)
    told = list(of(outcome, known.state if known is not None else None, failure))
    try:
        about = _about(session, id_) if told else None
        for each in told:
            if about is not None:
                session.begin().create(_event(session, about, each))
    except LockError:
        raise
    except ClusterError as exc:
        session.mute = True
        session.warnings.append(f"no Events are written about what happens: {exc.message}")


def _about(session: Session, id_: str) -> dict[str, Any] | None:
    """The object that Events are about: the Kustomization where it is served, else its record."""
    cluster = session.world.cluster
    ref = kustomization_ref(id_)
    if cluster.api(FLUX, "Kustomization") is not None and (live := cluster.get(ref)) is not None:
        return _reference(ResourceRef.of(live), live["metadata"])
    uid = session.uid_of_record(id_)
    return _reference(config_map_ref(id_), {"uid": uid}) if uid else None


def _reference(ref: ResourceRef, meta: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": ref.api_version,
        "kind": ref.kind,
        "namespace": ref.namespace,
        "name": ref.name,
        "uid": meta["uid"],
        **({"resourceVersion": meta["resourceVersion"]} if meta.get("resourceVersion") else {}),
    }


def _event(session: Session, about: dict[str, Any], each: Happening) -> dict[str, Any]:
    """As client-go's recorder writes it: core/v1, named after its object and the time in nanoseconds."""
    moment = session.world.clock.now()
    at = style.moment(moment).partition(".")[0] + "Z"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "namespace": about["namespace"],
            "name": f"{about['name'][:200]}.{session.ticket(moment):x}",
            "annotations": {_REVISION: session.revision},
        },
        "involvedObject": about,
        "reason": str(each.reason),
        "message": clean.cut("\n".join(clean.block(each.message, MOST, MOST)), MOST),
        "type": "Warning" if each.warning else "Normal",
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": "",
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }


def _took(outcome: Outcome) -> str:
    if outcome.started_at is None or outcome.ended_at is None:
        return ""
    return f" in {style.duration(outcome.ended_at - outcome.started_at)}"
