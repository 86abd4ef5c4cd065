"""Changes → what a reviewer should know beside the diff.

Who else is affected, what a guard stops and what cannot be rendered are not for these rules to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runner.changes import ObjectChange, Severity, Signal
from runner.model import Kustomization
from runner.signals import access, flux, workloads
from runner.signals.images import images, major, routine
from runner.signals.immutable import immutable
from runner.signals.removal import removed, renamed
from runner.signals.rules import Scene

__all__ = ["images", "routine", "signals"]

_RULES = (*flux.RULES, *workloads.RULES, *access.RULES)
_WORST_FIRST = tuple(Severity)


def signals(
    changes: Sequence[ObjectChange],
    base: Mapping[str, Kustomization],
    head: Mapping[str, Kustomization],
) -> tuple[Signal, ...]:
    """The worst first; `base` and `head` are the Kustomizations of both sides, by identity."""
    scene = Scene(base, head)
    found = [*removed(changes, scene), *renamed(changes, scene), *major(changes)]
    for change in changes:
        found += immutable(change, scene)
        for rule in _RULES:
            found += rule.signals(change)
    return tuple(sorted(found, key=_rank))


def _rank(signal: Signal) -> tuple[int, str, str, str]:
    return _WORST_FIRST.index(signal.severity), signal.kustomization, signal.code, signal.text
