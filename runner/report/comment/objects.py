"""The objects that change: a fold for each Kustomization, in it whole objects or none of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from runner.changes import Comparison, FieldChange, ObjectChange, Severity, Touch
from runner.model import Action, Manifest, ResourceRef
from runner.report import clean, fields, manifest, overview, style
from runner.report.budget import Budget
from runner.report.markdown import code, fenced, folded, size, tag

_OPEN = 4_000  # bytes of diff that nobody has to click for
_NAMES = 8
_RANKS = (Action.DELETED, Action.UNKNOWN, Action.CONFIGURED, Action.MOVED, Action.CREATED)
_REST = "… {} left out, as there is no room"


@dataclass(frozen=True, slots=True)
class _Block:
    kustomization: str
    name: str
    text: str
    rank: tuple[object, ...]


def folds(comparison: Comparison, budget: Budget) -> list[str]:
    """One fold for each Kustomization, then one for what others did in the cluster."""
    drifted = _drift(comparison, budget)
    blocks = _blocks(comparison)
    rows = {row.name: row for row in overview.rows(comparison)}
    chosen = _chosen(blocks, {name: _around(row) for name, row in rows.items()}, budget)
    opened = sum(size(block.text) for block in blocks) <= _OPEN
    kept: dict[str, list[str]] = defaultdict(list)
    left: dict[str, int] = defaultdict(int)
    for block in blocks:
        if id(block) in chosen:
            kept[block.kustomization].append(block.text)
        else:
            left[block.kustomization] += 1
    shown = [
        _fold(rows[name], texts, left[name], opened=opened) for name, texts in kept.items()
    ]  # fmt: skip
    return [*shown, *drifted]


def _chosen(blocks: Sequence[_Block], around: Mapping[str, int], budget: Budget) -> set[int]:
    """Which objects fit: what asks for eyes first, then as many as possible."""
    chosen: set[int] = set()
    begun: set[str] = set()
    missed: set[int] = set()
    for block in sorted(blocks, key=lambda each: each.rank):
        cost = size(block.text) + 2
        cost += 0 if block.kustomization in begun else around[block.kustomization]
        if cost > budget.left:
            missed.add(id(block))
            continue
        budget.left -= cost
        begun.add(block.kustomization)
        chosen.add(id(block))
    for block in blocks:
        if id(block) in missed:
            budget.leave(f"{block.name} of {block.kustomization}")
    return chosen


def _around(row: overview.Row) -> int:
    """Bytes that a fold takes beside its objects."""
    return size(_fold(row, [_REST], 10**9, opened=True)) + 2


def _fold(row: overview.Row, texts: Sequence[str], left: int, *, opened: bool) -> str:
    reasons = [
        cause + (": " + ", ".join(_some(details)) if details else "")
        for cause, details in overview.reasons(row.affected)
    ]
    parts = [". ".join(reason[0].upper() + reason[1:] for reason in reasons), *texts]
    parts += [_REST.format(style.count(left, "object"))] if left else []
    summary = f"{tag(row.name)} {overview.signs(row.counts)}".rstrip()
    return folded(summary, "\n\n".join(part for part in parts if part), opened=opened)


def _some(names: Sequence[str]) -> Iterator[str]:
    yield from (code(name, 120) for name in names[:_NAMES])
    if len(names) > _NAMES:
        yield f"{len(names) - _NAMES:,} more"


def _blocks(comparison: Comparison) -> list[_Block]:
    worst = {signal.ref for signal in comparison.signals if signal.severity is not Severity.NOTE}
    blocks = []
    for number, change in enumerate(comparison.changes):
        text = _object(change)
        action = _RANKS.index(change.action) if change.action in _RANKS else len(_RANKS)
        rank = (change.ref not in worst, action, size(text), number)
        blocks.append(_Block(change.kustomization, str(change.ref), text, rank))
    return blocks


def _object(change: ObjectChange) -> str:
    sign = overview.SIGNS.get(change.action, "")
    if overview.removed_or_added(change):
        return _whole(change, sign)
    told = f"{sign} {code(str(change.ref))} {change.action}".lstrip()
    parts = [f"#### {told}", *_notes(change)]
    if change.fields:
        parts.append(_hunks(change.ref, change.fields))
    return "\n\n".join(parts)


def _whole(change: ObjectChange, sign: str) -> str:
    """An object that comes or goes: a line, its body behind it."""
    body: Manifest = change.after or change.before or {}
    reason = f" ({tag(change.reason)})" if change.reason else ""
    head = f"{sign} {tag(str(change.ref))} {change.action}{reason}".lstrip()
    if overview.is_definition(change.ref):
        told = clean.line(_definition(body))
        return folded(head, "\n\n".join([*_notes(change), fenced([told])]))
    lines = [_shown(line) for line in manifest.yaml(body).splitlines()] if body else []
    if not lines:
        return folded(head, "Nothing of it is known.")
    counted = f"{head}, {style.count(len(lines), 'line')}"
    return folded(counted, "\n\n".join([*_notes(change), fenced(lines, "yaml")]))


def _notes(change: ObjectChange) -> Iterator[str]:
    told = [
        f"was {code(change.was.name)}" if change.was else "",
        f"moved from {code(change.moved_from)}" if change.moved_from else "",
        code(change.reason) if change.reason and not overview.removed_or_added(change) else "",
        f"only the cluster knows {', '.join(_some(change.elsewhere))}" if change.elsewhere else "",
        f"encrypted: {', '.join(_some(change.sealed))}" if change.sealed else "",
        f"changed in the cluster too: {', '.join(_some(change.clashes))}" if change.clashes else "",
    ]
    if any(told):
        yield " · ".join(part for part in told if part)


def _hunks(ref: ResourceRef, changes: Sequence[FieldChange]) -> str:
    if overview.is_definition(ref):
        return fenced([_summary(change) for change in changes], "diff")
    return fenced([_shown(line) for change in changes for line in fields.hunk(change)], "diff")


def _summary(change: FieldChange) -> str:
    """A field of a definition: nobody reads what is in it."""
    match change.touch:
        case Touch.ADDED:
            return f"+ {clean.line(change.path)}"
        case Touch.REMOVED:
            return f"- {clean.line(change.path)}"
        case Touch.CHANGED | Touch.REORDERED:
            return f"! {fields.line(change, 80)}"


def _definition(body: Manifest) -> str:
    """`Widget of acme.io, Namespaced, v1, v1beta1`."""
    spec = body.get("spec")
    spec = spec if isinstance(spec, Mapping) else {}
    names, versions = spec.get("names"), spec.get("versions")
    kind = names.get("kind") if isinstance(names, Mapping) else None
    served = [each.get("name") for each in versions or [] if isinstance(each, Mapping)]
    parts = [f"{kind} of {spec.get('group')}", spec.get("scope"), *served]
    return ", ".join(str(part) for part in parts if part)


def _drift(comparison: Comparison, budget: Budget) -> list[str]:
    """What somebody did to these objects in the cluster; a deploy would undo it."""
    found = overview.drifted(comparison)
    texts = [f"#### {code(str(change.ref))}\n\n{_hunks(change.ref, change.drift)}" for change in found]
    title = f"Changed in the cluster by somebody else, not by this change ({len(found):,})"
    intro = "`-` is what the cluster has, `+` what the base has."
    around = folded(title, intro) + _REST
    kept, left = budget.items((f"{text}\n" for text in texts), 0.08, around, "drifted object")
    if not kept:
        return []
    more = [_REST.format(style.count(left, "object"))] if left else []
    return [folded(title, "\n\n".join([intro, *(text.rstrip("\n") for text in kept), *more]))]


def _shown(line: str) -> str:
    """A line of a fence as it is; only what could not be seen was made visible before."""
    return line.replace("\t", "    ")
