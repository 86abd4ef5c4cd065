"""A drift report as plain data."""

from __future__ import annotations

from itertools import groupby

from runner.drift import Difference, Drift, Drifted, Writer
from runner.report import facts
from runner.report.facts import Document
from runner.report.facts_comparison import pending
from runner.report.views import Scope


def drift(value: Drift, exit_code: int) -> Document:
    grouped = groupby(value.differences, key=lambda each: each.kustomization)
    return {
        **facts.head("drift", Scope(value.server, value.entry, value.revision), exit_code),
        "head": value.head,
        "checked": len(value.checked),
        "drifted": [
            {
                **facts.identity(id_),
                "policy": value.policies.get(id_, "report"),
                "objects": [_object(each, corrected=each in value.corrected) for each in found],
            }
            for id_, found in grouped
        ],
        "corrected": [
            {"kustomization": each.kustomization, "ref": facts.ref(each.ref)} for each in value.corrected
        ],
        "notCorrected": value.not_run or None,
        "pending": [pending(each) for each in value.pending],
        "unknown": [
            {
                "kustomization": each.kustomization,
                "ref": facts.ref(each.ref) if each.ref else None,
                "reason": each.reason,
            }
            for each in value.unknown
        ],
        "ignored": list(value.ignored),
        "notDue": list(value.later),
        "warnings": list(value.warnings),
        "requests": facts.requests(value.requests),
        "run": facts.reconcile(value.run, exit_code)["kustomizations"] if value.run else None,
    }


def _object(each: Difference, *, corrected: bool) -> Document:
    return {
        "ref": facts.ref(each.ref),
        "kind": str(each.kind),
        "reason": each.reason or None,
        "corrected": corrected,
        "fields": [_field(field) for field in each.fields],
        "writer": _writer(each.writer),
        "toWanted": None if each.correction is None else list(each.correction),
        "toLive": None if each.reversal is None else list(each.reversal),
        "file": each.file or None,
        "line": each.line or None,
    }


def _field(each: Drifted) -> Document:
    writer = each.writer or Writer("", "")
    return {
        "path": each.change.path,
        "touch": str(each.change.touch),
        "want": each.change.after,
        "live": each.change.before,
        "manager": writer.manager or None,
        "operation": writer.operation or None,
        "subresource": writer.subresource or None,
        "time": writer.time or None,
    }


def _writer(writer: Writer | None) -> Document | None:
    if writer is None:
        return None
    return {
        "manager": writer.manager,
        "operation": writer.operation,
        "subresource": writer.subresource or None,
        "time": writer.time or None,
    }
