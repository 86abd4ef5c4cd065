"""After the last Kustomization: what is gone, what moved, what had to wait; and those that never began."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from runner import gate, happenings, inventory, redact, removal, waiting
from runner.errors import LockError, RunnerError
from runner.graph import Edge, Need
from runner.mirror import Ending, Reason
from runner.model import Held, Outcome, State, gives_rights
from runner.ports import Phase, Progress
from runner.schedule import Schedule
from runner.session import Moved, Session
from runner.state import Record


def blocked(
    session: Session, outcomes: Mapping[str, Outcome], id_: str, failed: tuple[Need, ...]
) -> Outcome | None:
    """What becomes of a Kustomization whose needs cannot be met; None lets it go on all the same.

    Unchanged children of a failed parent go on: their own definition did not depend on the failure. What is
    suspended comes to its end whatever it depends on.
    """
    unit, record = session.units[id_], session.records.get(id_)
    failed = tuple(need for need in failed if waiting.hinders(unit, need))
    if not failed:
        return None
    if all(need.edge is Edge.PARENT for need in failed) and record is not None:
        same = (record.manifest.get("spec") or {}) == (unit.kustomization.manifest.get("spec") or {})
        if same and record.manifest:
            return None
    causes: dict[str, None] = {}
    for need in failed:
        outcome = outcomes[need.id]
        for cause in outcome.blocked_by or (need.id,):
            causes[cause] = None
    waited = tuple(sorted({need.id for need in failed}))
    session.world.listener(Progress(id_, Phase.BLOCKED, f"by {', '.join(sorted(causes))}"))
    asked = [gate.why_not(session, id_, n, None, outcomes[n.id]) for n in failed if n.expression]
    secrets = [*redact.of(unit), *(redact.of(session.units[unit.parent]) if unit.parent else ())]
    outcome = Outcome(
        id_,
        State.BLOCKED,
        error=redact.scrub("\n".join(asked), secrets) if asked else "",
        blocked_by=tuple(sorted(causes)),
        waited_for=waited,
    )
    happenings.tell(session, outcome)
    return outcome


def unfinished(schedule: Schedule) -> tuple[Outcome, ...]:
    """The outcomes of an interrupted run: those that ended, and those that were never begun."""
    never = tuple(
        Outcome(id_, State.SKIPPED, error="it was not begun")
        for id_ in sorted(schedule.nodes.keys() - schedule.outcomes.keys())
    )
    return (*schedule.outcomes.values(), *never)


def run(session: Session, outcomes: tuple[Outcome, ...]) -> tuple[Outcome, ...]:
    """Prune what had to wait, take away what is gone, settle what moved; note the revision as deployed."""
    late = {o.kustomization: o for o in outcomes}
    if session.prune_later and session.all_rendered:
        late = {id_: _prune_late(session, o) for id_, o in late.items()}
    elif session.prune_later:
        session.held_back(_unknown(session, late))
    taken = tuple(_take_away(session, record) for record in _gone(session, late))
    for id_ in sorted(_waited(session, taken) & late.keys()):
        late[id_] = _prune_late(session, late[id_])
    _settle_moves(session)
    _record_blocked(session, late.values())
    _tell_blocked(session, late.values())
    ended = (*late.values(), *taken)
    whole = not session.options.names and not session.options.namespace
    done = all(o.ok for o in ended) and (whole or session.was_deployed)
    if done or session.wrote:
        session.deployed(done=done)
    return ended


def _waited(session: Session, taken: Iterable[Outcome]) -> set[str]:
    """Who had to keep something until these were gone: their own objects, or what gave them their rights."""
    gone = [outcome.kustomization for outcome in taken]
    waited = {session.gone[id_].parent for id_ in gone}
    acting, ways = any(session.acts_as(id_) for id_ in gone), removal.ways(session, gone)
    if acting or ways:
        waited |= {
            id_
            for id_, record in session.records.items()
            if any((acting and gives_rights(e.ref)) or e.ref in ways for e in removal.stale(session, record))
        }
    return waited


def _record_blocked(session: Session, outcomes: Iterable[Outcome]) -> None:
    """What a Kustomization says of itself counts once its parent has applied it, done or not.

    So its `prune` and `deletionPolicy` decide when it goes. One whose parent was not applied is what it was;
    one that failed before is still that, as what it holds may not be what it wanted.
    """
    for outcome in outcomes:
        unit, known = session.units.get(outcome.kustomization), session.records.get(outcome.kustomization)
        if unit is None or outcome.state is not State.BLOCKED or unit.parent in outcome.waited_for:
            continue
        if known is None and not session.wrote:
            continue
        message = f"blocked by {', '.join(outcome.blocked_by)}"
        if known is not None and session.was_elsewhere(known):
            made = known  # what it has where it was is not forgotten yet
        else:
            made = replace(session.fresh(unit), manifest=unit.shown or unit.kustomization.manifest)
        if known is None or made.state in {State.READY, State.BLOCKED}:
            made = replace(made, state=State.BLOCKED, message=message)
        session.write(made)


def _tell_blocked(session: Session, outcomes: Iterable[Outcome]) -> None:
    """Flux's status says of which dependency a Kustomization waits; it knows of no other reason to wait."""
    for outcome in outcomes:
        unit = session.units.get(outcome.kustomization)
        if unit is None or outcome.state is not State.BLOCKED:
            continue
        missing = [id_ for id_ in unit.kustomization.depends_on if id_ in outcome.waited_for]
        if missing:
            first = f"dependency '{missing[0]}'"
            asked = [line for line in outcome.error.splitlines() if line.startswith(first)]
            told = asked[0] if asked else f"{first} is not ready"
            why = session.publish(unit.id, Ending(Reason.DEPENDENCY, told))
            session.warnings.extend([why] if why else [])


def _gone(session: Session, outcomes: Mapping[str, Outcome]) -> list[Record]:
    """Those whose parent was applied in this run, or is itself gone; dependents first."""
    if not session.all_rendered:
        return []
    order = removal.gone_in_order(session.gone)
    return [
        session.records[id_]
        for id_ in order
        if id_ in session.records
        and not session.held_prunes.get(id_)
        and _well(outcomes.get(removal.who_lets_go(session.gone, id_)))
    ]


def _unknown(session: Session, outcomes: Mapping[str, Outcome]) -> list[Held]:
    """Prunes that had to wait until everything was known, which it never was."""
    why = "it never became known in this run what every Kustomization wants"
    found = []
    for id_ in sorted(outcomes):
        unit, record = session.units.get(id_), session.records.get(id_)
        if unit is not None and record is not None and unit.kustomization.prune and outcomes[id_].ok:
            refs = tuple(entry.ref for entry in removal.stale(session, record))
            found += [Held(id_, refs, why)] if refs and id_ not in session.held_prunes else []
    return found


def _well(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.state is State.READY


def _take_away(session: Session, record: Record) -> Outcome:
    try:
        removed = removal.take_away(session, record)
    except (LockError, Moved):
        raise
    except RunnerError as exc:
        return Outcome(record.kustomization, State.FAILED, error=exc.message, hint=exc.hint)
    session.held_back(removed.held)
    state = State.FAILED if removed.errors else State.READY
    return Outcome(record.kustomization, state, changes=removed.changes, error="\n".join(removed.errors))


def _prune_late(session: Session, outcome: Outcome) -> Outcome:
    """Prune one Kustomization's stale objects, now that everything is known that is wanted."""
    unit = session.units.get(outcome.kustomization)
    record = session.records.get(outcome.kustomization)
    if unit is None or record is None or outcome.state is not State.READY or not unit.kustomization.prune:
        return outcome
    stale = removal.ripe(session, record.kustomization, removal.stale(session, record))
    if not stale:
        return outcome
    try:
        removed = removal.remove(session, record, stale, unit.kustomization.timeout)
        session.held_back(removed.held)
        session.shrink(record, removed.inventory)
    except (LockError, Moved):
        raise
    except RunnerError as exc:
        return replace(outcome, state=State.FAILED, error=exc.message, hint=exc.hint)
    changes = (*outcome.changes, *removed.changes)
    if removed.errors:
        return replace(outcome, state=State.FAILED, error="\n".join(removed.errors), changes=changes)
    return replace(outcome, changes=changes)


def _settle_moves(session: Session) -> None:
    """An object leaves its old inventory once the new one holds it."""
    for id_, record in sorted(session.records.items()):
        mine = (record.repository, record.entry) == (session.repository, session.entry)
        if not mine or session.was_elsewhere(record):
            continue
        moved = [ref for ref in record.inventory if session.recorded_by_another(ref, id_)]
        if moved:
            session.shrink(record, inventory.without(record.inventory, moved))
