"""Which Kustomization waits for which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runner import graph
from runner.fleet import Unit
from runner.graph import Edge, Milestone, Need, Node
from runner.model import FLUX


def nodes(units: Mapping[str, Unit]) -> dict[str, Node]:
    """What each Kustomization waits for."""
    children: dict[str, set[str]] = {}
    for unit in units.values():
        children.setdefault(unit.parent, set()).add(unit.id)
    return {id_: node(unit, children.get(id_, ())) for id_, unit in units.items()}


def node(unit: Unit, children: Iterable[str] = ()) -> Node:
    """What a Kustomization waits for: its parent, what it depends on, who makes its variables."""
    k = unit.kustomization
    needs = {
        Need(id_, Milestone.STARTED if expression else Milestone.READY, Edge.DEPENDS_ON, expression)
        for id_, expression in k.dependencies
    }
    if unit.parent:
        needs.add(Need(unit.parent, Milestone.APPLIED, Edge.PARENT))
    producers = unit.rendering.variables.producers if unit.rendering else frozenset()
    needs |= {Need(id_, Milestone.APPLIED, Edge.VARIABLES) for id_ in producers - {unit.id}}
    checked = {
        f"{r.namespace}/{r.name}"
        for r in k.health_checks
        if (r.group, r.kind) == (FLUX, "Kustomization") and not k.target
    }
    return Node(frozenset(needs), frozenset(children if k.wait else checked - {unit.id}))


def hinders(unit: Unit, need: Need) -> bool:
    """Whether a need that cannot be met keeps a Kustomization from what is its turn.

    A suspended one is not reconciled, so nothing it depends on matters; but what a parent that failed says
    of it does not count yet.
    """
    return not unit.kustomization.suspend or need.edge is Edge.PARENT


def in_order(units: Mapping[str, Unit]) -> list[str]:
    """Kustomizations with those first that others wait for; by name where that leaves it open."""
    return [id_ for wave in graph.waves(nodes(units)) for id_ in wave]
