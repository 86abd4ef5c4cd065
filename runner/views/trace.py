"""Which Kustomization, file and commit an object comes from."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace

from runner import desired, plan
from runner.assembly import clients
from runner.desired import Clients
from runner.errors import ClusterError, ExitCode, UsageError
from runner.fleet import Fleet, Unit
from runner.model import FLUX, Manifest, ResourceRef, target
from runner.options import Options
from runner.ports import Cluster
from runner.rendered import Place
from runner.report import json, traced, yaml
from runner.report.views import Scope, Trace
from runner.state import Record
from runner.store import Store
from runner.views import naming, reading


def trace(chosen: Options, name: str, output: str) -> tuple[str, int]:
    """What is known of an object's origin.

    Raises:
        UsageError: it is not clear which object is meant, or nothing is known of it.
    """
    with clients(chosen, sys.stderr, with_cluster=True) as world:
        cluster = world.reachable()
        records = Store(cluster).load()
        entry = chosen.entry or _entry(chosen.root, records)
        source = desired.at(replace(chosen, entry=entry), world) if entry else None
        fleet = source.fleet(cluster=None) if source is not None else Fleet(chosen.root)
        wanted = _wanted(fleet, cluster)
        known = {*wanted, *(ref for record in records.values() for ref in record.inventory)}
        ref = naming.resolve(name, cluster.apis(), known)
        live = reading.live(cluster, world.pool, [ref])[ref]
        if isinstance(live, ClusterError):
            raise live
        found = _owned(ref, live, records, wanted.get(ref))
        if not found.owner and live is None:
            raise UsageError(
                f"{ref} is not in the cluster, in no Kustomization's inventory, and not in "
                f"{entry or 'any entry'}"
            )
        if source is not None:
            found = _placed(found, world, wanted.get(ref), source)
        scope = Scope(cluster.server, entry, source.revision if source is not None else "")
    match output:
        case "json":
            return json.dump(traced.document(scope, found)), int(ExitCode.DONE)
        case "yaml":
            return yaml.dump(traced.document(scope, found)), int(ExitCode.DONE)
        case _:
            return traced.text(found), int(ExitCode.DONE)


def _entry(root: str, records: Mapping[str, Record]) -> str:
    """The entry that the cluster was deployed from, "" when it was not."""
    record = records.get(root)
    return record.entry if record is not None else ""


def _wanted(fleet: Fleet, cluster: Cluster) -> dict[ResourceRef, Unit]:
    own = (unit for unit in fleet if not unit.kustomization.target)
    return {ResourceRef.of(manifest): unit for unit in own for manifest in plan.scoped(unit.objects, cluster)}


def _owned(
    ref: ResourceRef, live: Manifest | None, records: Mapping[str, Record], unit: Unit | None
) -> Trace:
    """Who owns it: by the inventories, else by its labels, else who would deploy it."""
    holders = sorted(
        id_ for id_, record in records.items() if ref in record.inventory and not target(record.manifest)
    )
    labelled = _labelled(live)
    owner = labelled if labelled in holders or not holders else holders[0]
    notes = list(_disagreement(ref, live, labelled, holders))
    if unit is not None and owner != unit.id:
        notes.append(f"this revision has it in Kustomization {unit.id}")
        owner = owner or unit.id
    record = records.get(owner)
    spec = (record.manifest.get("spec") or {}) if record is not None else {}
    if not spec and unit is not None and unit.id == owner:
        spec = unit.kustomization.manifest.get("spec") or {}
    source = spec.get("sourceRef") or {}
    namespace = source.get("namespace") or owner.partition("/")[0]
    return Trace(
        ref,
        live is not None,
        owner,
        _chain(owner, records, unit),
        record.state if record is not None else None,
        str(record.pause) if record is not None and record.pause is not None else "",
        f"{source.get('kind')}/{namespace}/{source.get('name')}" if source else "",
        str(spec.get("path") or ""),
        record.history[0].revision if record is not None and record.history else "",
        notes=tuple(notes),
    )


def _labelled(live: Manifest | None) -> str:
    labels = (live or {}).get("metadata", {}).get("labels") or {}
    name, namespace = labels.get(f"{FLUX}/name"), labels.get(f"{FLUX}/namespace")
    return f"{namespace}/{name}" if name and namespace else ""


def _disagreement(ref: ResourceRef, live: Manifest | None, labelled: str, holders: list[str]) -> list[str]:
    """What labels and inventories say differently."""
    told = ", ".join(holders) or "no Kustomization on record"
    if labelled and labelled not in holders:
        return [f"its labels name {labelled}, but it is in the inventory of {told}"]
    if holders and live is not None and not labelled:
        return [f"it is in the inventory of {told}, but its labels name no owner"]
    if len(holders) > 1:
        return [f"it is in the inventories of {told}: it moves from one to the other"]
    if live is not None and not holders:
        return [f"no Kustomization owns {ref}: neither its labels nor an inventory say so"]
    return []


def _chain(owner: str, records: Mapping[str, Record], unit: Unit | None) -> tuple[str, ...]:
    chain: list[str] = []
    at = owner
    while at:
        record = records.get(at)
        above = record.parent if record is not None else unit.parent if unit and unit.id == at else ""
        if not above or above in chain:
            break
        chain.append(above)
        at = above
    return tuple(chain)


def _placed(found: Trace, world: Clients, unit: Unit | None, source: desired.Desired) -> Trace:
    """The same with file, line and commit, as far as this checkout tells."""
    if unit is None or unit.rendering is None:
        return replace(found, notes=(*found.notes, f"nothing in {source.revision} renders it"))
    scoped = plan.scoped(unit.objects, world.world().cluster)
    places = zip(scoped, unit.rendering.origins(), strict=True)
    place = next((each for manifest, each in places if ResourceRef.of(manifest) == found.ref), Place())
    if unit.rendering.foreign:
        return _elsewhere(replace(found, place=place), unit, source)
    found = replace(found, place=place, at=source.revision)
    if not place.file or place.file not in world.repository.files(source.commit):
        return found
    commit = world.repository.last_change(source.commit, place.file, place.line)
    notes = () if commit is not None else ("the history at hand does not tell which commit changed it last",)
    return replace(found, commit=commit, notes=(*found.notes, *notes))


def _elsewhere(found: Trace, unit: Unit, source: desired.Desired) -> Trace:
    """The same where paths are not this repository's, so that its history says nothing of them."""
    made_of = unit.kustomization.source
    note = f"its file is one of {made_of}: this checkout does not tell which commit changed it last"
    at = source.checkout.fetched.get(str(made_of)) or source.revision
    return replace(found, at=at, notes=(*found.notes, note))
