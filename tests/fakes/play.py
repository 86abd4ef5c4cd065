"""A schedule whose Kustomizations do one step at a time, when they are told to."""

from __future__ import annotations

import queue
import threading

from runner.graph import Edge, Milestone, Need, Node
from runner.model import Outcome, State
from runner.schedule import Schedule

PATIENCE = 10  # seconds; reached only when something is broken
PROBE = "~"  # sorts behind every other name


def needs(*ids, milestone=Milestone.READY, awaits=()):
    return Node(frozenset(Need(id_, milestone, Edge.DEPENDS_ON) for id_ in ids), frozenset(awaits))


def blocked(id_, missing):
    return Outcome(id_, State.BLOCKED, blocked_by=tuple(need.id for need in missing))


class Each(dict):
    """One thing for each name, made when it is first asked for; the same for all threads.

    A defaultdict gives two threads that ask at once two things.
    """

    def __init__(self, make):
        super().__init__()
        self.make = make

    def __missing__(self, name):
        return self.setdefault(name, self.make())


class Play:
    """A schedule in a thread of its own, whose Kustomizations do one step at a time, when told to."""

    def __init__(self, nodes, *, max_parallel=16, blocked=blocked, holds=None, overdue=lambda: False):
        self.inboxes = Each(queue.Queue)
        self.started = Each(threading.Event)
        self.turns = {}
        self.stopped = threading.Event()
        self.steps = queue.Queue()
        self.probes = Each(threading.Event)
        self.reason = None
        self.result = None
        self.error = None
        self._ask = blocked
        self.schedule = Schedule(
            {**nodes, PROBE: Node()},
            self._work,
            self._blocked,
            max_parallel,
            self._stop,
            outcomes={PROBE: Outcome(PROBE, State.FAILED)},
            holds=holds or (lambda *_: True),
            overdue=overdue,
        )
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def allowed(self):
        """Who may start by now: adds a Kustomization that is looked at last, and waits until it was."""
        probe = f"{PROBE}{len(self.probes)}"
        self.schedule.add({probe: needs(PROBE)})
        assert self.probes[probe].wait(PATIENCE)
        names = self.schedule.nodes.keys() - set(self.schedule.unstarted)
        return {name for name in names if not name.startswith(PROBE)}

    def starts(self, *ids):
        for id_ in ids:
            assert self.started[id_].wait(PATIENCE), f"{id_} does not start"

    def does(self, id_, step):
        """Let one do a step, and wait until it has."""
        self.inboxes[id_].put(step)
        assert self.steps.get(timeout=PATIENCE) == id_

    def applied(self, id_):
        self.does(id_, lambda turn: turn.applied())

    def ready(self, id_):
        self.does(id_, lambda turn: turn.ready())

    def ends(self, id_, how=State.READY):
        self.inboxes[id_].put(how if isinstance(how, BaseException) else Outcome(id_, how))

    def over(self):
        """The outcomes, or the error."""
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive(), "the schedule does not end"
        if self.error:
            raise self.error
        return {o.kustomization: o for o in self.result if not o.kustomization.startswith(PROBE)}

    def _stop(self, reason):
        self.reason = reason
        self.stopped.set()

    def _run(self):
        try:
            self.result = self.schedule.run()
        except BaseException as exc:  # noqa: BLE001 -- raised again in `over`
            self.error = exc

    def _work(self, turn):
        self.turns[turn.id] = turn
        self.started[turn.id].set()
        while True:
            step = self.inboxes[turn.id].get(timeout=PATIENCE)
            if isinstance(step, Outcome):
                return step
            if isinstance(step, BaseException):
                raise step
            step(turn)
            self.steps.put(turn.id)

    def _blocked(self, id_, missing):
        if not id_.startswith(PROBE):
            return self._ask(id_, missing)
        self.probes[id_].set()
        return Outcome(id_, State.SKIPPED)
