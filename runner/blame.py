"""Who wrote a field of a live object: the most recent of those who own it. Pure.

Source of the form: structured-merge-diff, FieldsV1. Where a list or an object is owned as a whole, so is
all that is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from runner.diff import steps
from runner.drift import Writer
from runner.model import FIELD_MANAGER, Manifest


def writer(live: Manifest, path: str) -> Writer | None:
    """Who owns what is at this path, others before us; None when nobody does, or it is not there."""
    try:
        way = steps.steps(path)
    except ValueError:
        return _of_definition(live, path)
    found, tokens = steps.resolve(live, way)
    if found is steps.MISSING:
        return None
    return latest(entry for entry in _entries(live) if _owns(entry.get("fieldsV1") or {}, live, tokens))


def latest(entries: Iterable[Mapping[str, Any]]) -> Writer | None:
    """The last to write of some entries of `managedFields`."""
    ordered = sorted(entries, key=lambda entry: (not _is_ours(entry), str(entry.get("time") or "")))
    return _writer(ordered[-1]) if ordered else None


def anybody(live: Manifest) -> Writer | None:
    """The last who wrote anything of the object itself, but us."""
    others = [e for e in _entries(live) if not _is_ours(e) and e.get("subresource") != "status"]
    return latest(others)


def touched_at(live: Manifest) -> str:
    """When anybody but us last wrote anything of it, its status included; "" when nobody did."""
    return max((str(e.get("time") or "") for e in _entries(live) if not _is_ours(e)), default="")


def _of_definition(live: Manifest, path: str) -> Writer | None:
    """A schema's field is told as `v1: spec.size`; schemas are owned as a whole."""
    version = path.partition(":")[0]
    return writer(live, f"spec.versions[name={version}].schema")


def _entries(live: Manifest) -> Sequence[Mapping[str, Any]]:
    return live["metadata"].get("managedFields") or ()


def _is_ours(entry: Mapping[str, Any]) -> bool:
    return (entry.get("manager"), entry.get("operation")) == (FIELD_MANAGER, "Apply")


def _writer(entry: Mapping[str, Any]) -> Writer:
    parts = (str(entry.get(name) or "") for name in ("manager", "operation", "subresource", "time"))
    return Writer(*parts)


def _owns(fields: Mapping[str, Any], holder: object, tokens: Sequence[str | int]) -> bool:
    if not tokens or not fields:
        return True  # this place, all that is below it, or something that holds it as a whole
    token, *rest = tokens
    if isinstance(token, str):
        below = fields.get(f"f:{token}")
        return below is not None and _owns(below, holder[token], rest)  # type: ignore[index]
    item = holder[token]  # type: ignore[index]
    return any(_is_item(item, token, key) and _owns(below, item, rest) for key, below in fields.items())


def _is_item(item: object, index: int, key: str) -> bool:
    kind, _, name = key.partition(":")
    if kind == "k":
        wanted = orjson.loads(name)
        return isinstance(item, Mapping) and all(item.get(k) == value for k, value in wanted.items())
    return (kind == "v" and orjson.loads(name) == item) or (kind == "i" and name == str(index))
