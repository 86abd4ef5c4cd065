"""What is done about drift: by the annotation of a Kustomization, else by the run's default. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from runner.drift import Difference, Kind
from runner.durations import seconds
from runner.model import Kustomization

ANNOTATION = "kustodian.io/drift"
CHOICES = "report, correct, correct-after=DURATION or ignore"
_SLACK = 60.0  # seconds; a schedule does not come to the second


class Do(enum.StrEnum):
    """The first word of a policy."""

    REPORT = "report"
    CORRECT = "correct"
    CORRECT_AFTER = "correct-after"  # somebody may be at work there
    IGNORE = "ignore"


class Heal(enum.StrEnum):
    """What a run mends."""

    DRIFT = "drift"  # as the policies say
    FAILED = "failed"  # Kustomizations whose last deploy failed are tried again
    PENDING = "pending"  # what is in Git and not deployed is


@dataclass(frozen=True, slots=True)
class Policy:
    """What is done, and after how many seconds without a change."""

    do: Do = Do.REPORT
    after: float = 0.0
    text: str = "report"

    def __str__(self) -> str:
        return self.text

    def corrects(self, found: Iterable[Difference], now: float) -> bool:
        """Whether the drift of one Kustomization is undone now; objects that are extra stay in any case.

        What was deleted has no time: it is not waited for.
        """
        mendable = [each for each in found if each.kind is not Kind.EXTRA]
        if not mendable or self.do not in {Do.CORRECT, Do.CORRECT_AFTER}:
            return False
        return all(now - changed >= self.after for each in mendable if (changed := _moment(each.changed_at)))


def parse(text: str) -> Policy:
    """Raises ValueError, which says what was expected."""
    word, given, duration = text.strip().partition("=")
    if word not in set(Do) or bool(given) is not (word == Do.CORRECT_AFTER):
        raise ValueError(f"{text!r} is not {CHOICES}")
    return Policy(Do(word), seconds(duration) if given else 0.0, text.strip())


def of(k: Kustomization, default: Policy) -> tuple[Policy, str]:
    """The policy of a Kustomization, and what is wrong with its annotation; then it is only reported."""
    annotations = k.manifest["metadata"].get("annotations") or {}
    given = annotations.get(ANNOTATION)
    if given is None:
        return default, ""
    try:
        return parse(str(given)), ""
    except ValueError as exc:
        return Policy(), f"{k.id}: annotation {ANNOTATION}: {exc}; drift is reported"


def is_due(interval: float, seen_at: float | None, now: float) -> bool:
    """Whether it is time to look again; a little before, as the next run may come a little early too."""
    return seen_at is None or now - seen_at >= interval - min(_SLACK, interval / 10)


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0
