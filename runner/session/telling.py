"""Everything there is to say about a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from runner import culprits, discover, graph
from runner.graph import Node
from runner.model import Outcome, Run
from runner.rendered import Problem
from runner.session import Session
from runner.waiting import nodes


def report(session: Session, outcomes: tuple[Outcome, ...], *, dry_run: bool = False) -> Run:
    """Everything there is to say about this run."""
    held = (*(h for helds in session.held_prunes.values() for h in helds), *session.withheld)
    chosen = [unit for unit in session.units.values() if session.options.selects(unit.id)]
    waiting = nodes(session.units)
    waves = graph.waves(waiting)
    order = {id_: place for place, id_ in enumerate(id_ for wave in waves for id_ in wave)}
    outcomes = tuple(
        sorted(
            (_connected(outcome, waiting.get(outcome.kustomization, Node())) for outcome in outcomes),
            key=lambda o: (order.get(o.kustomization, len(order)), o.kustomization),
        )
    )
    return Run(
        session.world.cluster.server,
        session.entry,
        session.revision,
        outcomes,
        held=held,
        warnings=tuple(dict.fromkeys([*session.warnings, *discover.warnings(chosen)])),
        requests=session.requests(),
        dry_run=dry_run,
        superseded=session.gave_way,
        started_at=session.started_at,
        ended_at=session.world.clock.now(),
        waves=waves,
        sources=session.sources,
        problems=_problems(session, outcomes),
        homes=discover.homes((each.kustomization for each in held), session.units),
    )


def _problems(session: Session, outcomes: Iterable[Outcome]) -> Mapping[str, tuple[Problem, ...]]:
    """Finding them out takes builds, for which there is no time once the run is interrupted."""
    if session.world.cancelled():
        return {}
    return {o.kustomization: found for o in outcomes if (found := culprits.of(o, session.units))}


def _connected(outcome: Outcome, node: Node) -> Outcome:
    """The outcome, and whom it had to wait for."""
    return replace(outcome, needs=tuple(sorted(node.needs)), awaits=tuple(sorted(node.awaits)))
