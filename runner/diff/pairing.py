"""Which object of one side is which of the other; generators give theirs a new name at every change."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from runner.changes import FieldChange, ObjectChange, Touch
from runner.model import Manifest, ResourceRef

# kustomize, api/hasher: ten hex digits, with those that could spell something replaced.
_HASHED = re.compile(r"(.+)-[2456789bcdfghkmt]{10}")
_GENERATED = frozenset({"ConfigMap", "Secret"})

Renames = Mapping[tuple[str, str], str]
"""Namespace and name before → the name after."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One object on both sides, or on one."""

    ref: ResourceRef  # after, where it is there
    before: Manifest | None = field(repr=False)
    after: Manifest | None = field(repr=False)
    was: ResourceRef | None = None  # its name before, when a generator's hash changed it


def pair(before: Sequence[Manifest], after: Sequence[Manifest]) -> list[Pair]:
    """One pair for each object, in the order of `after`; what is gone comes last."""
    old = {ResourceRef.of(manifest): manifest for manifest in before}
    new = {ResourceRef.of(manifest): manifest for manifest in after}
    was = _regenerated([ref for ref in old if ref not in new], [ref for ref in new if ref not in old])
    left = set(was.values())
    there = [Pair(ref, old.get(was.get(ref, ref)), new[ref], was.get(ref)) for ref in new]
    gone = [Pair(ref, old[ref], None) for ref in old if ref not in new and ref not in left]
    return there + gone


def renames(pairs: Iterable[Pair | ObjectChange]) -> Renames:
    """The new names of what a generator renamed."""
    return {(each.was.namespace, each.was.name): each.ref.name for each in pairs if each.was}


def renamed(change: FieldChange, namespace: str, names: Renames) -> bool:
    """Whether a field, of an object in `namespace`, differs only because a generator renamed something."""
    return (
        change.touch is Touch.CHANGED
        and isinstance(change.before, str)
        and names.get((namespace, change.before)) == change.after
    )


def _regenerated(gone: Iterable[ResourceRef], new: Iterable[ResourceRef]) -> dict[ResourceRef, ResourceRef]:
    """New → old, where one of each has the same name but for the hash; of several, none can be told."""
    old, stems = _by_stem(gone), _by_stem(new)
    return {refs[0]: old[stem][0] for stem, refs in stems.items() if len(refs) == len(old[stem]) == 1}


def _by_stem(refs: Iterable[ResourceRef]) -> defaultdict[tuple[str, str, str], list[ResourceRef]]:
    stems: defaultdict[tuple[str, str, str], list[ResourceRef]] = defaultdict(list)
    for ref in refs:
        hashed = _HASHED.fullmatch(ref.name)
        if hashed and ref.kind in _GENERATED and not ref.group:
            stems[ref.kind, ref.namespace, hashed.group(1)].append(ref)
    return stems
