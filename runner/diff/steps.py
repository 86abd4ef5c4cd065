"""The path of a field as it is told to people → where that is in an object."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_KEY = re.compile(r"[A-Za-z_$][\w-]*", re.ASCII)
_INDEX = re.compile(r"\[(\d+)\]")
_NAME = re.compile(r"[\w.-]+=")
_PLAIN = re.compile(r"(?!true[],]|false[],]|null[],])[A-Za-z_/.*][\w./:*-]*(?=[],])", re.ASCII)
_DEFAULTS = {"protocol": "TCP"}  # what the API server fills in, and a path leaves out

Step = str | int | Mapping[str, Any]
"""A field by its name, an item by its place, or an item by what it holds."""

MISSING = object()
"""Nothing is there, not even null."""


def steps(path: str) -> tuple[Step, ...]:
    """The steps of a path, as `paths` writes them. Raises ValueError for what is no path of one object."""
    found: list[Step] = []
    at = 0
    while at < len(path):
        try:
            step, at = _next(path, at, first=not found)
        except json.JSONDecodeError as exc:
            raise ValueError(f"{path!r} is no path") from exc
        found.append(step)
    return tuple(found)


def resolve(document: object, way: Sequence[Step]) -> tuple[Any, list[str | int]]:
    """What is at the end of the way, or MISSING, and the same way by names and places as far as it goes."""
    tokens: list[str | int] = []
    at: Any = document
    for step in way:
        token = _token(at, step)
        if token is None:
            return MISSING, tokens
        tokens.append(token)
        at = at[token]
    return at, tokens


def _next(path: str, at: int, *, first: bool) -> tuple[Step, int]:
    if path[at] == "[":
        return _bracket(path, at)
    if path[at] == "." and not first:
        at += 1
    elif not first:
        raise ValueError(f"{path!r} is no path")
    if (key := _KEY.match(path, at)) is None:
        raise ValueError(f"{path!r} is no path")
    return key[0], key.end()


def _bracket(path: str, at: int) -> tuple[Step, int]:
    if index := _INDEX.match(path, at):
        return int(index[1]), index.end()
    if path[at + 1 : at + 2] == '"':
        name, end = json.JSONDecoder().raw_decode(path, at + 1)
        return str(name), _closed(path, end)
    parts: dict[str, Any] = {}
    at += 1
    while name_ := _NAME.match(path, at):
        if plain := _PLAIN.match(path, name_.end()):
            value, at = plain[0], plain.end()
        else:
            value, at = json.JSONDecoder().raw_decode(path, name_.end())
        parts[name_[0][:-1]] = value
        at += path[at : at + 1] == ","
    if not parts:
        raise ValueError(f"{path!r} is no path")
    return parts, _closed(path, at)


def _closed(path: str, at: int) -> int:
    if path[at : at + 1] != "]":
        raise ValueError(f"{path!r} is no path")
    return at + 1


def _token(holder: object, step: Step) -> str | int | None:
    """The key or the place in its holder; None when it is not there."""
    if isinstance(step, str):
        return step if isinstance(holder, Mapping) and step in holder else None
    if not isinstance(holder, list):
        return None
    if isinstance(step, int):
        return step if step < len(holder) else None
    fitting = [n for n, item in enumerate(holder) if _is_item(item, step)]
    usual = [n for n in fitting if _is_usual(holder[n], step)]
    return next(iter([*usual, *fitting]), None)


def _is_item(item: object, named: Mapping[str, Any]) -> bool:
    return isinstance(item, Mapping) and all(_part(item, name) == value for name, value in named.items())


def _part(item: Mapping[str, Any], name: str) -> object:
    """A key may be the name of what is inside: `metadata.name`."""
    found: object = item
    for part in [name] if name in item else name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _is_usual(item: Mapping[str, Any], named: Mapping[str, Any]) -> bool:
    """Whether what the path does not say is the default."""
    return all(item.get(name, value) == value for name, value in _DEFAULTS.items() if name not in named)
