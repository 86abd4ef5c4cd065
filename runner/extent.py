"""How much a run does for a Kustomization that did not change, but depends on one that did."""

from __future__ import annotations

from collections.abc import Mapping

from runner import graph, removal
from runner.fleet import Unit
from runner.graph import Edge, Node
from runner.model import State
from runner.options import Dependents
from runner.session import Session, digests
from runner.waiting import nodes


def of_dependents(session: Session) -> Mapping[str, Dependents]:
    """What becomes of each dependent; one that is not named is reconciled.

    A child is no dependent of its parent: it is rendered by it, and judged by what it renders itself.
    """
    chosen = session.options.dependents
    if chosen is Dependents.RECONCILE:
        return {}
    ordered = {
        id_: Node(frozenset(need for need in node.needs if need.edge is not Edge.PARENT))
        for id_, node in nodes(session.units).items()
    }
    changed = {unit.id for unit in session.units.values() if not same(session, unit)}
    return dict.fromkeys(sorted(graph.downstream(changed, ordered) - changed), chosen)


def same(session: Session, unit: Unit) -> bool:
    """Whether Git wants of it what the last run left, which ended well."""
    record, rendering = session.records.get(unit.id), unit.rendering
    if record is None or record.state is not State.READY or rendering is None:
        return False
    if not rendering.ok or not rendering.variables.known or removal.stale(session, record):
        return False
    if record.manifest.get("spec") != (unit.shown or unit.kustomization.manifest).get("spec"):
        return False
    return renders_as_recorded(session, unit)


def renders_as_recorded(session: Session, unit: Unit) -> bool:
    """Whether it renders what the last run rendered, however that ended."""
    record = session.records[unit.id]
    digest, shown = digests(session.key, unit)
    return digest == record.digest if digest else shown == record.shown_digest
