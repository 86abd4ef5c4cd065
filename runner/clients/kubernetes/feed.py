"""Follows the objects of one kind for every observation that wants some of them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple

from runner.clients.kubernetes.observation import SharedObservation
from runner.errors import ClusterError, NotServed
from runner.model import Manifest, ResourceRef
from runner.ports import Cluster, WatchEvent, WatchEventType

JOIN_SECONDS = 0.4
CREDENTIALS = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


class Kind(NamedTuple):
    """A kind of objects, whatever its version."""

    group: str
    kind: str


@dataclass(frozen=True, slots=True)
class Pace:
    """How often things are tried again; seconds."""

    retry: tuple[float, float] = (0.1, 2.0)  # the first pause after a failure, and the longest
    poll: tuple[float, float] = (0.5, 5.0)  # the first pause between two reads, and the longest
    rediscovery: float = 2.0
    patience: float = 60.0  # that failures go on before observations fail with them


@dataclass(frozen=True, slots=True)
class Source:
    """What a feed follows, and what it asks of its observer."""

    cluster: Cluster
    kind: Kind
    namespace: str  # "" is all of them
    rediscover: Callable[[], None]
    narrow: Callable[[Feed], None]


class Feed:
    """A LIST, then a WATCH from there, in a thread; or reads, where watching is forbidden.

    `lock` guards what the thread shares with observations; methods say when the caller holds it.
    """

    def __init__(self, source: Source, lock: threading.Lock, pace: Pace) -> None:
        self.source = source
        self.joined: dict[SharedObservation, tuple[ResourceRef, ...]] = {}
        self._lock = lock
        self._pace = pace
        self._wanted: dict[str, list[tuple[SharedObservation, ResourceRef]]] = {}  # by object name
        self._known: dict[tuple[str, str], Manifest | None] = {}
        self._listed = False  # objects that are not known do not exist
        self._namespaced = True
        self._polls = False
        self._version = ""  # to watch from; "" says that a list is due
        self._pause = pace.retry[0]
        self._failing_since: float | None = None
        self._stopped = threading.Event()
        self._woken = threading.Event()
        self._stream: AbstractContextManager[Iterator[WatchEvent]] | None = None
        name = f"feed of {source.kind.kind} {source.namespace}".strip()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Have the thread end; without the lock."""
        self._stopped.set()
        self._woken.set()
        self._cut()

    def wait(self) -> None:
        """Wait for the thread, but not for the answer to a request that it may have sent."""
        self._thread.join(JOIN_SECONDS)

    def join(self, observation: SharedObservation, refs: Collection[ResourceRef]) -> None:
        """Tell this observation of its objects, from now on; under the lock."""
        self.joined[observation] = (*self.joined.get(observation, ()), *refs)
        for ref in refs:
            self._wanted.setdefault(ref.name, []).append((observation, ref))
            if self._listed or self._key(ref) in self._known:
                observation.tell(ref, self._known.get(self._key(ref)))
        self._woken.set()

    def leave(self, observation: SharedObservation) -> None:
        """Tell it no more; under the lock."""
        for name in {ref.name for ref in self.joined.pop(observation, ())}:
            others = [entry for entry in self._wanted.pop(name) if entry[0] is not observation]
            if others:
                self._wanted[name] = others
        observation.recover(self)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._round()
            except ClusterError as error:
                self._failed(error)
                self._stopped.wait(self._next_pause())
            except Exception as error:  # noqa: BLE001 - a thread that died would look like a quiet cluster
                self._version = ""
                text = f"{self.source.kind.kind} cannot be followed: {type(error).__name__}: {error}"
                self._failed(ClusterError(text, reason="Garbled"))
                self._stopped.wait(self._next_pause())

    def _round(self) -> None:
        """One step; raises ClusterError when it did not work."""
        api = self.source.cluster.api(*self.source.kind)
        if api is None:
            self._absent()
            return
        self._namespaced = api.namespaced
        self._polls = self._polls or not {"list", "watch"} <= api.verbs
        try:
            if self._polls:
                self._poll()
            elif not self._version:
                self._list()
            else:
                self._watch()
        except ClusterError as error:
            if error.code == HTTPStatus.FORBIDDEN and not self._polls:
                self._forbidden()
            elif error.code == HTTPStatus.NOT_FOUND or isinstance(error, NotServed):
                self._version = ""
                self.source.rediscover()  # the kind may be gone
                raise
            else:
                raise

    def _list(self) -> None:
        listing = self.source.cluster.list(*self.source.kind, namespace=self.source.namespace)
        self._replace({_key_of(item): item for item in listing.items})
        self._version = listing.resource_version
        self._succeeded()

    def _watch(self) -> None:
        """Follow one stream to its end; where it ended, the next one goes on."""
        kind, namespace = self.source.kind, self.source.namespace
        stream = self.source.cluster.watch(*kind, resource_version=self._version, namespace=namespace)
        started = time.monotonic()
        lively = False
        try:
            events = stream.__enter__()
            with self._lock:
                self._stream = stream
            if self._stopped.is_set():
                return
            self._succeeded()
            for event in events:
                lively = True
                self._take(event)
        except ClusterError as error:
            if error.code or error.reason:  # expired, refused or garbled: changes may be missing
                self._version = ""
            raise
        finally:
            self._cut()
        if lively or time.monotonic() - started > 1.0:
            self._pause = self._pace.retry[0]
        self._stopped.wait(self._next_pause())

    def _take(self, event: WatchEvent) -> None:
        version = event.manifest.get("metadata", {}).get("resourceVersion")
        if event.type is not WatchEventType.BOOKMARK:
            deleted = event.type is WatchEventType.DELETED
            with self._lock:
                self._learn(_key_of(event.manifest), None if deleted else event.manifest)
        self._version = version or self._version

    def _poll(self) -> None:
        """Read every wanted object until the feed ends; slower while nothing changes."""
        pause, slowest = self._pace.poll
        with self._lock:
            self._listed = False
        while not self._stopped.is_set():
            self._woken.clear()
            if self._read_wanted():
                pause = self._pace.poll[0]
            self._woken.wait(pause)
            pause = min(pause * 1.5, slowest)

    def _read_wanted(self) -> bool:
        """Read each object; whether any has changed."""
        with self._lock:
            wanted = {self._key(ref): ref for refs in self.joined.values() for ref in refs}
            self._known = {key: value for key, value in self._known.items() if key in wanted}
        changed, refused = False, False
        for key, ref in wanted.items():
            if self._stopped.is_set():
                return False
            try:
                manifest = self.source.cluster.get(ref)
            except ClusterError as error:
                if error.code != HTTPStatus.FORBIDDEN:
                    raise
                self._refused(key, error)
                refused = True
                continue
            with self._lock:
                changed |= key not in self._known or self._known[key] != manifest
                self._learn(key, manifest)
        if not refused:
            self._succeeded()
        return changed

    def _refused(self, key: tuple[str, str], error: ClusterError) -> None:
        """One object may not even be read: who wants the others need not hear of it."""
        self._failing_since = self._failing_since or time.monotonic()
        with self._lock:
            for observation, ref in self._wanted.get(key[1], ()):
                if self._key(ref) == key:
                    observation.fail(self, error)

    def _absent(self) -> None:
        """The kind is not served: nothing of it exists, until discovery says otherwise."""
        self._replace({})
        self._version = ""
        self._succeeded()
        if not self._stopped.wait(self._pace.rediscovery):
            self.source.rediscover()

    def _forbidden(self) -> None:
        """Smaller pieces may be permitted: one namespace, else one object."""
        with self._lock:
            divisible = not self.source.namespace and self._namespaced
            divisible = divisible and any(ref.namespace for refs in self.joined.values() for ref in refs)
            self._polls = not divisible
        if divisible:
            self.source.narrow(self)
            self._stopped.set()

    def _replace(self, objects: dict[tuple[str, str], Manifest | None]) -> None:
        """Everything there is; what is not among it is gone."""
        with self._lock:
            self._known, self._listed = objects, True
            for entries in self._wanted.values():
                for observation, ref in entries:
                    observation.tell(ref, objects.get(self._key(ref)))

    def _learn(self, key: tuple[str, str], manifest: Manifest | None) -> None:
        """One object; under the lock."""
        if manifest is None and self._listed:
            self._known.pop(key, None)
        else:
            self._known[key] = manifest
        for observation, ref in self._wanted.get(key[1], ()):
            if self._key(ref) == key:
                observation.tell(ref, manifest)

    def _key(self, ref: ResourceRef) -> tuple[str, str]:
        return (ref.namespace if self._namespaced else "", ref.name)

    def _succeeded(self) -> None:
        if self._failing_since is None:
            return
        self._failing_since = None
        with self._lock:
            for observation in self.joined:
                observation.recover(self)

    def _failed(self, error: ClusterError) -> None:
        """Observations hear of it at once when it does not pass by itself, else when it lasts."""
        now = time.monotonic()
        self._failing_since = now if self._failing_since is None else self._failing_since
        lasting = now - self._failing_since > self._pace.patience
        if lasting or error.code in CREDENTIALS or error.reason == "Cancelled":
            with self._lock:
                for observation in self.joined:
                    observation.fail(self, error)

    def _next_pause(self) -> float:
        pause, self._pause = self._pause, min(self._pause * 2, self._pace.retry[1])
        return pause

    def _cut(self) -> None:
        with self._lock:
            stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(ClusterError):
                stream.__exit__(None, None, None)


def _key_of(manifest: Manifest) -> tuple[str, str]:
    metadata = manifest["metadata"]
    return (metadata.get("namespace") or "", metadata["name"])
