"""The latest news of every Kustomization while a run goes on. Told the time, knows no clock."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from runner.ports import Phase, Progress
from runner.report import clean, style

ENDS = (Phase.FAILED, Phase.BLOCKED, Phase.READY, Phase.SUSPENDED, Phase.SKIPPED)
"""The phases in which nothing goes on any more, worst first."""

_ACTIVE = "in progress"
_NAME = 60
_DETAIL = 160


@dataclass(slots=True)
class Row:
    """What is known of one Kustomization, cleaned; seconds since the run began."""

    name: str
    phase: Phase = Phase.WAITING
    detail: str = ""
    wave: int = 0
    started: float | None = None  # when it first did something
    ended: float | None = None

    @property
    def active(self) -> bool:
        # The run as a whole waits for a lock, which is worth telling; a Kustomization waits for its turn.
        return (self.phase is not Phase.WAITING or not self.name) and self.phase not in ENDS

    @property
    def bad(self) -> bool:
        return self.phase in {Phase.FAILED, Phase.BLOCKED}

    def took(self, now: float) -> str:
        """How long it has been at it, "" when it never was."""
        if self.started is None:
            return ""
        return style.duration((now if self.ended is None else self.ended) - self.started)


@dataclass(slots=True)
class Board:
    """All of them, and the run itself; not thread-safe by itself."""

    whole: Row = field(default_factory=lambda: Row(""))
    width: int = 0  # of a column of all names
    _rows: dict[str, Row] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)  # each subject, cleaned
    _latest: Row | None = None

    @property
    def rows(self) -> list[Row]:
        """By name, so that none moves when another changes."""
        return [self._rows[name] for name in sorted(self._rows)]

    @property
    def by_wave(self) -> list[Row]:
        """In the order of the roll-out; those that were only found during it come last."""
        return sorted(self.rows, key=lambda row: (row.wave or len(self._rows) + 1, row.name))

    @property
    def active(self) -> list[Row]:
        """Those at work, the longest first."""
        return sorted((row for row in self.rows if row.active), key=lambda row: row.started or 0.0)

    def note(self, progress: Progress, now: float) -> Row | None:
        """Take in the news; None when there are none."""
        name = self._names.get(progress.subject)
        if name is None:
            name = self._names[progress.subject] = clean.line(progress.subject)
        known = name in self._rows or not name
        row = self._rows.setdefault(name, Row(name)) if name else self.whole
        self.width = max(self.width, min(len(name), _NAME))
        detail = clean.line(progress.detail, _DETAIL) if progress.detail else ""
        if known and (row.phase, row.detail) == (progress.phase, detail):
            return None
        self._latest = row
        row.wave = progress.wave or row.wave
        row.phase, row.detail = progress.phase, detail
        if row.active and row.started is None:
            row.started = now
        row.ended = now if row.phase in ENDS else None
        return row

    def summary(self) -> str:
        """`1 failed, 8 ready, 3 in progress, 20 waiting`, and what the run is at when that is the latest."""
        counts = Counter(_ACTIVE if row.active else str(row.phase) for row in self._rows.values())
        told = style.tally(counts, (*map(str, ENDS), _ACTIVE, str(Phase.WAITING)))
        if self._latest is self.whole and self.whole.active:
            told = "  ".join(part for part in (told, str(self.whole.phase), self.whole.detail) if part)
        return told or str(Phase.WAITING)
