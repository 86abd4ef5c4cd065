"""A run that looks for drift, and mends what its policies let it: by the way of every deploy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from runner import desired, detection, live, looks, pipeline, planning, policy
from runner.changes import Pending
from runner.desired import Clients, Desired
from runner.detection import Found
from runner.drift import Difference, Drift, Kind
from runner.errors import ClusterError, GuardError, LockError, RenderError, Superseded, UsageError
from runner.fleet import Fleet, Unit
from runner.model import Outcome, Run, State
from runner.options import Options
from runner.policy import Do, Heal, Policy
from runner.render import Passing, Recall
from runner.session import Session
from runner.state import Record
from runner.store import Store

_LOOKS = 3
_NOTHING = "nothing of this entry is deployed yet"


@dataclass(frozen=True, slots=True)
class Watch:
    """What a run looks at, and what it mends."""

    policy: Policy = field(default_factory=Policy)  # of a Kustomization without one of its own
    heal: frozenset[Heal] = frozenset({Heal.DRIFT})
    due: bool = False  # only Kustomizations whose interval is over
    correct: bool = True  # False: nothing is written, whatever the policies say


def run(options: Options, clients: Clients, watch: Watch) -> Drift:
    """Find what is not as it was deployed, and mend what may be.

    Raises:
        UsageError: nothing of the entry was ever deployed, or an input is wrong.
        ClusterError, GuardError, RenderError: as a deploy.
    """
    look, told = _looked(options, clients, watch)
    names, commit = look.todo(told)
    if not names or not watch.correct:
        return told
    chosen = replace(options, revision=commit, worktree=False, names=look.scope(told, names, commit))
    try:
        done = pipeline.reconcile(chosen, replace(clients, directory=_directory(clients, "mend")))
    except (LockError, GuardError) as exc:
        return replace(told, not_run=exc.message)
    return replace(told, run=done, corrected=_corrected(told, done), requests=done.requests)


def _looked(options: Options, clients: Clients, watch: Watch) -> tuple[_Look, Drift]:
    """Look again when a deploy began in between: what is deployed is another commit then."""
    recall = Recall(clients.memory or Passing())
    for left in range(_LOOKS - 1, 0, -1):
        look = _Look(options, clients, watch, recall, f"look-{left}")
        with suppress(Superseded):
            return look, look.run()
    look = _Look(options, clients, watch, recall, "look")
    return look, look.run()


@dataclass(slots=True)
class _Look:
    """The part that writes nothing but when it looked."""

    options: Options
    clients: Clients
    watch: Watch
    recall: Recall
    place: str
    head: str = ""
    lost: bool = False  # the commit that was deployed is nowhere any more
    commit: str = ""  # what is looked for
    everybody: frozenset[str] = frozenset()  # of what is deployed
    at_head: frozenset[str] = frozenset()
    policies: dict[str, Policy] = field(default_factory=dict)
    later: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    moments: Mapping[str, float] = field(default_factory=dict)
    session: Session | None = None

    def run(self) -> Drift:
        clients, options = self.clients, self.options
        cluster = clients.reachable()
        self.head = clients.repository.resolve(options.revision)
        self.commit = self._deployed(Store(cluster).load())
        source = self._side("deployed", self.commit)
        session = self.session = planning.session(source, cluster, planning.lock(source))
        self.everybody = frozenset(session.units)
        if self.watch.due:
            self.moments = looks.read(cluster, options.root)
        found = detection.find(session, self._wanted, everywhere=options.all)
        if self.watch.due and found.checked:
            self._note(found)
        ignored = [id_ for id_, each in self.policies.items() if each.do is Do.IGNORE]
        drifted = {each.kustomization for each in found.differences}
        return Drift(
            cluster.server,
            session.entry,
            session.revision,
            clients.repository.revision(self.head),
            differences=found.differences,
            pending=tuple(self._pending(session)),
            unknown=found.unknown,
            policies={id_: str(self.policies[id_]) for id_ in sorted(drifted)},
            checked=found.checked,
            ignored=tuple(sorted(ignored)),
            later=tuple(sorted(self.later)),
            warnings=tuple(dict.fromkeys([*self.warnings, *session.warnings, *found.warnings])),
            requests=dict(cluster.requests),
        )

    def todo(self, told: Drift) -> tuple[frozenset[str], str]:
        """Which Kustomizations are reconciled, and as which commit has them."""
        heal, now = self.watch.heal, self.clients.clock.now()
        names: set[str] = set()
        if Heal.DRIFT in heal:
            for id_ in told.policies:
                mine = [each for each in told.differences if each.kustomization == id_]
                names |= {id_} if self.policies[id_].corrects(mine, now) else set()
        if Heal.FAILED in heal:
            names |= {each.kustomization for each in told.pending if self._failed(each)}
        if Heal.PENDING in heal:
            new = {each.kustomization for each in told.pending if self._is_touched(each)}
            if new:
                return frozenset((names & self.at_head) | new), self.head
        return frozenset(names & self.everybody), self.commit

    def scope(self, told: Drift, names: frozenset[str], commit: str) -> frozenset[str]:
        """The names to reconcile; none is everything: all of a new commit goes, and nobody is left out."""
        options, left = self.options, {each.kustomization for each in told.differences} - names
        restricted = options.names or options.namespace or left or told.later or told.ignored
        return (
            names if restricted or commit != self.head or Heal.PENDING not in self.watch.heal else frozenset()
        )

    def _failed(self, each: Pending) -> bool:
        """Whether its last run failed, or did not end."""
        known = self.session is not None and each.kustomization in self.session.records
        return known and each.state is not State.READY and self._is_touched(each)

    def _is_touched(self, each: Pending) -> bool:
        own = self.policies.get(each.kustomization)
        return each.kustomization not in self.later and (own is None or own.do is not Do.IGNORE)

    def _deployed(self, records: Mapping[str, Record]) -> str:
        """The commit that is on record; where that is lost, what is checked out stands for it."""
        root = records.get(self.options.root)
        deployment = root.deployment if root is not None else None
        if deployment is None:
            raise UsageError(_NOTHING, hint="`kustodian reconcile` deploys it.")
        try:
            return self.clients.repository.ensure(deployment.commit)
        except UsageError as exc:
            self.warnings.append(
                f"{exc.message}: objects that changed since are judged by their owners alone"
            )
            self.lost = True
            return self.head

    def _side(self, name: str, commit: str) -> Desired:
        # Nothing is deployed here: of a commit that is lost nobody can tell which one is older.
        older = self.options.allow_older or self.lost
        options = replace(self.options, revision=commit, worktree=False, allow_older=older)
        clients = replace(self.clients, directory=_directory(self.clients, f"{self.place}-{name}"))
        return desired.at(options, clients, self.recall)

    def _wanted(self, unit: Unit) -> bool:
        if not self.options.selects(unit.id):
            return False
        own, wrong = policy.of(unit.kustomization, self.watch.policy)
        self.policies[unit.id] = own
        self.warnings += [wrong] if wrong else []
        if own.do is Do.IGNORE:
            return False
        if self.watch.due and not self._is_due(unit):
            self.later.append(unit.id)
            return False
        return True

    def _is_due(self, unit: Unit) -> bool:
        record = self.session.records.get(unit.id) if self.session else None
        failed = record is not None and record.state is State.FAILED
        k = unit.kustomization
        interval = k.retry_interval if failed else k.interval
        return policy.is_due(interval, self.moments.get(unit.id), self.clients.clock.now())

    def _note(self, found: Found) -> None:
        cluster, now = self.clients.world().cluster, self.clients.clock.now()
        drifted = {each.kustomization for each in found.differences}  # looked at until they are clean
        clean = [id_ for id_ in found.checked if id_ not in drifted]
        try:
            looks.write(cluster, self.options.root, clean, self.everybody - drifted, now)
        except ClusterError as exc:
            self.warnings.append(f"it cannot be noted what was looked at: {exc.message}")

    def _pending(self, session: Session) -> Iterable[Pending]:
        """What is in Git, and not deployed; of a checkout that is behind, nothing is."""
        self.at_head = self.everybody
        if self.head == self.commit:
            yield from _reworded(live.pending(session, session.fleet), "it renders something else now")
            return
        if self.clients.repository.is_ancestor(self.commit, self.head) is not True:
            self.warnings.append("what is checked out does not contain what is deployed: nothing is pending")
            yield from _reworded(live.pending(session, session.fleet), "it renders something else now")
            return
        try:
            fleet: Fleet = self._side("head", self.head).fleet(cluster=session.world.cluster)
        except (RenderError, UsageError) as exc:
            self.warnings.append(f"what is checked out cannot be rendered: {exc.message}")
            return
        self.at_head = frozenset(fleet.units)
        yield from _reworded(live.pending(session, fleet), "what is checked out was not deployed yet")


def _reworded(found: Iterable[Pending], reason: str) -> Iterable[Pending]:
    for each in found:
        yield replace(each, reason=reason) if each.state is State.READY else each


def _directory(clients: Clients, name: str) -> Path:
    made = clients.directory / name
    made.mkdir()
    return made


def _corrected(told: Drift, done: Run) -> tuple[Difference, ...]:
    """What was written again, in Kustomizations that came to a good end."""
    ended: dict[str, Outcome] = {each.kustomization: each for each in done.outcomes}
    found = []
    for each in told.differences:
        outcome = ended.get(each.kustomization)
        if each.kind is Kind.EXTRA or outcome is None or outcome.state is not State.READY:
            continue
        if any(change.ref == each.ref and change.action.writes for change in outcome.changes):
            found.append(each)
    return tuple(found)
