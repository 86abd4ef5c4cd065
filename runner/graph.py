"""Who waits for whom: `dependsOn`, variables and parents, as one graph."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError as GraphlibCycleError
from graphlib import TopologicalSorter
from itertools import pairwise

from runner.errors import CycleError


class Milestone(enum.IntEnum):
    """How far a Kustomization has come, in order."""

    STARTED = 0
    APPLIED = 1
    READY = 2


class Edge(enum.StrEnum):
    """Why one Kustomization waits for another, as people are told."""

    DEPENDS_ON = "dependsOn"
    VARIABLES = "substituteFrom"
    PARENT = "parent"
    CHILD = "wait"


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """What has to have happened to `id` before the one that needs it may start."""

    id: str
    milestone: Milestone
    edge: Edge
    expression: str = ""  # `readyExpr`: what has to be true of it besides


@dataclass(frozen=True, slots=True)
class Node:
    """One Kustomization: what it needs to start, and which others its own readiness includes."""

    needs: frozenset[Need] = frozenset()
    awaits: frozenset[str] = frozenset()  # children that `wait` or `healthChecks` judge


Graph = Mapping[str, Node]
_Event = tuple[str, Milestone]


def check(graph: Graph) -> None:
    """Make sure that everybody can have a turn.

    Raises:
        CycleError: some Kustomizations wait for each other; one circle is shown whole. A parent
            that waits for a child which depends on that parent is such a circle too.
    """
    try:
        TopologicalSorter(_events(graph)).prepare()
    except GraphlibCycleError as exc:
        raise _cycle(graph, list(exc.args[1])) from None


def waves(graph: Graph) -> tuple[tuple[str, ...], ...]:
    """The Kustomizations in groups, each needing only earlier ones; sorted within a group.

    A need outside the graph is taken as met. Raises CycleError as `check` does.
    """
    check(graph)
    sorter = TopologicalSorter({id_: _known(graph, id_) for id_ in sorted(graph)})
    sorter.prepare()
    ordered: list[tuple[str, ...]] = []
    while ready := tuple(sorted(sorter.get_ready())):
        ordered.append(ready)
        sorter.done(*ready)
    return tuple(ordered)


def weights(graph: Graph) -> dict[str, int]:
    """How many Kustomizations the longest way through those that need each one has, itself included.

    A parent that waits for its children is needed by nobody on their account. Raises CycleError.
    """
    found = dict.fromkeys(graph, 1)
    for wave in reversed(waves(graph)):
        for id_ in wave:
            for other in _known(graph, id_):
                found[other] = max(found[other], found[id_] + 1)
    return found


def downstream(seeds: Collection[str], graph: Graph) -> frozenset[str]:
    """`seeds` and everything that needs them, however far."""
    users: dict[str, set[str]] = {}
    for id_, node in graph.items():
        for need in node.needs:
            users.setdefault(need.id, set()).add(id_)
    reached, front = set(seeds), list(seeds)
    while front:
        new = users.get(front.pop(), set()) - reached
        reached |= new
        front.extend(new)
    return frozenset(reached)


def _known(graph: Graph, id_: str) -> Iterable[str]:
    return sorted({need.id for need in graph[id_].needs if need.id in graph and need.id != id_})


def _events(graph: Graph) -> dict[_Event, list[_Event]]:
    """Each milestone of each Kustomization, and the milestones that come before it."""
    before: dict[_Event, list[_Event]] = {}
    for id_ in sorted(graph):
        node = graph[id_]
        before[id_, Milestone.STARTED] = [
            (need.id, need.milestone) for need in sorted(node.needs) if need.id in graph
        ]
        before[id_, Milestone.APPLIED] = [(id_, Milestone.STARTED)]
        before[id_, Milestone.READY] = [
            (id_, Milestone.APPLIED),
            *((child, Milestone.READY) for child in sorted(node.awaits) if child in graph),
        ]
    return before


def _cycle(graph: Graph, events: list[_Event]) -> CycleError:
    """Name the circle; graphlib gives it closed and backwards: each element comes before the next."""
    waits = list(reversed(events))
    steps: list[str] = []
    names: list[str] = []
    for (waiter, point), (other, milestone) in pairwise(waits):
        if waiter == other and point is not Milestone.STARTED:
            continue  # a Kustomization's own order
        names.append(waiter)
        steps.append(f"{waiter} waits for {other} ({_edge(graph, waiter, other, milestone)})")
    return CycleError(
        tuple(names),
        f"{names[0]} waits for itself: " + ", ".join(steps),
        hint="remove one of these edges: each of these Kustomizations waits for the next to be done.",
    )


def _edge(graph: Graph, waiter: str, other: str, milestone: Milestone) -> Edge:
    for need in sorted(graph[waiter].needs, key=lambda n: n.edge != Edge.DEPENDS_ON):
        if need.id == other and need.milestone == milestone:
            return need.edge
    return Edge.CHILD
