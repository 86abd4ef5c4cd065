"""What a run comes to: the whole page, its first lines, and what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from runner.model import Action, Outcome, Run, State
from runner.report import clean, overview, style
from runner.report.budget import Budget
from runner.report.markdown import code, fenced, size
from runner.report.summary import graph, parts, rollout

LIMIT = 900_000
"""Bytes. GitHub drops a summary of more than 1 MiB as a whole."""

MESSAGE = parts.MESSAGE

_ONE_LINE = 320
_APART = 1_000  # bytes for what parts say of what they leave out
_AGAIN = "run again: it continues where this one ended."


def reconcile(result: Run, limit: int = LIMIT) -> str:
    """Markdown of less than `limit` bytes: whole rows and blocks; what is left out is counted.

    The limit is 20,000 or more. What matters most gets its room first.
    """
    head = "\n\n".join([*_head(result), *_next(result)])
    budget = Budget(limit - size(head) - _APART, limit)
    blocks = [
        *parts.failures(result, budget),
        *parts.held(result, budget),
        *parts.undone(result, budget),
        *parts.deleted(result, budget),
        *rollout.blocks(result, budget),
        *graph.blocks(result, budget),
        *parts.warnings(result, budget),
    ]
    return "\n\n".join([head, *blocks]) + "\n"


def message(told: str, hint: str = "", *, failed: bool) -> str:
    """The summary where there is no run to tell of: an error, or a note that there is nothing to do."""
    mark = style.MARKS[State.FAILED if failed else State.SKIPPED]
    lines = [*clean.block(told), *([f"hint: {clean.line(hint, MESSAGE)}"] if hint else [])]
    return f"### {mark} kustodian\n\n{fenced(lines)}\n"


def verdict(result: Run, code: int) -> str:
    """Why a run that came to its end is no success."""
    if result.interrupted:
        return "interrupted: the next run completes the work"
    if result.timed_out:
        return "out of time: the next run completes the work"
    if result.superseded:
        return "superseded: a newer commit is deployed, or being deployed"
    if failed := _worst_first(result):
        first = failed[0].error or "blocked"
        more = f" (and {len(failed) - 1:,} more failed or are blocked)" if len(failed) > 1 else ""
        return f"{failed[0].kustomization}: {clean.line(first, _ONE_LINE)}{more}"
    if digests := sorted(held.digest for held in result.held if held.digest):
        return f"a guard held deletions back; to delete exactly these, run with approve: {', '.join(digests)}"
    return f"exit code {code}"


def _worst_first(result: Run) -> list[Outcome]:
    """Failures first, then what they block."""
    bad = [each for each in result.outcomes if not each.ok]
    return sorted(bad, key=lambda each: each.state is not State.FAILED)


def _head(result: Run) -> Iterator[str]:
    if result.interrupted or result.timed_out or result.superseded:
        word = "Interrupted" if result.interrupted else "Out of time" if result.timed_out else "Superseded"
    elif result.dry_run:
        word = "Dry run"
    else:
        word = "Reconciliation failed" if result.failed else "Reconciled"
    bad = result.failed or result.interrupted or result.timed_out or result.superseded
    mark = style.MARKS[State.FAILED] if bad else "⚠" if result.held else style.MARKS[State.READY]
    yield f"### {mark} {word}: {code(result.entry or '.')}"
    yield " · ".join(fact for fact in _facts(result) if fact)


def _facts(result: Run) -> Iterator[str]:
    counts = Counter(change.action for each in result.outcomes for change in each.changes)
    told = " · ".join(
        f"{overview.SIGNS[action]}{counts[action]:,} {action}"
        for action in overview.SIGNS
        if counts[action] and (action.writes or result.dry_run)
    )
    changed, everything = sum(each.changed for each in result.outcomes), len(result.outcomes)
    some = f"{changed:,} of " if told and changed < everything else ""
    nothing = "nothing would change" if result.dry_run else "nothing changed"
    whole = style.count(everything, "Kustomization") if everything else "no Kustomizations"
    yield f"**{told or nothing}** in {some}{whole}" if everything else whole
    yield f"{counts[Action.UNCHANGED]:,} unchanged" if counts[Action.UNCHANGED] else ""
    yield "nothing was written" if result.dry_run else ""
    yield code(style.revision(result.revision))
    yield f"on {code(result.server)}" if result.server else ""
    if result.started_at is not None and result.ended_at is not None:
        yield f"took {style.duration(result.ended_at - result.started_at)}"


def _next(result: Run) -> Iterator[str]:
    """What whoever reads this has to do now; nothing when all is well."""
    states = Counter(each.state for each in result.outcomes)
    bad = style.tally(states, (State.FAILED, State.BLOCKED))
    if result.interrupted or result.timed_out:
        signal = style.SIGNALS.get(result.interrupted, f"signal {result.interrupted}")
        what = f"Interrupted by {signal}" if result.interrupted else "The time of the run was up"
        done = f"{states[State.READY]:,} of {style.count(len(result.outcomes), 'Kustomization')} done"
        yield _alert("CAUTION", f"**{what}**, {done}. {_first_upper(_AGAIN)}")
    elif result.superseded:
        after = "its run continues where this one ended."
        yield _alert("WARNING", f"**Superseded**: a newer commit waits to be deployed, and {after}")
    elif bad and result.dry_run:
        yield _alert("CAUTION", f"**{bad}**: a deploy would end like this.")
    elif bad:
        yield _alert("CAUTION", f"**{bad}.** Once the cause is gone, {_AGAIN}")
    if any(each.digest for each in result.held):
        objects = style.count(sum(len(each.refs) for each in result.held if each.digest), "object")
        yield _alert("WARNING", f"**{objects} held back** by a guard: below is what lets them go.")


def _alert(kind: str, text: str) -> str:
    return f"> [!{kind}]\n> {text}"


def _first_upper(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]
