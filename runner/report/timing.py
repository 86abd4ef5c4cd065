"""Where the time of a run went: the chain of Kustomizations that each let the next one start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from runner.graph import Edge, Milestone, Need
from runner.model import Outcome, Run

MOST_STEPS = 10
"""How much of a critical path is told."""

_SHORTEST = 0.05  # seconds; less is no part of an explanation


@dataclass(frozen=True, slots=True)
class Step:
    """What one Kustomization adds to the length of a run."""

    kustomization: str
    began: float  # seconds since the epoch
    ended: float  # when the next one could start; of the last: when it ended
    idle: float = 0.0  # before it: nothing that it needed was missing, and it had not begun

    @property
    def took(self) -> float:
        return max(self.ended - self.began, 0.0)


@dataclass(frozen=True, slots=True)
class Timing:
    """A run's length: what came before the first Kustomization, the critical path, and what came after."""

    whole: float | None  # seconds
    path: tuple[Step, ...] = ()
    before: float = 0.0
    after: float = 0.0

    @property
    def idle(self) -> float:
        return sum(step.idle for step in self.path)


def timing(run: Run) -> Timing:
    """Everything but the whole is empty where no Kustomization was begun."""
    whole = None
    if run.started_at is not None and run.ended_at is not None:
        whole = max(run.ended_at - run.started_at, 0.0)
    path = tuple(_path(run))
    if not path or whole is None:
        return Timing(whole, path)
    before = path[0].began - (run.started_at or 0.0)
    return Timing(whole, path, max(before, 0.0), max((run.ended_at or 0.0) - path[-1].ended, 0.0))


def let_start(outcome: Outcome, ended: Mapping[str, Outcome]) -> list[str]:
    """What an outcome waited for: first what was ready last, the parent after the others."""
    needs = {need.id: need for need in sorted(outcome.needs)}  # of two with one name the later milestone
    reached = {id_: _reached(needs.get(id_), ended.get(id_)) or 0.0 for id_ in outcome.waited_for}
    parents = {id_ for id_, need in needs.items() if need.edge is Edge.PARENT}
    return sorted(reached, key=lambda id_: (-reached[id_], id_ in parents, id_))


def took(outcome: Outcome) -> float | None:
    """How long it was at it, however that ended."""
    end = ended_at(outcome)
    return None if outcome.started_at is None or end is None else max(end - outcome.started_at, 0.0)


def ended_at(outcome: Outcome) -> float | None:
    """When its work was over; None when there was none."""
    return outcome.ended_at if outcome.ended_at is not None else outcome.ready_at


def _path(run: Run) -> Iterator[Step]:
    """Found backwards, from the one that ended last."""
    outcomes = {each.kustomization: each for each in run.outcomes if each.started_at is not None}
    timed = [(end, id_) for id_, each in outcomes.items() if (end := ended_at(each)) is not None]
    if not timed:
        return iter(())
    until, id_ = max(timed)
    steps: list[Step] = []
    while id_ and len(steps) <= 2 * len(outcomes):  # clocks jump: a chain must end all the same
        began, before = _since(outcomes[id_], until, outcomes)
        reached = began if before is None else before[0]
        steps.append(Step(id_, began, until, max(began - reached, 0.0)))
        until, id_ = before or (began, "")
    told = [step for step in steps if step.took >= _SHORTEST or step.idle >= _SHORTEST] or steps[:1]
    return reversed(told)


def _since(
    outcome: Outcome, until: float, outcomes: Mapping[str, Outcome]
) -> tuple[float, tuple[float, str] | None]:
    """When the work that went on until then began, and who let it: at which moment, by which name.

    A parent that waits for its children begins a second time with the readiness of the last one.
    """
    started, ready = outcome.started_at or 0.0, outcome.ready_at
    if ready is not None and until >= ready:
        children = [(outcomes[id_].ready_at or 0.0, id_) for id_ in outcome.awaits if id_ in outcomes]
        if later := [each for each in children if started < each[0] <= ready]:
            return max(later)[0], max(later)
    needs = [(_reached(need, outcomes.get(need.id)), need.id) for need in outcome.needs]
    met = [(moment, id_) for moment, id_ in needs if moment is not None and moment <= started]
    return started, max(met, default=None)


def _reached(need: Need | None, outcome: Outcome | None) -> float | None:
    """When an outcome was so far that the one with the need could start."""
    if outcome is None:
        return None
    if need is not None and need.milestone is Milestone.APPLIED and outcome.applied_at is not None:
        return outcome.applied_at
    return outcome.ready_at if outcome.ready_at is not None else outcome.ended_at
