"""The roll-out, wave by wave: what became of each Kustomization, how long it took, and what it waited for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from runner.model import Action, Outcome, Run, State
from runner.report import overview, style
from runner.report.budget import Budget
from runner.report.markdown import code, folded
from runner.report.timing import MOST_STEPS, Timing, ended_at, let_start, timing

_HEAD = "| Wave | | Kustomization | State | Objects | Apply | Health | Waited for |\n|-:|-|-|-|-|-:|-:|-|"
_FORESEEN = "| Wave | | Kustomization | State | Objects | Waits for |\n|-:|-|-|-|-|-|"
_MOST_ROWS = 50  # from which on those of a wave that nothing happened to share a row
_SHORTEST = 0.05  # seconds; less is shown as nothing
_WORTH_TELLING = 0.5


def blocks(run: Run, budget: Budget) -> Iterator[str]:
    """The table, folded away when nothing happened; below it where the time went."""
    if not run.outcomes:
        return
    states = style.tally(Counter(each.state for each in run.outcomes), style.STATES)
    waves = f" in {len(run.waves):,} waves" if len(run.waves) > 1 else ""
    title = f"Roll-out: {style.count(len(run.outcomes), 'Kustomization')}{waves}: {states}"
    quiet = all(_quiet(each) for each in run.outcomes)
    head = _FORESEEN if run.dry_run else _HEAD
    rows, left = budget.items(_rows(run), 0.35, head, "row")
    more = f"\n\n… and {style.count(left, 'more row')}: the log has all of them." if left else ""
    table = "\n".join([head, *rows]) + more
    parts = [table, *budget.part(_time(timing(run)), "where the time went")]
    body = "\n\n".join(part for part in parts if part)
    yield folded(title, body) if quiet else f"#### {title}\n\n{body}"


def _rows(run: Run) -> Iterator[str]:
    """By wave, the number of each once; what nobody renders any more is in none of them."""
    outcomes = {each.kustomization: each for each in run.outcomes}
    known = {id_ for wave in run.waves for id_ in wave}
    waves = [[outcomes[id_] for id_ in wave if id_ in outcomes] for wave in run.waves]
    waves.append([each for each in run.outcomes if each.kustomization not in known])
    tell = _foreseen if run.dry_run else _row
    for number, wave in enumerate(waves, 1):
        idle = [each for each in wave if len(run.outcomes) > _MOST_ROWS and _quiet(each)]
        hidden = {each.kustomization for each in idle} if len(idle) > 1 else set()
        rows = [tell(each, outcomes) for each in wave if each.kustomization not in hidden]
        if hidden:
            rows.append(_rest(Counter(each.state for each in idle)) + " | |" * (not run.dry_run) + " |")
        label = str(number) if number <= len(run.waves) else ""
        yield from (f"| {'' if place else label} {row}" for place, row in enumerate(rows))


def _rest(states: Counter[State]) -> str:
    most = max(states, key=lambda state: states[state])
    return f"| {style.MARKS[most]} | … {style.tally(states, style.STATES)} | | nothing changed |"


def _row(outcome: Outcome, outcomes: Mapping[str, Outcome]) -> str:
    apply, health = _times(outcome)
    return f"{_told(outcome)} | {apply} | {health} | {_waited(let_start(outcome, outcomes))} |"


def _foreseen(outcome: Outcome, outcomes: Mapping[str, Outcome]) -> str:
    """Nobody waited yet: what it needs is told instead."""
    waited = tuple({need.id for need in outcome.needs if need.id in outcomes})
    return f"{_told(outcome)} | {_waited(let_start(replace(outcome, waited_for=waited), outcomes))} |"


def _told(outcome: Outcome) -> str:
    actions = style.tally(Counter(change.action for change in outcome.changes), overview.ACTIONS)
    return f"| {style.MARKS[outcome.state]} | {code(outcome.kustomization)} | {outcome.state} | {actions}"


def _times(outcome: Outcome) -> tuple[str, str]:
    """How long it was applied, and how long its health was waited for; what failed did so in one of them."""
    if outcome.started_at is None:
        return "", ""
    end = outcome.ready_at if outcome.ready_at is not None else ended_at(outcome)
    until = outcome.applied_at if outcome.applied_at is not None else end
    return _duration(outcome.started_at, until), _duration(outcome.applied_at, end)


def _duration(since: float | None, until: float | None) -> str:
    if since is None or until is None or until - since < _SHORTEST:
        return ""
    return style.duration(until - since)


def _waited(names: Sequence[str]) -> str:
    """The one that came last, which let it start; the others are counted."""
    return (code(names[0]) + (f" +{len(names) - 1:,}" if len(names) > 1 else "")) if names else ""


def _quiet(outcome: Outcome) -> bool:
    """Whether there is nothing to look at."""
    unknown = any(change.action is Action.UNKNOWN for change in outcome.changes)
    return outcome.ok and not (outcome.changed or outcome.warnings or outcome.error or unknown)


def _time(told: Timing) -> str:
    """The critical path, and what of the run is not on it."""
    if told.whole is None:
        return ""
    parts = [f"**{style.duration(told.whole)}** in all"]
    if told.before >= _WORTH_TELLING:
        parts.append(f"{style.duration(told.before)} before the first Kustomization began")
    if told.after >= _WORTH_TELLING:
        parts.append(f"{style.duration(told.after)} after the last one ended")
    text = f"{', '.join(parts)}."
    steps = [f"{code(step.kustomization)} {style.duration(step.took)}" for step in told.path]
    if len(told.path) > 1 or sum(step.took for step in told.path) >= _WORTH_TELLING:
        text += f" The critical path: {' → '.join(style.ends(steps, MOST_STEPS))}."
    if told.idle >= _WORTH_TELLING:
        text += (
            f" Of it {style.duration(told.idle)} idle: what could start had no free slot (`max-parallel`)."
        )
    return text
