"""What the views of a comparison count and order, said once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from runner.changes import CLUSTER, Affected, Cause, Comparison, Fault, ObjectChange, Severity, Signal
from runner.model import Action, ResourceRef
from runner.report import clean, style

ACTIONS = (
    Action.CREATED,
    Action.CONFIGURED,
    Action.MOVED,
    Action.DELETED,
    Action.UNKNOWN,
    Action.SKIPPED,
    Action.UNCHANGED,
)
"""The order in which actions are counted."""

SIGNS: Mapping[Action, str] = {
    Action.CREATED: "+",
    Action.CONFIGURED: "~",
    Action.MOVED: "→",
    Action.DELETED: "−",
    Action.UNKNOWN: "?",
}
"""One sign for each action that leaves something to look at."""

CAUSES: Mapping[Cause, str] = {
    Cause.NEW: "it is new",
    Cause.REMOVED: "it is removed",
    Cause.MOVED: "another parent renders it",
    Cause.SPEC: "its own file changed",
    Cause.PARENT: "what its parent makes of it changed",
    Cause.FILES: "its files changed",
    Cause.SHARED: "files it shares changed",
    Cause.VARIABLES: "its variables changed",
    Cause.SOURCE: "its source changed",
    Cause.RENDER: "it cannot be rendered",
}
"""Why a Kustomization is affected, for people."""

STAYS = "orphan"
"""The code of the signal that an object leaves Git and stays in the cluster."""

GOES = "prune"
"""The code of the signal that an object leaves Git and the cluster."""

_DIGEST = re.compile(r"(sha\d+:[0-9a-f]{12})[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Row:
    """One Kustomization of a comparison."""

    affected: Affected
    changes: tuple[ObjectChange, ...]
    counts: Counter[Action]
    images: int  # how many that change it uses
    dependents: int  # how many are re-checked because of it
    wave: int  # when it rolls out, from 1; 0: not at all
    faulty: str  # what is wrong with it as a whole, "" for nothing
    signals: tuple[str, ...]  # codes, sorted

    @property
    def name(self) -> str:
        return self.affected.kustomization


def rows(comparison: Comparison) -> list[Row]:
    """In the order of a run; whatever is told of only in passing comes last."""
    told = {each.kustomization: each for each in comparison.affected}
    for name in (each.kustomization for part in (comparison.changes, comparison.faults) for each in part):
        told.setdefault(name, Affected(name))
    changes: dict[str, list[ObjectChange]] = {name: [] for name in told}
    for change in comparison.changes:
        changes[change.kustomization].append(change)
    waves = {name: number for number, wave in enumerate(comparison.waves, 1) for name in wave}
    dependents = Counter(name for each in comparison.affected if each.dependent for name in set(each.via))
    faulty = {fault.kustomization: _wrong(fault) for fault in comparison.faults}
    codes: dict[str, set[str]] = {}
    for signal in comparison.signals:
        codes.setdefault(signal.kustomization, set()).add(signal.code)
    images = _images(comparison)
    return [
        Row(
            each,
            tuple(changes[name]),
            Counter(change.action for change in changes[name]),
            images[name],
            dependents[name],
            waves.get(name, 0),
            faulty.get(name, ""),
            tuple(sorted(codes.get(name, ()))),
        )
        for name, each in told.items()
    ]


def _wrong(fault: Fault) -> str:
    return "would fail" if fault.side == CLUSTER else "cannot be rendered"


def unrendered(comparison: Comparison) -> list[Fault]:
    """What one side cannot render."""
    return [fault for fault in comparison.faults if fault.side != CLUSTER]


def failing(comparison: Comparison) -> list[Fault]:
    """What renders, and would fail in the cluster."""
    return [fault for fault in comparison.faults if fault.side == CLUSTER]


def where(fault: Fault) -> str:
    """On which side something cannot be rendered; "" where that is not what is wrong."""
    told = {"both": "on both sides", "base": "at the base", "head": "at the head"}
    return told.get(fault.side, "")


def rechecked(row: Row) -> bool:
    """Whether nothing of it changes, and it is looked at only because of others."""
    return row.affected.dependent and not row.changes and not row.faulty


def mark(comparison: Comparison) -> str:
    """One sign for the whole."""
    severities = {signal.severity for signal in comparison.signals}
    if comparison.faults or Severity.BLOCKER in severities:
        return "✗"
    if comparison.held or Severity.CAUTION in severities or leaving(comparison):
        return "⚠"
    return "✓"


def leaving(comparison: Comparison) -> list[ObjectChange]:
    """The objects that will be deleted, without those that a guard holds back."""
    held = {ref for each in comparison.held for ref in each.refs}
    return [
        change for change in comparison.changes if change.action is Action.DELETED and change.ref not in held
    ]


def by_severity(comparison: Comparison, severity: Severity) -> list[Signal]:
    """The signals of one severity, without those that the deletions tell of."""
    gone = {change.ref for change in comparison.changes if change.action is Action.DELETED}
    return [
        signal
        for signal in comparison.signals
        if signal.severity is severity
        and not (signal.code == GOES and signal.ref in gone)
        and signal.code != STAYS
    ]


def staying(comparison: Comparison) -> list[Signal]:
    """Objects that leave Git and stay in the cluster."""
    return [signal for signal in comparison.signals if signal.code == STAYS]


def signs(counts: Mapping[Action, int]) -> str:
    """`+3 ~2 −1`: what is zero is left out."""
    return " ".join(f"{sign}{counts[action]:,}" for action, sign in SIGNS.items() if counts.get(action))


def broken(comparison: Comparison) -> str:
    """`2 cannot be rendered, 1 would fail`, "" when all is well: whatever else changes is not all."""
    parts = ((len(unrendered(comparison)), "cannot be rendered"), (len(failing(comparison)), "would fail"))
    return ", ".join(f"{number:,} {what}" for number, what in parts if number)


def scope(comparison: Comparison) -> str:
    """`in 4 of 12 Kustomizations, 2 dependents re-checked`."""
    everything = rows(comparison)
    again = sum(rechecked(row) for row in everything)
    changed = len(everything) - again
    of_all = f"{changed:,} of " if changed < comparison.kustomizations else ""
    where = f"in {of_all}{style.count(max(comparison.kustomizations, changed), 'Kustomization')}"
    return where + (f", {style.count(again, 'dependent')} re-checked" if again else "")


def reasons(affected: Affected) -> list[tuple[str, list[str]]]:
    """Why it is affected, each cause once, with what of the change it is."""
    details: dict[Cause, list[str]] = {}
    for why in affected.reasons:
        details.setdefault(why.cause, []).extend([why.detail] if why.detail else [])
    return [(CAUSES[cause], told) for cause, told in details.items()]


def removed_or_added(change: ObjectChange) -> bool:
    """Whether there is only one side to show."""
    return not change.fields and (change.before is None or change.after is None)


def is_definition(ref: ResourceRef) -> bool:
    """Whether the object is a CustomResourceDefinition, whose body nobody reads."""
    return (ref.group, ref.kind) == ("apiextensions.k8s.io", "CustomResourceDefinition")


def version(text: str) -> str:
    """An image's tag or digest for people: twelve digits tell it from others."""
    return _DIGEST.sub(r"\1", clean.line(text))


def drifted(comparison: Comparison) -> Sequence[ObjectChange]:
    """Objects that somebody changed in the cluster."""
    return [change for change in comparison.changes if change.drift]


def _images(comparison: Comparison) -> Counter[str]:
    owners: dict[ResourceRef, set[str]] = {}
    for change in comparison.changes:
        owners.setdefault(change.ref, set()).add(change.kustomization)
    return Counter(name for image in comparison.images for name in _using(image.users, owners))


def _using(users: Sequence[ResourceRef], owners: Mapping[ResourceRef, set[str]]) -> Iterator[str]:
    yield from {name for user in users for name in owners.get(user, ())}
