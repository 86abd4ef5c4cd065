"""What of a cluster is not as it was deployed: assessed as a deploy would, told with who did it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runner import acting, blame, cleaning, deviation, extent, impact, live, plan, proven, redact
from runner.changes import FieldChange
from runner.drift import Difference, Drifted, Kind, Operation, Unknown
from runner.errors import ClusterError, RunnerError
from runner.fleet import Unit
from runner.inventory import Entry
from runner.model import FLUX, Action, Manifest, ResourceRef, State
from runner.plan import Assessment, Ground
from runner.session import Session
from runner.waiting import in_order

OWNER_NAME, OWNER_NAMESPACE = f"{FLUX}/name", f"{FLUX}/namespace"
_COPIES = {"Endpoints", "EndpointSlice"}  # their controllers copy the labels of a Service
_TTL = ("ttlSecondsAfterFinished",)
_REPLICAS = "spec.replicas"


@dataclass(frozen=True, slots=True)
class Found:
    """What was found, and what could not be told."""

    differences: tuple[Difference, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    checked: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def find(session: Session, wanted: Callable[[Unit], bool], *, everywhere: bool = False) -> Found:
    """Compare what is live with what is on record as deployed, for the Kustomizations that are wanted.

    Nothing is written. With `everywhere` extra objects are looked for in every kind that the cluster
    serves, else in those that the entry has. The session is one of the deployed revision.
    """
    accounts = acting.told(session, reduced=True)
    grounds: dict[str, Ground] = {}
    differences: list[Difference] = []
    unknown: list[Unknown] = []
    checked = []
    for id_ in in_order(session.units):
        unit = session.units[id_]
        if id_ not in session.records or unit.kustomization.suspend or not wanted(unit):
            continue
        if unit.rendering is None or not unit.rendering.ok:
            why = (
                "; ".join(str(each) for each in unit.rendering.problems) if unit.rendering else "not rendered"
            )
            unknown.append(Unknown(id_, None, redact.scrub(why, redact.of(unit))))
            continue
        if why := _why_not(session, unit):
            unknown.append(Unknown(id_, None, why))
            continue
        target = session.target(id_)
        if target not in grounds:
            grounds[target] = _ground(session, id_)
        checked.append(id_)
        for each in _of_one(session, unit, grounds[target]):
            (differences if isinstance(each, Difference) else unknown).append(each)  # type: ignore[arg-type]
    extra, odd = _extra_anywhere(session, checked, everywhere=everywhere)
    place = {id_: n for n, id_ in enumerate(checked)}
    ordered = sorted([*differences, *extra], key=lambda each: (place[each.kustomization], _by_kind(each.ref)))
    return Found(tuple(ordered), tuple(unknown), tuple(checked), (*accounts, *odd))


def _why_not(session: Session, unit: Unit) -> str:
    """Why one cannot be looked at, although it is rendered: its cluster is another one."""
    if session.was_elsewhere(session.records[unit.id]):
        return "it goes to another cluster than it was deployed to"
    if not unit.kustomization.target:
        return ""
    try:
        why = session.why_unasked(unit.id)
        if not why:
            session.reached(unit.id).version()
    except RunnerError as exc:
        return exc.message
    return why


def _ground(session: Session, id_: str) -> Ground:
    """As a deploy has it; what is missing with its Namespace or its definition is missing, no error."""
    cluster, target = session.reached(id_), session.target(id_)
    units = [unit for unit in session.units.values() if unit.kustomization.target == target]
    everything = [m for unit in units for m in unit.objects]
    places = {m["metadata"].get("namespace") or "" for m in everything} - {""}
    try:
        items = cluster.list("", "Namespace", metadata_only=True).items
        missing = frozenset(places - {item["metadata"]["name"] for item in items})
    except ClusterError:
        missing = plan.absent(places, cluster, session.world.pool)
    return replace(
        session.ground_of(id_),
        namespaces=missing,
        kinds=plan.defines(everything),
        roles=plan.roles(everything),
        reduced=True,
    )


def _of_one(session: Session, unit: Unit, ground: Ground) -> Iterator[Difference | Unknown]:
    record = session.records[unit.id]
    proofs = proven.of(session, unit, record.inventory)
    as_deployed = record.state in {State.READY, State.BLOCKED} and extent.renders_as_recorded(session, unit)
    scoped = plan.scoped(unit.objects, session.reached(unit.id))
    desired = {ResourceRef.of(m): m for m in scoped if ResourceRef.of(m) in record.inventory}
    known = [m for m in desired.values() if as_deployed or proofs.deployed(m)]
    k, rendering = unit.kustomization, unit.rendering
    own = replace(
        ground,
        unresolved=rendering.unresolved if rendering else {},
        proofs=proofs,
        ignore=k.ignore,
        force=k.force,
    )
    assessed = plan.assess(known, session.access(unit.id).cluster, session.world.pool, own)
    told = [each for a in assessed if (each := _told(session, unit, a)) is not None]
    yield from _placed(session, unit, told)
    if not as_deployed:
        compared = {ResourceRef.of(m) for m in known}
        rest = [entry for ref, entry in record.inventory.items() if ref not in compared and entry.uid]
        yield from _by_owners(session, unit.id, rest)


def _told(session: Session, unit: Unit, a: Assessment) -> Difference | Unknown | None:
    if a.error or a.action is Action.UNKNOWN:
        return Unknown(unit.id, a.ref, redact.scrub(a.error or a.reason, redact.of(unit)))
    if a.live is None:
        return (
            None if a.action is not Action.CREATED or _ends_by_itself(a.manifest) else _gone(unit.id, a.ref)
        )
    recorded = session.records[unit.id].inventory.get(a.ref)
    if not a.action.writes or a.merged is None:
        return None if not a.recreates else Difference(unit.id, a.ref, Kind.CHANGED, a.reason)
    replaced = recorded is not None and recorded.uid not in {"", a.live["metadata"].get("uid")}
    return _changed(session, unit, a, "deleted and made anew" if replaced else "")


def _gone(id_: str, ref: ResourceRef) -> Difference:
    return Difference(id_, ref, Kind.DELETED)


def _ends_by_itself(manifest: Manifest) -> bool:
    """Whether the cluster takes an object away once it is done: a Job with a time to live."""
    spec = manifest.get("spec") or {}
    return manifest["kind"] == "Job" and any(spec.get(name) is not None for name in _TTL)


def _changed(session: Session, unit: Unit, a: Assessment, reason: str) -> Difference | None:
    found = a.live or {}
    changes = impact.fields(a.live, a.merged)
    kept = [
        Drifted(change, blame.writer(found, change.path))
        for change in changes
        if deviation.counts(change, a.manifest) and not _is_suspension(a.ref, change)
    ]
    kept = [each for each in kept if not (_is_scale(each) and _is_autoscaled(session, unit.id, a.ref))]
    if not kept:
        return None
    hidden = live.secret_paths(session, unit.id, a.ref)
    shown = live.masked([each.change for each in kept], hidden)
    told = tuple(replace(each, change=change) for each, change in zip(kept, shown, strict=True))
    correction: tuple[Operation, ...] | None = None
    reversal: tuple[Operation, ...] | None = None
    if not (hidden or redact.is_secret(a.manifest)):
        correction, reversal = deviation.patches(
            impact.settled(found), impact.settled(a.merged or {}), [each.change for each in kept], changes
        )
    writer = blame.anybody(found) if not any(each.writer for each in told) else None
    return Difference(
        unit.id,
        a.ref,
        Kind.CHANGED,
        reason,
        told,
        writer,
        blame.touched_at(found),
        correction,
        reversal,
    )


def _is_suspension(ref: ResourceRef, change: FieldChange) -> bool:
    """Whether somebody made Flux stand aside, which concerns Flux alone."""
    return (ref.group, ref.kind) == (FLUX, "Kustomization") and change.path == "spec.suspend"


def _is_scale(each: Drifted) -> bool:
    return each.change.path == _REPLICAS


def _is_autoscaled(session: Session, id_: str, ref: ResourceRef) -> bool:
    """Whether the number of replicas belongs to an autoscaler."""
    try:
        scalers = (
            session.reached(id_).list("autoscaling", "HorizontalPodAutoscaler", namespace=ref.namespace).items
        )
    except ClusterError:
        return False
    targets = [(each.get("spec") or {}).get("scaleTargetRef") or {} for each in scalers]
    return any((each.get("kind"), each.get("name")) == (ref.kind, ref.name) for each in targets)


def _by_owners(session: Session, id_: str, entries: Iterable[Entry]) -> Iterator[Difference]:
    """What can be told of objects whose deployed form is not known: that they are gone, or who was there."""
    for entry, found in zip(
        entries := list(entries),
        session.world.pool.map(lambda e: _look(session, id_, e.ref), entries),
        strict=True,
    ):
        if found is None:
            if entry.ref.kind != "Job":
                yield _gone(id_, entry.ref)
        elif found["metadata"].get("uid") != entry.uid:
            yield Difference(
                id_, entry.ref, Kind.CHANGED, "deleted and made anew", writer=blame.anybody(found)
            )
        elif cleaning.managers(found):
            whose = ", ".join(cleaning.managers(found))
            reason = f"written by {whose}; what was deployed is not known any more"
            yield Difference(id_, entry.ref, Kind.CHANGED, reason, writer=blame.anybody(found))


def _look(session: Session, id_: str, ref: ResourceRef) -> Manifest | None:
    try:
        return session.reached(id_).get(ref)
    except ClusterError:
        return None


def _placed(
    session: Session, unit: Unit, told: Iterable[Difference | Unknown]
) -> Iterator[Difference | Unknown]:
    """With file and line, where the files are those of this repository."""
    everything = list(told)
    if not any(isinstance(each, Difference) for each in everything) or unit.rendering is None:
        return iter(everything)
    places = () if unit.rendering.foreign else unit.rendering.origins()
    scoped = plan.scoped(unit.objects, session.reached(unit.id))
    known = {ResourceRef.of(m): place for m, place in zip(scoped, places, strict=False)}
    return (
        replace(each, file=known[each.ref].file, line=known[each.ref].line)
        if isinstance(each, Difference) and each.ref in known
        else each
        for each in everything
    )


def _extra_anywhere(
    session: Session, checked: Iterable[str], *, everywhere: bool
) -> tuple[list[Difference], list[str]]:
    """What is extra in each of the clusters that were looked at."""
    found: list[Difference] = []
    odd: list[str] = []
    places: dict[str, list[str]] = {"": []}
    for id_ in checked:
        places.setdefault(session.target(id_), []).append(id_)
    for target, ids in sorted(places.items()):
        more, warnings = _extra(session, target, frozenset(ids), everywhere=everywhere)
        found += more
        odd += warnings
    return found, odd


def _extra(
    session: Session, target: str, checked: frozenset[str], *, everywhere: bool
) -> tuple[list[Difference], list[str]]:
    """Objects with the owner labels of a Kustomization that was looked at, and in no inventory."""
    cluster = session.access_as("", target).cluster
    here = [r for id_, r in session.records.items() if session.target(id_) == target]
    owned = {ref for record in here for ref in record.inventory} | session.wishes.get(target, {}).keys()
    kinds = (
        {(api.group, api.kind) for api in cluster.apis() if "list" in api.verbs}
        if everywhere
        else {(ref.group, ref.kind) for ref in owned}
    )
    kinds = {each for each in kinds if each[1] not in _COPIES and cluster.api(*each) is not None}

    def read(kind: tuple[str, str]) -> tuple[Sequence[Manifest], str]:
        try:
            return cluster.list(*kind, selector=OWNER_NAME, metadata_only=True).items, ""
        except ClusterError as exc:
            return (), f"extra objects of kind {kind[1]} were not looked for: {exc.message}"

    ordered = sorted(kinds)
    found, warnings = [], []
    for (group, kind), (items, warning) in zip(ordered, session.world.pool.map(read, ordered), strict=True):
        warnings += [warning] if warning else []
        api = cluster.api(group, kind)
        for item in items:
            meta = item["metadata"]
            version = api.version if api else ""
            ref = ResourceRef(meta.get("namespace") or "", meta["name"], group, kind, version)
            id_ = _owner(meta)
            if id_ in checked and ref not in owned and not meta.get("ownerReferences"):
                label = blame.writer(item, f'metadata.labels["{OWNER_NAME}"]')
                found.append(Difference(id_, ref, Kind.EXTRA, writer=label))
    return _once(found, owned), warnings


def _once(found: Sequence[Difference], owned: Iterable[ResourceRef]) -> list[Difference]:
    """Without what is served under another group too: `Ingress` once was."""
    names = {(ref.kind, ref.namespace, ref.name) for ref in owned}
    return [each for each in found if (each.ref.kind, each.ref.namespace, each.ref.name) not in names]


def _owner(meta: Mapping[str, Any]) -> str:
    labels = meta.get("labels") or {}
    return f"{labels.get(OWNER_NAMESPACE, '')}/{labels.get(OWNER_NAME, '')}"


def _by_kind(ref: ResourceRef) -> tuple[str, str, str, str]:
    return ref.kind, ref.namespace, ref.name, ref.group
