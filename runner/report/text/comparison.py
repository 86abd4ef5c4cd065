"""What merging would do, for a terminal: what asks for eyes first, then each Kustomization's objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from runner.changes import Comparison, FieldChange, ObjectChange, Severity, Signal
from runner.model import Action, Held
from runner.report import clean, fields, overview, style, views
from runner.report.text.problems import problems

if TYPE_CHECKING:
    from rich.text import Text

Line = tuple[str, str]
"""How it is drawn, in rich's words, and the text."""

_MOST_LINES = 40  # of one field
_VALUE = 160
_NAMES = 20
_PAINT = {
    Action.CREATED: "green",
    Action.CONFIGURED: "yellow",
    Action.MOVED: "cyan",
    Action.DELETED: "red",
}
_DIFF = {"+": "green", "-": "red", "!": "yellow"}
_SEVERITIES = (
    (Severity.BLOCKER, "Would fail, or be stopped", "red"),
    (Severity.CAUTION, "Look twice", "yellow"),
    (Severity.NOTE, "Notes", ""),
)


def comparison(value: Comparison) -> str:
    """The whole comparison as plain text."""
    return "".join(f"{text}\n" for _, text in _lines(value))


def coloured(value: Comparison) -> Text:
    """The same for a terminal; print it with `soft_wrap=True`."""
    from rich.text import Text

    drawn = Text()
    for look, text in _lines(value):
        drawn.append(f"{text}\n", look or None)
    return drawn


def _lines(value: Comparison) -> Iterator[Line]:
    sections = (
        _head, _faults, _leaving, _signals, _held, _kustomizations, _images,
        _waves, _sources, _pending, _drift, _rest,
    )  # fmt: skip
    for number, section in enumerate(sections):
        told = list(section(value))
        if told and number:
            yield "", ""
        yield from told


def _head(value: Comparison) -> Iterator[Line]:
    base, head = (style.revision(each) or "nothing" for each in (value.base, value.head))
    where = f" on {clean.line(value.server)}" if value.server else ""
    yield "bold", f"{overview.mark(value)} {clean.line(value.entry) or '.'}: {base} → {head}{where}"
    counts = Counter(change.action for change in value.changes)
    if value.differs or value.faults:
        parts = (style.tally(counts, overview.ACTIONS), overview.broken(value))
        told = ", ".join(part for part in parts if part) or "no object changes"
        yield "", f"  {told} {overview.scope(value)}"
    else:
        yield "", f"  Nothing changes in {style.count(value.kustomizations, 'Kustomization')}."
    if value.routine:
        yield "green", "  Routine: nothing but versions of images and charts changes."


def _faults(value: Comparison) -> Iterator[Line]:
    for title, faults in (
        ("Cannot be rendered: what these would change is not known", overview.unrendered(value)),
        ("Would fail in the cluster", overview.failing(value)),
    ):
        if faults:
            yield "bold red", title
        for fault in faults:
            where = f" ({overview.where(fault)})" if overview.where(fault) else ""
            yield "red", f"  ✗ {clean.line(fault.kustomization)}{where}"
            for problem in problems(fault.problems):
                yield from (("", f"      {line}") for line in problem.splitlines())


def _leaving(value: Comparison) -> Iterator[Line]:
    if gone := overview.leaving(value):
        yield "bold red", "Will be deleted"
    for change in gone:
        yield "red", f"  − {_object(change.ref)} of {clean.line(change.kustomization)}{_why(change.reason)}"
    if left := overview.staying(value):
        yield "bold yellow", "Leave Git, and stay in the cluster"
    yield from (("yellow", f"  {_signal(signal)}") for signal in left)


def _signals(value: Comparison) -> Iterator[Line]:
    for severity, title, look in _SEVERITIES:
        found = overview.by_severity(value, severity)
        if found:
            yield f"bold {look}".strip(), title
        for signal in found:
            yield look, f"  {_signal(signal)}"


def _signal(signal: Signal) -> str:
    where = clean.line(str(signal.ref)) if signal.ref else clean.line(signal.kustomization)
    return f"{clean.line(signal.code)}: {clean.line(signal.text)}" + (
        f" ({where})" if where and where not in signal.text else ""
    )


def _held(value: Comparison) -> Iterator[Line]:
    for held in sorted(value.held, key=lambda each: each.kustomization):
        yield from _one_held(held)


def _one_held(held: Held) -> Iterator[Line]:
    objects = style.count(len(held.refs), "object")
    yield (
        "yellow",
        f"Held back: {objects} of {clean.line(held.kustomization)} would not be deleted{_why(held.reason)}",
    )
    yield from (("", f"    {_object(ref)}") for ref in sorted(held.refs, key=views.by_kind))
    if held.digest:
        yield "", f"  To delete exactly these, deploy with --approve {clean.line(held.digest)}"


def _kustomizations(value: Comparison) -> Iterator[Line]:
    again = [row for row in overview.rows(value) if overview.rechecked(row)]
    for row in overview.rows(value):
        if overview.rechecked(row):
            continue
        parts = [style.tally(row.counts, overview.ACTIONS), f"wave {row.wave}" if row.wave else ""]
        yield "bold", "  ".join(part for part in (clean.line(row.name), *parts) if part)
        for cause, details in overview.reasons(row.affected):
            told = style.names(details, _NAMES)
            yield "dim", f"  {cause}" + (f": {told}" if told else "")
        for change in row.changes:
            yield from _change(change)
    for row in again:
        via = style.names(row.affected.via, _NAMES)
        yield "dim", f"{clean.line(row.name)}  re-checked" + (f", by way of {via}" if via else "")


def _change(change: ObjectChange) -> Iterator[Line]:
    sign = overview.SIGNS.get(change.action, " ")
    notes = [
        f"was {clean.line(change.was.name)}" if change.was else "",
        f"from {clean.line(change.moved_from)}" if change.moved_from else "",
        clean.line(change.reason),
    ]
    told = "; ".join(note for note in notes if note)
    look = _PAINT.get(change.action, "")
    yield look, f"  {sign} {_object(change.ref)} {change.action}" + (f" ({told})" if told else "")
    if change.elsewhere:
        yield "dim", f"      only the cluster knows {style.names(change.elsewhere, _NAMES)}: left as written"
    if change.sealed:
        yield "dim", f"      encrypted: {style.names(change.sealed, _NAMES)}"
    for field in change.fields if not overview.removed_or_added(change) else ():
        yield from _field(field)
    for path in change.clashes:
        yield "yellow", f"      {clean.line(path)} was changed in the cluster too"


def _field(field: FieldChange) -> Iterator[Line]:
    if not fields.long(field):
        yield "", f"      {fields.line(field, _VALUE)}"
        return
    yield "", f"      {clean.line(field.path)}:"
    body = fields.body(field)
    for line in body[:_MOST_LINES]:
        shown = clean.cut("".join(clean.lines(line)), _VALUE)
        yield _DIFF.get(line[:1], ""), f"        {shown}".rstrip()
    if len(body) > _MOST_LINES:
        yield "dim", f"        … and {len(body) - _MOST_LINES:,} more lines"


def _images(value: Comparison) -> Iterator[Line]:
    if value.images:
        yield "bold", "Images"
    for image in value.images:
        before, after = (overview.version(each) or "none" for each in (image.before, image.after))
        users = style.names(map(str, image.users), 3)
        yield "", f"  {clean.line(image.name)}: {before} → {after}  {users}".rstrip()


def _waves(value: Comparison) -> Iterator[Line]:
    if len(value.waves) > 1:
        yield "bold", "Rolls out in this order"
        yield from (("", f"  {n}. {style.names(wave, _NAMES)}") for n, wave in enumerate(value.waves, 1))


def _sources(value: Comparison) -> Iterator[Line]:
    if value.sources:
        yield "bold", "Sources from elsewhere"
    yield from (("", f"  {style.source(each)}") for each in value.sources)


def _pending(value: Comparison) -> Iterator[Line]:
    if value.pending:
        yield "bold", "Not as the base has it, whatever this change does"
    for each in value.pending:
        state = str(each.state) if each.state else "never deployed"
        yield "", f"  {clean.line(each.kustomization)}: {state}{_why(each.reason)}"


def _drift(value: Comparison) -> Iterator[Line]:
    found = overview.drifted(value)
    if found:
        yield "bold", "Changed in the cluster by somebody else, not by this change"
    for change in found:
        yield "", f"  {_object(change.ref)}"
        for field in change.drift:
            yield from _field(field)


def _rest(value: Comparison) -> Iterator[Line]:
    if value.idle:
        yield "dim", f"Changed, but no Kustomization reads it: {style.names(value.idle, _NAMES)}"
    for warning in value.warnings:
        yield "yellow", f"Warning: {clean.line(warning)}"


def _object(ref: object) -> str:
    return clean.line(str(ref))


def _why(reason: str) -> str:
    return f" ({clean.line(reason)})" if reason else ""
