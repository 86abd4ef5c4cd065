"""A drift report as Markdown: the issue about a cluster, and the job summary."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from urllib.parse import quote

import orjson

from runner.drift import Difference, Drift, Drifted
from runner.report import clean, fields, style
from runner.report.budget import Budget
from runner.report.markdown import code, fenced
from runner.report.text.drift import SIGNS, headline, now

ISSUE = 60_000
"""Bytes; GitHub refuses an issue of more than 65,536 characters."""

_VALUE = 80
_MOST_FIELDS = 40  # of one object
_APART = 2_000


def title(value: Drift, scope: str) -> str:
    return clean.line(f"Drift: {scope or value.entry}", 200)


def digest(value: Drift) -> str:
    """Equal as long as the same differs in the same way: an issue is edited when this is another."""
    found = [
        (
            each.kustomization,
            str(each.ref),
            str(each.kind),
            each.reason,
            [
                (f.change.path, f.change.touch, f.change.before, f.change.after, str(f.writer))
                for f in each.fields
            ],
        )
        for each in value.left
    ]
    payload = orjson.dumps([found, value.not_run], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(payload).hexdigest()[:16]


def markdown(value: Drift, limit: int = ISSUE, *, files: str = "", run: str = "") -> str:
    """At most so many bytes, whole objects only.

    `files` is the address of the files at the deployed commit, `run` that of the run; "" when there is none.
    """
    head = "\n\n".join(_head(value, run))
    budget = Budget(limit - len(head.encode()) - _APART, limit)
    parts = [
        *_objects(value, value.left, "Drift", files, budget),
        *_objects(value, value.corrected, "Corrected", files, budget),
        *_lists(value, budget),
    ]
    left = [f"… left out, as it does not fit: {style.names(budget.omitted, 6)}"] if budget.omitted else []
    return "\n\n".join([head, *parts, *left]) + "\n"


def _head(value: Drift, run: str) -> Iterator[str]:
    mark = style.MARKS["ready"] if not value.left else "⚠"
    yield f"### {mark} Drift: {code(value.entry or '.')}"
    facts = [
        f"**{headline(value)}**",
        f"{len(value.corrected):,} corrected" if value.corrected else "",
        f"deployed: {code(style.revision(value.revision))}",
        f"on {code(value.server)}",
        f"[run]({run})" if run else "",
    ]
    yield " · ".join(fact for fact in facts if fact)
    if value.not_run:
        yield f"> [!WARNING]\n> Not corrected: {code(value.not_run, clean.MESSAGE)}"


def _objects(
    value: Drift, found: Iterable[Difference], name: str, files: str, budget: Budget
) -> Iterator[str]:
    for id_, objects in groupby(found, key=lambda each: each.kustomization):
        policy = code(value.policies.get(id_, "report"))
        heading = f"#### {name}: {code(id_)} · policy {policy}"
        for number, each in enumerate(objects):
            block = _object(each, files)
            yield from budget.part(block if number else f"{heading}\n\n{block}", str(each.ref))


def _object(each: Difference, files: str) -> str:
    place = ""
    if each.file and each.line and files:
        place = f" · [{code(f'{each.file}:{each.line}')}]({files}/{quote(each.file)}#L{each.line})"
    by = f" · {code(str(each.writer))}" if each.writer else ""
    reason = f" · {code(each.reason)}" if each.reason else ""
    head = f"**{SIGNS[each.kind]} {code(str(each.ref))} {each.kind}**{reason}{by}{place}"
    short = [f for f in each.fields[:_MOST_FIELDS] if not fields.long(f.change)]
    long = [f for f in each.fields[:_MOST_FIELDS] if fields.long(f.change)]
    parts = [head]
    if short:
        rows = [_row(field) for field in short]
        parts.append(
            "\n".join(["| field | wanted | live | by | when |", "| --- | --- | --- | --- | --- |", *rows])
        )
    if long:
        parts.append(fenced([line for field in long for line in _hunk(field)], "diff"))
    if (more := len(each.fields) - _MOST_FIELDS) > 0:
        parts.append(f"… and {style.count(more, 'more field')}")
    return "\n\n".join(parts)


def _row(field: Drifted) -> str:
    want, live = now(field.change, _VALUE)
    writer = field.writer
    through = f" through {writer.subresource}" if writer and writer.subresource else ""
    by = code(f"{writer.manager}{through}") if writer else "–"
    when = code(writer.time) if writer and writer.time else "–"
    return f"| {code(field.change.path)} | {code(want)} | {code(live)} | {by} | {when} |"


def _hunk(field: Drifted) -> list[str]:
    by = [f"# {clean.line(str(field.writer))}"] if field.writer else []
    return [line.replace("\t", "    ") for line in (*by, *fields.hunk(field.change))]


def _lists(value: Drift, budget: Budget) -> Iterator[str]:
    pending = [f"- {code(each.kustomization)}: {code(each.reason)}" for each in value.pending]
    unknown = [
        f"- {code(each.kustomization)} {code(str(each.ref)) if each.ref else ''}: {code(each.reason, 500)}"
        for each in value.unknown
    ]
    warnings = [f"- {code(each, clean.MESSAGE)}" for each in value.warnings]
    for name, rows in (
        ("Pending: in Git, and not deployed", pending),
        ("Not compared", unknown),
        ("Warnings", warnings),
    ):
        if rows:
            kept, left = budget.items(rows, 0.2, name, name)
            more = [f"- … and {left:,} more"] if left else []
            yield "\n".join([f"#### {name}", "", *kept, *more])
