"""Which differences between what is live and what an apply makes of it are drift; and as patches. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import jsonpatch

from runner.changes import FieldChange, Touch
from runner.diff import steps
from runner.drift import Operation
from runner.model import Manifest


def counts(change: FieldChange, manifest: Manifest) -> bool:
    """Whether a difference is somebody's doing, and no default or policy at work since the last apply.

    What an apply takes away was ours. What it sets has to be in Git.
    """
    if change.touch is Touch.REMOVED:
        return True
    try:
        way = steps.steps(change.path)
    except ValueError:
        return True  # a schema, told field by field
    value, _ = steps.resolve(manifest, way)
    if value is not steps.MISSING:
        return True
    return way[0] == "data" and way[-1] in (manifest.get("stringData") or {})


def patches(
    before: Manifest, after: Manifest, kept: Iterable[FieldChange], everything: Iterable[FieldChange]
) -> tuple[tuple[Operation, ...], tuple[Operation, ...]]:
    """The JSON patches from live to wanted and back, of the fields that count."""
    wanted = copy.deepcopy(dict(after))
    left = {change.path for change in kept}
    for change in everything:
        if change.path not in left:
            _put_back(wanted, before, change.path)
    there, back = jsonpatch.make_patch(before, wanted), jsonpatch.make_patch(wanted, before)
    return tuple(there), tuple(back)


def _put_back(after: dict[str, Any], before: Manifest, path: str) -> None:
    """Let one field be as it is live."""
    try:
        way = steps.steps(path)
    except ValueError:
        return
    value, _ = steps.resolve(before, way)
    holder, _ = steps.resolve(after, way[:-1])
    _, tokens = steps.resolve(after, way)
    if len(tokens) == len(way):
        if value is steps.MISSING:
            del holder[tokens[-1]]
        else:
            holder[tokens[-1]] = value
    elif value is not steps.MISSING and isinstance(holder, dict):
        holder[way[-1]] = value
