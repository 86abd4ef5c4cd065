"""What merging would do to a cluster: the change itself, and apart from it what others did there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from runner import culprits, diff, discover, impact, redact, state
from runner.changes import CLUSTER, Comparison, Fault, FieldChange, ObjectChange, Pending
from runner.fleet import Fleet, Unit
from runner.model import Action, Change, Manifest, ResourceRef, State
from runner.plan import Assessment
from runner.preview import Foreseen
from runner.session import Session
from runner.state import Record


def told(session: Session, base: Fleet | None, between: Comparison, foreseen: Foreseen) -> Comparison:
    """A comparison of two revisions with what the cluster has taken into account.

    The changes are those that the next deploy makes, in its order; what it would make without this change
    too is told as drift, beside it.
    """
    by_ref = {(each.kustomization, each.ref): each for each in between.changes}
    changes: list[ObjectChange] = []
    for outcome in foreseen.outcomes:
        id_ = outcome.kustomization
        assessed = {a.ref: a for a in foreseen.assessed.get(id_, ())}
        found = [_one(session, assessed.get(c.ref), c, id_, by_ref) for c in outcome.changes]
        changes += sorted(filter(None, found), key=lambda each: _by_kind(each.ref))
    held = [*(h for helds in session.held_prunes.values() for h in helds), *session.withheld]
    return replace(
        between,
        server=session.world.cluster.server,
        changes=_paired(changes),
        pending=tuple(pending(session, base)),
        held=tuple(held),
        faults=(*between.faults, *_refused(session, between, foreseen)),
        homes=discover.homes((each.kustomization for each in held), session.units),
        warnings=tuple(dict.fromkeys([*between.warnings, *foreseen.accounts, *_warned(session, foreseen)])),
        sources=session.sources,
    )


def _paired(changes: Iterable[ObjectChange]) -> tuple[ObjectChange, ...]:
    """Without what goes because another name came in its place, which tells what it was."""
    found = tuple(changes)
    before = {(each.kustomization, each.was) for each in found if each.was is not None}
    return tuple(c for c in found if c.action is not Action.DELETED or (c.kustomization, c.ref) not in before)


def _refused(session: Session, between: Comparison, foreseen: Foreseen) -> Iterator[Fault]:
    """What renders, and would fail in the cluster all the same."""
    known = {fault.kustomization for fault in between.faults if fault.side != "base"}
    for outcome in foreseen.outcomes:
        if outcome.kustomization not in known and (found := culprits.of(outcome, session.units)):
            yield Fault(outcome.kustomization, CLUSTER, found)


def _warned(session: Session, foreseen: Foreseen) -> Iterator[str]:
    """What the server says of objects that would be written."""
    for id_, assessed in sorted(foreseen.assessed.items()):
        told = [text for a in assessed if a.action.writes for text in a.warnings]
        secrets = redact.of(session.units[id_]) if told else []
        yield from (redact.scrub(text, secrets) for text in told)


def _one(
    session: Session,
    assessed: Assessment | None,
    change: Change,
    id_: str,
    by_ref: Mapping[tuple[str, ResourceRef], ObjectChange],
) -> ObjectChange | None:
    """What is said of one object; None when there is nothing to say."""
    mine = by_ref.get((id_, change.ref))
    if mine is None and change.action in {Action.UNCHANGED, Action.SKIPPED}:
        return None
    if session.why_unasked(id_):
        return mine  # what two commits differ in is all that is known
    if assessed is None or assessed.live is None or assessed.merged is None:
        known = mine or ObjectChange(id_, change.ref, change.action, after=_shown(session, id_, change.ref))
        return replace(known, action=change.action, reason=change.reason)
    secret = secret_paths(session, id_, change.ref)
    everything = masked(impact.fields(assessed.live, assessed.merged), secret)
    before = {each.path: each for each in mine.fields} if mine else {}
    own = tuple(each for each in everything if _touches(each.path, before))
    known = mine or ObjectChange(id_, change.ref, change.action, after=_shown(session, id_, change.ref))
    return replace(
        known,
        action=change.action,
        reason=change.reason,
        fields=own,
        drift=tuple(each for each in everything if each not in own),
        clashes=tuple(
            each.path
            for each in own
            if not _touches(each.path, secret) and _clashes(each, before.get(each.path))
        ),
    )


def _touches(path: str, mine: Iterable[str]) -> bool:
    """Whether a field is one of this change's, or holds one, or is held by one."""
    return any(path == own or _below(path, own) or _below(own, path) for own in mine)


def _below(path: str, other: str) -> bool:
    return path.startswith((f"{other}.", f"{other}["))


def _clashes(live: FieldChange, mine: FieldChange | None) -> bool:
    """Whether the cluster has another value than the one that this change starts from."""
    return mine is not None and live.before != mine.before


def _shown(session: Session, id_: str, ref: ResourceRef) -> Manifest | None:
    found = _wanted(session, id_, ref)
    return found[1] if found else None


def _wanted(session: Session, id_: str, ref: ResourceRef) -> tuple[Manifest, Manifest] | None:
    """An object as it is applied, and as it may be shown."""
    unit = session.units.get(id_)
    if unit is None or unit.rendering is None:
        return None
    pairs = zip(unit.rendering.objects, unit.rendering.shown, strict=True)
    return next(((real, view) for real, view in pairs if ResourceRef.of(real) == ref), None)


def secret_paths(session: Session, id_: str, ref: ResourceRef) -> tuple[str, ...]:
    """Fields that secret values were substituted into: there the cluster may still have an older secret."""
    found = _wanted(session, id_, ref)
    if found is None or found[0] == found[1] or redact.is_secret(found[0]):
        return ()
    return tuple(each.path for each in diff.fields(*found))


def masked(changes: Iterable[FieldChange], secret: Iterable[str]) -> tuple[FieldChange, ...]:
    def mask(value: Any) -> Any:  # noqa: ANN401 -- JSON
        return None if value is None else "‹hidden›"

    return tuple(
        replace(each, before=mask(each.before), after=mask(each.after))
        if _touches(each.path, secret)
        else each
        for each in changes
    )


def pending(session: Session, base: Fleet | None) -> Iterator[Pending]:
    """Kustomizations whose record says something else than that the base is deployed and ready."""
    for unit in base or ():
        record = session.records.get(unit.id)
        if not session.options.selects(unit.id) or unit.kustomization.suspend:
            continue
        if record is None:
            yield Pending(unit.id, None, "it was never deployed")
        elif record.pause is not None:
            yield Pending(unit.id, record.state, str(record.pause))
        elif record.state is State.FAILED:
            yield Pending(unit.id, record.state, record.message.partition("\n")[0])
        elif record.state is None:
            yield Pending(unit.id, None, "a run began and has not ended")
        elif _differs(unit, record):
            yield Pending(unit.id, record.state, _why(session, unit))


def _why(session: Session, unit: Unit) -> str:
    """Why what the base renders was not deployed: a source that moved since, or anything else."""
    own = {str(unit.kustomization.source), *(unit.rendering.pins if unit.rendering else ())}
    for each in session.sources:
        if each.source in own and each.moved:
            return f"{each.source} moved from {each.recorded} to {each.revision}"
    return "the base is not what was last deployed"


def _differs(unit: Unit, record: Record) -> bool:
    if unit.rendering is None or not unit.rendering.ok or not unit.rendering.variables.complete:
        return False  # what is not known is shown otherwise
    return bool(record.shown_digest) and state.digest(b"", unit.rendering.shown) != record.shown_digest


def _by_kind(ref: ResourceRef) -> tuple[str, str, str, str]:
    return ref.kind, ref.namespace, ref.name, ref.group
