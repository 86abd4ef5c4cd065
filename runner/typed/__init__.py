"""Objects as the controller sends them: out of Go's typed structs, which know of no field that is not there.

A struct without a pointer is sent although Git has nothing of it (`strategy: {}`), and what is empty is left
out where the struct says so (`data: {}`). Both show in who owns which field: what we sent otherwise than Flux
would change hands, or be taken away, at the first apply after a takeover. Fields that the structs do not have
stay as they are; the server says so when it does not know them. Pure.

Source: fluxcd/pkg/ssa/normalize (UnstructuredList) and apimachinery's unstructured converter. What the
structs are is in shapes.json, which tests/fidelity/controller/shapes prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from runner.model import Manifest

Shape = Any
"""A struct's number; "s", "b" or "n"; ["[", item], ["{", item], ["*", target], or ["o", its empty value]."""

_SCALARS: Mapping[str, tuple[Any, tuple[type, ...]]] = {
    "s": ("", (str,)),
    "b": (False, (bool,)),
    "n": (0, (int, float)),
}


class _OtherwiseError(Exception):
    """A value is of another type than its field: Flux leaves such an object as it is."""


def sent(manifest: Manifest) -> Manifest:
    """An object of a built-in kind as the controller would send it; others are what they were."""
    number = _shapes()["kinds"].get(f"{manifest['apiVersion']} {manifest['kind']}")
    if number is None:
        return manifest
    try:
        made = _struct(manifest, number)
    except _OtherwiseError:
        return manifest
    if "status" not in manifest:
        made.pop("status", None)
    return made


@cache
def _shapes() -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(files(__name__).joinpath("shapes.json").read_bytes())
    return found


def _struct(given: object, number: int) -> dict[str, Any]:
    """The fields in the order in which they were given, then those that are sent anyway."""
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise _OtherwiseError
    fields: dict[str, tuple[str, Shape]] = _shapes()["types"][number]
    made: dict[str, Any] = {}
    for name, value in given.items():
        if name in fields:
            _put(made, name, value, *fields[name])
        else:
            made[name] = value
    for name, value in _unasked(number).items():
        if name not in given:
            made[name] = deepcopy(value) if isinstance(value, dict) else value
    return made


@cache
def _unasked(number: int) -> dict[str, Any]:
    """What is sent of a struct of which nothing is given: few fields of many, so they are looked for once."""
    made: dict[str, Any] = {}
    for name, (omits, shape) in _shapes()["types"][number].items():
        _put(made, name, None, omits, shape)
    return made


def _put(made: dict[str, Any], name: str, given: Any, omits: str, shape: Shape) -> None:  # noqa: ANN401 -- JSON
    if omits == "z" and not given:
        return
    value = _value(given, shape)
    if omits != "e" or not _is_empty(value, shape):
        made[name] = value


def _value(given: Any, shape: Shape) -> Any:  # noqa: ANN401 -- JSON
    if isinstance(shape, int):
        return _struct(given, shape)
    if isinstance(shape, str):
        return _scalar(given, shape)
    how, of = shape
    if how == "o":
        return of if given is None else given
    if given is None:
        return None
    if how == "*":
        return _value(given, of)
    if how == "{":
        return _map(given, of)
    return _list(given, of)


def _scalar(given: Any, shape: str) -> Any:  # noqa: ANN401 -- JSON
    empty, types = _SCALARS[shape]
    if given is None:
        return empty
    if not isinstance(given, types) or (shape == "n" and isinstance(given, bool)):
        raise _OtherwiseError
    return given


def _map(given: Any, of: Shape) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    if not isinstance(given, Mapping):
        raise _OtherwiseError
    return {key: _value(each, of) for key, each in given.items()}


def _list(given: Any, of: Shape) -> list[Any]:  # noqa: ANN401 -- JSON
    if not isinstance(given, list):
        raise _OtherwiseError
    return [_value(each, of) for each in given]


def _is_empty(value: Any, shape: Shape) -> bool:  # noqa: ANN401 -- JSON
    """Whether Go leaves a field out that says `omitempty`: pointers only where there is none."""
    if isinstance(shape, list) and shape[0] in {"*", "o"}:
        return value is None
    return not value
