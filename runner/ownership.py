"""Sets of fields as `managedFields` has them (FieldsV1), and who owns what. Pure.

A key is `f:name`, a field; `k:{…}`, an item of a list by its keys; `v:…`, an item by its value; `i:0`, by its
place. `.` stands for what holds it. A field without anything below it is owned itself.
Source of the form: structured-merge-diff, fieldpath.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from runner.model import Manifest

Fields = Mapping[str, Any]
ITSELF = "."


def entries(live: Manifest) -> list[Mapping[str, Any]]:
    """Who owns what of the object itself: writes of `status` and `scale` are told apart."""
    return [e for e in live["metadata"].get("managedFields") or () if not e.get("subresource")]


def union(one: Fields, other: Fields) -> dict[str, Any]:
    """What either of two sets has."""
    return {key: _either(one.get(key), other.get(key)) for key in sorted(one.keys() | other.keys())}


def _either(one: Fields | None, other: Fields | None) -> Fields:
    if one is None or other is None:
        return one if one is not None else other or {}
    if bool(one) is not bool(other):  # the one is the field itself, the other what is below it
        return {ITSELF: {}, **(one or other)}
    return union(one, other)


def pointed(live: Manifest, tokens: Sequence[str], sets: Sequence[Fields]) -> list[str] | None:
    """The keys that lead to a place in an object, items of lists by the keys that the sets know them by.

    None when there is no such item, or nobody owns it by its keys.
    """
    keys: list[str] = []
    at: Any = live
    for token in tokens:
        if isinstance(at, list):
            item = at[int(token)] if token.isdecimal() and int(token) < len(at) else None
            found = next((k for k in _item_keys(sets, keys) if _is_item(item, k)), None)
            if found is None:
                return None
            keys.append(found)
            at = item
        else:
            keys.append(f"f:{token}")
            at = at.get(token) if isinstance(at, Mapping) else None
    return keys


def owns(fields: Fields, keys: Sequence[str]) -> bool:
    """Whether a set has a place, or something below it."""
    return bool(keys) and _below(fields, keys) is not None


def without(value: Any, lost: Fields, kept: Sequence[Fields]) -> Any:  # noqa: ANN401 -- JSON
    """A value without the fields of one set that no other has: what an apply takes away with it."""
    left = list(value) if isinstance(value, list) else dict(value)
    for key, below in lost.items():
        place = _place(left, key)
        if place is None:
            continue
        rest = [fields[key] for fields in kept if key in fields]
        child = left[place]
        if not rest and (not below or ITSELF in below):
            del left[place]
        elif below and isinstance(child, Mapping | list):
            left[place] = without(child, below, rest)
    return left


def _place(holder: Any, key: str) -> Any:  # noqa: ANN401 -- JSON
    """Where in an object or a list the field or item of this key is; None where it is not."""
    kind, _, name = key.partition(":")
    if isinstance(holder, Mapping):
        return name if kind == "f" and name in holder else None
    if kind == "v":
        wanted = orjson.loads(name)
        return next((n for n, item in enumerate(holder) if item == wanted), None)
    return next((n for n, item in enumerate(holder) if kind == "k" and _is_item(item, key)), None)


def _item_keys(sets: Iterable[Fields], parents: Sequence[str]) -> Iterator[str]:
    for fields in sets:
        yield from sorted(k for k in _below(fields, parents) or {} if k.startswith("k:"))


def _is_item(item: object, key: str) -> bool:
    named = orjson.loads(key.partition(":")[2])
    return isinstance(item, Mapping) and all(item.get(name) == value for name, value in named.items())


def _below(fields: Fields, keys: Sequence[str]) -> Fields | None:
    at: Fields | None = fields
    for key in keys:
        at = at.get(key) if at is not None else None
    return at
