"""Give an entry back to Flux: `kustodian release`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from runner import apply, lock, mirror, state, store
from runner.errors import GuardError, LockError, UsageError
from runner.exchange import Exchange
from runner.handover import Released, Releasing
from runner.inventory import Inventory
from runner.lock import LockOptions, lease_ref
from runner.model import FLUX, Manifest, ResourceRef, kustomization_ref
from runner.options import Options
from runner.ports import Clock, Cluster, Observer
from runner.state import Record
from runner.store import Store


def run(
    options: Options, cluster: Cluster, observer: Observer, clock: Clock, *, resume: bool, write: bool
) -> Releasing:
    """Complete Flux's status, delete our own objects and, with `resume`, let Flux go on.

    The record of the root goes last: what was interrupted can be run again.

    Raises:
        UsageError: there is no such root on record.
        GuardError: Flux would not know what it has to look after.
        LockError: another run is at work.
    """
    known = Store(cluster)
    known.load()
    told = _foresee(options, known, Exchange.read(cluster), resume=resume)
    if not write:
        return told
    wanted = LockOptions(options.lease_duration, options.lock_timeout)
    with lock.hold(options.root, cluster, observer, clock, wanted) as held:
        again, fenced = Store(cluster), cluster.fenced(held.check)
        again.load()
        ours = _ours(options, again)
        mine = (ours[options.root].repository, ours[options.root].entry)
        if again.versions(*mine) != known.versions(*mine):
            raise LockError("another run wrote while this one waited for its lock", hint="run it again.")
        told = _foresee(options, again, Exchange.read(cluster), resume=resume)
        _hand_over(options, again.through(fenced), Exchange.read(cluster), fenced, told, held.fence)
    return replace(told, written=True)


def _foresee(options: Options, known: Store, exchange: Exchange, *, resume: bool) -> Releasing:
    ours = _ours(options, known)
    if exchange.cluster.api(FLUX, "Kustomization") is None:
        raise GuardError(
            f"{exchange.cluster.server} does not serve Flux's Kustomizations: nothing can be given back",
            hint="install Flux, its controllers scaled to zero, deploy once, and release then.",
        )
    if missing := sorted(id_ for id_ in ours if id_ not in exchange):
        raise GuardError(
            f"{', '.join(missing[:3])}: there is no such object in the cluster that Flux could look after",
            hint="make it (`flux create kustomization`, or deploy once where it is in Git), then release.",
        )
    root = ours[options.root]
    return Releasing(
        exchange.cluster.server,
        root.entry,
        root.deployment.revision if root.deployment else "",
        tuple(_released(r, exchange.live[id_], resume=resume) for id_, r in sorted(ours.items())),
        (*sorted(state.config_map_ref(id_) for id_ in ours), *_shared(options, known, ours)),
    )


def _ours(options: Options, known: Store) -> dict[str, Record]:
    root = known.records.get(options.root)
    if root is None:
        raise UsageError(
            f"{options.root} is not on record in this cluster", hint="`kustodian get` lists what is."
        )
    mine = (root.repository, root.entry)
    return {id_: r for id_, r in known.records.items() if (r.repository, r.entry) == mine}


def _released(record: Record, live: Manifest, *, resume: bool) -> Released:
    suspended = (live.get("spec") or {}).get("suspend") is True
    by_git = (record.manifest.get("spec") or {}).get("suspend") is True
    resumed = resume and suspended and not by_git
    return Released(
        record.kustomization,
        len(record.inventory),
        status=bool(mirror.listed(live, record.inventory)),
        resumed=resumed,
        suspended=suspended and not resumed,
    )


def _shared(options: Options, known: Store, ours: Mapping[str, Record]) -> tuple[ResourceRef, ...]:
    """The root's lock; and the key of the digests, once nobody else needs it."""
    namespace = options.root.partition("/")[0]
    others = any(id_.partition("/")[0] == namespace for id_ in known.records.keys() - ours.keys())
    key = ResourceRef(namespace, store.KEY_NAME, "", "Secret", "v1")
    return (*(() if others else (key,)), lease_ref(options.root))


def _hand_over(
    options: Options, records: Store, exchange: Exchange, cluster: Cluster, told: Releasing, fence: int
) -> None:
    for each in told.kustomizations:
        owned: Inventory = records.records[each.kustomization].inventory
        ordered = {ref: owned[ref] for ref in reversed(apply.deletion_order(owned))}
        exchange.tell(each.kustomization, lambda live, o=ordered: mirror.listed(live, o), lambda: cluster)  # type: ignore[misc]
    for each in told.kustomizations:
        if each.kustomization != options.root:
            records.forget(each.kustomization, fence)
    for each in told.kustomizations:
        if each.resumed:
            off = [{"op": "replace", "path": "/spec/suspend", "value": False}]
            cluster.patch(kustomization_ref(each.kustomization), off)
    records.forget(options.root, fence)
    own = [ref for ref in told.deleted if ref.kind != "ConfigMap"]
    for ref in own:
        live = cluster.get(ref)
        if live is not None:
            cluster.delete(ref, uid=live["metadata"]["uid"])
