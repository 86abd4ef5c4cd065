"""Results as plain data, the same for JSON and YAML. An absent value is null, an empty list is []."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runner.model import (
    Change,
    Finding,
    Health,
    Held,
    Leaf,
    Outcome,
    Past,
    ResourceRef,
    Run,
    SourceRevision,
)
from runner.rendered import Problem
from runner.report import views
from runner.report.style import moment
from runner.report.views import BuildView, Scope

Document = dict[str, Any]

REQUESTS = ("GET", "LIST", "WATCH", "DRYRUN", "POST", "PATCH", "PUT", "DELETE")
"""The kinds of requests that are counted, in the order they are shown."""


def reconcile(run: Run, exit_code: int) -> Document:
    return {
        **head("reconcile", Scope(run.server, run.entry, run.revision), exit_code),
        "dryRun": run.dry_run,
        "interrupted": run.interrupted or None,
        "timedOut": run.timed_out,
        "superseded": run.superseded,
        "startedAt": _moment(run.started_at),
        "endedAt": _moment(run.ended_at),
        "waves": [list(wave) for wave in run.waves],
        "kustomizations": [_outcome(outcome) for outcome in run.outcomes],
        "held": [held(each) for each in sorted(run.held, key=lambda each: each.kustomization)],
        "sources": [source(each) for each in run.sources],
        "warnings": list(run.warnings),
        "requests": requests(run.requests),
    }


def build(scope: Scope, kustomizations: Sequence[BuildView], exit_code: int) -> Document:
    return {
        **head("build", scope, exit_code),
        "kustomizations": [
            {
                "namespace": each.namespace,
                "name": each.name,
                "path": each.path,
                "resources": [dict(resource) for resource in each.resources],
                "origins": _origins(each),
                "errors": [problem(error) for error in each.errors],
                **_variables(each),
            }
            for each in kustomizations
        ],
    }


def _origins(view: BuildView) -> list[Document]:
    return [
        {"ref": ref(ResourceRef.of(resource)), "file": place.file or None, "line": place.line or None}
        for resource, place in zip(view.resources, view.origins, strict=True)
    ]


def _variables(view: BuildView) -> Document:
    if view.variables is None:
        return {}
    rows = [
        {
            "name": each.name,
            "value": each.value,
            "source": each.source,
            "producer": each.producer or None,
            "overridden": list(each.overridden),
            "used": each.used,
        }
        for each in view.variables
    ]
    return {"variables": rows}


def tree(scope: Scope, leaves: Sequence[Leaf], exit_code: int) -> Document:
    return {
        **head("tree", scope, exit_code),
        "kustomizations": [
            {
                **identity(leaf.kustomization),
                "path": leaf.path,
                "parent": leaf.parent or None,
                "dependsOn": list(leaf.depends_on),
                "variablesFrom": list(leaf.variables_from),
                "suspended": leaf.suspended,
                "paused": leaf.paused or None,
                "kubeConfig": leaf.target or None,
                "state": None if leaf.recorded is None else str(leaf.recorded),
                "health": None if leaf.healths is None else [_health(each) for each in leaf.healths],
                "objects": [ref(each) for each in sorted(leaf.objects, key=views.by_kind)],
                "problems": list(leaf.problems),
            }
            for leaf in leaves
        ],
    }


def get(scope: Scope, leaves: Sequence[Leaf], exit_code: int) -> Document:
    return {
        **head("get", scope, exit_code),
        "kustomizations": [
            {
                **identity(leaf.kustomization),
                "path": leaf.path,
                "parent": leaf.parent or None,
                "suspended": leaf.suspended,
                "paused": leaf.paused or None,
                "kubeConfig": leaf.target or None,
                "state": None if leaf.recorded is None else str(leaf.recorded),
                "message": leaf.recorded_message,
                "revision": leaf.revision or None,
                "changedAt": _moment(leaf.changed_at),
                "objects": [ref(each) for each in sorted(leaf.objects, key=views.by_kind)],
                "problems": list(leaf.problems),
                "history": [_past(each) for each in leaf.history],
                "deployments": [_past(each) for each in leaf.deployments],
            }
            for leaf in leaves
        ],
    }


def _past(past: Past) -> Document:
    known = past.started_at is not None and past.ended_at is not None
    return {
        "revision": past.revision,
        "digest": past.digest or None,
        "state": None if past.state is None else str(past.state),
        "startedAt": _moment(past.started_at),
        "endedAt": _moment(past.ended_at),
        "seconds": round((past.ended_at or 0) - (past.started_at or 0), 3) if known else None,
        "replaced": past.replaced or None,
        "sources": dict(sorted(past.sources.items())),
    }


def requests(counts: Mapping[str, int]) -> dict[str, int]:
    """Every kind of request, zeros included; kinds we don't know come last."""
    known = {kind: counts.get(kind, 0) for kind in REQUESTS}
    return known | {kind: counts[kind] for kind in sorted(counts.keys() - known.keys())}


def head(name: str, scope: Scope, exit_code: int) -> Document:
    return {
        "schema": f"kustodian/{name}/v1",
        "cluster": scope.cluster,
        "entry": scope.entry,
        "revision": scope.revision,
        "exitCode": int(exit_code),
    }


def _outcome(outcome: Outcome) -> Document:
    return {
        **identity(outcome.kustomization),
        "state": str(outcome.state),
        "startedAt": _moment(outcome.started_at),
        "appliedAt": _moment(outcome.applied_at),
        "readyAt": _moment(outcome.ready_at),
        "endedAt": _moment(outcome.ended_at),
        "waitedFor": list(outcome.waited_for),
        "needs": [{"kustomization": need.id, "edge": str(need.edge)} for need in outcome.needs],
        "awaits": list(outcome.awaits),
        "blockedBy": list(outcome.blocked_by),
        "changes": [_change(change) for change in views.changes(outcome)],
        "attempts": outcome.attempts,
        "reason": outcome.reason or None,
        "error": outcome.error or None,
        "hint": outcome.hint or None,
        "diagnosis": [
            {**_health(health), "findings": [_finding(each) for each in views.why(outcome, health.ref)]}
            for health in outcome.unhealthy
        ],
        "warnings": list(outcome.warnings),
    }


def source(each: SourceRevision) -> Document:
    return {"source": each.source, "revision": each.revision, "recorded": each.recorded or None}


def held(each: Held) -> Document:
    return {
        "kustomization": each.kustomization,
        "reason": each.reason,
        "digest": each.digest or None,
        "refs": [ref(one) for one in sorted(each.refs, key=views.by_kind)],
    }


def _change(change: Change) -> Document:
    return {"action": str(change.action), "ref": ref(change.ref), "reason": change.reason}


def _health(health: Health) -> Document:
    return {"ref": ref(health.ref), "status": str(health.status), "message": health.message}


def _finding(finding: Finding) -> Document:
    return {
        "code": finding.code,
        "ref": ref(finding.subject),
        "more": finding.more,
        "message": finding.message,
        "hint": finding.hint or None,
        "log": list(finding.log),
    }


def problem(each: Problem) -> Document:
    return {
        "code": each.code,
        "message": each.message,
        "file": each.file or None,
        "line": each.line or None,
        "variable": each.variable or None,
        "path": each.json_path or None,
        "hint": each.hint or None,
    }


def ref(each: ResourceRef) -> Document:
    return {
        "group": each.group,
        "version": each.version,
        "kind": each.kind,
        "namespace": each.namespace,
        "name": each.name,
    }


def identity(kustomization: str) -> Document:
    namespace, _, name = kustomization.partition("/")
    return {"namespace": namespace, "name": name}


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else moment(seconds)
