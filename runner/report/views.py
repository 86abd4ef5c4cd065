"""What a report is about, where `runner.model` has no word for it; and the order of its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from runner.fleet import Provenance
from runner.model import Change, Finding, Manifest, Outcome, ResourceRef, State
from runner.ports import Authorship
from runner.rendered import Place, Problem
from runner.report import clean

LOG = 4096
"""How many characters of a log are shown."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What every result says first: the cluster, the entry and the revision it is about."""

    cluster: str
    entry: str
    revision: str


@dataclass(frozen=True, slots=True)
class BuildView:
    """One Kustomization as `build` shows it; the objects are those that may be shown to people."""

    namespace: str
    name: str
    path: str
    resources: Sequence[Manifest] = ()
    errors: Sequence[Problem] = ()
    variables: Sequence[Provenance] | None = None  # None: nobody asked
    origins: Sequence[Place] = ()  # where each of the resources is written


@dataclass(frozen=True, slots=True)
class Trace:
    """Where one object comes from; "" and None is what is not known."""

    ref: ResourceRef
    exists: bool  # in the cluster
    owner: str = ""  # the Kustomization
    chain: tuple[str, ...] = ()  # its parents, the nearest first
    state: State | None = None
    paused: str = ""
    source: str = ""  # Kind/namespace/name
    path: str = ""  # that the Kustomization builds
    revision: str = ""  # of the last change on record
    place: Place = field(default_factory=Place)
    at: str = ""  # the commit whose files were looked at
    commit: Authorship | None = None  # that last changed it there
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """One Kubernetes Event about a Kustomization, an object of it, or what that owns; foreign text."""

    kustomization: str
    ref: ResourceRef
    at: float  # when it was last seen, seconds since the epoch
    type: str  # Normal, Warning
    reason: str
    message: str
    count: int = 1
    source: str = ""  # the component that wrote it
    tick: int = 0  # orders what was seen in one second


def changes(outcome: Outcome) -> list[Change]:
    """By kind and name: objects of one rank are applied side by side."""
    return sorted(outcome.changes, key=lambda each: by_kind(each.ref))


def why(outcome: Outcome, ref: ResourceRef) -> list[Finding]:
    """What was found out about an object that is not healthy."""
    return [each for each in outcome.diagnosis if each.ref == ref]


def finding(each: Finding) -> list[str]:
    """A finding as clean lines: what, the hint, the end of the log."""
    told = [clean.line(str(each), clean.MESSAGE)]
    told += [f"  Hint: {clean.line(each.hint, clean.MESSAGE)}"] if each.hint else []
    return told + [f"  | {line}" for line in clean.block("\n".join(each.log), LOG, clean.LINES)]


def by_kind(ref: ResourceRef) -> tuple[str, str, str, str]:
    """Sorts objects as people look for them."""
    return ref.kind, ref.namespace, ref.name, ref.group
