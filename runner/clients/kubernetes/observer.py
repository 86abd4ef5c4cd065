"""Keeps sets of live objects current by watches that all observations share."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from runner.clients.kubernetes.feed import Feed, Kind, Pace, Source
from runner.clients.kubernetes.observation import SharedObservation
from runner.model import ResourceRef
from runner.ports import Cluster, Observation


class WatchingObserver:
    """One LIST and WATCH for each kind that is observed, for as long as anybody observes it.

    A kind is watched in one namespace, or in all at once as soon as two are asked for. Where that is
    forbidden, each namespace is watched; where no watch is permitted, objects are read again and again.
    """

    def __init__(self, cluster: Cluster, *, pace: Pace | None = None, keep: bool = False) -> None:
        """Observe a cluster; best one that does not retry by itself, as this comes again anyway.

        With `keep` a watch goes on until `close` when nobody needs it any more: somebody soon will.
        """
        self._cluster = cluster
        self._keep = keep
        self._pace = pace or Pace()
        self._lock = threading.Lock()  # of all that threads share here, in feeds and in observations
        self._feeds: dict[tuple[Kind, str], Feed] = {}
        self._narrow: set[Kind] = set()  # may not be watched in all namespaces at once
        self._rediscovered_at = 0.0
        self._others: dict[str, WatchingObserver] = {}  # by the user that they act as

    def acting_as(self, user: str) -> WatchingObserver:
        with self._lock:
            if user not in self._others:
                cluster = self._cluster.acting_as(user)
                self._others[user] = WatchingObserver(cluster, pace=self._pace, keep=self._keep)
            return self._others[user]

    @contextmanager
    def observe(self, refs: Collection[ResourceRef]) -> Iterator[Observation]:
        observation = SharedObservation(refs, threading.Condition(self._lock))
        try:
            with self._lock:
                self._subscribe(observation, observation.refs)
            yield observation
        finally:
            self._unsubscribe(observation)

    def _subscribe(self, observation: SharedObservation, refs: Collection[ResourceRef]) -> None:
        """Have feeds tell an observation of these objects; under the lock."""
        by_kind: dict[Kind, list[ResourceRef]] = {}
        for ref in refs:
            by_kind.setdefault(Kind(ref.group, ref.kind), []).append(ref)
        for kind, of_kind in by_kind.items():
            namespaces = {ref.namespace for ref in of_kind}
            watched = {namespace for other, namespace in self._feeds if other == kind}
            if kind not in self._narrow and len(namespaces | watched) > 1:
                self._feed(kind, "").join(observation, of_kind)
                continue
            for namespace in namespaces:
                self._feed(kind, namespace).join(
                    observation, [r for r in of_kind if r.namespace == namespace]
                )

    def _feed(self, kind: Kind, namespace: str) -> Feed:
        """The feed of a kind, started when there was none; under the lock."""
        feed = self._feeds.get((kind, namespace))
        if feed is None:
            source = Source(self._cluster, kind, namespace, self._rediscover, self._split)
            feed = self._feeds[kind, namespace] = Feed(source, self._lock, self._pace)
            feed.start()
        return feed

    def _split(self, feed: Feed) -> None:
        """A feed may not see all namespaces: its observations go to feeds of one namespace each."""
        with self._lock:
            self._narrow.add(feed.source.kind)
            if self._feeds.get((feed.source.kind, "")) is feed:
                del self._feeds[feed.source.kind, ""]
            for observation, refs in tuple(feed.joined.items()):
                feed.leave(observation)
                self._subscribe(observation, refs)

    def _rediscover(self) -> None:
        """Have discovery read anew, unless it was a moment ago."""
        with self._lock:
            if time.monotonic() - self._rediscovered_at < self._pace.rediscovery / 2:
                return
            self._rediscovered_at = time.monotonic()
        self._cluster.rediscover()

    def _unsubscribe(self, observation: SharedObservation) -> None:
        with self._lock:
            for feed in self._feeds.values():
                feed.leave(observation)
        if not self._keep:
            self.close()

    def close(self) -> None:
        """End the watches that nobody needs."""
        with self._lock:
            others = tuple(self._others.values())
            idle = {key: feed for key, feed in self._feeds.items() if not feed.joined}
            for key in idle:
                del self._feeds[key]
        for feed in idle.values():
            feed.stop()
        for feed in idle.values():
            feed.wait()
        for other in others:
            other.close()
