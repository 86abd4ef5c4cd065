"""What becomes of every object between two sides of an entry, told from their renderings alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from runner import diff
from runner.affected import Sides, known_child, undecided
from runner.changes import FieldChange, ObjectChange
from runner.fleet import Fleet, Unit
from runner.model import FLUX, Action, DeletionPolicy, Manifest, ResourceRef
from runner.plan import Ground, left_alone, skipped
from runner.prune import kept_by
from runner.redact import is_secret


@dataclass(slots=True)
class _Side:
    """Who wants which object on one side, and how it may be shown; found out as far as it is asked."""

    fleet: Fleet | None
    shown: dict[int, Manifest] = field(default_factory=dict)  # by the identity of the object itself
    _wants: dict[tuple[str, ResourceRef], tuple[str, Manifest]] | None = None  # by its cluster, too

    @property
    def unknown(self) -> list[str]:
        """Kustomizations whose wishes are not known."""
        return list(self.fleet.unrendered) if self.fleet else []

    def wants(self, cluster: str, ref: ResourceRef) -> tuple[str, Manifest] | None:
        """The Kustomization that has an object, and the object."""
        if self._wants is None:
            self._wants = {}
            for unit in self.fleet or ():
                if unit.rendered:
                    self.read(unit)
                    self._wants.update(
                        ((unit.kustomization.target, ResourceRef.of(each)), (unit.id, each))
                        for each in unit.objects
                    )
        return self._wants.get((cluster, ref))

    def read(self, unit: Unit | None) -> tuple[Manifest, ...]:
        """The objects of a Kustomization, from now on known with their views."""
        if unit is None or unit.rendering is None:
            return ()
        for real, view in zip(unit.rendering.objects, unit.rendering.shown, strict=True):
            self.shown[id(real)] = view
        return unit.rendering.objects


def effects(sides: Sides, ids: Iterable[str]) -> tuple[ObjectChange, ...]:
    """Every object of the given Kustomizations that a deploy of head would treat otherwise than base.

    Where either side of one cannot be rendered there is nothing to say about its objects.
    """
    comparing = _Comparing(sides, _Side(sides.base), _Side(sides.head))
    return tuple(change for id_ in ids for change in comparing.kustomization(id_))


@dataclass(slots=True)
class _Comparing:
    sides: Sides
    base: _Side
    head: _Side

    def kustomization(self, id_: str) -> list[ObjectChange]:
        before, after = self.sides.before(id_), self.sides.after(id_)
        if any(unit is not None and not unit.rendered for unit in (before, after)):
            return []
        if after is None and before is not None and not known_child(self.sides, before, of_base=True):
            return []
        old, new = self.base.read(before), self.head.read(after)
        changes: list[ObjectChange] = []
        if before is not None and after is not None and _cluster(before) != _cluster(after):
            changes += [self._arrives(id_, after, each) for each in new]
            changes += [change for each in old for change in self._leaves(id_, each, before, after)]
            return sorted(changes, key=_by_name)
        for pair in diff.pair(old, new):
            if pair.before is not None and pair.after is not None:
                changes += self._both(id_, pair.before, pair.after, pair.was)
            elif pair.after is not None and after is not None:
                changes.append(self._arrives(id_, after, pair.after))
            elif pair.before is not None and before is not None:
                changes += self._leaves(id_, pair.before, before, after)
        return sorted(changes, key=_by_name)

    def _both(
        self, id_: str, before: Manifest, after: Manifest, was: ResourceRef | None
    ) -> Iterator[ObjectChange]:
        unknown = self._unknown(id_, after)
        if diff.same(before, after) and was is None and unknown == self._unknown(id_, before, of_base=True):
            if names := sorted(self._undecided(id_) & set(unknown)):
                view = self.head.shown[id(after)]
                reason = f"the cluster may have another value: {', '.join(names)}"
                ref = ResourceRef.of(after)
                yield ObjectChange(id_, ref, Action.UNKNOWN, reason, (), view, view, unknown=unknown)
            return
        fields = self._fields(before, after)
        reason = left_alone(after, None) or skipped(after, Ground())
        hidden = "" if fields else "a secret value changed"
        yield ObjectChange(
            id_,
            ResourceRef.of(after),
            Action.SKIPPED if reason else Action.CONFIGURED,
            reason or hidden,
            fields,
            self.base.shown[id(before)],
            self.head.shown[id(after)],
            was=was,
            unknown=unknown,
        )

    def _arrives(self, id_: str, unit: Unit, after: Manifest) -> ObjectChange:
        ref, view = ResourceRef.of(after), self.head.shown[id(after)]
        unknown = self._unknown(id_, after)
        if earlier := self.base.wants(_cluster(unit), ref):
            owner, before = earlier
            fields = self._fields(before, after)
            shown = self.base.shown[id(before)]
            return ObjectChange(
                id_,
                ref,
                Action.MOVED,
                f"from {owner}",
                fields,
                shown,
                view,
                moved_from=owner,
                unknown=unknown,
            )
        reason = skipped(after, Ground()) or left_alone(after, after)
        if f"{FLUX}/ssa: IfNotPresent" in reason:
            reason = ""
        action = Action.SKIPPED if reason else Action.CREATED
        return ObjectChange(id_, ref, action, reason, after=view, unknown=unknown)

    def _leaves(self, id_: str, before: Manifest, unit: Unit, now: Unit | None) -> Iterator[ObjectChange]:
        ref = ResourceRef.of(before)
        if self.head.wants(_cluster(unit), ref) is not None:
            return  # it moves; that is told where it arrives
        kept = _stays(unit, now) or kept_by(before) or skipped(before, Ground())
        if not kept and self.head.unknown:
            kept = f"not deleted before {', '.join(self.head.unknown[:3])} can be rendered"
        view = self.base.shown[id(before)]
        yield ObjectChange(id_, ref, Action.SKIPPED if kept else Action.DELETED, kept, before=view)

    def _undecided(self, id_: str) -> frozenset[str]:
        before, after = self.sides.before(id_), self.sides.after(id_)
        if before is None or after is None or before.rendering is None or after.rendering is None:
            return frozenset()
        return undecided(before.rendering, after.rendering)

    def _fields(self, before: Manifest, after: Manifest) -> tuple[FieldChange, ...]:
        if is_secret(before) and is_secret(after):
            return diff.secret_fields(before, after)
        return diff.fields(self.base.shown[id(before)], self.head.shown[id(after)])

    def _unknown(self, id_: str, manifest: Manifest, *, of_base: bool = False) -> tuple[str, ...]:
        unit = self.sides.before(id_) if of_base else self.sides.after(id_)
        rendering = unit.rendering if unit else None
        return tuple(rendering.unresolved.get(ResourceRef.of(manifest), ())) if rendering else ()


def _cluster(unit: Unit) -> str:
    return unit.kustomization.target


def _by_name(each: ObjectChange) -> tuple[str, str, str]:
    return each.ref.kind, each.ref.namespace, each.ref.name


def _stays(before: Unit, after: Unit | None) -> str:
    """Why a Kustomization leaves an object behind that it does not want any more; "" when it doesn't."""
    if after is not None and _cluster(before) != _cluster(after):
        return "left behind: its Kustomization goes to another cluster"
    if after is not None:
        return "" if after.kustomization.prune else "left behind: prune: false"
    k = before.kustomization
    if k.suspend:
        return "left behind: its Kustomization is suspended"
    if k.deletes:
        return ""
    orphan = k.deletion_policy is DeletionPolicy.ORPHAN
    return f"left behind: {'deletionPolicy: Orphan' if orphan else 'prune: false'}"
