"""Whether what is live differs from what an apply would make of it.

Source of the rules: fluxcd/pkg/ssa, hasDrifted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from runner.model import Manifest


def drifted(live: Manifest, merged: Manifest) -> str:
    """What differs between the live object and what applying would make of it; "" when nothing does.

    Labels, annotations, and everything but `metadata` and `status` count (Flux's hasDrifted).
    """
    before, after = live["metadata"], merged["metadata"]
    for part in ("labels", "annotations"):
        if (before.get(part) or {}) != (after.get(part) or {}):
            return f"metadata.{part} changed"
    live, merged = _settled(live), _settled(merged)
    fields = sorted((live.keys() | merged.keys()) - {"metadata", "status"})
    changed = [name for name in fields if not _same(live.get(name), merged.get(name))]
    return f"{', '.join(changed)} changed" if changed else ""


def _settled(manifest: Manifest) -> Manifest:
    """Of an autoscaler no metric twice, and none without a type: a dry-run before 1.27 makes such ones."""
    spec = manifest.get("spec")
    if manifest.get("kind") != "HorizontalPodAutoscaler" or not isinstance(spec, Mapping):
        return manifest
    metrics: list[Any] = []
    for metric in spec.get("metrics") or ():
        if metric not in metrics and metric.get("type"):
            metrics.append(metric)
    return {**manifest, "spec": {**spec, "metrics": metrics}}


def _same(before: object, after: object) -> bool:
    """Equal as JSON: `1` is not `true`, though Python takes them for equal."""
    if before != after:
        return False
    sort = orjson.OPT_SORT_KEYS
    return orjson.dumps(before, option=sort) == orjson.dumps(after, option=sort)


def overlaid(live: Any, wanted: Any) -> Any:  # noqa: ANN401 -- JSON
    """What is live with what is wanted over it: near to what an apply would make of it.

    Items of a list are told apart by name where all have one; another list is replaced as a whole.
    """
    if isinstance(live, Mapping) and isinstance(wanted, Mapping):
        return {**live, **{key: overlaid(live.get(key), value) for key, value in wanted.items()}}
    if not isinstance(live, list) or not isinstance(wanted, list) or not _all_named([*live, *wanted]):
        return wanted
    names = [item["name"] for item in wanted]
    over = {item["name"]: item for item in wanted}
    kept = [overlaid(item, over.pop(item["name"], {})) for item in live]
    return kept + [over[name] for name in names if name in over]


def _all_named(items: Sequence[Any]) -> bool:
    return all(isinstance(item, Mapping) and isinstance(item.get("name"), str) for item in items)
