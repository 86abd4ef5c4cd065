"""A comparison read back from its JSON: the inverse of what `diff -o json` writes, whole manifests left out.

The document may come from anybody, such as a fork's own workflow. It is data: whatever does not have the
one shape it may have is refused, and what is read is as hostile as a manifest, so views treat it alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from runner.changes import (
    Affected,
    Cause,
    Comparison,
    Fault,
    FieldChange,
    ImageChange,
    ObjectChange,
    Pending,
    Severity,
    Signal,
    Touch,
    Why,
)
from runner.errors import UsageError
from runner.model import Action, Held, ResourceRef, SourceRevision, State
from runner.rendered import Problem

SCHEMA = "kustodian/diff/v1"
MOST = 20_000
"""Items of a list: a comment shows less, and more are an attempt to make somebody wait."""

LONGEST = 100_000
"""Characters of a text."""

Json = Mapping[str, Any]
T = TypeVar("T")
W = TypeVar("W", bound=StrEnum)


def comparison(document: object, origin: str) -> Comparison:
    """The comparison that a document holds, which `origin` names. Raises UsageError."""
    if not isinstance(document, Mapping) or document.get("schema") != SCHEMA:
        raise UsageError(f"{origin} is no report: it has not the schema {SCHEMA}")
    try:
        return _comparison(document)
    except (KeyError, TypeError, ValueError, RecursionError) as exc:
        raise UsageError(
            f"{origin} is no report of this release: {type(exc).__name__}: {str(exc)[:200]}"
        ) from exc


def _comparison(of: Json) -> Comparison:
    return Comparison(
        server=_text(of["cluster"]),
        entry=_text(of["entry"]),
        base=_text(of["base"]),
        head=_text(of["revision"]),
        affected=_many(of["affected"], _affected),
        changes=_many(of["changes"], _change),
        faults=_many(of["errors"], _fault),
        signals=_many(of["signals"], _signal),
        images=_many(of["images"], _image),
        pending=_many(of["pending"], _pending),
        waves=_many(of["waves"], lambda wave: _many(wave, _text)),
        idle=_many(of["unaffectedFiles"], _text),
        held=_many(of["held"], _held),
        warnings=_many(of["warnings"], _text),
        kustomizations=_number(of["kustomizations"]),
        routine=_flag(of["routine"]),
        sources=_many(of["sources"], _source),
    )


def _affected(of: Json) -> Affected:
    reasons = _many(of["reasons"], lambda why: Why(_word(why["code"], Cause), _text(why["detail"])))
    return Affected(_identity(of), reasons, _many(of["via"], _text))


def _change(of: Json) -> ObjectChange:
    return ObjectChange(
        kustomization=_text(of["kustomization"]),
        ref=_ref(of["ref"]),
        action=_word(of["action"], Action),
        reason=_text(of["reason"]),
        fields=_many(of["fields"], _field),
        was=_ref(of["was"]) if of["was"] is not None else None,
        moved_from=_maybe(of["movedFrom"]),
        unknown=_many(of["unknown"], _text),
        drift=_many(of["drift"], _field),
        clashes=_many(of["clashes"], _text),
    )


def _field(of: Json) -> FieldChange:
    return FieldChange(_text(of["path"]), _word(of["touch"], Touch), of["before"], of["after"])


def _fault(of: Json) -> Fault:
    problem = Problem(
        code=_text(of["code"]),
        message=_text(of["message"]),
        variable=_maybe(of["variable"]),
        json_path=_maybe(of["path"]),
        file=_maybe(of["file"]),
        line=_number(of["line"] or 0),
        hint=_maybe(of["hint"]),
    )
    return Fault(_text(of["kustomization"]), _text(of["side"]), (problem,))


def _signal(of: Json) -> Signal:
    ref = _ref(of["ref"]) if of["ref"] is not None else None
    severity = _word(of["severity"], Severity)
    return Signal(_text(of["code"]), severity, _text(of["text"]), _maybe(of["kustomization"]), ref)


def _image(of: Json) -> ImageChange:
    return ImageChange(_text(of["name"]), _maybe(of["before"]), _maybe(of["after"]), _many(of["users"], _ref))


def _pending(of: Json) -> Pending:
    state = _word(of["state"], State) if of["state"] is not None else None
    return Pending(_identity(of), state, _text(of["reason"]))


def _source(of: Json) -> SourceRevision:
    return SourceRevision(_text(of["source"]), _text(of["revision"]), _maybe(of["recorded"]))


def _held(of: Json) -> Held:
    refs = _many(of["refs"], _ref)
    return Held(_text(of["kustomization"]), refs, _text(of["reason"]), _maybe(of["digest"]))


def _ref(of: Json) -> ResourceRef:
    group, version, kind, namespace, name = (
        _text(of[part]) for part in ("group", "version", "kind", "namespace", "name")
    )
    return ResourceRef(namespace, name, group, kind, version)


def _identity(of: Json) -> str:
    return f"{_text(of['namespace'])}/{_text(of['name'])}"


def _many(value: object, read: Callable[[Any], T]) -> tuple[T, ...]:
    if not isinstance(value, list) or len(value) > MOST:
        raise TypeError(f"a list of at most {MOST} items is expected")
    return tuple(read(item) for item in value)


def _word(value: object, words: type[W]) -> W:
    return words(_text(value))


def _maybe(value: object) -> str:
    return "" if value is None else _text(value)


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > LONGEST:
        raise TypeError(f"a text of at most {LONGEST} characters is expected")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 31:
        raise TypeError("a count is expected")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("true or false is expected")
    return value
