"""Markdown in which foreign words stay words: in code spans and fences alone, which none of them can end."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from runner.report import clean

MARK = "<!-- kustodian:"
"""How the hidden mark begins by which a comment is known as ours."""

_TICKS = re.compile("`{50,}")  # GitHub's parser knows no code span behind more than 80


def code(foreign: str, limit: int = clean.NAME) -> str:
    """Foreign words as a code span, in a table too: no markup, link or mention comes to life in it."""
    shown = _TICKS.sub("`…`", unmarked(clean.line(foreign, limit).replace("|", "¦"))) or "–"
    ticks = "`" * (longest(shown) + 1)
    space = " " if "`" in (shown[0], shown[-1]) else ""
    return f"{ticks}{space}{shown}{space}{ticks}"


def tag(foreign: str) -> str:
    """Foreign words as code in a line of HTML, where Markdown has no say."""
    return f"<code>{html.escape(unmarked(clean.line(foreign))) or '–'}</code>"


def fenced(lines: Sequence[str], language: str = "text") -> str:
    """Clean lines as a block that none of them can end."""
    body = unmarked("\n".join(lines))
    fence = "`" * max(3, longest(body) + 1)
    return f"{fence}{language}\n{body}\n{fence}"


def folded(summary: str, body: str, *, opened: bool = False) -> str:
    """A part that opens when it is clicked; the summary is HTML, the body Markdown."""
    return f"<details{' open' if opened else ''}><summary>{summary}</summary>\n\n{body}\n\n</details>"


def size(text: str) -> int:
    """In bytes, which are never fewer than characters, however those are counted."""
    return len(text.encode())


def unmarked(foreign: str) -> str:
    """Foreign text in which nothing looks like the mark by which we know our own comments."""
    return foreign.replace(MARK, MARK.replace("--", "- -"))


def bounded(blocks: Iterable[str], share: int, what: str, apart: str = "\n") -> list[str]:
    """As many whole blocks as fit, as one part; then how many did not."""
    everything, kept, size = list(blocks), 0, 0
    for block in everything:
        size += len(block.encode()) + len(apart)
        if size > share:
            break
        kept += 1
    parts = [apart.join(everything[:kept])] if kept else []
    if left := len(everything) - kept:
        parts.append(f"… and {left:,} more {what}: the log has all of them.")
    return parts


def longest(shown: str) -> int:
    """Of the rows of backticks in it."""
    return max((len(ticks) for ticks in re.findall("`+", shown)), default=0)
