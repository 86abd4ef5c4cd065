"""Lines against lines: always right, never slow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

Step = tuple[str, int, int, int, int]
"""What `difflib` calls an opcode: equal, replace, delete or insert, and the lines on both sides."""

_MOST_PAIRS = 2_000_000  # lines on one side times equal lines on the other: what comparing costs


def steps(before: Sequence[str], after: Sequence[str]) -> list[Step]:
    """How the one becomes the other; where finding the shortest way would take long, all at once."""
    start = _shared(before, after, min(len(before), len(after)))
    rest = min(len(before), len(after)) - start
    end = _shared(before[::-1], after[::-1], rest)
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    middle = [(tag, a + start, b + start, c + start, d + start) for tag, a, b, c, d in _middle(old, new)]
    head: list[Step] = [("equal", 0, start, 0, start)] if start else []
    tail: list[Step] = (
        [("equal", len(before) - end, len(before), len(after) - end, len(after))] if end else []
    )
    return head + middle + tail


def hunks(found: Sequence[Step], context: int) -> Iterator[list[Step]]:
    """Steps in groups, each with at most so many equal lines around it."""
    group: list[Step] = []
    for step in found:
        tag, a, b, c, d = step
        if tag != "equal":
            group.append(step)
            continue
        if group:
            end = min(b - a, context)
            if b - a <= 2 * context and step is not found[-1]:
                group.append(step)
                continue
            yield [*group, *([("equal", a, a + end, c, c + end)] if end else [])]
        begin = min(b - a, context)
        group = [("equal", b - begin, b, d - begin, d)] if begin else []
    if any(tag != "equal" for tag, *_ in group):
        yield group


def unified(before: Sequence[str], after: Sequence[str], context: int = 3) -> Iterator[str]:
    """The hunks of a unified diff, without the names of the files."""
    for group in hunks(steps(before, after), context):
        old, new = _span(group[0][1], group[-1][2]), _span(group[0][3], group[-1][4])
        yield f"@@ -{old} +{new} @@"
        for tag, a, b, c, d in group:
            if tag == "equal":
                yield from (" " + line for line in before[a:b])
                continue
            yield from ("-" + line for line in before[a:b])
            yield from ("+" + line for line in after[c:d])


def _shared(before: Sequence[str], after: Sequence[str], most: int) -> int:
    """How many lines from the start on are the same."""
    return next((n for n in range(most) if before[n] != after[n]), most)


def _middle(old: Sequence[str], new: Sequence[str]) -> list[Step]:
    if not old or not new:
        tag = "delete" if old else "insert"
        return [(tag, 0, len(old), 0, len(new))] if old or new else []
    counts = Counter(new)
    # difflib itself passes over lines that make up more than a hundredth of a long text.
    popular = len(new) // 100 + 1 if len(new) >= 200 else len(new)  # noqa: PLR2004
    pairs = sum(counts[line] for line in old if counts[line] <= popular)
    if pairs > _MOST_PAIRS:
        return [("replace", 0, len(old), 0, len(new))]
    return list(SequenceMatcher(None, old, new).get_opcodes())


def _span(start: int, end: int) -> str:
    """Lines as a hunk's head counts them: from 1, and from the line before where there are none."""
    length = end - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"
