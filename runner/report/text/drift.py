"""What is not as it was deployed, for a terminal and a log: who changed what, and what becomes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby

from runner.changes import FieldChange, Touch
from runner.drift import Difference, Drift, Drifted, Kind
from runner.report import clean, fields, manifest, style

SIGNS = {Kind.CHANGED: "~", Kind.DELETED: "−", Kind.EXTRA: "+"}
_VALUE = 120
_NAMES = 10
_LINES = 20  # of one field


def drift(value: Drift) -> str:
    sections = (_head, _differences, _pending, _unknown, _rest)
    blocks = [list(section(value)) for section in sections]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def headline(value: Drift) -> str:
    """`2 changed, 1 deleted in 2 of 40 Kustomizations`, or that nothing is."""
    counts = Counter(each.kind for each in value.differences)
    told = style.tally(counts, Kind)
    if not told:
        return f"No drift in {style.count(len(value.checked), 'Kustomization')}"
    some = len({each.kustomization for each in value.differences})
    return f"{told} in {some:,} of {style.count(len(value.checked), 'Kustomization')}"


def now(change: FieldChange, most: int) -> tuple[str, str]:
    """The wanted value and the live one, as words for people."""
    want, live = (clean.line(manifest.scalar(v), most) for v in (change.after, change.before))
    if change.touch is Touch.ADDED:
        live = "(removed)"
    elif change.touch is Touch.REMOVED:
        want = "(nothing)"
    elif fields.unseen(change):
        live = f"{live}, other content"
    return want, live


def _head(value: Drift) -> Iterator[str]:
    mark = "✓" if not value.left else "⚠"
    where = f"{style.revision(value.revision)} on {clean.line(value.server)}"
    yield f"{mark} {clean.line(value.entry) or '.'} at {where}"
    yield f"  {headline(value)}"
    if value.corrected:
        yield f"  Corrected: {style.count(len(value.corrected), 'object')}"
    if value.not_run:
        yield f"  Not corrected: {clean.line(value.not_run, clean.MESSAGE)}"


def _differences(value: Drift) -> Iterator[str]:
    for id_, found in groupby(value.differences, key=lambda each: each.kustomization):
        yield f"{clean.line(id_)}  policy: {clean.line(value.policies.get(id_, 'report'))}"
        for each in found:
            yield from _one(each, corrected=each in value.corrected)


def _one(each: Difference, *, corrected: bool) -> Iterator[str]:
    where = f" ({clean.line(each.file)}:{each.line})" if each.file and each.line else ""
    notes = [clean.line(each.reason), "corrected" if corrected else ""]
    told = "".join(f", {note}" for note in notes if note)
    by = f" by {clean.line(str(each.writer))}" if each.writer else ""
    yield f"  {SIGNS[each.kind]} {clean.line(str(each.ref))} {each.kind}{told}{by}{where}"
    for field in each.fields:
        yield from _field(field)


def _field(field: Drifted) -> Iterator[str]:
    path, by = clean.line(field.change.path), clean.line(str(field.writer)) if field.writer else ""
    who = f"  ({by})" if by else ""
    if not fields.long(field.change):
        want, live = now(field.change, _VALUE)
        yield f"      {path}: {live}, wanted {want}{who}"
        return
    yield f"      {path}:{who}"
    body = fields.body(field.change)
    yield from (f"        {clean.cut(''.join(clean.lines(line)), _VALUE)}".rstrip() for line in body[:_LINES])
    if len(body) > _LINES:
        yield f"        … and {len(body) - _LINES:,} more lines"


def _pending(value: Drift) -> Iterator[str]:
    if value.pending:
        yield "Pending: in Git, and not deployed"
    for each in value.pending:
        state = str(each.state) if each.state else "never ended well"
        yield f"  {clean.line(each.kustomization)}: {state} ({clean.line(each.reason)})"


def _unknown(value: Drift) -> Iterator[str]:
    if value.unknown:
        yield "Not compared"
    for each in value.unknown:
        what = clean.line(str(each.ref)) if each.ref else "all of it"
        yield f"  {clean.line(each.kustomization)}: {what}: {clean.line(each.reason, clean.MESSAGE)}"


def _rest(value: Drift) -> Iterator[str]:
    if value.ignored:
        yield f"Ignored by their policy: {style.names(value.ignored, _NAMES)}"
    if value.later:
        yield f"Not due yet: {style.names(value.later, _NAMES)}"
    for warning in value.warnings:
        yield f"Warning: {clean.line(warning, clean.MESSAGE)}"
