"""How the work on one Kustomization ended: its record, Flux's status, its outcome."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from runner import acting, apply, inventory, mirror, redact
from runner.errors import RunnerError
from runner.fleet import Variables
from runner.inventory import Entry, Inventory
from runner.mirror import Ending
from runner.model import Artifact, Outcome, State, account_ref
from runner.ports import Phase
from runner.session import digests
from runner.state import HISTORY, Record, Snapshot
from runner.unit.work import ENDS_THE_RUN, Failed, Work


def record(work: Work, state: State, message: str) -> None:
    """Store how it ended; equal to what is stored, it is not written."""
    before = work.session.fresh(work.unit)
    if not work.session.key:
        work.session.begin()  # the first run of all: there is a key from now on
    digest, shown = digests(work.session.key, work.unit)
    owned = work.entries if state is State.READY else inventory.union(before.inventory, work.entries)
    owned = inventory.of([*owned.values(), *_moving(work, before)])
    owned = {ref: owned[ref] for ref in reversed(apply.deletion_order(owned))}
    now = round(work.session.world.clock.now(), 3)
    spent, undone = round(now - work.started_at, 3), work.session.options.rollback
    seen = before.seen
    if _publish(work, message, owned, digest):
        seen = mirror.fingerprint(owned)
    last = before.history[0] if before.history else None
    sources = _sources(work, last)
    if last is not None and (last.digest, last.state) == (digest, state):
        # A source that moved and changed no object is where it moved to; the rest is of the last change.
        history = (replace(last, sources=sources), *before.history[1:])
    else:
        snapshot = Snapshot(digest, work.session.revision, state, now, spent, undone, sources)
        history = (snapshot, *before.history)[:HISTORY]
    made = replace(
        before,
        manifest=work.manifest(),
        inventory=owned,
        digest=digest,
        shown_digest=shown,
        state=state,
        message=message,
        seen=seen,
        history=history,
    )
    known = work.session.records.get(work.unit.id, Record(work.unit.id))
    if inventory.alike(known.inventory, owned) and replace(made, inventory=known.inventory) == known:
        return
    work.session.write(made)


def _sources(work: Work, last: Snapshot | None) -> dict[str, str]:
    """The revision of its source where that is not the checkout; one that failed is where it was."""
    source, fetched = str(work.unit.kustomization.source), work.session.fetched
    if source not in fetched:
        return {}
    revision = fetched[source] or (last.sources.get(source, "") if last is not None else "")
    return {source: revision} if revision else {}


def _publish(work: Work, message: str, owned: Inventory, digest: str) -> bool:
    """Tell Flux's status, where there is one; whether its inventory is ours."""
    if work.unit.id not in work.session.exchange:
        return False
    artifact = _artifact(work)
    ending = Ending(
        work.reason,
        message,
        revision=artifact.revision if artifact else "",
        origin=artifact.origin if artifact else "",
        digest=f"sha256:{hashlib.sha256(digest.encode()).hexdigest()}",  # may be public
        owned=owned,
        timeout=work.unit.kustomization.timeout,
        seconds=work.session.world.clock.now() - work.started_at,
        checked=work.checked,
    )
    why = work.session.publish(work.unit.id, ending)
    work.warnings += [why] if why else []
    return not why


def _artifact(work: Work) -> Artifact | None:
    """What this Kustomization is built from; None when there is nothing."""
    variables = work.unit.rendering.variables if work.unit.rendering else Variables()
    try:
        return work.renderer.artifact(work.unit.kustomization, variables.sources)
    except RunnerError:
        return None


def _moving(work: Work, before: Record) -> list[Entry]:
    """Objects that another Kustomization wants now stay ours until it has written them down."""
    return [
        entry
        for ref, entry in before.inventory.items()
        if work.session.owners(work.unit.id).get(ref, work.unit.id) != work.unit.id
        and not work.session.recorded_by_another(ref, work.unit.id)
    ]


def failed(work: Work, exc: RunnerError) -> Outcome:
    """A failure, on record with what was touched; secret values are taken out of its text."""
    secrets = redact.of(work.unit)
    message = redact.scrub(exc.message, secrets)
    errors = exc.errors if isinstance(exc, Failed) else {}
    if work.session.stopped():
        message = f"{'the time of the run was up' if work.session.overdue() else 'interrupted'}: {message}"
    else:
        try:
            known = work.session.records.get(work.unit.id)
            if known is not None and work.session.was_elsewhere(known):
                # Nothing was written where it goes now: what it has where it was is not forgotten yet.
                work.session.write(replace(known, state=State.FAILED, message=message))
            elif work.session.wrote or _says_something_new(work, message):
                record(work, State.FAILED, message)
            else:
                owned = work.session.fresh(work.unit).inventory
                _publish(work, message, owned, digests(work.session.key, work.unit)[0])
        except ENDS_THE_RUN:
            raise
        except RunnerError as unrecorded:
            work.warnings.append(f"its failure could not be recorded: {unrecorded.message}")
    work.tell(Phase.FAILED, message.partition("\n")[0])
    return replace(
        outcome(work, State.FAILED),
        error=message,
        errors={ref: redact.scrub(text, secrets) for ref, text in errors.items()},
        hint=_hint(work, exc),
    )


def _hint(work: Work, exc: RunnerError) -> str:
    """What to do; where an account lacks rights, whether it is there at all."""
    user = work.session.acts_as(work.unit.id)
    if not acting.lacks(user, exc.message):
        return exc.hint
    try:
        missing = work.session.is_missing(user, work.unit.kustomization.target)
    except RunnerError:
        missing = False
    return f"{account_ref(user)} does not exist; create it, and bind it to a role." if missing else exc.hint


def _says_something_new(work: Work, message: str) -> bool:
    record = work.session.records.get(work.unit.id)
    return record is not None and (record.state, record.message) != (State.FAILED, message)


def outcome(work: Work, state: State) -> Outcome:
    secrets = redact.of(work.unit) if work.warnings else []
    return Outcome(
        work.unit.id,
        state,
        changes=tuple(work.changes),
        unhealthy=work.unhealthy,
        diagnosis=work.diagnosis,
        warnings=tuple(dict.fromkeys(redact.scrub(text, secrets) for text in work.warnings)),
        started_at=work.started_at,
        applied_at=work.applied_at,
        ready_at=work.ready_at,
        ended_at=work.session.world.clock.now(),
        waited_for=work.turn.waited_for,
    )
