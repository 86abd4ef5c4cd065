"""The whole of it, in the order of reading; and the budget, in the order of importance."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from runner.changes import Comparison
from runner.report import overview, style
from runner.report.budget import Budget
from runner.report.comment import alerts, objects, tables
from runner.report.markdown import MARK, code, size

COMMENT = 60_000
"""Bytes; GitHub refuses a comment of more than 65,536 characters."""

SUMMARY = 900_000
"""Bytes; GitHub drops a job summary of more than 1 MiB as a whole."""

LEAST = 10_000
"""Bytes that the headline, the footer and the names of what is left out may need."""

_END = 2_000
_NAMES = 6
_NAME = 60


@dataclass(frozen=True, slots=True)
class Rendered:
    """Markdown, and the names of what did not fit into it."""

    text: str
    omitted: tuple[str, ...] = ()


def marker(entry: str, key: str = "") -> str:
    """The hidden first line by which the comment of one entry is found again; ask `startswith`.

    No foreign text can forge it: every view takes its beginning apart wherever it comes from outside.
    """
    readable = re.sub(r"[^\w./]", "_", entry, flags=re.ASCII)[:100]
    digest = sha256(json.dumps([entry, key]).encode()).hexdigest()[:16]
    return f"{MARK}{readable}:{digest} -->"


def markdown(comparison: Comparison, limit: int = COMMENT, *, mark: str = "", more: str = "") -> Rendered:
    """Markdown of at most `limit` bytes; whole objects, rows and items, the most important first.

    `mark` is what `marker` gave; `more` is Markdown of our own, at most 1,000 bytes: where to see the rest.
    """
    if limit < LEAST:
        raise ValueError(f"{limit} bytes are too few for any comparison: {LEAST} are the least")
    head = "\n\n".join(part for part in (mark, *_head(comparison)) if part)
    budget = Budget(limit - size(head) - _END - 2 * size(more), limit)
    loud = alerts.blocks(comparison, budget)
    overall = tables.blocks(comparison, budget)
    quiet = tables.quiet(comparison, budget)
    folds = objects.folds(comparison, budget)
    end = [*_left_out(budget.omitted, more), _footer(more)]
    text = "\n\n".join([head, *loud, *overall, *folds, *quiet, *end]) + "\n"
    return Rendered(text, tuple(budget.omitted))


def _head(comparison: Comparison) -> Iterator[str]:
    yield f"### {overview.mark(comparison)} kustodian · {code(comparison.entry or '.')}"
    yield " · ".join(part for part in _facts(comparison) if part)
    if comparison.routine:
        yield "> [!TIP]\n> **Routine**: nothing but versions of images and charts changes."


def _facts(comparison: Comparison) -> Iterator[str]:
    counts = Counter(change.action for change in comparison.changes)
    parts = [
        f"{overview.SIGNS.get(action, '')}{counts[action]:,} {action}"
        for action in overview.ACTIONS
        if counts[action]
    ]
    told = " · ".join(part for part in (*parts, overview.broken(comparison)) if part)
    if comparison.differs or comparison.faults:
        yield f"**{told or 'No object changes'}** {overview.scope(comparison)}"
    else:
        yield f"**Nothing changes** in {style.count(comparison.kustomizations, 'Kustomization')}"
    base, head = (
        code(style.revision(each)) if each else "nothing" for each in (comparison.base, comparison.head)
    )
    yield f"{base} → {head}"
    yield f"on {code(comparison.server)}" if comparison.server else ""


def _left_out(omitted: list[str], more: str) -> Iterator[str]:
    if omitted:
        names = ", ".join(code(name, _NAME) for name in omitted[:_NAMES])
        rest = f" and {len(omitted) - _NAMES:,} more" if len(omitted) > _NAMES else ""
        where = f" {more}" if more else ""
        yield f"> [!NOTE]\n> **Left out, as it does not fit:** {names}{rest}.{where}"


def _footer(more: str) -> str:
    told = "Rendered as Flux does it; nothing was written."
    return f"<sub>{told}{f' · {more}' if more else ''}</sub>"
