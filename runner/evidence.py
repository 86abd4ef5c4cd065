"""What proofs are held against: live metadata, listed by kind, and what the server does to an apply.

Lists are read when they are first asked for, and anew when they are older than AGE, so that a run without
changes sends a few requests for each kind, and a long run decides by what is there now.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar

from runner import proof
from runner.errors import ClusterError
from runner.model import Manifest, ResourceRef
from runner.ports import Clock, Cluster

AGE = 10.0  # seconds that something read may decide
SETTLED = 30.0  # seconds after which every API server has noticed a changed policy or definition
FEW = 3  # objects or namespaces; up to so many are read one by one
WORTH = 50  # objects that may be listed for each one that is wanted, before reading these is cheaper
SPARE = 500  # and this many anyway: they come in one answer

DEFINITION = ("apiextensions.k8s.io", "CustomResourceDefinition")
_ADMISSION = "admissionregistration.k8s.io"
MUTATING = (
    (_ADMISSION, "MutatingWebhookConfiguration"),
    (_ADMISSION, "MutatingAdmissionPolicy"),
    (_ADMISSION, "MutatingAdmissionPolicyBinding"),
)
Listed = Mapping[tuple[str, str], Manifest]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides at the server about an object that is applied: equal rules do the same to it."""

    general: str = ""  # the version, and everything that changes objects of whatever kind; "" when unknown
    definitions: Mapping[str, str] = field(default_factory=dict)  # by name; "" for one that just changed

    def of(self, name: str) -> str:
        """The rules for one kind, given by the name that its definition has or would have."""
        own = self.definitions.get(name, "built in")
        return proof.digest([self.general, own]) if self.general and own else ""


class Evidence:
    """What is live, as far as it takes few requests to know; any thread may ask."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._kinds: dict[tuple[str, str], _Kind] = {}
        self._rules = _Recent(self._read_rules, clock)

    def through(self, cluster: Cluster) -> Evidence:
        """What another user may see; what the server does to objects is asked by the run itself."""
        made = Evidence(cluster, self._clock)
        made._rules = self._rules
        return made

    def expect(self, refs: Iterable[ResourceRef]) -> None:
        """Say what will be asked for, which decides how it is read."""
        wanted: dict[tuple[str, str], Counter[str]] = {}
        for ref in refs:
            wanted.setdefault((ref.group, ref.kind), Counter())[ref.namespace] += 1
        self._kinds = {kind: _Kind(self._lister(*kind), self._clock, found) for kind, found in wanted.items()}

    def live(self, ref: ResourceRef) -> Manifest | None:
        """An object's metadata; None when it is not known: listed nowhere, or not there."""
        kind = self._kinds.get((ref.group, ref.kind))
        listed = kind.listed(ref.namespace) if kind else None
        return listed.get((ref.namespace, ref.name)) if listed else None

    def rules(self) -> Rules:
        """What the server does now; to be asked before what it is said of is."""
        return self._rules.get()

    def name(self, ref: ResourceRef) -> str:
        """The name that the definition of an object's kind has, or would have; "" when it is not known."""
        try:
            api = self._cluster.api(ref.group, ref.kind)
        except ClusterError:
            return ""
        return f"{api.plural}.{ref.group}" if api else ""

    def wrote(self, refs: Iterable[ResourceRef]) -> None:
        """Note what this run wrote: rules that it changed are read anew."""
        if {(ref.group, ref.kind) for ref in refs} & {*MUTATING, DEFINITION}:
            self._rules.forget()

    def _lister(self, group: str, kind: str) -> Callable[[str, int], Listed | None]:
        def read(namespace: str, most: int) -> Listed | None:
            try:
                items = self._cluster.list(
                    group, kind, namespace=namespace, metadata_only=True, most=most
                ).items
            except ClusterError:
                return None  # it is read one by one; what is wrong is said there
            return {(i["metadata"].get("namespace") or "", i["metadata"]["name"]): i for i in items}

        return read

    def _read_rules(self) -> Rules:
        """Unknown when something that changes objects may not be seen, or changed a moment ago."""
        try:
            found = {kind: self._rule_objects(kind) for kind in (*MUTATING, DEFINITION)}
            version = self._cluster.version()
        except ClusterError:
            return Rules()
        now = self._clock.now()
        definitions = {i["metadata"]["name"]: i["metadata"] for i in found.pop(DEFINITION)}
        mutating = [(kind, i["metadata"]) for kind, items in found.items() for i in items]
        young = any(now - _changed_at(meta) < SETTLED for _, meta in mutating)
        named = sorted([*kind, meta["name"], *_state(meta)] for kind, meta in mutating)
        return Rules(
            "" if young else proof.digest([version, named]),
            {name: _definition(meta, now) for name, meta in definitions.items()},
        )

    def _rule_objects(self, kind: tuple[str, str]) -> Iterable[Manifest]:
        if self._cluster.api(*kind) is None:
            return ()
        return self._cluster.list(*kind, metadata_only=True).items


class _Recent(Generic[T]):
    """Something that was read a moment ago; of those who ask at once one reads, and the others wait."""

    def __init__(self, read: Callable[[], T], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()
        self._found: tuple[float, T] | None = None

    def get(self) -> T:
        with self._lock:
            now = self._clock.monotonic()
            if self._found is None or now - self._found[0] > AGE:
                self._found = now, self._read()
            return self._found[1]

    def forget(self) -> None:
        with self._lock:
            self._found = None


class _Kind:
    """How the objects of one kind are read.

    A few are left to be read one by one. Those of few namespaces are listed there, others in the whole
    cluster; where that is forbidden or too much, the namespaces that hold more than a few are listed.
    """

    def __init__(self, read: Callable[[str, int], Listed | None], clock: Clock, wanted: Counter[str]) -> None:
        self._wanted = wanted
        self._whole = len(wanted) > FEW
        places = {"": wanted.total()} | dict(wanted)
        self._lists = {
            place: _Recent(partial(read, place, SPARE + WORTH * count), clock)
            for place, count in places.items()
        }
        self._refused: set[str] = set()  # places that are not asked again

    def listed(self, namespace: str) -> Listed | None:
        if self._wanted.total() <= FEW:
            return None
        if self._whole and (found := self._get("")) is not None:
            return found
        return None if self._whole and self._wanted[namespace] <= FEW else self._get(namespace)

    def _get(self, place: str) -> Listed | None:
        if place not in self._lists or place in self._refused:
            return None
        found = self._lists[place].get()
        if found is None:
            self._refused.add(place)
        return found


def _definition(meta: Mapping[str, Any], now: float) -> str:
    """A definition's state; "" while handlers of its older form may still answer."""
    older = (meta.get("generation") or 0) > 1
    return "" if older and now - _changed_at(meta) < SETTLED else proof.digest(_state(meta))


def _state(meta: Mapping[str, Any]) -> tuple[object, ...]:
    return meta.get("uid"), meta.get("generation")


def _changed_at(meta: Mapping[str, Any]) -> float:
    """When it was last written, as the server says."""
    times = [meta.get("creationTimestamp"), *(e.get("time") for e in meta.get("managedFields") or ())]
    return max((datetime.fromisoformat(text).timestamp() for text in times if text), default=0.0)
