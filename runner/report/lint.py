"""What `lint` found: as text, as facts, and as GitHub's annotations."""

from __future__ import annotations

from collections import Counter

from runner import forge
from runner.forge import Annotation
from runner.remarks import LEVELS, Level, Remark, Remarks
from runner.rendered import Place
from runner.report import clean, facts, style, workflow
from runner.report.views import Scope

_LEVELS = {
    Level.ERROR: forge.Level.FAILURE,
    Level.WARNING: forge.Level.WARNING,
    Level.NOTE: forge.Level.NOTICE,
}


def text(told: Remarks) -> str:
    """`file:line: error: message (Kustomization)`, as compilers have it; the counts last."""
    lines = [line for each in told.remarks for line in _lines(each, several=len(told.entries) > 1)]
    return "".join(f"{line}\n" for line in (*lines, *([""] if lines else []), _counts(told)))


def github(told: Remarks) -> str:
    """A workflow command for each; GitHub shows the first ten of a level."""
    commands = [workflow.annotated(_annotation(each)) for each in told.remarks]
    return "".join(f"{line}\n" for line in (*commands, _counts(told)))


def document(told: Remarks, exit_code: int) -> facts.Document:
    entry = told.entries[0] if len(told.entries) == 1 else ""
    counts = Counter(each.level for each in told.remarks)
    return {
        **facts.head("lint", Scope("", entry, told.revision), exit_code),
        "entries": list(told.entries),
        "counts": {str(level): counts[level] for level in LEVELS},
        "remarks": [_remark(each) for each in told.remarks],
    }


def _remark(each: Remark) -> facts.Document:
    return {
        "level": str(each.level),
        "code": each.code,
        "message": each.message,
        "hint": each.hint or None,
        "file": each.file or None,
        "line": each.line or None,
        "kustomization": each.kustomization or None,
        "entries": list(each.entries),
    }


def _lines(each: Remark, *, several: bool) -> list[str]:
    place = clean.line(str(Place(each.file, each.line))) if each.file else ""
    first, *rest = clean.block(each.message) or [each.code]
    about = [each.kustomization, f"in {', '.join(each.entries)}" if several and each.entries else ""]
    told = clean.line(" ".join(part for part in about if part))
    head = f"{place + ': ' if place else ''}{each.level}: {first}" + (f" ({told})" if told else "")
    hint = [f"hint: {clean.line(each.hint, clean.MESSAGE)}"] if each.hint else []
    return [head, *(f"  {line}" for line in (*rest, *hint))]


def _annotation(each: Remark) -> Annotation:
    message = each.message + (f" ({each.hint})" if each.hint else "")
    title = " ".join(part for part in (each.kustomization, each.code.replace("_", " ")) if part)
    return Annotation(each.file, each.line, _LEVELS[each.level], message, title)


def _counts(told: Remarks) -> str:
    counts = [style.count(number, str(level)) for level in LEVELS if (number := told.count(level))]
    where = f" in {style.names(told.entries, 6)}" if told.entries else ""
    return f"{', '.join(counts) or 'nothing to say'}{where} at {style.revision(told.revision)}"
