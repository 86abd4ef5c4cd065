"""The few signs and number formats that every text view shares."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from runner.model import SourceRevision, State
from runner.report import clean

MARKS: Mapping[str, str] = {
    State.READY: "✓",
    State.FAILED: "✗",
    State.BLOCKED: "○",
    State.SUSPENDED: "–",
    State.SKIPPED: "–",
}
"""One sign for each way a Kustomization can end."""

STATES = (State.FAILED, State.BLOCKED, State.READY, State.SUSPENDED, State.SKIPPED)
"""The order in which states are counted, worst first."""

SIGNALS: Mapping[int, str] = {2: "SIGINT", 15: "SIGTERM"}
"""The signals that interrupt a run, as people know them."""

Word = TypeVar("Word", bound=str)

ACTIVE, WAITING = "●", "○"

# Each becomes exactly one character, so that columns and box lines stay where they are.
_ASCII = str.maketrans("✓✗⚠●○–→…·—├└─│−‹›", "+x!*o->~--|`-|-<>")
_DIGEST = re.compile(r"(sha\d+:[0-9a-f]{8})[0-9a-f]{8,}")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def fit(text: str, encoding: str | None) -> str:
    """The text as it is for a stream that speaks UTF-8, in plain ASCII for any other."""
    if encoding and encoding.lower().replace("-", "").replace("_", "").startswith("utf"):
        return text
    return text.translate(_ASCII).encode("ascii", "replace").decode("ascii")


def duration(seconds: float) -> str:
    """`0.4s`, `12.3s`, `2m05s` or `1h02m`: six characters at most for everything below four days."""
    seconds = max(seconds, 0.0)
    if seconds < _MINUTE - 0.05:  # 59.96 would be rounded to 60.0s
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02d}s"
    return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02d}m"


def age(seconds: float) -> str:
    """`45s`, `3m`, `5h` or `12d`: as kubectl's tables have it."""
    whole = max(int(seconds), 0)
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "m")):
        if whole >= 2 * size or (whole >= size and unit != "m"):
            return f"{whole // size}{unit}"
    return f"{whole}s"


def moment(seconds: float) -> str:
    """RFC 3339, UTC, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def revision(text: str) -> str:
    """A revision for people: `main@sha1:3f2a9c1b`, as Flux shortens it."""
    return _DIGEST.sub(r"\1", clean.line(text))


def source(each: SourceRevision) -> str:
    """`OCIRepository/apps/web: 1.2.0@sha256:3f2a9c1b`, and what it was."""
    was = f" (was {revision(each.recorded)})" if each.moved else ""
    return f"{clean.line(each.source)}: {revision(each.revision)}{was}"


def count(number: int, noun: str) -> str:
    """`1 object`, `2 objects`, `1,000 objects`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def tally(counts: Mapping[Word, int], order: Iterable[Word]) -> str:
    """`2 created, 1 configured, 5 unchanged`: what is zero is left out."""
    return ", ".join(f"{counts[word]:,} {word}" for word in order if counts.get(word))


def ends(items: Sequence[str], most: int) -> list[str]:
    """The first and the last ones; how many lie between is in their place."""
    if len(items) <= most:
        return list(items)
    half = most // 2
    return [*items[:half], f"… {len(items) - 2 * half:,} more …", *items[-half:]]


def names(items: Iterable[str], most: int) -> str:
    """Names with commas between; those beyond `most` are counted."""
    all_of_them = [clean.line(item) for item in items]
    left = len(all_of_them) - most
    shown = ", ".join(all_of_them[:most])
    return f"{shown} and {left:,} more" if left > 0 else shown
