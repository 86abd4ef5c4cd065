"""The objects of one Kustomization, stage by stage: dry-run, written down, applied."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from runner import acting, apply, impact, inventory, plan, proven, replacing
from runner.inventory import Entry
from runner.model import FLUX, Action, Change, Manifest, ResourceRef
from runner.plan import Assessment, Ground
from runner.ports import Phase
from runner.proven import Proofs
from runner.session import Session
from runner.unit.work import PLAN_AGAIN, Failed, Work, of_objects

AGAIN = (0.2, 0.4, 0.8, 1.6, 3.2, 6.4)  # seconds after which an account that was just given rights is tried
NOTICED = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)  # seconds after which a new kind is looked for
STAGE_TIMEOUT = 60.0  # seconds; Flux's fixed limit for definitions and classes


def apply_stages(work: Work) -> None:
    work.session.settle(work.unit.id)
    desired = plan.scoped(work.unit.objects, work.session.reached(work.unit.id))
    stages = apply.stages(desired)
    recorded = work.session.fresh(work.unit).inventory
    for number, stage in enumerate(stages, 1):
        work.tell(Phase.APPLYING, f"stage {number} of {len(stages)}" if len(stages) > 1 else "")
        work.stop_if_told()
        proofs = proven.of(work.session, work.unit, recorded)
        assessed = _assess(work, _scoped_now(work, stage), proofs)
        todo = [a for a in assessed if a.action.writes]
        work.entries |= {a.ref: proofs.entry(a) for a in assessed if a.reason != plan.VIRTUAL}
        if todo:
            _record_ahead(work, desired, todo)
            _send(work, todo, proofs)
        work.changes += [a.change for a in assessed if not a.action.writes]
        if apply.is_waited_for(stage):
            _await_stage(work, assessed)
    work.session.alive(entry.uid for entry in work.entries.values())


def _scoped_now(work: Work, stage: tuple[Manifest, ...]) -> tuple[Manifest, ...]:
    """A definition of an earlier stage may have told that a kind has no namespace.

    In the inventory such a namespace would be another object, which Flux, taking over, would delete.
    """
    scoped = plan.scoped(stage, work.session.reached(work.unit.id))
    work.session.want(work.unit.id, scoped)
    return scoped


def _assess(work: Work, stage: tuple[Manifest, ...], proofs: Proofs) -> list[Assessment]:
    """Dry-run a whole stage; when anything in it fails, nothing of it is applied."""
    k = work.unit.kustomization
    ground = replace(work.session.ground_of(k.id), proofs=proofs, ignore=k.ignore, force=k.force)
    assessed = _ask(work, stage, ground)
    for pause in AGAIN:
        if not _may_pass(work, assessed):
            break
        _rest(work, pause)
        assessed = _ask(work, stage, ground)
    work.warnings += [text for a in assessed for text in a.warnings]
    if failed := [a for a in assessed if a.error]:
        hints = list(dict.fromkeys(a.hint for a in failed if a.hint))
        raise of_objects({a.ref: a.error for a in failed}, " ".join(hints))
    _keep_to_plan(work, assessed)
    return assessed


def _ask(work: Work, stage: tuple[Manifest, ...], ground: Ground) -> list[Assessment]:
    cluster, pool = work.session.access(work.unit.id).cluster, work.session.world.pool
    assessed = plan.assess(stage, cluster, pool, ground)
    return [owned_by_another(work.session, work.unit.id, a) for a in assessed]


def _rest(work: Work, seconds: float) -> None:
    clock = work.session.world.clock
    until = clock.monotonic() + seconds
    work.turn.pause(lambda: clock.monotonic() >= until or work.session.stopped())


def _may_pass(work: Work, assessed: Iterable[Assessment]) -> bool:
    """Whether an account was refused what this run has only just allowed it."""
    user = work.session.acts_as(work.unit.id)
    refused = any(acting.lacks(user, a.error) for a in assessed)
    return refused and work.session.rights_settle and not work.session.stopped()


def _keep_to_plan(work: Work, assessed: Iterable[Assessment]) -> None:
    """Nothing of a stage is applied when anything in it is not as planned; what was unknown may be."""
    expected = work.session.expected
    if expected is None:
        return
    for a in assessed:
        planned = expected.get((work.unit.id, a.ref))
        if planned != "" and planned != impact.digest(a.action, a.live, a.merged):
            raise Failed(f"{a.ref} would be {a.action}, which is not what was planned", hint=PLAN_AGAIN)


def _record_ahead(work: Work, desired: Iterable[Manifest], todo: Iterable[Assessment]) -> None:
    """Write down everything that may be touched, before the first write: nothing stays untracked.

    Without proofs: of a run that is killed nobody knows what it applied. And without the uid of an
    object that is another one, or will be.
    """
    before = work.session.fresh(work.unit)
    anew = [a.ref for a in todo if _is_another(before.inventory.get(a.ref), a.live)]
    if work.recorded_ahead and not anew:
        return
    wanted = inventory.of(
        Entry(ResourceRef.of(m)) for m in desired if not plan.skipped(m, work.session.ground_of(work.unit.id))
    )
    together = inventory.union(inventory.unproven(before.inventory), wanted)
    together |= {ref: Entry(ref) for ref in anew}
    work.session.begin()
    work.session.write(replace(before, inventory=together, state=None, manifest=work.manifest()))
    work.recorded_ahead = True


def _send(work: Work, todo: list[Assessment], proofs: Proofs) -> None:
    cluster = work.session.writer(work.unit.id)
    _make_way(work, todo)
    orders = [apply.Order(a.sent, a.live if a.cleans else None) for a in todo]
    sent = apply.send(orders, cluster, work.session.world.pool, work.session.stopped)
    work.session.access(work.unit.id).evidence.wrote(s.ref for s in sent)
    if not work.unit.kustomization.target:
        work.session.exchange.wrote(s.ref for s in sent)
    work.session.gave_rights(s.ref for s in sent)
    taken = {s.ref: s for s in sent if not s.error}
    for a in todo:
        if a.ref in taken:
            work.changes.append(_as_seen(work, a))
            made = proofs.make(a.manifest, taken[a.ref].live) if a.exact else None
            work.entries[a.ref] = Entry(a.ref, taken[a.ref].uid, made)
            work.versions[a.ref] = taken[a.ref].version
    work.warnings += [text for s in taken.values() for text in s.warnings]
    if failed := [s for s in sent if s.error]:
        raise of_objects({s.ref: s.error for s in failed}, failed[0].hint)
    if len(sent) < len(todo):
        work.stop_if_told()


def _make_way(work: Work, todo: list[Assessment]) -> None:
    """Delete what cannot be changed; nothing is applied before it is gone.

    Its uid goes from the record first: the new object has to be known as ours although the run is killed.
    """
    anew = [a.ref for a in todo if a.recreates]
    if not anew:
        return
    work.entries = inventory.anew(work.entries, anew)
    before = work.session.fresh(work.unit)
    work.session.write(replace(before, inventory=inventory.anew(before.inventory, anew)))
    timeout = work.unit.kustomization.timeout
    errors = replacing.make_way(work.session, work.unit.id, todo, timeout, work.turn.resting)
    work.session.access(work.unit.id).evidence.wrote(anew)
    work.stop_if_told()
    if errors:
        raise Failed("\n".join(errors), hint="what a finalizer waits for has to be done first.")


def _as_seen(work: Work, a: Assessment) -> Change:
    """What this run did to an object; a namespace that it had to make first is one it created."""
    ours = not work.unit.kustomization.target and a.ref.kind == "Namespace"
    made = ours and a.ref.name in work.session.made_namespaces
    return Change(a.ref, Action.CREATED) if made else a.change


def _await_stage(work: Work, assessed: Iterable[Assessment]) -> None:
    """Later stages need definitions and classes to be there: wait, and let discovery notice them."""
    waited = [a for a in assessed if a.action is not Action.SKIPPED]
    with work.turn.resting():
        verdict = work.wait([a.ref for a in waited], STAGE_TIMEOUT)
    if verdict.error:
        work.stop_if_told()
        work.diagnose(verdict)
        raise Failed(verdict.error)
    _await_discovery(work, plan.served(a.manifest for a in waited))


def _await_discovery(work: Work, kinds: Collection[tuple[str, str, str]]) -> None:
    """What a definition defines is established a moment before the server tells that it serves it."""
    cluster = work.session.reached(work.unit.id)
    for pause in (0.0, *NOTICED):
        found = [(version, cluster.api(group, kind, version)) for group, kind, version in kinds]
        if all(api is not None and api.version == version for version, api in found):
            return
        work.stop_if_told()
        _rest(work, pause)
        cluster.rediscover()


def _is_another(known: Entry | None, live: Manifest | None) -> bool:
    """Whether what is on record is not the object that an apply touches."""
    return known is not None and known.uid not in {"", live["metadata"].get("uid", "") if live else None}


def owned_by_another(session: Session, id_: str, a: Assessment) -> Assessment:
    """Objects that change hands: within the entry they move, from outside they are refused."""
    labels = (a.live or {}).get("metadata", {}).get("labels") or {}
    holder = f"{labels.get(f'{FLUX}/namespace', '')}/{labels.get(f'{FLUX}/name', '')}"
    if a.error or not a.action.writes or holder in {id_, "/"}:
        return a
    if holder in session.outside and not session.options.takeover:
        return replace(
            a,
            error=f"{a.ref} belongs to Kustomization {holder}, which is not part of this entry",
            hint="remove it from one of the two; --takeover takes it over.",
        )
    known = holder in session.units or holder in session.records
    if known and session.target(holder) == session.target(id_):
        return replace(a, action=Action.MOVED, reason=f"from {holder}")
    return a
