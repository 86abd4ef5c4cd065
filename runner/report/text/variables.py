"""Where the values of variables come from, one line each."""

from __future__ import annotations

from collections.abc import Sequence

from runner.fleet import Provenance
from runner.report import clean
from runner.report.views import BuildView

_WIDEST = 60


def variables(views: Sequence[BuildView]) -> str:
    """By Kustomization: name, value, where it comes from, what it is over, and whether anything names it."""
    lines: list[str] = []
    for view in views:
        lines.append(clean.line(f"{view.namespace}/{view.name}"))
        cells = [_cells(each) for each in view.variables or ()]
        widths = [max(len(row[column]) for row in cells) for column in (0, 1)] if cells else []
        for name, value, note in cells:
            lines.append(f"  {name:<{widths[0]}}  {value:<{widths[1]}}  {note}")
        if not cells:
            lines.append("  no variables")
    return "".join(f"{line}\n" for line in lines) or "No Kustomizations.\n"


def _cells(each: Provenance) -> tuple[str, str, str]:
    value = each.placeholder or ("-" if each.value is None else clean.line(each.value, _WIDEST) or '""')
    origin = ""
    if "/" in each.source:  # a source that nothing in the entry produces was given beside it
        origin = f", produced by {clean.line(each.producer)}" if each.producer else ", from --values"
    notes = [
        clean.line(each.source) + origin,
        f"over {', '.join(clean.line(other) for other in each.overridden)}" if each.overridden else "",
        "not used" if each.used is False else "",
    ]
    return clean.line(each.name), clean.line(value), "; ".join(note for note in notes if note)
