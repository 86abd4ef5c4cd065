"""What the Kustomizations of one run share: the lock, the records, and who wants which object."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from runner import discover, graph, state
from runner.access import Access
from runner.clusters import Clusters
from runner.errors import Interrupted, LockLost, UsageError
from runner.evidence import Evidence
from runner.fleet import Produced, Remote, Unit
from runner.graph import Node
from runner.model import (
    Held,
    KubeConfig,
    Manifest,
    ResourceRef,
    account_ref,
    gives_rights,
    kube_config,
    target,
)
from runner.options import Dependents
from runner.plan import Ground
from runner.ports import Cluster, Phase, Progress
from runner.session.ledger import Ledger
from runner.session.root import Lock, Moved
from runner.state import Record

__all__ = ["RIGHTS", "Lock", "Moved", "Session", "digests"]

RIGHTS = 10.0  # seconds until every API server has noticed a new role or binding


@dataclass(slots=True, kw_only=True)
class Session(Ledger):
    """One attempt at a run. Everything here may be used by many threads at once."""

    ground: Ground
    evidence: Evidence
    held_prunes: Mapping[str, tuple[Held, ...]] = field(default_factory=dict)
    wishes: dict[str, dict[ResourceRef, str]] = field(default_factory=dict)  # by cluster, who wants an object
    tracked: Mapping[str, Collection[ResourceRef]] = field(default_factory=dict)  # what of it is there
    accounts: Mapping[str, str] | None = None  # users that count in place of those that specs name
    unused: set[str] = field(default_factory=set)  # users that these credentials may not act as; in previews
    uids: set[str] = field(default_factory=set)  # of every object that is wanted
    units: dict[str, Unit] = field(default_factory=dict)  # the fleet, and what was found since
    produced: dict[ResourceRef, Produced] = field(default_factory=dict)
    outside: frozenset[str] = frozenset()  # Kustomizations of this cluster that are not of this entry
    prune_later: bool = False  # not everything is known yet that is wanted
    withheld: list[Held] = field(default_factory=list)  # prunes that turned out to be dangerous
    refused: Mapping[str, str] = field(default_factory=dict)  # why a Kustomization may not even start
    dependents: Mapping[str, Dependents] = field(
        default_factory=dict
    )  # those that are not reconciled in full
    gone: Mapping[str, Record] = field(default_factory=dict)  # recorded ones that nothing renders any more
    expected: Mapping[tuple[str, ResourceRef], str] | None = (
        None  # by the plan: Kustomization, object → effect
    )
    started_at: float | None = None  # when the run began, which a re-plan does not change
    deadline: float = math.inf  # on the monotonic clock: when the whole run has to end
    mute: bool = False  # Events could not be written: no more is tried
    gave_way: bool = False  # to a newer run: some health was not waited for
    _rights_at: float = -math.inf  # on the monotonic clock: when this run last wrote rights
    _abandoned: bool = False
    _ticket: int = 0
    _clusters: Clusters = field(init=False)

    def __post_init__(self) -> None:
        self._clusters = Clusters(self.world, self.evidence, self._expected, self._gone_in)

    @property
    def paused(self) -> frozenset[str]:
        """Kustomizations that somebody wants left alone."""
        return frozenset(id_ for id_, record in self.records.items() if record.pause is not None)

    def why_paused(self, id_: str) -> str:
        """Who paused a Kustomization, and why; "" when nobody did."""
        record = self.records.get(id_)
        return str(record.pause) if record is not None and record.pause is not None else ""

    def ticket(self, moment: float) -> int:
        """A time in nanoseconds that nothing else of this run gets."""
        with self._mutex:
            self._ticket = max(self._ticket + 1, int(moment * 1e9))
            return self._ticket

    @property
    def blind(self) -> tuple[str, ...]:
        """Kustomizations of which it is not known in full what they want; suspended ones are not asked."""
        return tuple(
            sorted(
                unit.id
                for unit in self.units.values()
                if unit.rendering is not None and (unit.rendering.dropped or not unit.rendering.ok)
            )
        )

    @property
    def all_rendered(self) -> bool:
        """Whether it is known of every Kustomization what it wants, so that anything may be pruned."""
        return all(
            unit.kustomization.suspend
            or (unit.rendering is not None and unit.rendering.final and not unit.rendering.dropped)
            for unit in self.units.values()
        )

    def acts_as(self, id_: str) -> str:
        """The user that a Kustomization's objects are read and written as; "" for the run itself.

        Of one that is gone it is the one on record.
        """
        unit, record, user = self.units.get(id_), self.gone.get(id_), ""
        if unit is not None:
            user = unit.kustomization.acts_as if self.accounts is None else self.accounts.get(id_, "")
        elif record is not None:
            with suppress(UsageError):  # which is said where it is taken away
                user = discover.parse(record.manifest).acts_as
        return "" if user in self.unused and not self.target(id_) else user

    def target(self, id_: str) -> str:
        """The cluster that a Kustomization's objects are in; "" for the run's own."""
        unit, record = self.units.get(id_), self.records.get(id_)
        if unit is not None:
            return unit.kustomization.target
        return target(record.manifest) if record is not None else ""

    def was_elsewhere(self, record: Record) -> bool:
        """Whether what is on record of a Kustomization is in another cluster than its objects go to now."""
        return bool(record.manifest) and target(record.manifest) != self.target(record.kustomization)

    def owners(self, id_: str) -> dict[ResourceRef, str]:
        """Who wants which object, in the cluster of a Kustomization."""
        with self._mutex:
            return self.wishes.setdefault(self.target(id_), {})

    def aim(self, cluster: str, way: Remote | None) -> None:
        """Note how another cluster is reached, as far as that is known now."""
        self._clusters.aim(cluster, way)

    def why_unasked(self, id_: str) -> str:
        """Why a Kustomization's objects cannot be looked at here; "" when they can."""
        cluster = self.target(id_)
        if not cluster:
            return ""
        if self.options.dry_run and self.accounts is not None:
            return "in another cluster, which is not asked for a pull request"
        if not self.options.may_read_secrets:
            return "in another cluster, which is not asked (--read-secrets)"
        return self._clusters.way(cluster).why

    def reached(self, id_: str) -> Cluster:
        """The cluster of a Kustomization's objects, asked with the run's own rights."""
        return self.access_as("", self.target(id_)).cluster

    def ground_of(self, id_: str) -> Ground:
        """What decides about its objects; what is virtual here is followed, which nothing elsewhere is."""
        return replace(self.ground, virtual=frozenset()) if self.target(id_) else self.ground

    def access(self, id_: str) -> Access:
        """What a Kustomization's objects are reached through; of them nothing is asked by that.

        Raises ClusterError when it is not known how to reach their cluster.
        """
        return self.access_as(self.acts_as(id_), self.target(id_))

    def access_as(self, user: str, cluster: str = "") -> Access:
        """The same for a user; "" is the run itself, and its own cluster."""
        return self._clusters.access(user, cluster)

    def _expected(self, cluster: str, user: str) -> Iterator[ResourceRef]:
        for id_, refs in self.tracked.items():
            if (self.target(id_), self.acts_as(id_)) == (cluster, user):
                yield from refs

    def _gone_in(self, cluster: str) -> KubeConfig | None:
        records = (r.manifest for r in self.gone.values() if target(r.manifest) == cluster)
        return next((kube_config(manifest) for manifest in records), None)

    def writer(self, id_: str) -> Cluster:
        """The client to write a Kustomization's objects with. Raises as `begin` and `access` do."""
        self.begin()
        if self.lock.held is None:
            raise LockLost("the lock was given back")
        return self.access(id_).cluster.fenced(self.lock.held.check)

    def gave_rights(self, refs: Iterable[ResourceRef]) -> None:
        """Note what this run wrote: what an account may do changes with it, as soon as servers notice."""
        if any(gives_rights(ref) for ref in refs):
            self._rights_at = self.world.clock.monotonic()

    @property
    def rights_settle(self) -> bool:
        """Whether an account may be refused what it was just allowed."""
        return self.world.clock.monotonic() - self._rights_at < RIGHTS

    def is_missing(self, user: str, cluster: str = "") -> bool:
        """Whether the account of a user does not exist. Raises ClusterError when that cannot be told."""
        return bool(user) and self.access_as("", cluster).cluster.get(account_ref(user)) is None

    def requests(self) -> dict[str, int]:
        """What was sent, to all clusters together."""
        return self._clusters.requests()

    def superseded(self) -> bool:
        """Whether a newer run waits for this one to make way."""
        return self.lock.held is not None and bool(self.lock.held.waiting)

    def stopped(self) -> bool:
        """Whether nothing new may be begun."""
        return self._abandoned or self.world.cancelled() or self.overdue()

    def overdue(self) -> bool:
        """Whether the time of the whole run is up."""
        return self.world.clock.monotonic() >= self.deadline

    def abandon(self, why: BaseException) -> None:
        """Bring this attempt to an end; after an interrupt whatever waits on the cluster too."""
        self._abandoned = True
        if isinstance(why, Interrupted | KeyboardInterrupt):
            self.world.cancel()

    def want(self, owner: str, manifests: Iterable[Manifest]) -> None:
        """Note what a Kustomization wants, so that nobody prunes it."""
        with self._mutex:
            owners, own = self.owners(owner), not self.target(owner)
            for manifest in manifests:
                ref = ResourceRef.of(manifest)
                owners[ref] = owner
                if own and ref.kind in {"ConfigMap", "Secret"} and not ref.group:
                    self.produced[ref] = Produced(owner, manifest)

    def alive(self, uids: Iterable[str]) -> None:
        """Note the uids of wanted objects, so that none of them is pruned under another name."""
        with self._mutex:
            self.uids.update(uid for uid in uids if uid)

    def children(self, id_: str) -> tuple[str, ...]:
        with self._mutex:
            return tuple(sorted(unit.id for unit in self.units.values() if unit.parent == id_))

    def replace_children(self, parent: Unit, now: Mapping[str, Unit]) -> tuple[list[str], list[str]]:
        """Take over what a late rendering contains; which Kustomizations are new, and which went."""
        with self._mutex:
            self.units[parent.id] = parent
            before = {unit.id for unit in self.units.values() if unit.parent == parent.id}
            new = sorted(now.keys() - self.units.keys())
            for id_, child in now.items():
                known = self.units.get(id_)
                if known is None or known.kustomization.manifest != child.kustomization.manifest:
                    self.units[id_] = child
            return new, sorted(before - now.keys())

    def recorded_by_another(self, ref: ResourceRef, id_: str) -> bool:
        """Whether the Kustomization that wants an object now has written it down."""
        owner = self.owners(id_).get(ref, id_)
        record = self.records.get(owner)
        return (
            owner != id_ and record is not None and not self.was_elsewhere(record) and ref in record.inventory
        )

    def announce(self, nodes: Mapping[str, Node]) -> None:
        """Tell who waits for whom, before anybody starts."""
        for number, wave in enumerate(graph.waves(nodes), 1):
            for id_ in wave:
                needs = sorted({need.id for need in nodes[id_].needs if need.id in nodes})
                detail = f"for {', '.join(needs)}" if needs else ""
                self.world.listener(Progress(id_, Phase.WAITING, detail, number))

    def held_back(self, held: Iterable[Held]) -> None:
        with self._mutex:
            self.withheld.extend(held)

    def fresh(self, unit: Unit) -> Record:
        """The record of a Kustomization as it stands, or a new one."""
        known = self.records.get(unit.id)
        if known is None:
            known = Record(unit.id)
        elif self.was_elsewhere(known):
            known = replace(known, inventory={})  # left behind, as Flux does; its uids say nothing here
        return replace(known, repository=self.repository, entry=self.entry, parent=unit.parent)


def digests(key: bytes, unit: Unit) -> tuple[str, str]:
    """The keyed digest of what a Kustomization renders, and the plain one of what may be shown of it."""
    if unit.rendering is None:
        return "", ""
    return state.digest(key, unit.rendering.objects) if key else "", state.digest(b"", unit.rendering.shown)
