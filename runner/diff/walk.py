"""Two values as JSON holds them → the fields that differ."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runner.changes import FieldChange, Touch
from runner.diff import matching, paths

_DEEPEST = 100
"""Levels down to which fields are told apart; below, a value is one value (and the stack stays small)."""


def walk(before: object, after: object, path: str = "", name: str = "") -> list[FieldChange]:
    """What differs between two values at `path`; `name` is the field that holds them."""
    changes: list[FieldChange] = []
    _value(_Place(path, name), before, after, changes)
    return changes


class _Place:
    """Where the walk is: the path, and the name of the nearest field, which tells how lists merge."""

    __slots__ = ("depth", "name", "path")

    def __init__(self, path: str, name: str, depth: int = 0) -> None:
        self.path, self.name, self.depth = path, name, depth

    def field(self, name: str) -> _Place:
        return _Place(paths.key(self.path, name), name, self.depth + 1)

    def item(self, path: str) -> _Place:
        return _Place(path, "", self.depth + 1)


def _value(place: _Place, before: Any, after: Any, changes: list[FieldChange]) -> None:  # noqa: ANN401 -- JSON
    if same(before, after):  # quick, and most of every object
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping) and place.depth < _DEEPEST:
        _mapping(place, before, after, changes)
    elif isinstance(before, list) and isinstance(after, list) and place.depth < _DEEPEST:
        _list(place, before, after, changes)
    else:
        changes.append(FieldChange(place.path, Touch.CHANGED, before, after))


def same(before: object, after: object) -> bool:
    """Equal as JSON: `1` is not `true`, though Python takes them for equal."""
    if isinstance(before, Mapping | list) or isinstance(after, Mapping | list):
        return before == after and matching.digest(before) == matching.digest(after)
    return type(before) is type(after) and before == after


def _mapping(
    place: _Place, before: Mapping[str, Any], after: Mapping[str, Any], changes: list[FieldChange]
) -> None:
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            changes.append(FieldChange(paths.key(place.path, name), Touch.REMOVED, before[name]))
        elif name not in before:
            changes.append(FieldChange(paths.key(place.path, name), Touch.ADDED, after=after[name]))
        else:
            _value(place.field(name), before[name], after[name], changes)


def _list(place: _Place, before: list[Any], after: list[Any], changes: list[FieldChange]) -> None:
    if keys := matching.keyed(place.name, before, after):
        _keyed(place, (before, after), keys, changes)
        return
    old, new = [matching.digest(item) for item in before], [matching.digest(item) for item in after]
    if Counter(old) == Counter(new):
        changes.append(FieldChange(place.path, Touch.REORDERED, before, after))
        return
    matches = matching.by_likeness(before, after, old, new)
    at = _positions(place.path)
    _items(place, (before, after), matches, (at, at), changes)


def _keyed(
    place: _Place,
    items: tuple[list[Any], list[Any]],
    keys: tuple[list[matching.Key], list[matching.Key]],
    changes: list[FieldChange],
) -> None:
    matches = matching.by_key(*keys)
    stood = list(matches.values())
    if stood != sorted(stood):
        old, new = [[_label(key) for key in side] for side in keys]
        changes.append(FieldChange(place.path, Touch.REORDERED, old, new))
    at = (_selectors(place.path, keys[0]), _selectors(place.path, keys[1]))
    _items(place, items, matches, at, changes)


def _items(
    place: _Place,
    items: tuple[list[Any], list[Any]],
    matches: matching.Matches,
    at: tuple[Callable[[int], str], Callable[[int], str]],
    changes: list[FieldChange],
) -> None:
    """In the order of `after`; what was removed comes where it stood, before what took its place."""
    before, after = items
    kept = frozenset(matches.values())
    removed = deque(i for i in range(len(before)) if i not in kept)
    until = _next(matches, len(before), len(after))
    for j, item in enumerate(after):
        while removed and removed[0] < until[j]:
            i = removed.popleft()
            changes.append(FieldChange(at[0](i), Touch.REMOVED, before[i]))
        if j in matches:
            _value(place.item(at[1](j)), before[matches[j]], item, changes)
        else:
            changes.append(FieldChange(at[1](j), Touch.ADDED, after=item))
    changes.extend(FieldChange(at[0](i), Touch.REMOVED, before[i]) for i in removed)


def _next(matches: matching.Matches, old: int, new: int) -> list[int]:
    """For each item of `after`, where it, or the next that was there before, stood."""
    until = [old] * new
    for j in reversed(range(new)):
        until[j] = matches.get(j, until[j + 1] if j + 1 < new else old)
    return until


def _positions(path: str) -> Callable[[int], str]:
    return lambda index: paths.position(path, index)


def _selectors(path: str, keys: Sequence[matching.Key]) -> Callable[[int], str]:
    return lambda index: f"{path}[{paths.selector(keys[index])}]"


def _label(key: matching.Key) -> Any:  # noqa: ANN401 -- JSON
    """How an item is called in a list of items: by its name alone, where it has one."""
    return key[0][1] if len(key) == 1 else paths.selector(key)
