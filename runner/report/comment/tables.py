"""The overview: what rolls out in which order, which images change; and below, what is not of this change."""

from __future__ import annotations

from collections.abc import Iterator

from runner.changes import Comparison, Severity
from runner.report import overview, style
from runner.report.budget import Budget
from runner.report.markdown import code, folded

_ROWS = "| Kustomization | Objects | Images | Dependents | Wave | Notes |\n|-|-|-:|-:|-:|-|"
_IMAGES = "| Image | From | To | Used by |\n|-|-|-|-|"
_MOST_AGAIN = 25  # rows, from which on those that are only looked at again share a line
_NAMES = 10
_USERS = 3
_MESSAGE = 600


def blocks(comparison: Comparison, budget: Budget) -> list[str]:
    """The Kustomizations, then the images."""
    everything = overview.rows(comparison)
    again = [row for row in everything if overview.rechecked(row)]
    shown = everything
    parts: list[str] = []
    if len(everything) > _MOST_AGAIN:
        shown = [row for row in everything if not overview.rechecked(row)]
    parts += _table(budget, _ROWS, [_row(row) for row in shown], 0.15, "Kustomization")
    if len(shown) < len(everything):
        parts += budget.part(f"Re-checked because of these: {_names(again)}", "the re-checked dependents")
    images = [
        f"| {code(image.name)} | {_version(image.before)} | {_version(image.after)} "
        f"| {code(style.names(map(str, image.users), _USERS))} |"
        for image in comparison.images
    ]
    return [*parts, *_table(budget, _IMAGES, images, 0.06, "image")]


def quiet(comparison: Comparison, budget: Budget) -> list[str]:
    """Pending, notes, warnings and files without effect: worth knowing, and not what a review is about."""
    pending = [
        f"{each.kustomization}: {each.state or 'never deployed'}" + (f" ({each.reason})" * bool(each.reason))
        for each in comparison.pending
    ]
    notes = [
        f"{signal.code}: {signal.text} ({signal.ref or signal.kustomization})"
        for signal in overview.by_severity(comparison, Severity.NOTE)
    ]
    parts = [
        *_fold(
            budget,
            "Not as the base has it, whatever this change does",
            pending,
            0.05,
            "pending Kustomization",
        ),
        *_fold(
            budget,
            "Sources from elsewhere",
            [style.source(each) for each in comparison.sources],
            0.04,
            "source",
        ),
        *_fold(budget, "Notes", notes, 0.04, "note"),
        *_fold(budget, "Warnings", list(comparison.warnings), 0.04, "warning"),
    ]
    if comparison.idle:
        names = ", ".join(code(name, 120) for name in comparison.idle[:_NAMES])
        left = len(comparison.idle) - _NAMES
        more = f" and {left:,} more" if left > 0 else ""
        parts += budget.part(f"Changed, but no Kustomization reads it: {names}{more}", "the files")
    return parts


def _table(budget: Budget, head: str, rows: list[str], share: float, what: str) -> Iterator[str]:
    kept, left = budget.items(rows, share, head, what)
    if kept:
        yield "\n".join([head, *kept]) + (f"\n\n… and {style.count(left, what)} more" if left else "")


def _fold(budget: Budget, title: str, lines: list[str], share: float, what: str) -> Iterator[str]:
    title = f"{title} ({len(lines):,})"
    kept, left = budget.items((f"- {code(line, _MESSAGE)}" for line in lines), share, folded(title, ""), what)
    if kept:
        more = [f"- … and {left:,} more"] if left else []
        yield folded(title, "\n".join([*kept, *more]))


def _row(row: overview.Row) -> str:
    cells = [
        code(row.name),
        overview.signs(row.counts),
        str(row.images or ""),
        str(row.dependents or ""),
        str(row.wave or ""),
        ", ".join(_notes(row)),
    ]
    return f"| {' | '.join(cells)} |"


def _notes(row: overview.Row) -> Iterator[str]:
    if row.faulty:
        yield f"**{row.faulty}**"
    elif overview.rechecked(row):
        yield f"re-checked: depends on {code(row.affected.via[0])}" if row.affected.via else "re-checked"
    else:
        yield from (cause for cause, _ in overview.reasons(row.affected))
    yield from (code(signal) for signal in row.signals)


def _names(rows: list[overview.Row]) -> str:
    left = len(rows) - _NAMES
    names = ", ".join(code(row.name) for row in rows[:_NAMES])
    return names + (f" and {left:,} more" if left > 0 else "")


def _version(text: str) -> str:
    return code(overview.version(text)) if text else "–"
