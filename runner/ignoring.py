"""Fields in which an object may differ from Git: `spec.ignore`. Pure.

Source: fluxcd/pkg/ssa (hasDriftedWithIgnore, computeDriftedPaths, applyDriftResult). A path that is no JSON
pointer, or leads nowhere, changes nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson
from jsonpointer import EndOfList, JsonPointer, JsonPointerException

from runner import ownership, selector
from runner.model import FIELD_MANAGER, IgnoreRule, Manifest

_NOTHING = object()  # where a path leads nowhere


def drifted(rules: Iterable[IgnoreRule], live: Manifest, merged: Manifest) -> tuple[str, ...]:
    """The ignored paths in which a live object differs from what a dry-run made of it."""
    chosen = (path for rule in rules if selector.selects(rule.target, merged) for path in rule.paths)
    return tuple(path for path in dict.fromkeys(chosen) if not _same(_at(live, path), _at(merged, path)))


def kept(paths: Iterable[str], live: Manifest, merged: Manifest) -> Manifest:
    """What a dry-run made of an object, with these paths as they are in the live one."""
    return _with(merged, ((path, _at(live, path)) for path in paths))


def payload(paths: Iterable[str], live: Manifest, manifest: Manifest) -> Manifest:
    """What is applied of an object, for another reason, where these paths are ignored.

    Where another manager applied a path it is left to that one; else the live value becomes ours.
    """
    return _with(
        manifest,
        (
            (path, _NOTHING if _is_anothers(live, path) else _at(live, path))
            for path in paths
            if _at(manifest, path) is not _NOTHING
        ),
    )


def _is_anothers(live: Manifest, path: str) -> bool:
    applied = [e for e in ownership.entries(live) if e.get("operation") == "Apply"]
    sets = [e.get("fieldsV1") or {} for e in applied]
    tokens = _tokens(path)
    keys = ownership.pointed(live, tokens, sets) if tokens else None
    return keys is not None and any(
        ownership.owns(fields, keys)
        for entry, fields in zip(applied, sets, strict=True)
        if entry.get("manager") != FIELD_MANAGER
    )


def _with(manifest: Manifest, values: Iterable[tuple[str, Any]]) -> Manifest:
    made = copy.deepcopy(dict(manifest))
    for path, value in values:
        for holder, name in _places(made, path):
            if value is not _NOTHING:
                holder[name] = copy.deepcopy(value)
            elif isinstance(holder, list) or name in holder:
                del holder[name]
    return made


def _places(made: Manifest, path: str) -> Iterator[tuple[Any, Any]]:
    """What holds the last part of a path, and that part; nothing when there is no such place."""
    tokens = _tokens(path)
    if not tokens:
        return
    holder = _at(made, JsonPointer.from_parts(tokens[:-1]).path) if len(tokens) > 1 else made
    if isinstance(holder, dict):
        yield holder, tokens[-1]
    elif isinstance(holder, list) and tokens[-1].isdecimal() and int(tokens[-1]) < len(holder):
        yield holder, int(tokens[-1])


def _at(manifest: Manifest, path: str) -> Any:  # noqa: ANN401 -- JSON
    try:
        found = JsonPointer(path).resolve(manifest) if path else _NOTHING
    except (JsonPointerException, TypeError):
        return _NOTHING
    return _NOTHING if isinstance(found, EndOfList) else found


def _tokens(path: str) -> Sequence[str]:
    try:
        return list(JsonPointer(path).parts)
    except JsonPointerException:
        return []


def _same(before: object, after: object) -> bool:
    if before is _NOTHING or after is _NOTHING:
        return before is after
    sort = orjson.OPT_SORT_KEYS
    return orjson.dumps(before, option=sort) == orjson.dumps(after, option=sort)
