"""The page's parts as plain values, and the template that they go into.

The script only lays out: every difference is computed here and stands in the page as a unified diff, which is
also what a browser without scripts shows.
"""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from runner.changes import Comparison, ObjectChange, Severity
from runner.model import Action, Manifest
from runner.report import clean, difference, fields, manifest, overview, style
from runner.report.text.problems import problems

_CONTEXT = 6
_OBJECT = 400_000  # characters of one object's diff
_PAGE = 30_000_000  # characters of all diffs
_VALUE = 300
_MESSAGE = 2000


@dataclass(frozen=True, slots=True)
class _Object:
    kind: str
    namespace: str
    name: str
    action: str
    sign: str
    notes: list[str]
    added: int
    removed: int
    diff: str
    cut: int  # lines that are left out
    fields: list[str]  # those that no line of the diff shows


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    signs: str
    notes: list[str]
    reasons: list[str]
    objects: list[_Object]


def page(comparison: Comparison) -> str:
    """The whole page. Nothing in it comes from elsewhere, and its policy lets nothing be fetched."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    parts = files(__package__)
    template, styles, script = (
        parts.joinpath(name).read_text(encoding="utf-8") for name in ("page.html", "page.css", "page.js")
    )
    made = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters |= {"line": lambda value: clean.line(str(value), _MESSAGE), "revision": style.revision}
    made.filters |= {"source": style.source}
    made.filters |= {"version": overview.version, "count": style.count, "duration": style.duration}
    counts = Counter(change.action for change in comparison.changes)
    return made.from_string(template).render(
        comparison=comparison,
        mark=overview.mark(comparison),
        counts=[(action, overview.SIGNS.get(action, ""), counts[action]) for action in overview.ACTIONS],
        scope=overview.scope(comparison),
        broken=overview.broken(comparison),
        groups=list(_groups(comparison)),
        faults=[
            (
                title,
                [(f, overview.where(f), [part for p in f.problems for part in problems([p])]) for f in found],
            )
            for title, found in (
                ("Cannot be rendered: what these would change is not known", overview.unrendered(comparison)),
                ("Would fail in the cluster", overview.failing(comparison)),
            )
            if found
        ],
        leaving=overview.leaving(comparison),
        staying=overview.staying(comparison),
        signals_by_severity=[(severity, overview.by_severity(comparison, severity)) for severity in Severity],
        drifted=[(c, [fields.line(f, _VALUE) for f in c.drift]) for c in overview.drifted(comparison)],
        styles=Markup(styles),  # noqa: S704 - a file of ours
        script=Markup(script),  # noqa: S704 - a file of ours
        style_hash=_hash(styles),
        script_hash=_hash(script),
    )


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _groups(comparison: Comparison) -> Iterator[_Group]:
    room = _PAGE
    for row in overview.rows(comparison):
        objects = []
        for change in row.changes:
            objects.append(_object(change, min(room, _OBJECT)))
            room -= len(objects[-1].diff)
        reasons = [
            cause + (f": {style.names(details, 20)}" if details else "")
            for cause, details in overview.reasons(row.affected)
        ]
        yield _Group(clean.line(row.name), overview.signs(row.counts), list(_notes(row)), reasons, objects)


def _notes(row: overview.Row) -> Iterator[str]:
    if row.wave:
        yield f"wave {row.wave}"
    if row.images:
        yield style.count(row.images, "image")
    if row.dependents:
        yield style.count(row.dependents, "dependent")
    if overview.rechecked(row):
        yield f"re-checked: depends on {style.names(row.affected.via[:1], 1)}"
    if row.faulty:
        yield row.faulty
    yield from (clean.line(signal) for signal in row.signals)


def _object(change: ObjectChange, room: int) -> _Object:
    before, after = _lines(change.before), _lines(change.after)
    if change.action is Action.DELETED:
        after = []
    lines = list(difference.unified(before, after, _CONTEXT))
    kept = _fitting(lines, room)
    told = [
        f"was {clean.line(change.was.name)}" if change.was else "",
        f"moved from {clean.line(change.moved_from)}" if change.moved_from else "",
        clean.line(change.reason),
        f"only the cluster knows {style.names(change.elsewhere, 20)}" if change.elsewhere else "",
        f"encrypted: {style.names(change.sealed, 20)}" if change.sealed else "",
        f"changed in the cluster too: {style.names(change.clashes, 20)}" if change.clashes else "",
    ]
    group = f".{change.ref.group}" if change.ref.group else ""
    return _Object(
        clean.line(change.ref.kind + group),
        clean.line(change.ref.namespace),
        clean.line(change.ref.name),
        str(change.action),
        overview.SIGNS.get(change.action, "·"),
        [note for note in told if note],
        sum(line.startswith("+") for line in lines),
        sum(line.startswith("-") for line in lines),
        "\n".join(lines[:kept]),
        len(lines) - kept,
        [fields.line(each, _VALUE) for each in change.fields if not lines or fields.unseen(each)],
    )


def _fitting(lines: list[str], room: int) -> int:
    for number, line in enumerate(lines):
        room -= len(line) + 1
        if room < 0:
            return number
    return len(lines)


def _lines(side: Manifest | None) -> list[str]:
    return [] if side is None else manifest.yaml(side).removesuffix("\n").split("\n")
