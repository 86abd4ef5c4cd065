"""An item of a list whose key somebody changed by hand: the server takes it for another one beside ours.

A Service of Git has port 80, called http; somebody makes 81 of it. An apply would add 80 and leave 81,
and two ports cannot have one name. When the ownership of such an item is ours, the same apply takes it
away, at once: there is no moment without a port. Flux does that for what `kubectl` wrote, and fails over
other managers. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from runner import cleaning, ownership
from runner.model import FIELD_MANAGER, Manifest
from runner.ownership import Fields

_DEFAULTS = {"protocol": "TCP"}
_LISTS = frozenset({"ports"})  # by whose names two items may collide although their keys differ


def found(manifest: Manifest, live: Manifest) -> bool:
    """Whether an item stands in the way of one that is wanted."""
    return any(_taken(entry.get("fieldsV1") or {}, live, manifest) for entry in ownership.entries(live))


def patch(manifest: Manifest, live: Manifest) -> list[dict[str, Any]]:
    """The JSON patch that makes such items ours, for this version of the object only, and cleans up."""
    operations = [each for each in cleaning.patch(live) if each["path"] != "/metadata/managedFields"]
    cleaned = {each["path"]: each.get("value") for each in cleaning.patch(live)}
    entries = cleaned.get("/metadata/managedFields") or live["metadata"].get("managedFields") or []
    return [
        *operations,
        {"op": "replace", "path": "/metadata/managedFields", "value": _handed_over(entries, manifest, live)},
    ]


def foreseen(manifest: Manifest, live: Manifest) -> Manifest:
    """The live object without what stands in the way."""
    gone: Fields = {}
    for entry in ownership.entries(live):
        gone = ownership.union(gone, _taken(entry.get("fieldsV1") or {}, live, manifest))
    without: Manifest = ownership.without(live, gone, [])
    return without


def _handed_over(
    entries: Sequence[Mapping[str, Any]], manifest: Manifest, live: Manifest
) -> list[Mapping[str, Any]]:
    ours: Fields = {}
    rest: list[Mapping[str, Any]] = []
    own: Mapping[str, Any] | None = None
    for entry in entries:
        if entry.get("subresource"):
            rest.append(entry)
            continue
        if (entry.get("manager"), entry.get("operation")) == (FIELD_MANAGER, "Apply"):
            own = entry
            continue
        taken = _taken(entry.get("fieldsV1") or {}, live, manifest)
        ours = ownership.union(ours, taken)
        left = _less(entry.get("fieldsV1") or {}, taken)
        rest += [{**entry, "fieldsV1": left}] if left else []
    base = own or {
        "manager": FIELD_MANAGER,
        "operation": "Apply",
        "apiVersion": manifest["apiVersion"],
        "fieldsType": "FieldsV1",
        "fieldsV1": {},
    }
    return [*rest, {**base, "fieldsV1": ownership.union(base.get("fieldsV1") or {}, ours)}]


def _taken(fields: Fields, live: object, wanted: object, name: str = "") -> dict[str, Any]:
    """Of what somebody owns, the items whose name a wanted one has, under a key that nobody wants."""
    taken: dict[str, Any] = {}
    for key, below in fields.items():
        kind, _, rest = key.partition(":")
        if kind == "f" and isinstance(live, Mapping) and isinstance(wanted, Mapping):
            found_below = _taken(below, live.get(rest), wanted.get(rest), rest)
            taken |= {key: found_below} if found_below else {}
        elif kind == "k" and isinstance(live, list) and isinstance(wanted, list):
            mine, theirs = _item(wanted, orjson.loads(rest)), _item(live, orjson.loads(rest))
            if mine is not None:
                found_below = _taken(below, theirs, mine)
                taken |= {key: found_below} if found_below else {}
            elif theirs is not None and name in _LISTS and _has_name(wanted, theirs.get("name")):
                taken[key] = below
    return taken


def _item(items: Sequence[Any], named: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for item in items:
        if isinstance(item, Mapping) and all(
            item.get(name, _DEFAULTS.get(name)) == value for name, value in named.items()
        ):
            return item
    return None


def _has_name(wanted: Sequence[Any], name: object) -> bool:
    return any(isinstance(item, Mapping) and item.get("name") == name for item in wanted)


def _less(fields: Fields, taken: Fields) -> dict[str, Any]:
    """What is left of a set; what holds nothing any more goes too."""
    left: dict[str, Any] = {}
    for key, below in fields.items():
        if key not in taken:
            left[key] = below
        elif below and taken[key] and taken[key] != below and (rest := _less(below, taken[key])):
            left[key] = rest
    return left
