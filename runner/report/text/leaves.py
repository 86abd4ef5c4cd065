"""The Kustomizations of an entry: as a tree, as a table, as names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from runner.model import Leaf, Status
from runner.report import clean, style, views

_WIDEST = 72
_MOST_BAD = 100
_MOST_OBJECTS = 20
_OBJECT_MARKS = {
    Status.IN_PROGRESS: style.ACTIVE,
    Status.TERMINATING: style.ACTIVE,
    Status.FAILED: "✗",
    Status.NOT_FOUND: "✗",
    Status.UNKNOWN: "⚠",
}
_COLUMNS = ("NAMESPACE", "NAME", "STATE", "REVISION", "OBJECTS", "CHANGED", "MESSAGE")


def names(leaves: Sequence[Leaf]) -> str:
    """One identity a line, as other commands take them."""
    return "".join(f"{clean.line(leaf.kustomization)}\n" for leaf in leaves)


def tree(leaves: Sequence[Leaf]) -> str:
    """Who renders whom, with what each waits for."""
    if not leaves:
        return "No Kustomizations.\n"
    branches = [
        (lead, below, clean.line(leaf.kustomization), leaf) for lead, below, leaf in _branches(leaves)
    ]
    left = _width(lead + name for lead, _, name, _ in branches)
    middle = _width(_path(leaf) for *_, leaf in branches)
    right = max(len(f"{len(leaf.objects):,}") for *_, leaf in branches)
    lines: list[str] = []
    for lead, below, name, leaf in branches:
        number = len(leaf.objects)
        objects = f"{number:>{right},} {'object ' if number == 1 else 'objects'}"
        notes = "  ".join(_notes(leaf))
        lines.append(f"{lead + name:<{left}}  {_path(leaf):<{middle}}  {objects}  {notes}".rstrip())
        for problem in leaf.problems:
            lines += [f"{below}  {line}" for line in _marked(problem)]
        lines += [f"{below}  {line}" for line in _healths(leaf)]
    return "\n".join(lines) + "\n"


def get(leaves: Sequence[Leaf], now: float | None = None) -> str:
    """What the cluster has on record; with `now`, moments are shown as ages."""
    if not leaves:
        return "No Kustomizations.\n"
    rows = [_COLUMNS, *(_row(leaf, now) for leaf in leaves)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    return "".join(
        "   ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() + "\n"
        for row in rows
    )


def rows(leaves: Sequence[Leaf], gone: Sequence[str], *, first: bool) -> str:
    """News of what is on record, a line each; the first come below their columns."""
    told = [_COLUMNS, *map(_row, leaves)] if first else [*map(_row, leaves)]
    told += [(*clean.line(each).partition("/")[::2], "gone", "", "", "", "") for each in gone]
    lines = (
        f"{row[0]:<20}   {row[1]:<28}   {row[2]:<12}   {row[3]:<18}   {row[4]:>7}   {row[5]:<24}   {row[6]}"
        for row in told
    )
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _branches(leaves: Sequence[Leaf]) -> Iterator[tuple[str, str, Leaf]]:
    """Every leaf once, below its parent, with what leads to its name and what its own lines begin with."""
    known = {leaf.kustomization for leaf in leaves}
    children: dict[str, list[Leaf]] = defaultdict(list)
    for leaf in leaves:
        children[leaf.parent if leaf.parent in known else ""].append(leaf)
    seen: set[int] = set()
    # Parents that render each other hang from no root; whoever comes first by name stands in for one.
    for root in [*children[""], *leaves]:
        stack = [("", "", root)]
        while stack:
            lead, below, leaf = stack.pop()
            if id(leaf) in seen:
                continue
            seen.add(id(leaf))
            under = [child for child in children[leaf.kustomization] if id(child) not in seen]
            yield lead, below + ("│ " if under else "  "), leaf
            stack += reversed([_child(below, child, last=child is under[-1]) for child in under])


def _child(below: str, leaf: Leaf, *, last: bool) -> tuple[str, str, Leaf]:
    return (below + "└── ", below + "    ", leaf) if last else (below + "├── ", below + "│   ", leaf)


def _healths(leaf: Leaf) -> Iterator[str]:
    """Every object that is not what it should be, then as many of the others as people read."""
    told = sorted(leaf.healths or (), key=lambda each: views.by_kind(each.ref))
    bad = [each for each in told if each.status is not Status.CURRENT]
    well = [each for each in told if each.status is Status.CURRENT]
    room = max(_MOST_OBJECTS - len(bad), 0)
    for each in bad[:_MOST_BAD]:
        message = clean.line(each.message)
        yield f"{_OBJECT_MARKS[each.status]} {clean.line(str(each.ref))}  {each.status}" + (
            f": {message}" if message else ""
        )
    if len(bad) > _MOST_BAD:
        yield f"… and {len(bad) - _MOST_BAD:,} more that are not Current"
    for each in well[:room]:
        yield f"✓ {clean.line(str(each.ref))}  {each.status}"
    if len(well) > room:
        yield f"… and {len(well) - room:,} more that are Current"


def _notes(leaf: Leaf) -> Iterator[str]:
    if leaf.healths is not None:
        yield "not deployed" if leaf.recorded is None else str(leaf.recorded)
    if leaf.suspended:
        yield "suspended"
    if leaf.paused:
        yield clean.line(leaf.paused)
    if leaf.target:
        yield _elsewhere(leaf)
    if leaf.depends_on:
        yield "→ dependsOn " + style.names((_near(leaf, other) for other in leaf.depends_on), 20)
    if leaf.variables_from:
        yield "vars from " + style.names((_near(leaf, other) for other in leaf.variables_from), 20)


def _elsewhere(leaf: Leaf) -> str:
    """Which other cluster its objects are in; "" for none."""
    return f"→ kubeConfig {clean.line(leaf.target)}" if leaf.target else ""


def _near(leaf: Leaf, other: str) -> str:
    """As one writes it in `dependsOn`: the namespace only when it is another."""
    return other.removeprefix(leaf.kustomization.partition("/")[0] + "/")


def _marked(problem: str) -> list[str]:
    first, *rest = clean.block(problem) or ["a problem without a message"]
    return [f"✗ {first}", *(f"  {line}" for line in rest)]


def _row(leaf: Leaf, now: float | None = None) -> tuple[str, ...]:
    namespace, _, name = clean.line(leaf.kustomization).partition("/")
    state = "not deployed" if leaf.recorded is None else str(leaf.recorded)
    if leaf.paused:
        state += " (paused)"
    elif leaf.suspended and state != "suspended":
        state += " (suspended)"
    changed = ""
    if leaf.changed_at is not None:
        changed = style.moment(leaf.changed_at) if now is None else style.age(now - leaf.changed_at)
    told = [_elsewhere(leaf), leaf.paused, leaf.recorded_message, *leaf.problems]
    message = clean.line("; ".join(filter(None, told)))
    return namespace, name, state, style.revision(leaf.revision), f"{len(leaf.objects):,}", changed, message


def _path(leaf: Leaf) -> str:
    return clean.line(leaf.path) or "."


def _width(texts: Iterator[str]) -> int:
    """The longest decides, but a freak does not push everybody off the screen."""
    return min(max(len(text) for text in texts), _WIDEST)
