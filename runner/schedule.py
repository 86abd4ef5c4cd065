"""Which Kustomization may start now; starts it the instant its last need is met."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from runner import graph
from runner.errors import TimeUp
from runner.graph import Milestone, Need, Node
from runner.model import Outcome, State
from runner.slots import Slots

_TICK = 0.2  # seconds; how soon a signal is noticed while nothing else happens


@dataclass(frozen=True, slots=True)
class Turn:
    """What a Kustomization at work may tell and ask its schedule."""

    id: str
    schedule: Schedule
    waited_for: tuple[str, ...] = ()

    def applied(self) -> None:
        """Everything is applied: children may start."""
        self.schedule.reached(self.id, Milestone.APPLIED)

    def ready(self) -> None:
        """Everything is healthy: dependents may start."""
        self.schedule.reached(self.id, Milestone.READY)

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Waiting, which is no work: somebody else may have the slot meanwhile."""
        self.schedule.slots.release()
        try:
            yield
        finally:
            self.schedule.slots.acquire(self.schedule.weight(self.id))

    def pause(self, over: Callable[[], bool]) -> None:
        """Wait until it is over, whatever else happens meanwhile."""
        with self.resting():
            self.schedule.pause(over)

    def add(self, nodes: Mapping[str, Node]) -> None:
        """Kustomizations that were only found now. Raises CycleError."""
        self.schedule.add(nodes)

    def outcome(self, id_: str) -> Outcome | None:
        """How another one ended; None while it has not."""
        return self.schedule.outcomes.get(id_)


Work = Callable[[Turn], Outcome]
Holds = Callable[[str, Need, Milestone | None, Outcome | None], bool]
Blocked = Callable[[str, tuple[Need, ...]], Outcome | None]


@dataclass(slots=True)
class Schedule:
    """Runs Kustomizations concurrently, each in a thread of its own, `max_parallel` of them at work.

    When more could be, those go first that the longest chain waits for.

    `work` does one Kustomization and never raises but for what ends the whole run. `blocked` is asked
    when needs cannot be met any more: its outcome is the answer, or None to start all the same. `holds`
    is asked whether the expression of a need is true, now that what is needed has come this far and
    (unless None) ended like this. `overdue` says that the time of the whole run is up.
    """

    nodes: dict[str, Node]
    work: Work
    blocked: Blocked
    max_parallel: int
    stop: Callable[[BaseException], None]  # tells those at work to come to an end, and why
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    holds: Holds = lambda *_: True
    overdue: Callable[[], bool] = lambda: False
    slots: Slots = field(init=False)
    _weights: dict[str, int] = field(default_factory=dict)
    _reached: dict[str, Milestone] = field(default_factory=dict)
    _running: set[str] = field(default_factory=set)
    _users: dict[str, set[str]] = field(default_factory=dict)  # who needs a Kustomization
    _due: set[str] = field(default_factory=set)  # whose needs changed since they were looked at
    _errors: list[BaseException] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self.slots = Slots(self.max_parallel)
        self._enter(self.nodes)

    def run(self) -> tuple[Outcome, ...]:
        """Do all of them; outcomes in the order in which they ended.

        Raises whatever `work` raises, or TimeUp, once those at work have ended: nothing more is started
        then.
        """
        self._weights = graph.weights(self.nodes)
        with ThreadPoolExecutor(max_workers=1_000_000, thread_name_prefix="kustomization") as threads:
            try:
                self._dispatch(threads)
            except BaseException as exc:
                self._errors.append(exc)
                self.stop(exc)  # leaving this block waits for all who are at work
                raise
        return tuple(self.outcomes.values())

    def reached(self, id_: str, milestone: Milestone) -> None:
        with self._changed:
            self._reached[id_] = max(milestone, self._reached.get(id_, milestone))
            self._due |= self._users.get(id_, set())
            self._changed.notify_all()

    def add(self, nodes: Mapping[str, Node]) -> None:
        with self._changed:
            self._weights = graph.weights({**self.nodes, **nodes})
            self.nodes.update(nodes)
            self._enter(nodes)
            self._changed.notify_all()

    def weight(self, id_: str) -> int:
        """How many Kustomizations the longest chain has that begins with this one."""
        return self._weights.get(id_, 1)

    def pause(self, over: Callable[[], bool]) -> None:
        """Wait until it is over; asked several times a second."""
        with self._changed:
            while not over():
                self._changed.wait(_TICK)

    @property
    def unstarted(self) -> tuple[str, ...]:
        return tuple(sorted(self.nodes.keys() - self.outcomes.keys() - self._running))

    def _enter(self, nodes: Mapping[str, Node]) -> None:
        self._due |= nodes.keys()
        for id_, node in nodes.items():
            for need in node.needs:
                self._users.setdefault(need.id, set()).add(id_)

    def _ended(self, id_: str, outcome: Outcome) -> None:
        self.outcomes[id_] = outcome
        self._due |= self._users.get(id_, set())

    def _dispatch(self, threads: ThreadPoolExecutor) -> None:
        with self._changed:
            while len(self.outcomes) < len(self.nodes):
                if self._errors:
                    raise self._errors[0]
                if self.overdue():
                    raise TimeUp("the time of the run was up")
                if not self._start_what_may(threads):
                    self._changed.wait(_TICK)

    def _start_what_may(self, threads: ThreadPoolExecutor) -> bool:
        moved = False
        due, self._due = self._due - self.outcomes.keys() - self._running, set()
        for id_ in sorted(due, key=lambda each: (-self.weight(each), each)):
            needs = self.nodes[id_].needs
            failed = tuple(sorted(need for need in needs if self._hopeless(id_, need)))
            if failed:
                outcome = self.blocked(id_, failed)
                if outcome is not None:
                    self._ended(id_, outcome)
                    moved = True
                    continue
            if all(need in failed or self._met(id_, need) for need in needs):
                self._running.add(id_)
                self._due |= self._users.get(id_, set())  # a `readyExpr` may ask for one that has begun
                waited = tuple(sorted({need.id for need in needs if need.id in self.nodes}))
                threads.submit(self._work, Turn(id_, self, waited))
                moved = True
        return moved

    def _work(self, turn: Turn) -> None:
        self.slots.acquire(self.weight(turn.id))
        try:
            if self._errors:
                return  # the run is over; this one only lacked a slot
            outcome = self.work(turn)
        except BaseException as exc:  # noqa: BLE001 -- handed to the thread that runs the schedule
            with self._changed:
                self._errors.append(exc)
                self._changed.notify_all()
            return
        finally:
            self.slots.release()
        with self._changed:
            self._running.discard(turn.id)
            self._ended(turn.id, outcome)
            if outcome.ok and outcome.state is not State.SKIPPED and outcome.state is not State.SUSPENDED:
                self._reached[turn.id] = Milestone.READY
            self._changed.notify_all()

    def _met(self, id_: str, need: Need) -> bool:
        if need.id not in self.nodes:
            return True
        if need.expression:
            outcome = self.outcomes.get(need.id)
            begun = need.id in self._running or outcome is not None
            return begun and self.holds(id_, need, self._reached.get(need.id), outcome)
        return self._reached.get(need.id, Milestone.STARTED) >= need.milestone

    def _hopeless(self, id_: str, need: Need) -> bool:
        return need.id in self.outcomes and not self._met(id_, need)
