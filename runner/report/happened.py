"""Kubernetes Events as a table, as rows while they happen, and as data."""

from __future__ import annotations

from collections.abc import Sequence

from runner.report import clean, facts, style
from runner.report.facts import Document
from runner.report.views import Event, Scope

MESSAGE = 1000
"""Characters of a message; others write Events too."""

_COLUMNS = ("SEEN", "TYPE", "REASON", "KUSTOMIZATION", "OBJECT", "MESSAGE")


def text(events: Sequence[Event], now: float, left_out: int = 0) -> str:
    """Oldest first, so that what happened last stands where people look."""
    if not events:
        return "No events.\n"
    rows = [_COLUMNS, *((style.age(now - each.at), *_cells(each)) for each in events)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS) - 1)]
    lines = [
        "   ".join((*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[-1]))
        for row in rows
    ]
    more = [f"({style.count(left_out, 'older event')} not shown)"] if left_out else []
    return "".join(f"{line.rstrip()}\n" for line in [*more, *lines])


def row(event: Event) -> str:
    """One as it happens, with its time."""
    return "  ".join((style.moment(event.at), *_cells(event))).rstrip() + "\n"


def document(scope: Scope, events: Sequence[Event], left_out: int = 0) -> Document:
    return {
        **facts.head("events", scope, 0),
        "leftOut": left_out,
        "events": [
            {
                "kustomization": facts.identity(each.kustomization),
                "ref": facts.ref(each.ref),
                "lastSeen": style.moment(each.at),
                "type": each.type,
                "reason": each.reason,
                "message": clean.cut(each.message, MESSAGE),
                "count": each.count,
                "source": each.source or None,
            }
            for each in events
        ],
    }


def _cells(event: Event) -> tuple[str, ...]:
    times = f" (x{event.count})" if event.count > 1 else ""
    return (
        clean.line(event.type),
        clean.line(event.reason),
        clean.line(event.kustomization),
        clean.line(str(event.ref)),
        clean.line(event.message, MESSAGE) + times,
    )
