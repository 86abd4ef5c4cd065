"""How the action ended, as outputs and as the log says it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from runner.changes import Comparison
from runner.drift import Drift
from runner.errors import ExitCode
from runner.forge import Annotation, Level
from runner.intent import Intent
from runner.model import Action, Run
from runner.report import clean, summary, text
from runner.report.workflow import annotated, escaped, quoted

OUTPUTS = (
    "changed",
    "affected",
    "applied",
    "pruned",
    "failed",
    "drifted",
    "corrected",
    "revision",
    "plan-path",
    "report-path",
    "comment-url",
    "issue-url",
)

_APPLIED = (Action.CREATED, Action.CONFIGURED, Action.MOVED)
_MOST_ANNOTATIONS = 9
"""Of each level: GitHub shows 10 of a step and drops the others, and the verdict is to be among them."""


@dataclass(frozen=True, slots=True)
class Ending:
    """With a run, with a comparison, with an error before there was either, or with nothing to do."""

    code: int
    run: Run | None = None
    comparison: Comparison | None = None
    drift: Drift | None = None
    plan: Intent | None = None
    error: str = ""
    hint: str = ""
    note: str = ""
    findings: tuple[str, ...] = ()  # of `fail-on`, that were met
    annotations: tuple[Annotation, ...] = ()
    warnings: tuple[str, ...] = ()  # about the reports
    plan_path: str = ""
    report_path: str = ""
    comment_url: str = ""
    issue_url: str = ""


def outputs(ending: Ending) -> dict[str, str]:
    """Small and on one line each; a preview's say what would happen."""
    actions: Counter[Action] = Counter()
    affected, failed, revision = 0, 0, ""
    if (run := ending.run) or (run := ending.drift.run if ending.drift else None):
        actions.update(change.action for outcome in run.outcomes for change in outcome.changes)
        affected = sum(outcome.changed for outcome in run.outcomes)
        failed = sum(not outcome.ok for outcome in run.outcomes)
        revision = run.revision
    elif told := ending.comparison:
        actions.update(change.action for change in told.changes)
        affected = len(told.affected)
        failed = len({fault.kustomization for fault in told.faults if fault.side != "base"})
        revision = told.head
    if ending.drift:
        revision = ending.drift.revision
    values = (
        str(any(action.writes for action in actions)).lower(),
        str(affected),
        str(sum(actions[action] for action in _APPLIED)),
        str(actions[Action.DELETED]),
        str(failed),
        str(len(ending.drift.left) if ending.drift else 0),
        str(len(ending.drift.corrected) if ending.drift else 0),
        clean.line(revision),
        ending.plan_path,
        ending.report_path,
        clean.line(ending.comment_url),
        clean.line(ending.issue_url),
    )
    return dict(zip(OUTPUTS, values, strict=True))


def log(ending: Ending) -> Iterator[str]:
    """The result, and what went wrong as the one line that GitHub shows above the log."""
    if ending.run:
        yield from quoted(text.reconcile(ending.run).splitlines())
    if ending.comparison:
        yield from quoted(text.comparison(ending.comparison).splitlines())
    if ending.drift:
        yield from quoted(text.drift(ending.drift).splitlines())
        if ending.drift.run:
            yield from quoted(text.reconcile(ending.drift.run).splitlines())
    for level in (Level.FAILURE, Level.WARNING, Level.NOTICE):
        mine = [each for each in ending.annotations if each.level is level]
        yield from (annotated(each) for each in mine[:_MOST_ANNOTATIONS])
    yield from (f"::warning::{escaped(clean.line(each, summary.MESSAGE))}" for each in ending.warnings)
    if told := verdict(ending):
        yield f"::error::{escaped(clean.line(told, summary.MESSAGE))}"
        first, *rest = clean.block(told) or [""]
        yield from (f"  {line}" for line in (first, *rest) if rest)
    if ending.hint:
        yield f"hint: {clean.line(ending.hint, summary.MESSAGE)}"


def verdict(ending: Ending) -> str:
    """Why this is no success; "" when it is one."""
    if ending.error or not ending.code:
        return ending.error
    if ending.run:
        return summary.verdict(ending.run, ending.code)
    if ending.drift and not ending.findings:
        return _not_mended(ending.drift, ending.code)
    return f"fail-on: {', '.join(ending.findings)}" if ending.findings else f"exit code {ending.code}"


def _not_mended(told: Drift, code: int) -> str:
    if told.run and told.run.failed:
        return summary.verdict(told.run, code)
    if told.not_run:
        return f"nothing was corrected: {told.not_run}"
    if told.unknown:
        first, more = told.unknown[0], len(told.unknown) - 1
        rest = f" (and {more:,} more)" if more else ""
        return f"{first.kustomization}: {first.ref or 'all of it'} cannot be compared: {first.reason}{rest}"
    return summary.verdict(told.run, code) if told.run else f"exit code {code}"


def failed_findings(told: Comparison, wanted: Iterable[str]) -> tuple[str, ...]:
    """Which of `fail-on` a comparison meets."""
    severities = {signal.severity for signal in told.signals}
    met = {
        "error": any(fault.side != "base" for fault in told.faults),
        "blocker": "blocker" in severities or bool(told.held),
        "caution": bool(severities & {"caution", "blocker"}),
        "deletion": any(change.action is Action.DELETED for change in told.changes),
        "change": told.differs,
        "drift": any(change.drift for change in told.changes),
    }
    return tuple(name for name in met if met[name] and name in wanted)


def compared(ending: Ending, wanted: Iterable[str]) -> Ending:
    """The ending of a preview, with its exit code."""
    if ending.comparison is None:
        return ending
    findings = failed_findings(ending.comparison, wanted)
    code = ExitCode.FAILED if "error" in findings else ExitCode.DIFFERENCES if findings else ExitCode.DONE
    return replace(ending, code=int(code), findings=findings)
