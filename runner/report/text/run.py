"""How a run went: a line per Kustomization, below it what changed and what went wrong, then the totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from runner.model import Action, Held, Outcome, Run, State
from runner.report import clean, facts, style, timing, views

_ACTIONS = (
    Action.CREATED,
    Action.CONFIGURED,
    Action.MOVED,
    Action.DELETED,
    Action.UNCHANGED,
    Action.SKIPPED,
    Action.UNKNOWN,
)
_WIDEST = 72
_INDENT = "    "
_MOST_NAMES = 8
_SHORTEST_IDLE = 0.1  # seconds; less is no news


def reconcile(run: Run) -> str:
    """The whole result, failures first."""
    outcomes = sorted(run.outcomes, key=lambda each: min(style.STATES.index(each.state), 2))
    parts = [
        [_header(run)],
        _table(outcomes),
        _sources(run),
        list(_warnings(run.warnings)),
        _totals(run, outcomes),
        *(list(_held(held, run)) for held in sorted(run.held, key=lambda each: each.kustomization)),
        _requests(run),
        _time(run),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _header(run: Run) -> str:
    what = clean.line(run.entry) or "."
    if run.revision:
        what += f" at {style.revision(run.revision)}"
    if run.server:
        what += f" on {clean.line(run.server)}"
    if run.interrupted:
        what = f"Interrupted by {style.SIGNALS.get(run.interrupted, f'signal {run.interrupted}')}: {what}"
    elif run.timed_out:
        what = f"Out of time: {what}"
    elif run.superseded:
        what = f"Superseded by a newer commit: {what}"
    elif run.dry_run:
        return f"Dry run: {what} — nothing was written"
    else:
        return f"Reconciliation failed: {what}" if run.failed else f"Reconciled {what}"
    return what + (" — a dry run, nothing was written" if run.dry_run else "")


def _table(outcomes: list[Outcome]) -> list[str]:
    if not outcomes:
        return []
    name = min(max(len(clean.line(each.kustomization)) for each in outcomes), _WIDEST)
    state = max(len(each.state) for each in outcomes)
    told = {id(each): _told(each, state) for each in outcomes}
    middle = min(max(len(told[id(each)]) for each in outcomes), _WIDEST)
    lines: list[str] = []
    for each in outcomes:
        took = ""
        if each.started_at is not None and each.ready_at is not None:
            took = style.duration(each.ready_at - each.started_at)
        mark = style.MARKS[each.state]
        head = f"{mark} {clean.line(each.kustomization):<{name}}  {told[id(each)]:<{middle}}  {took:>6}"
        lines += [head.rstrip(), *(_INDENT + line for line in _details(each))]
    return lines


def _told(outcome: Outcome, width: int) -> str:
    if outcome.state is State.BLOCKED and outcome.blocked_by:
        return f"blocked by {style.names(outcome.blocked_by, _MOST_NAMES)}"
    if outcome.reason:
        return f"{outcome.state:<{width}}  {clean.line(outcome.reason)}"
    counts = Counter(change.action for change in outcome.changes)
    tries = f"{outcome.attempts} attempts" if outcome.attempts > 1 else ""
    told = "; ".join(part for part in (style.tally(counts, _ACTIONS), tries) if part)
    return f"{outcome.state:<{width}}  {told}".rstrip()


def _details(outcome: Outcome) -> Iterator[str]:
    if outcome.error:
        yield from _labelled("Error", outcome.error)
    if outcome.hint:
        yield from _labelled("Hint", outcome.hint)
    for health in sorted(outcome.unhealthy, key=lambda each: views.by_kind(each.ref)):
        first, *rest = clean.block(str(health))
        yield first
        yield from (f"  {line}" for line in rest)
        yield from (f"  {line}" for found in views.why(outcome, health.ref) for line in views.finding(found))
    for change in views.changes(outcome):
        if change.action.writes or change.action is Action.UNKNOWN:
            reason = clean.line(change.reason)
            yield f"{clean.line(str(change.ref))} {change.action}" + (f" ({reason})" if reason else "")
    yield from _warnings(outcome.warnings)


def _warnings(warnings: tuple[str, ...]) -> Iterator[str]:
    for warning in warnings:
        yield from _labelled("Warning", warning)


def _labelled(label: str, text: str) -> list[str]:
    first, *rest = clean.block(text) or ["(no message)"]
    return [f"{label}: {first}", *(f"  {line}" for line in rest)]


def _totals(run: Run, outcomes: list[Outcome]) -> list[str]:
    if not outcomes:
        return ["No Kustomizations."]
    states = style.tally(Counter(each.state for each in outcomes), style.STATES)
    actions = Counter(change.action for each in outcomes for change in each.changes)
    lines = [f"{style.count(len(outcomes), 'Kustomization')}: {states}"]
    if actions:
        lines.append(f"{style.count(actions.total(), 'object')}: {style.tally(actions, _ACTIONS)}")
    if (run.interrupted or run.timed_out) and not run.dry_run:
        lines += _progress(outcomes)
    return lines


def _sources(run: Run) -> list[str]:
    """What was fetched from elsewhere, and whether it moved since the last deploy."""
    return ["Sources:", *(_INDENT + style.source(each) for each in run.sources)] if run.sources else []


def _requests(run: Run) -> list[str]:
    sent = {kind: number for kind, number in facts.requests(run.requests).items() if number}
    told = ", ".join(f"{number:,} {clean.line(kind)}" for kind, number in sent.items())
    return [f"Requests: {told}"] if told else []


def _time(run: Run) -> list[str]:
    """Where the time went, when anybody waited for anybody."""
    begun = {each.kustomization for each in run.outcomes if each.started_at is not None}
    waves = [wave for wave in run.waves if not begun.isdisjoint(wave)]
    told = timing.timing(run)
    if not waves[1:] or told.whole is None:
        return []
    steps = [f"{clean.line(step.kustomization)} {style.duration(step.took)}" for step in told.path]
    path = " → ".join(style.ends(steps, timing.MOST_STEPS))
    idle = f"; idle on it {style.duration(told.idle)}" if told.idle >= _SHORTEST_IDLE else ""
    return [f"Took {style.duration(told.whole)}; critical path: {path}{idle}"]


def _progress(outcomes: list[Outcome]) -> Iterator[str]:
    """What an interrupted run did to the cluster: for each Kustomization all, some or none of it."""
    groups: dict[str, list[str]] = {"Applied": [], "Partly applied": [], "Not applied": []}
    for each in outcomes:
        if each.state is State.READY:
            groups["Applied"].append(each.kustomization)
        elif each.changed:
            groups["Partly applied"].append(each.kustomization)
        elif each.state is not State.SUSPENDED:
            groups["Not applied"].append(each.kustomization)
    for label, members in groups.items():
        yield f"{label + ':':<16}{style.names(members, 20) or 'nothing'}"


def _held(held: Held, run: Run) -> Iterator[str]:
    objects = style.count(len(held.refs), "object")
    verb = "would not be" if run.dry_run else "was not" if len(held.refs) == 1 else "were not"
    first, *rest = clean.block(held.reason) or ["a guard holds them"]
    yield f"Held back: {objects} of {clean.line(held.kustomization)} {verb} deleted: {first}"
    yield from (f"  {line}" for line in rest)
    yield from (_INDENT + clean.line(str(ref)) for ref in sorted(held.refs, key=views.by_kind))
    if held.digest:
        yield f"  To delete exactly these, run again with --approve {clean.line(held.digest)}"
    else:
        yield "  No approval helps: what holds them has to go first."
