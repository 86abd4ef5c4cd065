"""Which item of a list became which: by the keys that Kubernetes merges by, else by likeness.

Near-linear in the length of the lists: what would be quadratic is done in small gaps only.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import count, takewhile
from typing import Any

import orjson

Matches = dict[int, int]
"""Positions in `after` → positions in `before`."""

Key = tuple[tuple[str, Any], ...]

_NAME = ("name",)
_KEYS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    # Lists whose items are told apart by something else than a name, with the first key that fits.
    "clusters": (("name",), ("cluster",)),
    "conditions": (("type",),),
    "dependsOn": (("namespace", "name"), ("name",)),
    "endpoints": (("port",), ("targetPort",)),
    "healthChecks": (("kind", "namespace", "name"), ("kind", "name")),
    "hostAliases": (("ip",),),
    "hostIPs": (("ip",),),
    "items": (("key",), ("path",), ("name",)),
    "matchExpressions": (("key",),),
    "ownerReferences": (("uid",),),
    "paths": (("path",),),
    "podIPs": (("ip",),),
    "ports": (("containerPort", "protocol"), ("port", "protocol")),
    "rules": (("host",), ("alert",), ("record",), ("name",)),
    "subjects": (("kind", "namespace", "name"), ("kind", "name")),
    "taints": (("key", "effect"),),
    "tls": (("secretName",),),
    "tolerations": (("key", "effect"), ("key",)),
    "topologySpreadConstraints": (("topologyKey", "whenUnsatisfiable"),),
    "volumeClaimTemplates": (("metadata.name",),),
    "volumeDevices": (("devicePath",),),
    "volumeMounts": (("mountPath",), ("mountPath", "subPath")),
    # What these name may carry the hash of a generator: the item stays, its name changes.
    "envFrom": (),
    "imagePullSecrets": (),
    "secrets": (),
    "sources": (),
    "substituteFrom": (),
    "valuesFrom": (),
}
_DEFAULTS = {"protocol": "TCP"}  # what the API server fills in
_GAP = 2500  # pairs of items that are held against each other at once
_STEM = re.compile(r"[^=:@\s]*")


def digest(value: object) -> bytes:
    """Equal for what is equal as JSON, and only for that: `1` is not `true`, nor `1.0`."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # nested deeper than it goes, which the renderer allows
        return json.dumps(value, sort_keys=True).encode()


def keyed(name: str, before: Sequence[Any], after: Sequence[Any]) -> tuple[list[Key], list[Key]] | None:
    """The keys of the items, when those of both sides have them and no two of one side are the same."""
    if not all(isinstance(item, Mapping) for items in (before, after) for item in items):
        return None
    for names in _KEYS.get(name, (_NAME,)):
        keys = [_keys(items, names) for items in (before, after)]
        if keys[0] is not None and keys[1] is not None:
            return keys[0], keys[1]
    return None


def by_key(before: Sequence[Key], after: Sequence[Key]) -> Matches:
    stood = {_typed(key): i for i, key in enumerate(before)}
    return {j: stood[_typed(key)] for j, key in enumerate(after) if _typed(key) in stood}


def by_likeness(
    before: Sequence[Any], after: Sequence[Any], old: Sequence[bytes], new: Sequence[bytes]
) -> Matches:
    """Equal items first, in an order that both sides share; then what is alike between them.

    `old` and `new` are the digests of the items.
    """
    matches: Matches = {}
    i = j = 0
    for next_i, next_j in [*_anchors(old, new), (len(old), len(new))]:
        for x, y in _align(before[i:next_i], after[j:next_j]):
            matches[j + y] = i + x
        if next_j < len(new):
            matches[next_j] = next_i
        i, j = next_i + 1, next_j + 1
    return matches


def _keys(items: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Key] | None:
    keys = [_key(item, names) for item in items]
    if any(key is None for key in keys) or len({_typed(key or ()) for key in keys}) < len(keys):
        return None
    return [key or () for key in keys]


def _key(item: Mapping[str, Any], names: Sequence[str]) -> Key | None:
    """None when a part is missing; a part that only says what is the default is left out."""
    key = [(name, _at(item, name)) for name in names]
    if not all(isinstance(value, str | int) for _, value in key):
        return None
    return tuple((name, value) for name, value in key if _DEFAULTS.get(name) != value)


def _at(item: Mapping[str, Any], name: str) -> object:
    value: Any = item
    for step in name.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return _DEFAULTS.get(name) if value is None else value


def _typed(key: Key) -> tuple[tuple[str, type, Any], ...]:
    return tuple((name, type(value), value) for name, value in key)


def _anchors(old: Sequence[bytes], new: Sequence[bytes]) -> list[tuple[int, int]]:
    """Pairs of equal items, rising on both sides: the common ends, and the longest run between them."""
    shorter = min(len(old), len(new))
    head = _common(zip(old, new, strict=False))
    tail = min(_common(zip(reversed(old), reversed(new), strict=False)), shorter - head)
    stood = {key: i for i, key in _numbered(old[head : len(old) - tail])}
    middle = [(stood[key], j) for j, key in _numbered(new[head : len(new) - tail]) if key in stood]
    return [
        *((i, i) for i in range(head)),
        *((head + i, head + j) for i, j in _rising(middle)),
        *((len(old) - i, len(new) - i) for i in range(tail, 0, -1)),
    ]


def _common(pairs: Iterable[tuple[bytes, bytes]]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _numbered(digests: Sequence[bytes]) -> list[tuple[int, tuple[bytes, int]]]:
    """Items that occur more than once are told apart by which time it is."""
    times: dict[bytes, count[int]] = {}
    return [(i, (each, next(times.setdefault(each, count())))) for i, each in enumerate(digests)]


def _rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest subsequence whose first parts rise; the second parts rise already."""
    ends: list[int] = []  # the smallest end of a run, by its length
    at: list[int] = []  # where that end is
    previous: list[int] = []
    for index, (i, _) in enumerate(pairs):
        length = bisect_left(ends, i)
        previous.append(at[length - 1] if length else -1)
        ends[length : length + 1] = [i]
        at[length : length + 1] = [index]
    run = []
    index = at[-1] if at else -1
    while index >= 0:
        run.append(pairs[index])
        index = previous[index]
    return run[::-1]


def _align(before: Sequence[Any], after: Sequence[Any]) -> list[tuple[int, int]]:
    """The pairing in order that makes the most of what is alike; by position where that takes too long."""
    if not before or not after:
        return []
    old, new = [_traits(item) for item in before], [_traits(item) for item in after]
    if len(old) * len(new) > _GAP:
        pairs = enumerate(zip(old, new, strict=False))
        return [(i, i) for i, (x, y) in pairs if _likeness(x, y)]
    alike = [[_likeness(x, y) for y in new] for x in old]
    best = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]  # of what follows
    for i in reversed(range(len(old))):
        for j in reversed(range(len(new))):
            paired = best[i + 1][j + 1] + alike[i][j]
            best[i][j] = max(paired, best[i + 1][j], best[i][j + 1])
    pairs_found = []
    i = j = 0
    while i < len(old) and j < len(new):
        if alike[i][j] and best[i][j] == best[i + 1][j + 1] + alike[i][j]:
            pairs_found.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs_found


Traits = tuple[str, frozenset[str], frozenset[tuple[str, bytes]]]


def _traits(item: object) -> Traits:
    """What an item is held against others by: its form, its words, and what they say."""
    if isinstance(item, Mapping):
        return "object", frozenset(item), frozenset((name, digest(value)) for name, value in item.items())
    if isinstance(item, list):
        return "list", frozenset(), frozenset()
    stem = _STEM.match(item) if isinstance(item, str) else None
    return "scalar", frozenset([stem.group()] if stem else []), frozenset()


def _likeness(a: Traits, b: Traits) -> int:
    if a[0] != b[0]:
        return 0
    shared = len(a[1] & b[1]) + 2 * len(a[2] & b[2])
    # Two objects without a common field are two things; of scalars, one can become any other.
    return shared if a[0] == "object" else shared + 1
