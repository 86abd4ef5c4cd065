"""What a Kustomization owns: Flux's inventory, as plain set arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from runner.model import ResourceRef
from runner.proof import Proof

RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class Entry:
    """One owned object; `uid` is "" until the server has answered for it."""

    ref: ResourceRef
    uid: str = ""
    proof: Proof | None = None  # that it needs no apply


Inventory = Mapping[ResourceRef, Entry]


def encode(ref: ResourceRef) -> str:
    """The id that Flux stores, `<namespace>_<name>_<group>_<Kind>`.

    A colon in the name of an RBAC object is written `__`. Source: cli-utils, pkg/object.
    """
    name = ref.name.replace(":", "__") if ref.group == RBAC else ref.name
    return f"{ref.namespace}_{name}_{ref.group}_{ref.kind}"


def decode(id_: str, version: str) -> ResourceRef:
    """The object that an id names.

    Neither a namespace, a group nor a kind can hold an underscore, so a name that does is safe.

    Raises:
        ValueError: it is no such id.
    """
    namespace, first, rest = id_.partition("_")
    rest, second, kind = rest.rpartition("_")
    name, third, group = rest.rpartition("_")
    if not (first and second and third and name and kind):
        raise ValueError(f"{id_!r} is not an inventory id")
    return ResourceRef(namespace, name.replace("__", ":") if group == RBAC else name, group, kind, version)


def of(entries: Iterable[Entry]) -> dict[ResourceRef, Entry]:
    """Entries by what they name; of two for one object the one with a uid stays."""
    found: dict[ResourceRef, Entry] = {}
    for entry in entries:
        known = found.get(entry.ref)
        if known is None or entry.uid or not known.uid:
            found[entry.ref] = entry
    return found


def union(old: Inventory, new: Inventory) -> dict[ResourceRef, Entry]:
    """Everything in either: what is written down before the first write."""
    return of([*old.values(), *new.values()])


def without(inventory: Inventory, refs: Iterable[ResourceRef]) -> dict[ResourceRef, Entry]:
    gone = frozenset(refs)
    return {ref: entry for ref, entry in inventory.items() if ref not in gone}


def anew(inventory: Inventory, refs: Iterable[ResourceRef]) -> dict[ResourceRef, Entry]:
    """The same objects, some of which are about to be made anew: nobody knows yet who they will be."""
    return {**inventory, **{ref: Entry(ref) for ref in refs}}


def unproven(inventory: Inventory) -> dict[ResourceRef, Entry]:
    """The same objects, of which nothing is known any more but who they are."""
    return {ref: replace(entry, proof=None) for ref, entry in inventory.items()}


def alike(old: Inventory, new: Inventory) -> bool:
    """Whether `new` says nothing that is worth a write.

    A proof that only came later is not: what others change all the time would be written in every run. Nor
    is one that is missing: an old one that does not hold any more does no harm.
    """
    return old.keys() == new.keys() and all(_alike(old[ref], entry) for ref, entry in new.items())


def _alike(old: Entry, new: Entry) -> bool:
    same = new.proof is None or new.proof.alike(old.proof)
    return same and (old.ref.version, old.uid) == (new.ref.version, new.uid)
