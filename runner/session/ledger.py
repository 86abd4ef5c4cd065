"""What a run has on record, and its right to write: to the records, and to the cluster at all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from runner import apply, mirror, state
from runner.errors import ClusterError, LockLost
from runner.exchange import Exchange
from runner.fleet import Fleet
from runner.inventory import Inventory
from runner.mirror import Ending
from runner.model import SourceRevision
from runner.options import Options
from runner.ports import Cluster
from runner.session.root import Lock, Moved
from runner.state import Deployment, Record
from runner.store import Store
from runner.world import World


@dataclass(slots=True, kw_only=True)
class Ledger:
    """The records of an entry: read at once, written under the root's lock, which the first write takes."""

    world: World
    options: Options
    fleet: Fleet
    repository: str
    revision: str
    commit: str
    tree: str  # the files that it is about; "" when they are not committed
    entry: str
    lock: Lock
    store: Store
    exchange: Exchange
    fetched: Mapping[str, str] = field(default_factory=dict)  # revisions of other sources; "": it failed
    before_first_write: Callable[[Store], None] = lambda _: None  # raises when the run is superseded
    key: bytes = b""
    made_namespaces: set[str] = field(default_factory=set)  # by this run, for its records
    warnings: list[str] = field(default_factory=list)
    _writer: Store | None = None
    _namespaces: set[str] = field(default_factory=set)
    _mutex: threading.RLock = field(default_factory=threading.RLock)

    @property
    def records(self) -> Mapping[str, Record]:
        return (self._writer or self.store).records

    @property
    def stored(self) -> Mapping[str, Record]:
        """The records as the cluster has them, without what was taken over from Flux since."""
        return (self._writer or self.store).stored

    def uid_of_record(self, id_: str) -> str:
        """The uid of the ConfigMap that a Kustomization is recorded in, "" when it is not."""
        return (self._writer or self.store).uids.get(id_, "")

    @property
    def wrote(self) -> bool:
        return self._writer is not None

    @property
    def was_deployed(self) -> bool:
        """Whether this very commit was deployed as a whole before this run."""
        root = self.store.records.get(self.fleet.root)
        known = root.deployment if root is not None else None
        return known is not None and known.done and known.commit == self.commit

    @property
    def sources(self) -> tuple[SourceRevision, ...]:
        """What every source that is not the checkout stands for, and what it stood for when last deployed."""
        root = self.store.records.get(self.fleet.root)
        known = root.deployment.sources if root is not None and root.deployment is not None else {}
        return tuple(
            SourceRevision(source, revision, known.get(source, ""))
            for source, revision in sorted(dict(self.fetched).items())
            if revision
        )

    def begin(self) -> Cluster:
        """Make sure that this run may write, and give the client to write with.

        The first call takes the lock, reads the records again and marks the entry as being deployed.

        Raises:
            Moved: another run wrote in between; plan again.
            LockError: the lock could not be had, is lost, or a newer commit was deployed meanwhile.
        """
        with self._mutex:
            if self._writer is None:
                self._open()
            if self.lock.held is None or self._writer is None:
                raise LockLost("the lock was given back")
            return self._writer.cluster

    def settle(self, id_: str) -> None:
        """Make sure that a Kustomization without a record has a namespace to be recorded in.

        Where Flux runs, it is there: the Kustomization itself lives in it.
        """
        if id_ not in self.records:
            self.begin()
            self._ensure_namespace(id_.partition("/")[0])

    def write(self, record: Record) -> None:
        """Store a record; one that says nothing new is not written, and takes no lock."""
        known = self.stored.get(record.kustomization)
        if known is not None and replace(known, fence=0) == replace(record, fence=0):
            return
        self.begin()
        if self._writer is None or self.lock.held is None:
            raise LockLost("the lock was given back")
        self._ensure_namespace(record.kustomization.partition("/")[0])
        self._writer.write(replace(record, fence=self.lock.held.fence))

    def publish(self, id_: str, ending: Ending) -> str:
        """Tell Flux's status how a Kustomization ended; why that could not be done, "" when it could."""
        now = self.world.clock.now()
        try:
            self.exchange.tell(id_, lambda live: mirror.patch(live, ending, now), self.begin)
        except ClusterError as exc:
            return exc.message
        return ""

    def shrink(self, record: Record, owned: Inventory) -> None:
        """Store a smaller inventory, in Flux's status first: what is gone from both is forgotten."""
        seen = record.seen
        owned = {ref: owned[ref] for ref in reversed(apply.deletion_order(owned))}
        try:
            if self.exchange.tell(record.kustomization, lambda live: mirror.listed(live, owned), self.begin):
                seen = mirror.fingerprint(owned)
        except ClusterError as exc:
            self.warnings.append(exc.message)
        self.write(replace(record, inventory=owned, seen=seen))

    def forget(self, kustomization: str) -> None:
        self.begin()
        if self._writer is None or self.lock.held is None:
            raise LockLost("the lock was given back")
        self._writer.forget(kustomization, self.lock.held.fence)

    def deployed(self, *, done: bool) -> None:
        """Note in the root's record how far this revision has come."""
        root = self.records.get(self.fleet.root) or Record(self.fleet.root)
        known = root.deployment
        sources = self._deployed_from(known)
        told = (self.commit, self.revision, done, sources)
        if known is not None and (known.commit, known.revision, known.done, known.sources) == told:
            return
        if self.options.rollback and self.options.names:
            return  # a part goes back; what the entry as a whole is at stays true
        same = known is not None and known.commit == self.commit and not known.done
        now = round(self.world.clock.now(), 3)
        started = known.started_at if known is not None and same else now
        ended = now if done else None
        undone = self.options.rollback
        if known is not None and known.commit == self.commit:
            undone = undone or known.replaced
        made = Deployment(self.revision, self.commit, done, started, ended, undone, sources)
        deployed = root.deployed
        if done:
            deployed = (made, *(d for d in deployed if d.commit != self.commit))[: state.HISTORY]
        whose = replace(root, repository=self.repository, entry=self.entry)
        self.write(replace(whose, deployment=made, deployed=deployed))

    def _deployed_from(self, known: Deployment | None) -> dict[str, str]:
        """The revisions to record; of a source that could not be fetched the one that is on record."""
        before = known.sources if known is not None else {}
        now = {source: revision or before.get(source, "") for source, revision in dict(self.fetched).items()}
        return {source: revision for source, revision in sorted(now.items()) if revision}

    def _open(self) -> None:
        self._ensure_namespace(self.fleet.root.partition("/")[0])
        held = self.lock.take()
        again = Store(self.world.cluster)
        again.load()
        if again.versions(self.repository, self.entry) != self.store.versions(self.repository, self.entry):
            raise Moved("another run finished while this one waited for its lock")
        self.before_first_write(again)
        held.outrank(record.fence for record in again.records.values())
        self._writer = again.through(self.world.cluster.fenced(held.check))
        if not self.key:
            self.key = self._writer.digest_key(self.fleet.root.partition("/")[0], create=True)
        self.deployed(done=False)

    def _ensure_namespace(self, name: str) -> None:
        with self._mutex:
            if name not in self._namespaces:
                if (self._writer or self.store).ensure_namespace(name):
                    self.made_namespaces.add(name)
                self._namespaces.add(name)
