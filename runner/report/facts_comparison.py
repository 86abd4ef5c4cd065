"""A comparison as plain data; whole manifests are not in it, only the fields that differ."""

from __future__ import annotations

from collections.abc import Sequence

from runner.changes import (
    Affected,
    Comparison,
    Fault,
    FieldChange,
    ImageChange,
    ObjectChange,
    Pending,
    Signal,
)
from runner.report import facts, views
from runner.report.facts import Document
from runner.report.views import Scope


def diff(value: Comparison, exit_code: int) -> Document:
    return {
        **facts.head("diff", Scope(value.server, value.entry, value.head), exit_code),
        "base": value.base,
        "kustomizations": value.kustomizations,
        "affected": [_affected(each) for each in value.affected],
        "changes": [_change(each) for each in value.changes],
        "errors": [error for fault in value.faults for error in _errors(fault)],
        "signals": [_signal(each) for each in value.signals],
        "images": [_image(each) for each in value.images],
        "pending": [pending(each) for each in value.pending],
        "waves": [list(wave) for wave in value.waves],
        "unaffectedFiles": list(value.idle),
        "held": [facts.held(each) for each in sorted(value.held, key=lambda each: each.kustomization)],
        "sources": [facts.source(each) for each in value.sources],
        "routine": value.routine,
        "warnings": list(value.warnings),
    }


def _affected(each: Affected) -> Document:
    return {
        **facts.identity(each.kustomization),
        "reasons": [{"code": str(why.cause), "detail": why.detail} for why in each.reasons],
        "dependent": each.dependent,
        "via": list(each.via),
    }


def _change(change: ObjectChange) -> Document:
    return {
        "kustomization": change.kustomization,
        "action": str(change.action),
        "ref": facts.ref(change.ref),
        "reason": change.reason,
        "fields": _fields(change.fields),
        "was": facts.ref(change.was) if change.was else None,
        "movedFrom": change.moved_from or None,
        "unknown": list(change.unknown),
        "drift": _fields(change.drift),
        "clashes": list(change.clashes),
    }


def _fields(changes: Sequence[FieldChange]) -> list[Document]:
    return [
        {"path": each.path, "touch": str(each.touch), "before": each.before, "after": each.after}
        for each in changes
    ]


def _errors(fault: Fault) -> list[Document]:
    where = {"kustomization": fault.kustomization, "side": fault.side}
    return [where | facts.problem(problem) for problem in fault.problems]


def _signal(signal: Signal) -> Document:
    return {
        "code": signal.code,
        "severity": str(signal.severity),
        "text": signal.text,
        "kustomization": signal.kustomization or None,
        "ref": facts.ref(signal.ref) if signal.ref else None,
    }


def _image(image: ImageChange) -> Document:
    return {
        "name": image.name,
        "before": image.before or None,
        "after": image.after or None,
        "users": [facts.ref(user) for user in sorted(image.users, key=views.by_kind)],
    }


def pending(each: Pending) -> Document:
    return {
        **facts.identity(each.kustomization),
        "state": None if each.state is None else str(each.state),
        "reason": each.reason,
    }
