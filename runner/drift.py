"""The nouns of a drift report: what a cluster has that was not deployed, and who did that.

Everything here may be shown: the values of Secrets were taken out before.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.changes import FieldChange, Pending
from runner.model import ResourceRef, Run

Operation = Mapping[str, Any]
"""One of a JSON patch (RFC 6902)."""


class Kind(enum.StrEnum):
    """How an object differs from what was deployed."""

    CHANGED = "changed"
    DELETED = "deleted"
    EXTRA = "extra"  # it has our owner labels, and is in no inventory


@dataclass(frozen=True, slots=True)
class Writer:
    """Who wrote a field last, as `managedFields` has it."""

    manager: str
    operation: str  # Apply or Update
    subresource: str = ""
    time: str = ""  # RFC 3339, as the server says; "" when it does not

    def __str__(self) -> str:
        through = f" through {self.subresource}" if self.subresource else ""
        return f"{self.manager}{through}" + (f", {self.time}" if self.time else "")


@dataclass(frozen=True, slots=True)
class Drifted:
    """One field: `change` leads from what is live (before) to what is wanted (after)."""

    change: FieldChange
    writer: Writer | None = None  # None: nobody owns it, as it was removed


@dataclass(frozen=True, slots=True)
class Difference:
    """One object that is not as it was deployed."""

    kustomization: str
    ref: ResourceRef
    kind: Kind
    reason: str = ""
    fields: tuple[Drifted, ...] = ()
    writer: Writer | None = None  # of the object, where no field tells
    touched_at: str = ""  # when anybody else last wrote any of it, its status included
    correction: tuple[Operation, ...] | None = None  # from live to wanted; None where it may not be shown
    reversal: tuple[Operation, ...] | None = None  # and back
    file: str = ""  # where it is written at the deployed commit; "" when that is not known
    line: int = 0

    @property
    def changed_at(self) -> str:
        """When it was last changed, as far as that left a trace; "" when it did not.

        Who only removes something owns nothing, and a write through `scale` has no time: then it is when
        anything of the object was written.
        """
        times = [each.writer.time if each.writer else "" for each in self.fields]
        return max(times) if times and all(times) else self.touched_at


@dataclass(frozen=True, slots=True)
class Unknown:
    """What could not be compared, and why."""

    kustomization: str
    ref: ResourceRef | None  # None: nothing of the Kustomization
    reason: str


@dataclass(frozen=True, slots=True)
class Drift:
    """Everything a run found, and what it did about it; every view is made from this alone."""

    server: str
    entry: str
    revision: str  # what was last deployed, in Flux's form
    head: str  # what is checked out
    differences: tuple[Difference, ...] = ()  # in the order of a run, then by kind and name
    pending: tuple[Pending, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    policies: Mapping[str, str] = field(default_factory=dict)  # of those that have drifted
    checked: tuple[str, ...] = ()  # Kustomizations that were looked at
    ignored: tuple[str, ...] = ()  # by their policy
    later: tuple[str, ...] = ()  # their interval is not over
    corrected: tuple[Difference, ...] = ()  # of `differences`, those that are no more
    run: Run | None = None  # that corrected
    not_run: str = ""  # why nothing was corrected, although something was to be
    warnings: tuple[str, ...] = ()
    requests: Mapping[str, int] = field(default_factory=dict)

    @property
    def left(self) -> tuple[Difference, ...]:
        """What still differs."""
        return tuple(each for each in self.differences if each not in self.corrected)
