"""Fields that differ: compact for a line, as a hunk for a diff."""

from __future__ import annotations

from collections.abc import Iterator

from runner.changes import FieldChange, Touch
from runner.report import clean, difference, manifest

_CONTEXT = 3
_PATH = 1000


def line(change: FieldChange, most: int) -> str:
    """`spec.replicas: 1 → 3`; each value cut after `most` characters."""
    path = clean.line(change.path)
    before, after = (clean.line(manifest.scalar(value), most) for value in (change.before, change.after))
    match change.touch:
        case Touch.ADDED:
            return f"{path}: + {after}"
        case Touch.REMOVED:
            return f"{path}: − {before}"
        case Touch.REORDERED:
            return f"{path}: reordered"
        case Touch.CHANGED if unseen(change):
            return f"{path}: changed, still {after}"
        case Touch.CHANGED:
            return f"{path}: {before} → {after}"


def unseen(change: FieldChange) -> bool:
    """Whether it changed, and looks the same: the value of a Secret, of which only the size is shown."""
    return (
        change.touch is Touch.CHANGED
        and type(change.before) is type(change.after)
        and (change.before == change.after)
    )


def long(change: FieldChange) -> bool:
    """Whether one line would not do it justice: texts of several lines, whole parts of objects."""
    return any(_long(value) for value in (change.before, change.after))


def body(change: FieldChange) -> list[str]:
    """What is below a hunk's head: lines with `-`, `+` or a space, and a space, before them."""
    old, new = _lines(change.before), _lines(change.after)
    match change.touch:
        case Touch.ADDED:
            return [f"+ {each}" for each in new]
        case Touch.REMOVED:
            return [f"- {each}" for each in old]
        case Touch.REORDERED | Touch.CHANGED:
            note = ["! the same items in another order"] if change.touch is Touch.REORDERED else []
            return note + list(_compared(old, new))


def hunk(change: FieldChange) -> list[str]:
    """A field for a reader of diffs: where, then what was and what is."""
    path = clean.line(manifest.visible(change.path.replace("\n", " ")), _PATH)
    return [f"@@ {path} @@", *body(change)]


def _compared(old: list[str], new: list[str]) -> Iterator[str]:
    if old == new:
        yield from (f"! {each}, changed" for each in new)
        return
    found = difference.steps(old, new)
    for number, group in enumerate(difference.hunks(found, _CONTEXT)):
        if number:
            yield "  …"
        for tag, a, b, c, d in group:
            if tag == "equal":
                yield from (f"  {each}".rstrip() for each in old[a:b])
                continue
            yield from (f"- {each}" for each in old[a:b])
            yield from (f"+ {each}" for each in new[c:d])


def _lines(value: object) -> list[str]:
    if isinstance(value, str) and "\n" in value:
        shown = [manifest.visible(each) for each in value.split("\n")]
        if shown[-1]:
            return [*shown, "\\ no line break at the end"]
        return shown[:-1]
    return [manifest.visible(each) for each in manifest.lines(value)]


def _long(value: object) -> bool:
    if isinstance(value, str):
        return "\n" in value
    return isinstance(value, dict | list) and len(value) > 0
