"""What a deploy would do, found out without writing: `reconcile --dry-run`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from runner import acting, plan, proven, redact, removal
from runner.errors import RunnerError, TimeUp
from runner.fleet import Unit
from runner.model import Action, Change, Manifest, Outcome, ResourceRef, Run, State, gives_rights
from runner.options import Dependents
from runner.plan import Assessment, Ground
from runner.rendered import is_sealed
from runner.session import Session
from runner.session.telling import report
from runner.unit import owned_by_another
from runner.waiting import hinders, in_order, node


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a deploy would do, Kustomization by Kustomization and object by object."""

    outcomes: tuple[Outcome, ...]
    assessed: Mapping[str, tuple[Assessment, ...]]
    accounts: tuple[str, ...] = ()  # what is to be said of the accounts that this was found out as


def run(session: Session) -> Run:
    """What a deploy would do, as the report of one."""
    return report(session, foresee(session).outcomes, dry_run=True)


def foresee(session: Session, *, reduced: bool = False) -> Foreseen:
    """Assess every Kustomization; what this same run would create first is taken as created.

    With `reduced`, credentials that may only read are enough: see `Ground.reduced`. Raises TimeUp.
    """
    accounts = acting.told(session, reduced=reduced)
    grounds = _Grounds(session, reduced=reduced)
    assessed: dict[str, tuple[Assessment, ...]] = {}
    outcomes = []
    for id_ in in_order(session.units):
        if session.overdue():
            raise TimeUp(f"the time was up before {id_} was looked at", hint="allow more with --timeout.")
        outcomes.append(_outcome(session, session.units[id_], grounds, assessed))
    outcomes += [_gone(session, id_) for id_ in removal.gone_in_order(session.gone)]
    return Foreseen(_blocked(session, outcomes), assessed, accounts)


@dataclass(slots=True)
class _Grounds:
    """What this run makes, and so need not be there yet: in each cluster something else."""

    session: Session
    reduced: bool
    _made: dict[str, Ground] = field(default_factory=dict)

    def of(self, id_: str) -> Ground:
        """That of a Kustomization's cluster. Raises ClusterError when it does not answer."""
        cluster = self.session.target(id_)
        if cluster not in self._made:
            self._made[cluster] = self._make(cluster, id_)
        return self._made[cluster]

    def _make(self, cluster: str, id_: str) -> Ground:
        session = self.session
        units = [unit for unit in session.units.values() if unit.kustomization.target == cluster]
        everything = [m for unit in units for m in unit.objects]
        unseen = _unseen_namespaces(session, cluster, everything)
        return replace(
            session.ground_of(id_),
            read_secrets=session.options.read_secrets or not session.options.dry_run,
            namespaces=plan.absent(unseen, session.reached(id_), session.world.pool),
            kinds=plan.defines(everything),
            roles=plan.roles(everything),
            reduced=self.reduced,
        )


def _unseen_namespaces(session: Session, cluster: str, everything: list[Manifest]) -> set[str]:
    """Those that a run makes, the desired ones and those that records live in, unless they are there."""
    wanted = {
        m["metadata"]["name"] for m in everything if (m["apiVersion"], m["kind"]) == ("v1", "Namespace")
    }
    holding: set[str] = set()
    if not cluster:
        wanted |= {unit.kustomization.namespace for unit in session.units.values()}
        holding = {id_.partition("/")[0] for id_ in session.records}
    seen = session.access_as("", cluster).evidence
    refs = {name: ResourceRef("", name, "", "Namespace", "v1") for name in wanted - holding}
    return {name for name, ref in refs.items() if seen.live(ref) is None}


def _outcome(
    session: Session, unit: Unit, grounds: _Grounds, found: dict[str, tuple[Assessment, ...]]
) -> Outcome:
    if unit.kustomization.suspend:
        return Outcome(unit.id, State.SUSPENDED, reason=session.why_paused(unit.id))
    if not session.options.selects(unit.id) or session.dependents.get(unit.id) is Dependents.NONE:
        return Outcome(unit.id, State.SKIPPED)
    if session.dependents.get(unit.id) is Dependents.VERIFY:
        return Outcome(unit.id, State.READY)
    if unit.rendering is None or not unit.rendering.ok:
        problems, hint = (unit.rendering.problems, unit.rendering.hint) if unit.rendering else ((), "")
        return Outcome(unit.id, State.FAILED, error="\n".join(str(p) for p in problems), hint=hint)
    if unit.id in session.refused:
        return Outcome(unit.id, State.FAILED, error=session.refused[unit.id])
    try:
        why = session.why_unasked(unit.id)
        assessed = _unasked(unit, why) if why else _assessed(session, unit, grounds, found)
        found[unit.id] = tuple(assessed)
        changes = [*(a.change for a in assessed), *_pruned(session, unit)]
    except RunnerError as exc:
        if not unit.kustomization.target and unit.id not in found:
            raise
        return Outcome(unit.id, State.FAILED, error=exc.message, hint=exc.hint)
    return _told(unit, assessed, changes)


def _unasked(unit: Unit, why: str) -> list[Assessment]:
    """What is said of objects in a cluster that is not asked."""
    return [Assessment(ResourceRef.of(m), m, Action.UNKNOWN, why) for m in unit.objects]


def _assessed(
    session: Session, unit: Unit, grounds: _Grounds, found: Mapping[str, tuple[Assessment, ...]]
) -> list[Assessment]:
    if unit.rendering is None:
        return []
    ground, user = grounds.of(unit.id), session.acts_as(unit.id)
    cluster, pool = session.access(unit.id).cluster, session.world.pool
    own = replace(
        ground,
        unresolved=unit.rendering.unresolved,
        proofs=proven.of(session, unit, session.fresh(unit).inventory),
        reduced=ground.reduced and not user,  # what it may not, the deploy may not
        ignore=unit.kustomization.ignore,
        force=unit.kustomization.force,
    )
    scoped = plan.scoped(unit.objects, cluster)
    rights = any(a.action.writes and gives_rights(a.ref) for each in found.values() for a in each)
    assessed = [
        acting.not_yet_allowed(a, user) if rights else a for a in plan.assess(scoped, cluster, pool, own)
    ]
    return [owned_by_another(session, unit.id, a) for a in assessed]


def _told(unit: Unit, assessed: list[Assessment], changes: list[Change]) -> Outcome:
    failed = [a for a in assessed if a.error]
    secrets = redact.of(unit)
    warnings = [*(unit.rendering.warnings if unit.rendering else ()), *_unknown(unit)]
    warnings += [text for a in assessed for text in a.warnings]
    return Outcome(
        unit.id,
        State.FAILED if failed else State.READY,
        changes=tuple(c for c in changes if c.ref not in {a.ref for a in failed}),
        error=redact.scrub("\n".join(dict.fromkeys(a.error for a in failed)), secrets),
        errors={a.ref: redact.scrub(a.error, secrets) for a in failed},
        hint=" ".join(dict.fromkeys(a.hint for a in failed if a.hint)),
        warnings=tuple(dict.fromkeys(redact.scrub(text, secrets) for text in warnings)),
    )


def _unknown(unit: Unit) -> list[str]:
    variables = unit.rendering.variables if unit.rendering else None
    if variables is None:
        return []
    sealed = variables.keys is not None and not variables.keys.asked and _is_sealed(unit)
    return [
        *(["what SOPS has sealed stays so in a dry run (--read-secrets)"] if sealed else []),
        *(f"{source} is neither desired nor in the cluster yet" for source in variables.missing),
        *(f"{source} is not read in a dry run (--read-secrets)" for source in variables.unread),
    ]


def _is_sealed(unit: Unit) -> bool:
    rendering = unit.rendering
    return rendering is not None and any(
        is_sealed(name) for names in rendering.unresolved.values() for name in names
    )


def _pruned(session: Session, unit: Unit) -> tuple[Change, ...]:
    record = session.records.get(unit.id)
    if record is None or not unit.kustomization.prune:
        return ()
    return removal.foresee(session, record, removal.stale(session, record))


def _gone(session: Session, id_: str) -> Outcome:
    try:
        changes = removal.foresee_gone(session, session.gone[id_])
    except RunnerError as exc:
        return Outcome(id_, State.FAILED, error=exc.message, hint=exc.hint)
    return Outcome(id_, State.READY, changes=changes)


def _blocked(session: Session, outcomes: list[Outcome]) -> tuple[Outcome, ...]:
    """A failure here would keep its dependents from starting."""
    ended = {o.kustomization: o for o in outcomes}
    for id_, outcome in ended.items():
        unit = session.units.get(id_)
        needs = [n for n in node(unit).needs if hinders(unit, n)] if unit is not None else []
        causes = {c for n in needs if n.id in ended and not n.expression for c in _causes(ended[n.id])}
        if outcome.ok and causes:
            ended[id_] = replace(outcome, state=State.BLOCKED, blocked_by=tuple(sorted(causes)))
    return tuple(ended.values())


def _causes(outcome: Outcome) -> tuple[str, ...]:
    if outcome.state is State.FAILED:
        return (outcome.kustomization,)
    return outcome.blocked_by
