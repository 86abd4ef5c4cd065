"""The job summary: a result as Markdown, in which foreign words stay words; and the verdict, its one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from runner.model import Action, Held, Outcome, Run, State
from runner.report import clean, style, views
from runner.report.markdown import bounded, code, fenced

LIMIT = 900_000
"""Bytes. GitHub drops a summary of more than 1 MiB as a whole."""

MESSAGE = 1000
"""How long a message may get that is to stay on one line."""

_ONE_LINE = 320
_MOST_REFS = 100
_ORDER = (State.FAILED, State.BLOCKED, State.READY, State.SUSPENDED, State.SKIPPED)
_ACTIONS = (
    Action.CREATED,
    Action.CONFIGURED,
    Action.MOVED,
    Action.DELETED,
    Action.UNCHANGED,
    Action.SKIPPED,
    Action.UNKNOWN,
)


def reconcile(result: Run, limit: int = LIMIT) -> str:
    """Markdown of less than `limit` bytes: whole rows and blocks; what is left out is counted.

    The limit is 20,000 or more.
    """
    share = (limit - 10_000) // 4
    outcomes = _ordered(result)
    failures = [outcome for outcome in outcomes if outcome.state is State.FAILED]
    held = sorted(result.held, key=lambda each: each.kustomization)
    table = ["| | Kustomization | State | Objects | Time |\n|-|-|-|-|-:|", *map(_row, outcomes)]
    parts = [
        *_head(result, outcomes),
        *bounded(map(_failure, failures), share, "failures"),
        *bounded((_held(each, result) for each in held), share, "held back", apart="\n\n"),
        *(bounded(table, share, "Kustomizations") if outcomes else []),
        *_warnings(result, share),
    ]
    return "\n\n".join(parts) + "\n"


def message(told: str, hint: str = "", *, failed: bool) -> str:
    """The summary where there is no run to tell of: an error, or a note that there is nothing to do."""
    mark = style.MARKS[State.FAILED if failed else State.SKIPPED]
    lines = [*clean.block(told), *([f"hint: {clean.line(hint, MESSAGE)}"] if hint else [])]
    return f"### {mark} kustodian\n\n{fenced(lines)}\n"


def verdict(result: Run, code: int) -> str:
    """Why a run that came to its end is no success."""
    if result.interrupted:
        return "interrupted: the next run completes the work"
    if result.superseded:
        return "superseded: a newer commit is deployed, or being deployed"
    if failed := [outcome for outcome in _ordered(result) if not outcome.ok]:
        first = failed[0].error or "blocked"
        more = f" (and {len(failed) - 1:,} more failed or are blocked)" if len(failed) > 1 else ""
        return f"{failed[0].kustomization}: {clean.line(first, _ONE_LINE)}{more}"
    if digests := sorted(held.digest for held in result.held if held.digest):
        return f"a guard held deletions back; to delete exactly these, run with approve: {', '.join(digests)}"
    return f"exit code {code}"


def _head(result: Run, outcomes: Sequence[Outcome]) -> Iterator[str]:
    word = "Dry run" if result.dry_run else "Reconciled"
    if result.interrupted or result.superseded:
        word = "Interrupted" if result.interrupted else "Superseded"
    bad = result.failed or result.interrupted or result.superseded
    mark = style.MARKS[State.FAILED if bad else State.READY]
    yield f"### {mark} {word}: {code(result.entry or '.')}"
    states = style.tally(Counter(each.state for each in outcomes), _ORDER)
    actions = Counter(change.action for each in outcomes for change in each.changes)
    objects = style.tally(actions, _ACTIONS)
    facts = [
        code(style.revision(result.revision)),
        f"on {code(result.server)}" if result.server else "",
        f"{style.count(len(outcomes), 'Kustomization')}: {states}" if outcomes else "no Kustomizations",
        f"{style.count(actions.total(), 'object')}: {objects}" if objects else "",
        "nothing was written" if result.dry_run else "",
    ]
    yield " · ".join(fact for fact in facts if fact)


def _row(outcome: Outcome) -> str:
    took = ""
    if outcome.started_at is not None and outcome.ready_at is not None:
        took = style.duration(outcome.ready_at - outcome.started_at)
    told = style.tally(Counter(change.action for change in outcome.changes), _ACTIONS)
    if outcome.state is State.BLOCKED and outcome.blocked_by:
        told = f"by {code(style.names(outcome.blocked_by, 8))}"
    mark, name = style.MARKS[outcome.state], code(outcome.kustomization)
    return f"| {mark} | {name} | {outcome.state} | {told} | {took} |"


def _failure(outcome: Outcome) -> str:
    lines = clean.block(outcome.error) or ["(no message)"]
    lines += [f"hint: {clean.line(outcome.hint, MESSAGE)}"] if outcome.hint else []
    unhealthy = sorted(outcome.unhealthy, key=lambda each: views.by_kind(each.ref))
    for health in unhealthy[:_MOST_REFS]:
        lines.append(clean.line(str(health), MESSAGE))
        lines += [f"  {line}" for each in views.why(outcome, health.ref) for line in views.finding(each)]
    return f"#### {style.MARKS[State.FAILED]} {code(outcome.kustomization)}\n\n{fenced(lines)}"


def _held(held: Held, result: Run) -> str:
    refs = [clean.line(str(ref)) for ref in sorted(held.refs, key=views.by_kind)]
    left = len(refs) - _MOST_REFS
    names = [*refs[:_MOST_REFS], *([f"and {left:,} more"] if left > 0 else [])]
    verb = "would not be" if result.dry_run else "was not" if len(refs) == 1 else "were not"
    objects = style.count(len(refs), "object")
    told = f"#### Held back: {objects} of {code(held.kustomization)} {verb} deleted\n\n"
    after = "No approval helps: what holds them has to go first."
    if held.digest:
        after = f"To delete exactly these, run again with {code(f'approve: {held.digest}')}."
    return f"{told}{fenced([*clean.block(held.reason), *names])}\n\n{after}"


def _warnings(result: Run, share: int) -> Iterator[str]:
    found = [clean.line(each, MESSAGE) for each in result.warnings]
    for outcome in result.outcomes:
        found += [f"{clean.line(outcome.kustomization)}: {clean.line(w, MESSAGE)}" for w in outcome.warnings]
    if found:
        lines = "\n".join(bounded(found, share, "warnings")).splitlines()
        yield f"#### Warnings\n\n{fenced(lines)}"


def _ordered(result: Run) -> list[Outcome]:
    """Failures first, then what they block."""
    return sorted(result.outcomes, key=lambda each: min(_ORDER.index(each.state), 2))
