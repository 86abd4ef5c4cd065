"""What a run is about to do, before it does anything: who wants what, what is stale, what is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from runner import admission, extent, plan, prune, removal
from runner.desired import SHORT, TRAILER, Desired
from runner.errors import UsageError
from runner.evidence import Evidence
from runner.exchange import Exchange, same_path
from runner.fleet import Fleet, Unit, twice, two_owners
from runner.inventory import Entry
from runner.model import Held, Manifest, ResourceRef
from runner.model import target as target_of
from runner.ports import Cluster
from runner.rendered import Problem
from runner.session import Lock, Session
from runner.state import Record
from runner.store import Store

REPORTED = 3
WAITED = 20.0
"""Seconds, such as for the lock, after which a branch may have moved: it is looked at once more."""

UNKNOWN = "unknown"  # the identity of a repository that has none


def lock(source: Desired) -> Lock:
    """The root's lock, not taken yet."""
    world, options = source.clients.world(), source.options
    return Lock(world, options, options.root, source.commit, lambda held: source.is_newer_than(held) is True)


def session(source: Desired, cluster: Cluster, lock: Lock) -> Session:
    """Read the records, render the entry, and see whether this run may go on at all.

    Raises:
        GuardError: another entry or a live controller owns these Kustomizations.
        LockError: a newer commit is deployed, or being deployed.
        RenderError, UsageError: the entry is wrong.
    """
    options, clients = source.options, source.clients
    if clients.repository.identity == UNKNOWN:
        raise UsageError(
            "it cannot be told which repository this is: the clone is shallow and has no origin",
            hint="fetch the whole history, or set the origin.",
        )
    store = Store(cluster)
    store.load()
    _admit(source, store, cluster)
    exchange = Exchange.read(cluster)
    _same_path(source, store, exchange)
    known = _ours(source, store.records)
    source.checkout.recorded = _deployed_from(known.get(options.root))
    fleet = _fleet(source, cluster, known)
    _import(source, store, exchange, fleet)
    ours = _ours(source, store.records)
    root = fleet.units[fleet.root].kustomization
    origin = _object(fleet, root.source.ref)
    admission.right_branch(options.ref, options.branches, origin, options.default_branch)
    _in_branch(source, known.get(options.root))
    asked_at = clients.clock.monotonic()
    if missing := sorted(options.names - fleet.units.keys()):
        raise UsageError(
            f"there is no Kustomization {', '.join(missing)} in {options.entry}",
            hint="`kustodian tree -o name` lists them.",
        )
    admission.no_live_controller(cluster, options.root, fleet.units)
    everything = [m for unit in fleet if not unit.kustomization.target for m in unit.objects]
    made = Session(
        world=clients.world(),
        options=options,
        fleet=fleet,
        repository=clients.repository.identity,
        revision=source.revision,
        commit=source.commit,
        tree=source.tree,
        entry=source.root.path.removeprefix("./"),
        lock=lock,
        fetched=source.checkout.fetched,
        store=store,
        ground=plan.Ground(
            virtual=plan.virtual_kinds(everything, cluster), install_flux=options.install_flux
        ),
        evidence=Evidence(cluster, clients.clock),
        exchange=exchange,
        before_first_write=lambda again: _again(source, again, asked_at, exchange, fleet),
        units=dict(fleet.units),
        outside=admission.outside(cluster, _foreign(store.records, ours), [*fleet.units, *ours]),
    )
    if not options.dry_run or options.read_secrets:
        made.key = store.digest_key(options.root.partition("/")[0], create=False)
    for unit in fleet:
        if unit.rendering is not None:
            made.aim(unit.kustomization.target, unit.rendering.variables.remote)
    _claim(made, ours)
    made.tracked = _tracked(made, ours)
    made.refused = _refused(made)
    made.prune_later = any(u.rendering is not None and not u.rendering.variables.known for u in fleet)
    made.gone = _gone(made, ours)
    made.dependents = extent.of_dependents(made)
    made.held_prunes = _held(made, ours)
    left = [*_left_alone(made, ours), *_moved_away(made, ours)]
    made.warnings.extend([*source.artifact.warnings, *left, *_told(source)])
    return made


def _deployed_from(root: Record | None) -> Mapping[str, str]:
    """The revisions of other sources that are on record."""
    return root.deployment.sources if root is not None and root.deployment is not None else {}


def _object(fleet: Fleet, ref: ResourceRef) -> Manifest | None:
    """A desired object by its name, None when nobody renders it."""
    own = (unit for unit in fleet if not unit.kustomization.target)
    found = (each for unit in own for each in unit.objects if ResourceRef.of(each) == ref)
    return next(found, None)


def _admit(source: Desired, store: Store, cluster: Cluster) -> None:
    """The checks that count before planning, and again once the lock is held."""
    options, repository = source.options, source.clients.repository
    root = store.records.get(options.root)
    entry = source.root.path.removeprefix("./")
    admission.same_owner(
        root,
        server=cluster.server,
        repository=repository.identity,
        entry=entry,
        takeover=options.takeover,
    )
    mine = root is not None and (root.repository, root.entry) == (repository.identity, entry)
    admission.not_superseded(
        root.deployment if root is not None and mine else None,
        source.commit,
        lambda older, newer: source.contains(newer, older),
        allow_older=options.allow_older,
    )


def _same_path(source: Desired, store: Store, exchange: Exchange) -> None:
    root = source.options.root
    entry = source.root.path.removeprefix("./")
    server = exchange.cluster.server
    record = store.records.get(root)
    same_path(exchange.live.get(root), record, server, entry, takeover=source.options.takeover)


def _in_branch(source: Desired, root: Record | None) -> None:
    """Whoever checks out something else than the workflow's own commit has a reason to."""
    options = source.options
    if options.ref_commit != source.commit:
        return
    admission.still_in_branch(
        options.ref,
        source.commit,
        root.deployment if root is not None else None,
        source.is_in,
        lambda older, newer: source.contains(newer, older),
        allow_older=options.allow_older,
    )


def _again(source: Desired, store: Store, asked_at: float, exchange: Exchange, fleet: Fleet) -> None:
    _admit(source, store, exchange.cluster)
    if source.clients.clock.monotonic() - asked_at > WAITED:
        _in_branch(source, _ours(source, store.records).get(source.options.root))
    _import(source, store, exchange, fleet)


def _import(source: Desired, store: Store, exchange: Exchange, fleet: Fleet) -> None:
    """Take over what Flux did since we last looked."""
    parents = {unit.id: unit.parent for unit in fleet}
    entry = source.root.path.removeprefix("./")
    mine = exchange.imports(store.records, parents, source.clients.repository.identity, entry)
    store.imported(mine)


def _ours(source: Desired, records: Mapping[str, Record]) -> dict[str, Record]:
    """The records of this entry; with a takeover also those of the entry that is replaced."""
    root = records.get(source.options.root)
    mine = (source.clients.repository.identity, source.root.path.removeprefix("./"))
    owners = {mine}
    if root is not None and source.options.takeover:
        owners.add((root.repository, root.entry))
    return {id_: record for id_, record in records.items() if (record.repository, record.entry) in owners}


def _foreign(records: Mapping[str, Record], ours: Mapping[str, Record]) -> dict[str, Record]:
    return {id_: record for id_, record in records.items() if id_ not in ours}


def _fleet(source: Desired, cluster: Cluster, ours: Mapping[str, Record]) -> Fleet:
    """Everything that is rendered, and what goes on by its recorded spec.

    The latter are the children of parents that are suspended or cannot be rendered.
    """
    adopted: dict[str, Unit] = {}
    paused = {id_ for id_, record in ours.items() if record.pause is not None}
    while True:
        fleet = source.fleet(cluster=cluster, adopted=tuple(adopted.values()), paused=paused)
        silent = {unit.id for unit in fleet if not unit.rendered}
        more = {
            id_: Unit(removal.recorded_spec(record), record.parent, shown=record.manifest)
            for id_, record in sorted(ours.items())
            if record.parent in silent and id_ not in fleet.units and record.manifest
        }
        if not more.keys() - adopted.keys():
            return fleet
        adopted |= more


def _claim(made: Session, ours: Mapping[str, Record]) -> None:
    """Note who wants which object; of one whose wishes are unknown, everything it owns counts.

    An object that two want is refused: they would take it from each other for ever.
    """
    wanted: list[tuple[str, str, list[Manifest]]] = []
    for unit in made.fleet:
        target = unit.kustomization.target
        scoped = unit.objects if target else plan.scoped(unit.objects, made.world.cluster)
        made.want(unit.id, [*_bare(scoped), *scoped] if target else scoped)
        wanted.append((unit.id, target, [*scoped]))
    for ref, ids in twice(wanted):
        for id_ in ids:
            _refuse(made, id_, two_owners(ref, ids))
    for unit in made.fleet:
        record = ours.get(unit.id)
        if record is not None and not unit.rendered:
            for ref in record.inventory:
                made.owners(unit.id).setdefault(ref, unit.id)


def _bare(manifests: Iterable[Manifest]) -> Iterable[Manifest]:
    """Objects without their namespaces.

    Another cluster is not asked yet which kinds have one: of the two names of an object it has only one.
    """
    for manifest in manifests:
        meta = {key: value for key, value in manifest["metadata"].items() if key != "namespace"}
        yield {**manifest, "metadata": meta}


def _tracked(made: Session, ours: Mapping[str, Record]) -> dict[str, set[ResourceRef]]:
    """What each wants and is known to have in the cluster, as far as this run looks after it."""
    return {
        id_: {ref for ref, e in record.inventory.items() if e.uid and made.owners(id_).get(ref) == id_}
        for id_, record in ours.items()
        if made.options.selects(id_) and not made.was_elsewhere(record)
    }


def _refuse(made: Session, id_: str, problem: Problem) -> None:
    unit = made.units[id_]
    if unit.rendering is not None:
        problems = (*unit.rendering.problems, problem)
        made.units[id_] = replace(unit, rendering=replace(unit.rendering, problems=problems))


def _refused(made: Session) -> dict[str, str]:
    """Kustomizations that name a dependency which is nowhere, or not ready outside this run."""
    found: dict[str, str] = {}
    for unit in made.units.values():
        k = unit.kustomization
        for id_, expression in k.dependencies:
            if id_ in made.units:
                continue
            if why := admission.dependency(id_, expression, k, made.records, made.world.cluster):
                found[unit.id] = why
                break
    return found


def _gone(made: Session, ours: Mapping[str, Record]) -> dict[str, Record]:
    """Recorded Kustomizations that nothing renders any more, and whose parent lets go of them.

    The parent was rendered in this run, has `prune: true` and lacks it; or is itself gone with a
    deleting policy.
    """
    gone: dict[str, Record] = {}
    while True:
        more = {
            id_: record
            for id_, record in ours.items()
            if id_ not in made.units and id_ not in gone and _lets_go(made, gone, record)
        }
        if not more:
            return dict(sorted(gone.items()))
        gone |= more


def _lets_go(made: Session, gone: Mapping[str, Record], record: Record) -> bool:
    if record.parent in gone:
        return _deletes(gone[record.parent])
    parent = made.units.get(record.parent)
    return (
        parent is not None
        and parent.rendered
        and parent.kustomization.prune
        and not parent.kustomization.target
        and made.options.selects(parent.id)
    )


def _deletes(record: Record) -> bool:
    try:
        k = removal.recorded_spec(record)
    except UsageError:
        return False
    return k.deletes and not k.suspend


def _told(source: Desired) -> Iterable[str]:
    """What people should know of the run as a whole."""
    for digest in source.approved:
        yield f"{TRAILER} of commit {source.commit[:8]} lets through what a guard held back as {digest}"
    if source.options.rollback:
        what = ", ".join(sorted(source.options.names)) or "everything"
        back, undone = (SHORT.sub(r"\1", r) for r in (source.revision, source.options.rollback))
        yield (
            f"{what} goes back from {undone} to {back}: the next deploy of the branch, by a push or a "
            "schedule, undoes it unless the change is reverted in Git too"
        )


def _left_alone(made: Session, ours: Mapping[str, Record]) -> Iterable[str]:
    for id_, record in sorted(ours.items()):
        if id_ not in made.units and id_ not in made.gone:
            why = f"is not rendered any more, but {record.parent} does not let go of it"
            yield f"{id_} {why if record.parent else 'was the root before'}; it is left alone"


def _moved_away(made: Session, ours: Mapping[str, Record]) -> Iterable[str]:
    """As in Flux, what a Kustomization made stays where it was when it goes to another cluster."""
    for id_, record in sorted(ours.items()):
        if id_ in made.units and record.inventory and made.was_elsewhere(record):
            then, now = (f"kubeConfig {each}" if each else "this cluster" for each in _clusters(made, record))
            count = len(record.inventory)
            yield f"{id_} goes to {now} now; {count} objects that it made in {then} are left behind there"


def _clusters(made: Session, record: Record) -> tuple[str, str]:
    return target_of(record.manifest), made.target(record.kustomization)


def _held(made: Session, ours: Mapping[str, Record]) -> dict[str, tuple[Held, ...]]:
    """Prunes that must not happen in this run."""
    stale: dict[str, Sequence[Entry]] = {}
    emptied = []
    for id_, record in ours.items():
        unit = made.units.get(id_)
        if id_ in made.gone:
            entries = removal.stale(made, record) if _deletes(record) else ()
            if not made.units[removal.who_lets_go(made.gone, id_)].objects:
                emptied.append(id_)
        elif unit is not None and unit.rendered and unit.kustomization.prune and made.options.selects(id_):
            entries = removal.stale(made, record)
            if not unit.objects:
                emptied.append(id_)
        else:
            entries = ()
        if entries:
            stale[id_] = entries
    blind = made.blind
    if blind:
        more = f" and {len(blind) - REPORTED} more" if len(blind) > REPORTED else ""
        names = f"{', '.join(blind[:REPORTED])}{more}"
        reason = f"{names} cannot be rendered in full, so it is not known what is wanted"
        return {k: (Held(k, tuple(e.ref for e in entries), reason),) for k, entries in sorted(stale.items())}
    held = prune.guard(
        stale,
        emptied=emptied,
        owned=sum(len(record.inventory) for record in ours.values()),
        limit=made.options.prune_limit,
        approved=made.options.approve,
    )
    return {h.kustomization: (h,) for h in held}
