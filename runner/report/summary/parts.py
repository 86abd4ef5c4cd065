"""What went wrong, what did not happen and what is gone: with names, as far as there is room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.model import Action, Held, Outcome, Run, State
from runner.report import clean, style, timing, views
from runner.report.budget import Budget
from runner.report.markdown import code, fenced, longest, unmarked

MESSAGE = 1000
"""How long a message may get that is to stay on one line."""

_DIAGNOSIS = 300  # characters of what one unhealthy object says
_MOST_UNHEALTHY = 10
_MOST_REFS = 100
_MOST_BLOCKED = 8
_MOST_UNDONE = 20


def failures(run: Run, budget: Budget) -> Iterator[str]:
    """Each with everything that is known of it, in the order of the roll-out."""
    failed = [each for each in run.outcomes if each.state is State.FAILED]
    blocks: dict[str, list[str]] = {}
    for each in run.outcomes:
        for cause in each.blocked_by:
            blocks.setdefault(cause, []).append(each.kustomization)
    told = [f"{_failure(each, blocks.get(each.kustomization, []))}\n" for each in failed]
    kept, left = budget.items(told, 0.4, "", "failure")
    yield from _sections(kept, left, "failure")


def held(run: Run, budget: Budget) -> Iterator[str]:
    """What guards kept from being deleted, and how to let it go."""
    everything = sorted(run.held, key=lambda each: each.kustomization)
    kept, left = budget.items((f"{_held(each, run)}\n" for each in everything), 0.2, "", "guard")
    yield from _sections(kept, left, "guard")


def undone(run: Run, budget: Budget) -> Iterator[str]:
    """Those that had no turn, and why; of a cause that many share they are counted."""
    groups: dict[tuple[str, ...], list[str]] = {}
    paused: dict[str, list[str]] = {}
    for each in run.outcomes:
        if each.state is State.BLOCKED or (each.state is State.SKIPPED and each.error):
            groups.setdefault(each.blocked_by, []).append(each.kustomization)
        elif each.state is State.SUSPENDED and each.reason:
            paused.setdefault(each.reason, []).append(each.kustomization)
    if not groups and not paused:
        return
    number = sum(map(len, (*groups.values(), *paused.values())))
    title = f"#### Not rolled out: {style.count(number, 'Kustomization')}"
    items = [
        f"- {f'blocked by {_names(causes, _MOST_BLOCKED)}' if causes else 'not begun'}: "
        f"{_names(names, _MOST_UNDONE)}"
        for causes, names in groups.items()
    ]
    items += [f"- {code(why)}: {_names(names, _MOST_UNDONE)}" for why, names in paused.items()]
    kept, left = budget.items(items, 0.08, title, "cause")
    yield "\n\n".join([title, *(["\n".join(kept)] if kept else []), *_more(left, "cause")])


def deleted(run: Run, budget: Budget) -> Iterator[str]:
    """Every object that is gone, by name."""
    gone = [
        (each.kustomization, change)
        for each in run.outcomes
        for change in views.changes(each)
        if change.action is Action.DELETED
    ]
    lines = [
        f"{clean.line(str(change.ref))} of {clean.line(owner)}"
        + (f" ({clean.line(change.reason)})" if change.reason else "")
        for owner, change in gone
    ]
    objects = style.count(len(lines), "object")
    title = f"#### {f'{objects} would be deleted' if run.dry_run else f'Deleted: {objects}'}"
    yield from _listed(title, lines, budget, 0.15, "deleted object")


def warnings(run: Run, budget: Budget) -> Iterator[str]:
    found = [clean.line(each, MESSAGE) for each in run.warnings]
    for outcome in run.outcomes:
        found += [f"{clean.line(outcome.kustomization)}: {clean.line(w, MESSAGE)}" for w in outcome.warnings]
    yield from _listed("#### Warnings", found, budget, 0.25, "warning")


def _failure(outcome: Outcome, blocks: Sequence[str]) -> str:
    lines = clean.block(outcome.error) or ["(no message)"]
    lines += [f"hint: {clean.line(outcome.hint, MESSAGE)}"] if outcome.hint else []
    unhealthy = sorted(outcome.unhealthy, key=lambda each: views.by_kind(each.ref))
    for health in unhealthy[:_MOST_UNHEALTHY]:
        lines.append(clean.line(str(health), _DIAGNOSIS))
        lines += [f"  {line}" for each in views.why(outcome, health.ref) for line in views.finding(each)]
    if (left := len(unhealthy) - _MOST_UNHEALTHY) > 0:
        lines.append(f"and {style.count(left, 'object')} more, not healthy either")
    title = f"#### {style.MARKS[State.FAILED]} {code(outcome.kustomization)}"
    took = timing.took(outcome)
    facts = [
        f"Ended after {style.duration(took)}." if took is not None else "",
        f"Blocks {_names(blocks, _MOST_BLOCKED)}." if blocks else "",
    ]
    after = " ".join(fact for fact in facts if fact)
    return "\n\n".join(part for part in (title, fenced(lines), after) if part)


def _held(held: Held, run: Run) -> str:
    refs = [clean.line(str(ref)) for ref in sorted(held.refs, key=views.by_kind)]
    left = len(refs) - _MOST_REFS
    names = [*refs[:_MOST_REFS], *([f"and {left:,} more"] if left > 0 else [])]
    verb = "would not be" if run.dry_run else "was not" if len(refs) == 1 else "were not"
    objects = style.count(len(refs), "object")
    told = f"#### Held back: {objects} of {code(held.kustomization)} {verb} deleted\n\n"
    after = "No approval helps: what holds them has to go first."
    if held.digest:
        after = f"To delete exactly these, run again with {code(f'approve: {held.digest}')}."
    return f"{told}{fenced([*clean.block(held.reason), *names])}\n\n{after}"


def _listed(title: str, lines: Sequence[str], budget: Budget, share: float, what: str) -> Iterator[str]:
    if not lines:
        return
    shown = [unmarked(line) for line in lines]
    around = f"{title}\n\n{fenced(['`' * longest(''.join(f'{line} ' for line in shown))])}"
    kept, left = budget.items(shown, share, around, what)
    yield "\n\n".join([title, *([fenced(kept)] if kept else []), *_more(left, what)])


def _sections(kept: Sequence[str], left: int, what: str) -> Iterator[str]:
    yield from (section.rstrip("\n") for section in kept)
    yield from _more(left, what)


def _more(left: int, what: str) -> list[str]:
    return [f"… and {left:,} more {what}{'s' * (left > 1)}: the log has all of them."] if left else []


def _names(names: Sequence[str], most: int) -> str:
    left = len(names) - most
    return ", ".join(code(name) for name in names[:most]) + (f" and {left:,} more" if left > 0 else "")
