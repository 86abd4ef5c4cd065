"""What one observation has been told and has not handed on yet."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping

from runner.errors import ClusterError
from runner.model import Manifest, ResourceRef


class SharedObservation:
    """A set of live objects that feeds tell of; feeds hold the condition's lock when they do."""

    def __init__(self, refs: Collection[ResourceRef], condition: threading.Condition) -> None:
        self.refs = tuple(dict.fromkeys(refs))
        self._condition = condition
        self._latest: dict[ResourceRef, Manifest | None] = {}
        self._pending: dict[ResourceRef, Manifest | None] = {}
        self._errors: dict[object, ClusterError] = {}

    def changed(self, timeout: float) -> Mapping[ResourceRef, Manifest | None]:
        with self._condition:
            self._condition.wait_for(lambda: self._is_due() or self._errors, timeout)
            if self._is_due():
                due, self._pending = self._pending, {}
                return due
            if self._errors:
                raise next(iter(self._errors.values()))
            return {}

    def tell(self, ref: ResourceRef, manifest: Manifest | None) -> None:
        """How an object is now; what is known already is no change."""
        if ref in self._latest and same(self._latest[ref], manifest):
            return
        self._latest[ref] = self._pending[ref] = manifest
        self._condition.notify_all()

    def fail(self, feed: object, error: ClusterError) -> None:
        """A feed's objects cannot be observed, until it says that they can again."""
        self._errors[feed] = error
        self._condition.notify_all()

    def recover(self, feed: object) -> None:
        self._errors.pop(feed, None)

    def _is_due(self) -> bool:
        return bool(self._pending) and len(self._latest) == len(self.refs)


def same(one: Manifest | None, other: Manifest | None) -> bool:
    """Whether two manifests are one state of one object."""
    if one is None or other is None:
        return one is other
    first, second = one["metadata"], other["metadata"]
    if not first.get("resourceVersion"):
        return one == other
    return all(first.get(key) == second.get(key) for key in ("uid", "resourceVersion"))
