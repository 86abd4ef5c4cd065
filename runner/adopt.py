"""Take over what others run until now: `kustodian adopt`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from runner import handover, inventory, plan
from runner.fleet import Unit
from runner.handover import Adopted, Adopting, Adoption, Origin
from runner.inventory import Entry
from runner.model import Manifest, ResourceRef
from runner.ports import Cluster
from runner.session import Session

Found = tuple[Adoption, Manifest]


def run(session: Session, origins: frozenset[Origin], *, write: bool) -> Adopting:
    """What is live, wanted and made by others is taken over with its metadata; nothing else is touched.

    What Flux has in its inventories is written down, and nothing there is touched at all.
    """
    told = [
        _adopt(session, unit, origins, write=write)
        for unit in session.units.values()
        if session.options.selects(unit.id) and not unit.kustomization.suspend
    ]
    found = tuple(each for each in told if each.objects or each.inventory)
    return Adopting(
        session.world.cluster.server,
        session.entry,
        session.revision,
        found,
        written=write,
        warnings=(*dict.fromkeys(session.warnings), *_releases(found)),
    )


def _adopt(session: Session, unit: Unit, origins: frozenset[Origin], *, write: bool) -> Adopted:
    before = session.fresh(unit)
    stored = session.stored.get(unit.id)
    known = stored.inventory if stored is not None else {}
    news = tuple(sorted(r for r in before.inventory if r not in known)) if Origin.FLUX in origins else ()
    found = _found(session, unit, origins)
    adopted = Adopted(unit.id, tuple(each for each, _ in found), news)
    taken = [(each, live) for each, live in found if not each.refused]
    if not write or not (taken or news):
        return adopted
    session.settle(unit.id)
    owned = {each.ref: Entry(each.ref, live["metadata"]["uid"]) for each, live in taken}
    base = before.inventory if Origin.FLUX in origins else known
    seen = before.seen if Origin.FLUX in origins or stored is None else stored.seen
    manifest = before.manifest or unit.shown or unit.kustomization.manifest
    session.write(replace(before, inventory=inventory.union(base, owned), seen=seen, manifest=manifest))
    now = datetime.fromtimestamp(session.world.clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    cluster = session.writer(unit.id)
    for each, live in taken:
        cluster.patch(each.ref, handover.operations(each, live, now))
    return adopted


def _found(session: Session, unit: Unit, origins: frozenset[Origin]) -> list[Found]:
    if unit.rendering is None or not unit.rendering.ok:
        return []
    if why := session.why_unasked(unit.id):
        session.warnings.append(f"{unit.id} is left out: {why}")
        return []
    cluster = session.access(unit.id).cluster
    ground = session.ground_of(unit.id)
    wanted = [m for m in plan.scoped(unit.objects, cluster) if not plan.skipped(m, ground)]
    secrets = _secrets(cluster, wanted)
    lives = session.world.pool.map(lambda m: _live(cluster, secrets, ResourceRef.of(m)), wanted)
    found: list[Found] = []
    for manifest, live in zip(wanted, lives, strict=True):
        if live is None or plan.left_alone(manifest, live):
            continue
        each = handover.adoption(ResourceRef.of(manifest), manifest, live, unit.id)
        if each is not None and each.origin in origins:
            found.append((each, live))
    return sorted(found, key=lambda pair: pair[0].ref)


def _secrets(cluster: Cluster, wanted: Iterable[Manifest]) -> dict[ResourceRef, Manifest]:
    """The metadata of the live Secrets: nothing else of them is needed, and nothing else is read."""
    refs = [ResourceRef.of(m) for m in wanted]
    places = sorted({ref.namespace for ref in refs if (ref.group, ref.kind) == ("", "Secret")})
    found: dict[ResourceRef, Manifest] = {}
    for place in places:
        for item in cluster.list("", "Secret", namespace=place, metadata_only=True).items:
            live = {**item, "apiVersion": "v1", "kind": "Secret"}
            found[ResourceRef.of(live)] = live
    return found


def _live(cluster: Cluster, secrets: Mapping[ResourceRef, Manifest], ref: ResourceRef) -> Manifest | None:
    if (ref.group, ref.kind) == ("", "Secret"):
        return secrets.get(ref)
    served = cluster.api(ref.group, ref.kind, ref.version) is not None
    return cluster.get(ref) if served else None


def _releases(found: Iterable[Adopted]) -> list[str]:
    """Helm does not know that its objects were taken: who uninstalls the release deletes them."""
    releases = {a.release for k in found for a in k.objects if a.release and not a.refused}
    return [
        f"Helm still has release {release} on record, and `helm uninstall` would delete its objects: "
        f"delete the Secrets with the labels owner=helm,name={release.partition('/')[2]} in namespace "
        f"{release.partition('/')[0]} instead"
        for release in sorted(releases)
    ]
