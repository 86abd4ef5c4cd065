"""Everything there is to say about a run."""

from __future__ import annotations

from dataclasses import replace

from runner import discover, graph
from runner.graph import Node
from runner.model import Outcome, Run
from runner.session import Session
from runner.waiting import nodes


def report(session: Session, outcomes: tuple[Outcome, ...], *, dry_run: bool = False) -> Run:
    """Everything there is to say about this run."""
    held = [h for helds in session.held_prunes.values() for h in helds]
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
        held=(*held, *session.withheld),
        warnings=tuple(dict.fromkeys([*session.warnings, *discover.warnings(chosen)])),
        requests=session.requests(),
        dry_run=dry_run,
        superseded=session.gave_way,
        started_at=session.started_at,
        ended_at=session.world.clock.now(),
        waves=waves,
        sources=session.sources,
    )


def _connected(outcome: Outcome, node: Node) -> Outcome:
    """The outcome, and whom it had to wait for."""
    return replace(outcome, needs=tuple(sorted(node.needs)), awaits=tuple(sorted(node.awaits)))
