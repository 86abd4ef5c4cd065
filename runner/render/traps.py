"""What substitution turns into another type where Kubernetes takes strings alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from runner.model import Manifest, ResourceRef
from runner.rendered import Problem, Subject

Way = tuple[str | int, ...]
"""The keys and positions from an object to a value in it."""

_TEMPLATES = {
    ("", "Pod"): (),
    ("", "ReplicationController"): ("spec", "template"),
    ("apps", "Deployment"): ("spec", "template"),
    ("apps", "StatefulSet"): ("spec", "template"),
    ("apps", "DaemonSet"): ("spec", "template"),
    ("apps", "ReplicaSet"): ("spec", "template"),
    ("batch", "Job"): ("spec", "template"),
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
}
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WHY = (
    "a variable that is the whole value loses its quotes, as in Flux: write ${quote} on both sides of it, "
    "with quote set to '\"'"
)
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


def warnings(manifest: Manifest) -> tuple[Problem, ...]:
    """One warning for each label, annotation, ConfigMap value or env value that is no string."""
    ref = ResourceRef.of(manifest)
    return tuple(
        warning("not_a_string", ref, way, f"{ref} has {what} where a string is needed: {path(way)}; {_WHY}")
        for way, what in _found(manifest, ref)
    )


def warning(code: str, ref: ResourceRef, way: Way, message: str, variable: str = "") -> Problem:
    subject = Subject(ref.group, ref.version, ref.kind, ref.namespace, ref.name)
    return Problem(code, message, "substitute", subject, variable, path(way))


def path(way: Way) -> str:
    """Like the render worker's: `$.metadata.labels["app.kubernetes.io/name"]`."""
    return "$" + "".join(_step(step) for step in way)


def _found(manifest: Manifest, ref: ResourceRef) -> Iterator[tuple[Way, str]]:
    yield from _metadata(manifest, ())
    if (ref.group, ref.kind) == ("", "ConfigMap"):
        yield from _strings(manifest.get("data"), ("data",))
    way = _TEMPLATES.get((ref.group, ref.kind))
    if way is None:
        return
    template = _at(manifest, way)
    if way:
        yield from _metadata(template, way)
    for kind in _CONTAINERS:
        for number, container in enumerate(_list(_at(template, ("spec", kind)))):
            for position, variable in enumerate(_list(_at(container, ("env",)))):
                if isinstance(variable, Mapping) and "value" in variable:
                    where: Way = (*way, "spec", kind, number, "env", position)
                    yield from _strings({"value": variable["value"]}, where)


def _metadata(holder: Any, way: Way) -> Iterator[tuple[Way, str]]:  # noqa: ANN401 -- JSON
    for field in ("labels", "annotations"):
        yield from _strings(_at(holder, ("metadata", field)), (*way, "metadata", field))


def _strings(values: Any, way: Way) -> Iterator[tuple[Way, str]]:  # noqa: ANN401 -- JSON
    if isinstance(values, Mapping):
        for key, value in values.items():
            if not isinstance(value, str):
                yield (*way, key), _type(value)


def _at(value: Any, way: tuple[str, ...]) -> Any:  # noqa: ANN401 -- JSON
    for field in way:
        value = value.get(field) if isinstance(value, Mapping) else None
    return value


def _list(value: Any) -> list[Any]:  # noqa: ANN401 -- JSON
    return value if isinstance(value, list) else []


def _type(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case _:
            return "an object"


def _step(step: str | int) -> str:
    if isinstance(step, str) and _PLAIN.fullmatch(step):
        return f".{step}"
    return f"[{json.dumps(step, ensure_ascii=False)}]"
