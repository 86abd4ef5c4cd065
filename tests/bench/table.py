"""Figures in aligned columns, in plain text."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence

NONE = "-"
SPREAD = ("min", "median", "max")
_INDENT = "  "


def say(text: str = "") -> None:
    """One line on standard output, at once."""
    print(text, file=sys.stdout, flush=True)  # noqa: T201


def table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1) -> None:
    """A title, headings, rows: the first columns hold words and go to the left, figures to the right."""
    widths = [max(len(row[column]) for row in (headings, *rows)) for column in range(len(headings))]
    say(f"\n{title}")
    for row in (headings, *rows):
        cells = [
            cell.ljust(width) if column < words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        say(f"{_INDENT}{'  '.join(cells)}".rstrip())


def note(text: str) -> None:
    """What there is to know about a table, or what was not available."""
    say(f"{_INDENT}{text}")


def number(value: float | None, digits: int = 2) -> str:
    return NONE if value is None else f"{value:,.{digits}f}"


def spread(samples: Sequence[float], digits: int = 2, scale: float = 1.0) -> tuple[str, str, str]:
    """Smallest, median, largest; one sample alone is its own median and has no spread."""
    if not samples:
        return NONE, NONE, NONE
    middle = number(statistics.median(samples) * scale, digits)
    if len(samples) == 1:
        return NONE, middle, NONE
    return number(min(samples) * scale, digits), middle, number(max(samples) * scale, digits)


def times(ours: float, other: float) -> str:
    """How many times `other` is as large as `ours`."""
    return f"{other / ours:,.2f}×" if ours else NONE


def mebibytes(size: int | None) -> str:
    return number(None if size is None else size / (1 << 20), 0)
