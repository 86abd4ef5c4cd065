"""Who renders whom, who waits for whom; with a cluster, how far each of them and their objects are."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace

from runner import desired, discover, health, plan
from runner.assembly import clients
from runner.commands import selected
from runner.errors import ClusterError, ExitCode
from runner.fleet import Unit
from runner.health import Judge
from runner.model import FLUX, Health, Leaf, ResourceRef, Status
from runner.options import Options
from runner.ports import Clock, Cluster
from runner.rendered import Problem
from runner.report import json, text, yaml
from runner.report.views import Scope
from runner.state import Record
from runner.store import Store
from runner.views import reading
from runner.waiting import in_order


def tree(chosen: Options, output: str, *, live: bool) -> tuple[str, list[str], int]:
    """The entry's Kustomizations, what is odd about them, and the exit code.

    From Git alone; or (`live`) with what the cluster has on record and how far every object is there.
    """
    with clients(chosen, sys.stderr, with_cluster=live) as world:
        source = desired.at(chosen, world)
        fleet = source.fleet(cluster=None)
        units = {unit.id: unit for unit in selected(chosen, fleet)}
        leaves = [leaf(units[id_]) for id_ in in_order(fleet.units) if id_ in units]
        odd = [f"warning: {line}" for line in discover.warnings(units.values())]
        server = ""
        if live:
            cluster = world.reachable()
            server, records = cluster.server, Store(cluster).load()
            leaves = [
                _grown(each, units[each.kustomization], records, cluster, world.pool, world.clock)
                for each in leaves
            ]
        scope = Scope(server, source.root.path.removeprefix("./"), source.revision)
    code = int(ExitCode.FAILED if fleet.unrendered else ExitCode.DONE)
    return _shown(scope, leaves, output, code), odd, code


def _shown(scope: Scope, leaves: Sequence[Leaf], output: str, code: int) -> str:
    match output:
        case "json":
            return json.tree(scope, leaves, code)
        case "yaml":
            return yaml.tree(scope, leaves, code)
        case "name":
            return text.names(leaves)
        case _:
            return text.tree(leaves)


def leaf(unit: Unit) -> Leaf:
    """One Kustomization as Git has it."""
    k = unit.kustomization
    rendering = unit.rendering
    return Leaf(
        k.id,
        k.path,
        unit.parent,
        k.depends_on,
        tuple(sorted(rendering.variables.producers)) if rendering else (),
        suspended=k.suspend,
        target=k.target,
        objects=tuple(ResourceRef.of(manifest) for manifest in unit.objects),
        problems=tuple(_told(problem) for problem in rendering.problems) if rendering else (),
    )


def _grown(
    known: Leaf, unit: Unit, records: Mapping[str, Record], cluster: Cluster, pool: Executor, clock: Clock
) -> Leaf:
    """The leaf with its record, and with the health of what it wants and owns."""
    record = records.get(unit.id)
    known = replace(
        known,
        paused=str(record.pause) if record is not None and record.pause is not None else "",
        recorded=record.state if record is not None else None,
        recorded_message=record.message if record is not None else "",
    )
    if unit.kustomization.target:
        return known  # this cluster knows nothing of their health
    wanted = plan.scoped(unit.objects, cluster)
    refs = {ResourceRef.of(manifest) for manifest in wanted}
    refs |= record.inventory.keys() if record is not None else set()
    refs = {ref for ref in refs if not _virtual(ref, cluster)}
    found = reading.live(cluster, pool, refs)
    with_ttl = [
        ResourceRef.of(each) for each in wanted if (each.get("spec") or {}).get("ttlSecondsAfterFinished")
    ]
    judged = health.check(
        {ref: each for ref, each in found.items() if not isinstance(each, ClusterError)},
        now=clock.now(),
        jobs_with_ttl=with_ttl,
        judge=Judge(unit.kustomization.health_check_exprs),
    )
    unread = (
        Health(ref, Status.UNKNOWN, each.message)
        for ref, each in found.items()
        if isinstance(each, ClusterError)
    )
    return replace(known, healths=tuple(sorted((*judged, *unread), key=lambda each: each.ref)))


def _virtual(ref: ResourceRef, cluster: Cluster) -> bool:
    """Flux's own objects where it is not installed: they are only read."""
    flux = ref.group == FLUX or ref.group.endswith(".toolkit.fluxcd.io")
    return flux and cluster.api(ref.group, ref.kind) is None


def _told(problem: Problem) -> str:
    return f"{problem}\nhint: {problem.hint}" if problem.hint else str(problem)
