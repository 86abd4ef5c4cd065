"""Gathering what tells why objects are not healthy; whatever fails here only makes a diagnosis shorter."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from concurrent.futures import wait as finished
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from runner import health, redact
from runner.errors import ClusterError
from runner.health import Evidence
from runner.model import FLUX, Finding, Health, Manifest, ResourceRef, Status
from runner.ports import Clock, Cluster

MOST_OBJECTS = 10
"""How many objects are looked into: with more than that something larger is wrong."""

MOST_LOGS = 3
"""Containers of one object whose logs are read."""

BUDGET = 10.0
"""Seconds for all of it; what was read by then counts."""

_READ_LINES = 200  # that scrubbing sees more than what is shown: a secret may begin before
_FIRST, _SLOWEST, _SLOWER = 2.0, 30.0, 1.5  # seconds between looks while something is waited for
_LOOKED_AT = 5  # objects in one of these looks; the next one is for the next
_LINE = 8  # characters from which on a line of a secret is hidden in a log, which may begin in its middle
_FORBIDDEN = 403


@dataclass(slots=True)
class Gathering:
    """One look at what is not healthy; sequential, in a thread of its own, so that it can be left alone."""

    cluster: Cluster
    denied: set[str] = field(default_factory=set)  # what the credentials may not read
    evidence: Evidence = field(default_factory=Evidence)
    stopped: bool = False

    def look(self, healths: Iterable[Health], *, closely: bool) -> None:
        """Read the objects and what they own; `closely` with all events and logs."""
        for each in list(healths)[:MOST_OBJECTS]:
            if self.stopped:
                return
            if (each.ref.group, each.ref.kind) == (FLUX, "Kustomization"):
                continue  # what is wrong with it is told where it is
            live = self._get(each.ref) if each.status is not Status.NOT_FOUND else None
            if live is not None:
                self.evidence.owned[each.ref] = owned = tuple(self._owned(live))
                self.evidence.objects[each.ref] = live
                self._events([live, *owned] if closely else [live])
                if closely:
                    self._logs(owned if each.ref.kind != "Pod" else (live,))

    def _owned(self, live: Manifest) -> list[Manifest]:
        """The owner chain downwards: ReplicaSet, Pods, and the claims that these wait for."""
        kind, namespace, selector = str(live.get("kind")), _namespace(live), health.selector(live)
        if (kind, _group(live)) not in _WITH_PODS or not selector:
            return []
        chain: list[Manifest] = []
        owner: Manifest | None = live
        if kind == "Deployment":
            sets = health.owned_by(live, self._list("apps", "ReplicaSet", namespace, selector=selector))
            owner = health.newest(sets)
            chain = [owner] if owner is not None else []
        if owner is None:
            return chain
        pods = health.troubled(health.owned_by(owner, self._list("", "Pod", namespace, selector=selector)))
        claims = dict.fromkeys(name for pod in pods for name in health.claims(pod))
        found = (self._get(ResourceRef(namespace, n, "", "PersistentVolumeClaim", "v1")) for n in claims)
        pending = [c for c in found if c is not None and (c.get("status") or {}).get("phase") != "Bound"]
        return [*chain, *pending, *pods]

    def _events(self, manifests: Iterable[Manifest]) -> None:
        for each in manifests:
            uid = health.uid(each)
            if uid and not self.stopped:
                namespace = _namespace(each) or "default"  # where events of cluster-scoped objects go
                found = self._list("", "Event", namespace, fields=f"involvedObject.uid={uid}")
                self.evidence.events[uid] = tuple(found)

    def _logs(self, pods: Iterable[Manifest]) -> None:
        wanted = [
            (pod, name, previous)
            for pod in pods
            if pod.get("kind") == "Pod"
            for name, previous in health.crashed(pod)
        ]
        for pod, name, previous in wanted[:MOST_LOGS]:
            if self.stopped or "pods/log" in self.denied:
                return
            try:
                log = self.cluster.logs(ResourceRef.of(pod), name, previous=previous, lines=_READ_LINES)
            except ClusterError as exc:
                self._note(exc, "pods/log")
            else:
                self.evidence.logs[health.uid(pod), name] = tuple(log.splitlines())

    def _get(self, ref: ResourceRef) -> Manifest | None:
        if (ref.group, ref.kind) == ("", "Secret") or ref.kind in self.denied:
            return None  # no Secret is read: its health is not in its values
        try:
            return self.cluster.get(ref)
        except ClusterError as exc:
            self._note(exc, ref.kind)
            return None

    def _list(
        self, group: str, kind: str, namespace: str, *, selector: str = "", fields: str = ""
    ) -> Sequence[Manifest]:
        if kind in self.denied or self.stopped:
            return ()
        try:
            return self.cluster.list(group, kind, namespace=namespace, selector=selector, fields=fields).items
        except ClusterError as exc:
            self._note(exc, kind)
            return ()

    def _note(self, exc: ClusterError, what: str) -> None:
        if exc.code == _FORBIDDEN:
            self.denied.add(what)


@dataclass(slots=True)
class Examiner:
    """Looks now and then, beside a wait, whether what is waited for can still become healthy."""

    cluster: Cluster
    pool: Executor
    clock: Clock
    denied: set[str] = field(default_factory=set)
    _running: Future[Evidence] | None = None
    _asked: tuple[Health, ...] = ()
    _pause: float = _FIRST
    _next: float = -1.0
    _turn: int = 0
    _since: dict[tuple[ResourceRef, ResourceRef, str], float] = field(default_factory=dict)
    _doomed: dict[ResourceRef, str] = field(default_factory=dict)

    def doomed(self, healths: tuple[Health, ...]) -> Mapping[ResourceRef, str]:
        """The objects for which nothing will help any more, and why; answers at once, from the last look."""
        now = self.clock.monotonic()
        if self._next < 0:
            self._next = now + self._pause
        if self._running is not None and self._running.done():
            self._learn(self._running, now)
            self._running = None
        if self._running is None and now >= self._next:
            self._asked = self._next_ones(healths)
            self._pause = min(self._pause * _SLOWER, _SLOWEST)
            self._next = now + self._pause
            if self._asked:
                with suppress(RuntimeError):  # the pool is closed: the run is over
                    self._running = self.pool.submit(self._look, self._asked)
        return self._doomed

    def _next_ones(self, healths: tuple[Health, ...]) -> tuple[Health, ...]:
        """Some of those that are on their way; all have their turn."""
        waited = [h for h in healths if h.status is Status.IN_PROGRESS and h.ref.kind in _MAY_BE_LOST]
        begin = self._turn % len(waited) if waited else 0
        self._turn = begin + _LOOKED_AT
        return tuple((waited[begin:] + waited[:begin])[:_LOOKED_AT])

    def _look(self, healths: tuple[Health, ...]) -> Evidence:
        gathering = Gathering(self.cluster, self.denied)
        gathering.look(healths, closely=False)
        return gathering.evidence

    def _learn(self, done: Future[Evidence], now: float) -> None:
        """Note since when each cause is seen; one that was away in between begins anew."""
        if done.cancelled() or done.exception() is not None:
            return
        before, asked = self._since, {each.ref for each in self._asked}
        self._since = {key: at for key, at in before.items() if key[0] not in asked}
        for found in reversed(health.diagnose(self._asked, done.result())):
            key = found.ref, found.subject, found.code
            if found.grace is not None:
                since = self._since[key] = before.get(key, now)
                if now - since >= found.grace:
                    self._doomed[found.ref] = f"it cannot recover: {found.code}"
            elif key in before:  # not over: a container that crashes runs in between
                self._since[key] = before[key]


def why(
    healths: Iterable[Health], cluster: Cluster, pool: Executor, secrets: Collection[str], denied: set[str]
) -> tuple[Finding, ...]:
    """Why objects are not healthy, as far as it can be found out in the time that is given to it."""
    asked = tuple(healths)
    gathering = Gathering(cluster, denied)
    with suppress(RuntimeError):  # the pool is closed: the run is over
        done = finished([pool.submit(gathering.look, asked, closely=True)], timeout=BUDGET)
        gathering.stopped = bool(done.not_done)
    read = gathering.evidence  # what is not stopped at once may still write into it
    hidden = [*secrets, *(line for each in secrets for line in each.splitlines() if len(line) >= _LINE)]
    logs = {key: health.tail(redact.scrub("\n".join(log), hidden)) for key, log in dict(read.logs).items()}
    evidence = Evidence(dict(read.objects), dict(read.owned), dict(read.events), logs)
    return health.diagnose(asked, evidence, partial(redact.scrub, secrets=secrets))


def complaint(denied: Iterable[str]) -> str:
    """What to say once when the credentials do not suffice."""
    missing = ", ".join(sorted(denied))
    return f"to say better why objects are not ready, the credentials would have to let read: {missing}"


def _namespace(manifest: Manifest) -> str:
    return str((manifest.get("metadata") or {}).get("namespace") or "")


def _group(manifest: Manifest) -> str:
    return str(manifest.get("apiVersion")).rpartition("/")[0]


_MAY_BE_LOST = frozenset(
    ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "Pod", "PersistentVolumeClaim"]
)  # the kinds with causes that end a wait and that their own status does not tell
_WITH_PODS = frozenset(
    [
        ("Deployment", "apps"),
        ("ReplicaSet", "apps"),
        ("StatefulSet", "apps"),
        ("DaemonSet", "apps"),
        ("Job", "batch"),
    ]
)
