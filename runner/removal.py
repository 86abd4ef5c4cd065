"""Take away what nobody wants any more: one Kustomization's stale objects, or all of one that is gone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from runner import apply, discover, inventory, plan, prune
from runner.access import Access
from runner.errors import FORBIDDEN, ClusterError, NotServed, Refused
from runner.evidence import FEW, SPARE, WORTH
from runner.inventory import Entry
from runner.lock import lease_ref
from runner.model import (
    FLUX,
    Action,
    Change,
    DeletionPolicy,
    Held,
    Kustomization,
    Manifest,
    ResourceRef,
    account_ref,
    gives_rights,
    kube_config,
    kustomization_ref,
    target,
)
from runner.prune import Stale, Verdict
from runner.session import Session
from runner.state import Record, config_map_ref

Resting = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Removed:
    """What became of stale objects, and the inventory that is left."""

    inventory: Mapping[ResourceRef, Entry]
    changes: tuple[Change, ...] = ()
    held: tuple[Held, ...] = ()
    errors: tuple[str, ...] = ()


def stale(session: Session, record: Record) -> tuple[Entry, ...]:
    """What a Kustomization owns and nobody in the whole run wants; what it left in another cluster stays."""
    if session.was_elsewhere(record):
        return ()
    owners = session.owners(record.kustomization)
    return tuple(entry for ref, entry in sorted(record.inventory.items()) if ref not in owners)


def ripe(session: Session, id_: str, entries: Iterable[Entry], *, leaving: bool = False) -> tuple[Entry, ...]:
    """Those of a Kustomization's stale objects that may be looked at now.

    A Kustomization that is gone is deleted as an object only after what it owned, and so is what leads to
    its cluster; and what gives an account its rights, as long as one that is gone acts as any. (`leaving`:
    they are such a one's own.)
    """
    unfinished = [gone for gone in session.gone if gone in session.records]
    waiting: set[ResourceRef] = set()
    if not session.target(id_):
        waiting = {kustomization_ref(gone) for gone in unfinished} | ways(session, unfinished)
    acting = not leaving and any(session.acts_as(gone) for gone in unfinished)
    return tuple(e for e in entries if e.ref not in waiting and not (acting and gives_rights(e.ref)))


def ways(session: Session, ids: Iterable[str]) -> set[ResourceRef]:
    """The Secrets that lead to the clusters of Kustomizations that are gone."""
    found = (kube_config(session.gone[id_].manifest) for id_ in ids)
    return {where.secret.ref for where in found if where is not None}


def remove(
    session: Session, record: Record, entries: Iterable[Entry], timeout: float, resting: Resting = nullcontext
) -> Removed:
    """Delete what may go of `entries`, wait until it is gone, and say what stays and why."""
    withheld = {ref for held in session.held_prunes.get(record.kustomization, ()) for ref in held.refs}
    judged = _judge_all(session, record, [e for e in entries if e.ref not in withheld])
    judged, held = _keep_containers(session, record.kustomization, judged)
    if not judged:
        return Removed(record.inventory, held=held)
    done = prune.Pruned(
        tuple(
            Change(s.entry.ref, Action.SKIPPED, s.reason) for s in judged if s.verdict is not Verdict.DELETE
        )
    )
    left: dict[ResourceRef, str] = {}
    if any(s.verdict is Verdict.DELETE for s in judged):
        pool, writer = session.world.pool, session.writer(record.kustomization)
        done = prune.delete(judged, writer, pool, apply.deletion_order, session.stopped)
        if not session.target(record.kustomization):
            _finalize(session, done)
        uids = {s.entry.ref: s.uid for s in judged if s.entry.ref in done.gone}
        with resting():
            left = _wait_until_gone(session, record.kustomization, uids, timeout)
    gone = (done.gone - left.keys()) | {s.entry.ref for s in judged if s.verdict is Verdict.GONE}
    late = tuple(f"{ref} is not gone after {timeout:g} s: {why}" for ref, why in sorted(left.items()))
    return Removed(inventory.without(record.inventory, gone), done.changes, held, (*done.errors, *late))


def _wait_until_gone(
    session: Session, id_: str, uids: Mapping[ResourceRef, str], timeout: float
) -> dict[ResourceRef, str]:
    """What is left of deleted objects. An account whose rights went with them cannot be asked any more."""
    clock, stopped, access = session.world.clock, session.stopped, session.access(id_)
    try:
        return prune.wait_until_gone(uids, access.observer, clock, timeout=timeout, stopped=stopped)
    except Refused as exc:
        if not access.user or exc.code != FORBIDDEN:
            raise
    own = session.access_as("", session.target(id_)).observer
    return prune.wait_until_gone(uids, own, clock, timeout=timeout, stopped=stopped)


def recorded_spec(record: Record) -> Kustomization:
    """The Kustomization as it was last reconciled. Raises UsageError when that cannot be read."""
    k = discover.parse(record.manifest)
    return replace(k, suspend=True) if record.pause is not None else k


def gone_in_order(records: Mapping[str, Record]) -> tuple[str, ...]:
    """Kustomizations that are gone, dependents before what they depended on, children before parents.

    Whoever owns the Secret that leads to another's cluster comes after that one.
    """
    ordered: list[str] = []

    def visit(id_: str, path: tuple[str, ...]) -> None:
        if id_ in ordered or id_ in path:
            return
        for other, record in sorted(records.items()):
            if record.parent == id_ or id_ in _needs(record) or _leads(records[id_], record):
                visit(other, (*path, id_))
        ordered.append(id_)

    for id_ in sorted(records):
        visit(id_, ())
    return tuple(ordered)


def who_lets_go(gone: Mapping[str, Record], id_: str) -> str:
    """The nearest ancestor of one that is gone which is not gone itself."""
    parent = gone[id_].parent
    return who_lets_go(gone, parent) if parent in gone else parent


def _leads(holder: Record, record: Record) -> bool:
    """Whether one owns what leads to the cluster of another."""
    where = kube_config(record.manifest)
    return where is not None and not target(holder.manifest) and where.secret.ref in holder.inventory


def _needs(record: Record) -> tuple[str, ...]:
    own = record.kustomization.partition("/")[0]
    listed = (record.manifest.get("spec") or {}).get("dependsOn") or []
    return tuple(f"{item.get('namespace') or own}/{item.get('name')}" for item in listed)


def take_away(session: Session, record: Record) -> Removed:
    """Let go of a Kustomization that is gone: by its recorded policy its objects are deleted or stay."""
    k = recorded_spec(record)
    entries = stale(session, record)
    kept = _left_behind(session, k, entries)
    if kept is not None:
        removed = Removed(inventory.without(record.inventory, [e.ref for e in entries]), kept)
    else:
        patient = k.deletion_policy is DeletionPolicy.WAIT_FOR_TERMINATION
        timeout = k.timeout if patient else min(k.timeout, 60.0)
        removed = remove(session, record, ripe(session, k.id, entries, leaving=True), timeout)
    moved = [ref for ref in removed.inventory if session.recorded_by_another(ref, record.kustomization)]
    rest = inventory.without(removed.inventory, moved)
    if rest:
        session.write(replace(record, inventory=rest))
    else:
        session.forget(record.kustomization)
    return replace(removed, inventory=rest)


def foresee(session: Session, record: Record, entries: Iterable[Entry]) -> tuple[Change, ...]:
    """What `remove` would do, without doing it."""
    withheld = {ref for held in session.held_prunes.get(record.kustomization, ()) for ref in held.refs}
    if why := session.why_unasked(record.kustomization):
        return tuple(Change(e.ref, Action.UNKNOWN, why) for e in entries if e.ref not in withheld)
    judged = _judge_all(session, record, [e for e in entries if e.ref not in withheld])
    judged, held = _keep_containers(session, record.kustomization, judged)
    session.held_back(held)
    return tuple(
        Change(s.entry.ref, Action.DELETED, "not in Git any more")
        if s.verdict is Verdict.DELETE
        else Change(s.entry.ref, Action.SKIPPED, s.reason)
        for s in judged
    )


def foresee_gone(session: Session, record: Record) -> tuple[Change, ...]:
    """What `take_away` would do, without doing it."""
    entries = stale(session, record)
    kept = _left_behind(session, recorded_spec(record), entries)
    return foresee(session, record, entries) if kept is None else kept


def _left_behind(session: Session, k: Kustomization, entries: Sequence[Entry]) -> tuple[Change, ...] | None:
    """The objects that stay when this Kustomization goes; None when they go with it.

    They stay, too, when nobody is left who could delete them: see kustomize-controller, finalize.
    """
    if k.suspend:
        why = "its Kustomization was suspended"
    elif not k.deletes:
        why = f"deletionPolicy: {k.deletion_policy}"
    elif entries and not session.why_unasked(k.id) and session.is_missing(k.acts_as, k.target):
        why = f"{account_ref(k.acts_as)}, which they were deployed as, is gone"
        names = ", ".join(str(entry.ref) for entry in entries)
        session.warnings.append(f"{k.id}: unable to prune objects: {why}: {names}")
    else:
        return None
    return tuple(Change(entry.ref, Action.SKIPPED, f"left behind: {why}") for entry in entries)


def _judge_all(session: Session, record: Record, entries: Sequence[Entry]) -> list[Stale]:
    """What may become of each, by what is live now: after whoever takes an object over has applied it."""
    world, access = session.world, session.access(record.kustomization)
    groups: dict[tuple[str, str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        groups[entry.ref.group, entry.ref.kind, entry.ref.namespace].append(entry)
    listed = dict(zip(groups, world.pool.map(lambda key: _list(access, groups[key]), groups), strict=True))
    names = {(entry.ref.namespace, entry.ref.name) for entry in entries}
    wanted: dict[tuple[str, str], list[ResourceRef]] = defaultdict(list)
    owners = dict(session.owners(record.kustomization))
    for ref in owners:
        if (ref.namespace, ref.name) in names:
            wanted[ref.namespace, ref.name].append(ref)
    protected = frozenset[ResourceRef]() if session.target(record.kustomization) else _protected(session)

    def judge(entry: Entry) -> Stale:
        ref = entry.ref
        found = listed[ref.group, ref.kind, ref.namespace]
        try:
            live = _look(session, access, ref) if found is None else found.get(ref.name)
            uids = _uids(session, live, owners, wanted[ref.namespace, ref.name]) if live else frozenset()
        except NotServed:
            return Stale(entry, Verdict.GONE, "its kind is not served any more")
        except ClusterError as exc:
            return Stale(entry, Verdict.KEEP, f"query failed: {exc.message}")
        return prune.judge(
            entry,
            live,
            owner=record.kustomization,
            desired_uids=uids,
            protected=protected,
            bootstrap=live is not None and plan.is_bootstrap(live) and not session.options.install_flux,
        )

    return list(world.pool.map(judge, entries))


def _list(access: Access, entries: Sequence[Entry]) -> Mapping[str, Manifest] | None:
    """The live objects of one kind and namespace by name, in one request; None to read each by itself."""
    ref = entries[0].ref
    if len(entries) <= FEW:
        return None
    try:
        items = access.cluster.list(
            ref.group,
            ref.kind,
            namespace=ref.namespace,
            metadata_only=True,
            most=SPARE + WORTH * len(entries),
        ).items
    except ClusterError:
        return None  # what is wrong is said of each
    return {
        i["metadata"]["name"]: i for i in items if (i["metadata"].get("namespace") or "") == ref.namespace
    }


def _uids(
    session: Session, live: Manifest, owners: Mapping[ResourceRef, str], namesakes: Iterable[ResourceRef]
) -> Collection[str]:
    """The uid of a stale object, if it is one that is wanted under another kind or group."""
    uid = live["metadata"].get("uid", "")
    if uid in session.uids:
        return {uid}
    return {uid} if any(_uid(session, ref, owners[ref]) == uid for ref in namesakes) else frozenset()


def _uid(session: Session, ref: ResourceRef, id_: str) -> str:
    """The uid of a wanted object: on record, or of what is live; "" when there is none."""
    owner = session.records.get(id_)
    known = owner.inventory.get(ref) if owner is not None and not session.was_elsewhere(owner) else None
    if known is not None and known.uid:
        return known.uid
    access = session.access(id_)
    api = access.cluster.api(ref.group, ref.kind)
    if api is not None and api.namespaced != bool(ref.namespace):
        return ""  # claimed before it was known whether its kind has a namespace
    try:
        live = _look(session, access, ref)
    except NotServed:
        return ""
    return str(live["metadata"].get("uid", "")) if live is not None else ""


def _look(session: Session, access: Access, ref: ResourceRef) -> Manifest | None:
    """The live object; of a Secret that may not be read its metadata, which is all that decides."""
    options, cluster = session.options, access.cluster
    if not (options.dry_run and not options.read_secrets and (ref.group, ref.kind) == ("", "Secret")):
        return cluster.get(ref)
    found = cluster.list("", "Secret", namespace=ref.namespace, metadata_only=True).items
    return next((item for item in found if item["metadata"]["name"] == ref.name), None)


def _protected(session: Session) -> frozenset[ResourceRef]:
    """Namespaces that hold our records or our lock, and these objects themselves."""
    own = [config_map_ref(id_) for id_ in session.records] + [lease_ref(session.fleet.root)]
    namespaces = {ResourceRef("", ref.namespace, "", "Namespace", "v1") for ref in own}
    return frozenset(own) | namespaces


def _keep_containers(
    session: Session, kustomization: str, judged: list[Stale]
) -> tuple[list[Stale], tuple[Held, ...]]:
    """Hold back Namespaces, definitions and claims that something else would go with."""
    leaving = {s.entry.ref for s in judged if s.verdict is Verdict.DELETE}
    kept: list[Stale] = []
    held: list[Held] = []
    for s in judged:
        content = _content(session, kustomization, s, leaving) if s.verdict is Verdict.DELETE else ""
        digest = prune.approval(f"content of {s.entry.ref}", [s.entry.ref])
        if content and digest not in session.options.approve:
            held.append(Held(kustomization, (s.entry.ref,), f"{s.entry.ref} still holds {content}", digest))
        else:
            kept.append(s)
    return kept, tuple(held)


def _content(session: Session, id_: str, s: Stale, leaving: set[ResourceRef]) -> str:
    """What would be lost with it: asked with the run's own rights, as a guard has to see everything."""
    ref = s.entry.ref
    if (ref.group, ref.kind) not in {
        ("", "Namespace"),
        ("", "PersistentVolumeClaim"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
    }:
        return ""
    try:
        cluster = session.reached(id_)
        live = cluster.get(ref)
        return prune.holds(ref, live, cluster, leaving) if live else ""
    except ClusterError as exc:
        return f"something that cannot be seen: {exc.message}"


def _finalize(session: Session, done: prune.Pruned) -> None:
    """Let deleted Flux Kustomizations go: what they owned is ours to take away, and no controller runs."""
    for change in done.changes:
        if (change.ref.group, change.ref.kind) != (
            FLUX,
            "Kustomization",
        ) or change.action is not Action.DELETED:
            continue
        live = session.world.cluster.get(change.ref)
        finalizers = live["metadata"].get("finalizers") or [] if live else []
        if prune.FINALIZER in finalizers:
            path = f"/metadata/finalizers/{finalizers.index(prune.FINALIZER)}"
            session.begin().patch(
                change.ref,
                [{"op": "test", "path": path, "value": prune.FINALIZER}, {"op": "remove", "path": path}],
            )
