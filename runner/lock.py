"""One run at a time for each root: a Lease, renewed while the run lasts.

Whoever waits judges expiry by its own clock, from when it last saw the Lease change; whoever holds
it stops writing before that time can come.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from runner.errors import ClusterError, LockError, LockLost, Refused
from runner.model import Manifest, ResourceRef
from runner.ports import Clock, Cluster, Observer

WAITING = "kustodian.io/waiting"
COMMIT = "kustodian.io/commit"
WHOSE = 5.0
"""Seconds that the end of a run may wait to say who took its lock."""

MARGIN = 0.25  # of the lease's duration: what is left for answers under way when the last write starts
MOST_TRANSITIONS = 2**31 - 1  # that the API takes
_ATTEMPTS = 5  # to take a free Lease while answers are lost
RENEWALS = 4  # how often a lease is renewed within its duration


@dataclass(frozen=True, slots=True)
class LockOptions:
    """How long to hold and to wait, in seconds; and what the run is for."""

    duration: float = 30.0
    timeout: float = 600.0
    commit: str = ""  # tells a holder whether a waiting run is newer


def lease_ref(root: str) -> ResourceRef:
    namespace, _, name = root.partition("/")
    return ResourceRef(namespace, f"kustodian-{name}", "coordination.k8s.io", "Lease", "v1")


@dataclass(slots=True)
class Held:
    """A lock that is held. `fence` grows with every holder, so a late write of an earlier one shows."""

    cluster: Cluster
    clock: Clock
    ref: ResourceRef
    holder: str
    options: LockOptions
    fence: int = 0
    waiting: str = ""  # the commit of a newer run that waits for this one
    lost: str = ""  # why nothing may be written any more
    _renewed_at: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _told: threading.Event = field(
        default_factory=threading.Event
    )  # it is known who has it, or never will be

    def check(self) -> float:
        """Seconds that a write may take from now on. Raises LockLost when it may not begin."""
        if not self.lost:
            left = self._renewed_at + self.options.duration * (1 - MARGIN) - self.clock.monotonic()
            if left > 0:
                return left
            self.lost = f"{self.ref} could not be renewed in time"
            self._told.set()
        self._told.wait(WHOSE)
        raise LockLost(
            f"the lock is lost: {self.lost}", hint="nothing more was written; the next run goes on from here."
        )

    def outrank(self, fences: Iterable[int]) -> None:
        """Go above the fences on record: a Lease that was deleted begins to count anew."""
        self.fence = max([self.fence, *(fence + 1 for fence in fences)])

    def renew_until_stopped(self) -> None:
        """Renew a few times within each duration; the run's own thread does this."""
        while not self._stop.wait(self.options.duration / RENEWALS) and not self.lost:
            try:
                self._renew()
            except ClusterError as exc:
                if isinstance(exc, Refused) and exc.reason in {"Invalid", "NotFound"}:
                    self.lost = f"{self.ref} is not this run's any more"  # at once; who has it can wait
                    self.lost = self._whose()
                    self._told.set()
                    return  # else there may be time for another try

    def stop(self) -> None:
        self._stop.set()

    def _renew(self) -> None:
        asked_at = self.clock.monotonic()
        live = self.cluster.patch(
            self.ref,
            [
                {"op": "test", "path": "/spec/holderIdentity", "value": self.holder},
                {"op": "add", "path": "/spec/renewTime", "value": _stamp(self.clock)},
            ],
        )
        self._renewed_at = asked_at
        self.waiting = (live["metadata"].get("annotations") or {}).get(WAITING, "")

    def _whose(self) -> str:
        """What became of the Lease that is not ours any more."""
        try:
            live = self.cluster.get(self.ref)
        except ClusterError:
            live = {}
        if live is None:
            return f"{self.ref} was deleted"
        holder = (live.get("spec") or {}).get("holderIdentity")
        return f"{self.ref} was taken over by {_holder(live) if holder else 'another run'}"

    def release(self) -> None:
        """Let the next run start at once; a lock that is lost is not ours to release."""
        operations = [
            {"op": "test", "path": "/spec/holderIdentity", "value": self.holder},
            {"op": "replace", "path": "/spec/holderIdentity", "value": ""},
        ]
        for _ in range(2):
            try:
                self.cluster.patch(self.ref, operations)
            except ClusterError as exc:
                if exc.unanswered:
                    continue
            return  # else it expires by itself


@contextmanager
def hold(  # noqa: PLR0913 -- the world it needs, and what to do while waiting
    root: str,
    cluster: Cluster,
    observer: Observer,
    clock: Clock,
    options: LockOptions,
    *,
    is_newer: Callable[[str], bool] = lambda _: False,
    listener: Callable[[str], None] = lambda _: None,
) -> Iterator[Held]:
    """Take the lock of a root, keep it renewed inside the context, and release it.

    `is_newer` tells whether this run's commit is newer than the holder's: then the holder is told.

    Raises:
        LockError: another run held it for the whole of `options.timeout`.
    """
    held = Held(cluster, clock, lease_ref(root), secrets.token_hex(8), options)
    _take(held, observer, is_newer, listener)
    renewing = threading.Thread(target=held.renew_until_stopped, name="lease", daemon=True)
    renewing.start()
    try:
        yield held
    finally:
        held.stop()
        renewing.join()
        held.release()


def _take(
    held: Held, observer: Observer, is_newer: Callable[[str], bool], listener: Callable[[str], None]
) -> None:
    """Create or take over the Lease, waiting for a holder that is alive."""
    if _try(held, held.cluster.get(held.ref), expired=False):
        return
    deadline = held.clock.monotonic() + held.options.timeout
    seen_version, seen_at = "", held.clock.monotonic()
    with observer.observe([held.ref]) as observation:
        live = observation.changed(held.options.duration).get(held.ref)
        while True:
            now = held.clock.monotonic()
            version = _version(live)
            if version != seen_version:
                seen_version, seen_at = version, now
            expiry = seen_at + _duration(live, held.options.duration)
            if _try(held, live, expired=now >= expiry):
                if _is_held(live):
                    listener(f"taking the lock of a run that fell silent ({_holder(live)})")
                return
            if now >= deadline:
                raise LockError(
                    f"{held.ref} is held by another run ({_holder(live)}) and was not released within "
                    f"{held.options.timeout:g} s",
                    hint="wait for that run to end, or raise --lock-timeout.",
                )
            listener(f"waiting for another run to end ({_holder(live)})")
            _announce(held, live, is_newer)
            live = observation.changed(max(min(expiry, deadline) - now, 0.05)).get(held.ref, live)


def _try(held: Held, live: Manifest | None, *, expired: bool) -> bool:
    """Take the Lease if it is free, released or expired; whether that worked."""
    spec = (live or {}).get("spec") or {}
    if _is_held(live) and not expired:
        return False
    held.fence = min(int(spec.get("leaseTransitions") or 0) + 1, MOST_TRANSITIONS)
    for left in reversed(range(_ATTEMPTS)):
        asked_at = held.clock.monotonic()
        try:
            _send(held.cluster, _lease(held, live), live)
        except ClusterError as exc:
            if exc.reason in {"Conflict", "AlreadyExists", "NotFound"}:
                return False  # somebody else was first
            if not exc.unanswered:
                raise
            there = held.cluster.get(held.ref)  # it tells whether that was written
            if not _is_ours(held, there):
                if not left:
                    raise
                if _version(there) != _version(live):
                    return False
                continue
        held._renewed_at = asked_at  # noqa: SLF001 -- this module's own class
        return True
    return False


def _send(cluster: Cluster, lease: dict[str, Any], live: Manifest | None) -> None:
    if live is None:
        cluster.create(lease)
    else:
        cluster.replace(lease)


def _lease(held: Held, live: Manifest | None) -> dict[str, Any]:
    meta: dict[str, Any] = {
        "name": held.ref.name,
        "namespace": held.ref.namespace,
        "labels": {"app.kubernetes.io/managed-by": "kustodian"},
        "annotations": {COMMIT: held.options.commit},
    }
    if live is not None:
        meta["resourceVersion"] = _version(live)
    now = _stamp(held.clock)
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": meta,
        "spec": {
            "holderIdentity": held.holder,
            "leaseDurationSeconds": max(1, round(held.options.duration)),
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": held.fence,
        },
    }


def _announce(held: Held, live: Manifest | None, is_newer: Callable[[str], bool]) -> None:
    """Tell the holder that a newer commit waits, so that it need not wait for its own health."""
    annotations = ((live or {}).get("metadata") or {}).get("annotations") or {}
    if live is None or annotations.get(WAITING) or not is_newer(annotations.get(COMMIT, "")):
        return
    operations = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
        {
            "op": "add",
            "path": "/metadata/annotations",
            "value": {**annotations, WAITING: held.options.commit},
        },
    ]
    try:
        held.cluster.patch(held.ref, operations)
    except Refused:
        return  # it moved; the next look tells again


def _version(live: Manifest | None) -> str:
    return str(live["metadata"]["resourceVersion"]) if live else ""


def _is_held(live: Manifest | None) -> bool:
    return bool(((live or {}).get("spec") or {}).get("holderIdentity"))


def _is_ours(held: Held, live: Manifest | None) -> bool:
    return bool(((live or {}).get("spec") or {}).get("holderIdentity") == held.holder)


def _duration(live: Manifest | None, ours: float) -> float:
    """How long its holder may be silent; where somebody took that away, as long as we may."""
    return float(((live or {}).get("spec") or {}).get("leaseDurationSeconds") or ours)


def _holder(live: Manifest | None) -> str:
    meta, spec = (live or {}).get("metadata") or {}, (live or {}).get("spec") or {}
    commit = (meta.get("annotations") or {}).get(COMMIT, "")[:12]
    who, since = spec.get("holderIdentity", ""), spec.get("acquireTime", "")
    return f"{who}, commit {commit or 'unknown'}, since {since}"


def _stamp(clock: Clock) -> str:
    return datetime.fromtimestamp(clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
