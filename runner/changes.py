"""The nouns of a comparison: what one revision of an entry changes against another, and in a cluster.

Everything here may be shown: the values of Secrets were taken out before.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.model import Action, Held, Manifest, ResourceRef, SourceRevision, State
from runner.rendered import Place, Problem, is_sealed


class Cause(enum.StrEnum):
    """Why a Kustomization is affected."""

    NEW = "new"
    REMOVED = "removed"
    MOVED = "moved"  # another parent renders it
    SPEC = "spec"  # the file that holds its own object changed
    PARENT = "parent"  # what its parent makes of its object changed: a patch, a variable
    FILES = "files"  # files below its own path
    SHARED = "shared"  # a base, component or generator file elsewhere
    VARIABLES = "variables"  # the value of a variable, by its source
    SOURCE = "source"  # what its artifact is made of
    RENDER = "render"  # one side cannot be rendered, so it is not known to be the same


@dataclass(frozen=True, slots=True, order=True)
class Why:
    """One reason, and what of the change it is: a path, a variable, a field."""

    cause: Cause
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.cause}: {self.detail}" if self.detail else str(self.cause)


@dataclass(frozen=True, slots=True)
class Affected:
    """A Kustomization that needs reconciling, because of the change or of one that it depends on."""

    kustomization: str
    reasons: tuple[Why, ...] = ()  # sorted; empty for one that only depends on another
    via: tuple[str, ...] = ()  # of a dependent: the way to the affected one, nearest first

    @property
    def dependent(self) -> bool:
        return not self.reasons


class Touch(enum.StrEnum):
    """What happened to a field."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    REORDERED = "reordered"  # a list with the same items in another order


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs; list items are named by their keys where they have any.

    `path` reads like `spec.template.spec.containers[name=web].image`.
    """

    path: str
    touch: Touch
    before: Any = None  # as JSON holds it; None also where there was nothing
    after: Any = None


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """What happens to one object."""

    kustomization: str  # the one that wants it, or wanted it when it goes
    ref: ResourceRef
    action: Action
    reason: str = ""
    fields: tuple[FieldChange, ...] = ()
    before: Manifest | None = field(default=None, repr=False)  # None: created
    after: Manifest | None = field(default=None, repr=False)  # None: goes away
    was: ResourceRef | None = None  # its name on the other side, when a generator's hash changed it
    moved_from: str = ""  # the Kustomization that wanted it before
    unknown: tuple[str, ...] = ()  # what is not known of it: variables, and what SOPS has sealed
    drift: tuple[FieldChange, ...] = ()  # live (before) against base (after): not of this change
    clashes: tuple[str, ...] = ()  # paths that this change and somebody in the cluster both touched

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """Variables that only the cluster has: their expressions are verbatim."""
        return tuple(name for name in self.unknown if not is_sealed(name))

    @property
    def sealed(self) -> tuple[str, ...]:
        """What SOPS has sealed, and what is named after such."""
        return tuple(name for name in self.unknown if is_sealed(name))


CLUSTER = "cluster"
"""The side of a fault that is none of the files': they render, and the cluster would not take it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A Kustomization that one side, or both, cannot render, or that the cluster would refuse.

    What one would change that cannot be rendered is not known.
    """

    kustomization: str
    side: str  # base, head, both or cluster
    problems: tuple[Problem, ...]


class Severity(enum.StrEnum):
    """How much a signal asks of a reviewer."""

    BLOCKER = "blocker"  # a deploy of this would fail, or be stopped
    CAUTION = "caution"  # look twice
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing that a reviewer should know beside the diff."""

    code: str  # prune, orphan, immutable, suspend, scale-to-zero, privileged, cluster-rbac, …
    severity: Severity
    text: str
    kustomization: str = ""
    ref: ResourceRef | None = None


@dataclass(frozen=True, slots=True)
class ImageChange:
    """An image whose tag or digest changes; "" where it is new or goes."""

    name: str  # without tag and digest
    before: str
    after: str
    users: tuple[ResourceRef, ...]


@dataclass(frozen=True, slots=True)
class Pending:
    """A Kustomization that is not as the base has it, whatever this change does."""

    kustomization: str
    state: State | None  # the recorded outcome; None: never deployed
    reason: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that merging would do; every view is made from this alone."""

    server: str  # "" when no cluster was asked
    entry: str
    base: str  # revisions, in Flux's form; "" for a side that has no such entry
    head: str
    affected: tuple[Affected, ...] = ()  # in the order of a run, removed ones at the end
    changes: tuple[ObjectChange, ...] = ()  # by the order of `affected`, then by kind and name
    faults: tuple[Fault, ...] = ()
    signals: tuple[Signal, ...] = ()  # the worst first
    images: tuple[ImageChange, ...] = ()
    pending: tuple[Pending, ...] = ()
    waves: tuple[tuple[str, ...], ...] = ()  # of the affected: who rolls out after whom
    idle: tuple[str, ...] = ()  # changed files that affect no Kustomization
    held: tuple[Held, ...] = ()  # deletions that a guard would stop
    warnings: tuple[str, ...] = ()
    kustomizations: int = 0  # how many the head has in all
    routine: bool = False  # nothing but image and chart versions changes
    sources: tuple[SourceRevision, ...] = ()  # those of the head that are not the checkout, by name
    homes: Mapping[str, Place] = field(default_factory=dict)  # where those are written that `held` names

    @property
    def differs(self) -> bool:
        """Whether merging would do anything at all."""
        return bool(self.changes or self.affected)
