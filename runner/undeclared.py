"""Fields that a kind does not have: Flux drops them from built-in kinds, where the server refuses. Pure.

Flux turns an object of a kind that client-go knows into that type and back, and what the type lacks is gone.
Here the server says what it does not know, so newer fields than Flux's client has are kept.
Source: fluxcd/pkg/ssa/normalize (UnstructuredList); the form of the message is structured-merge-diff's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from runner.model import Manifest, ResourceRef

Step = str | int | Mapping[str, Any]
"""A field, a place in a list, or the keys of an item."""

_GROUPS = frozenset({"", "apps", "autoscaling", "batch", "extensions", "policy"}) | {
    "admissionregistration.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
    "storagemigration.k8s.io",
}
_AS_IT_IS = frozenset({("rbac.authorization.k8s.io", "Role"), ("rbac.authorization.k8s.io", "ClusterRole")})
_TOLD = re.compile(r"(?:^|[\s:])(\.\S.*?): field not declared in schema")
_STEP = re.compile(r'\.([^.\[]+)|\[(\d+)\]|\[((?:[^\]"]|"(?:[^"\\]|\\.)*")+)\]')
_PAIR = re.compile(r'([^=,]+)=("(?:[^"\\]|\\.)*"|[^,]+)')


def is_dropped_from(ref: ResourceRef) -> bool:
    """Whether Flux drops unknown fields from objects of this kind."""
    return ref.group in _GROUPS and (ref.group, ref.kind) not in _AS_IT_IS


def named(message: str) -> tuple[str, ...]:
    """The places that a refusal calls not declared, in its own words."""
    found = (match.group(1) for line in message.splitlines() for match in _TOLD.finditer(line))
    return tuple(dict.fromkeys(found))


def without(manifest: Manifest, paths: Iterable[str]) -> Manifest:
    """The object without these places; those that it does not have change nothing."""
    made: Any = manifest
    for path in paths:
        made = _without(made, list(_steps(path)))
    return made  # type: ignore[no-any-return]


def _without(value: Any, steps: list[Step]) -> Any:  # noqa: ANN401 -- JSON
    if not steps:
        return value
    place = _place(value, steps[0])
    if place is None:
        return value
    left = list(value) if isinstance(value, list) else dict(value)
    if len(steps) == 1:
        del left[place]
    else:
        left[place] = _without(value[place], steps[1:])
    return left


def _place(holder: Any, step: Step) -> Any:  # noqa: ANN401 -- JSON
    if isinstance(holder, Mapping):
        return step if isinstance(step, str) and step in holder else None
    if not isinstance(holder, list):
        return None
    if isinstance(step, int):
        return step if step < len(holder) else None
    fits = (n for n, item in enumerate(holder) if isinstance(step, Mapping) and _is_item(item, step))
    return next(fits, None)


def _is_item(item: object, keys: Mapping[str, Any]) -> bool:
    return isinstance(item, Mapping) and all(item.get(name) == value for name, value in keys.items())


def _steps(path: str) -> Iterator[Step]:
    for match in _STEP.finditer(path):
        field, index, keys = match.groups()
        if field is not None:
            yield field
        elif index is not None:
            yield int(index)
        else:
            yield dict(_pairs(keys))


def _pairs(text: str) -> Iterator[tuple[str, Any]]:
    for name, value in _PAIR.findall(text):
        try:
            yield name, orjson.loads(value)
        except orjson.JSONDecodeError:
            yield name, value
