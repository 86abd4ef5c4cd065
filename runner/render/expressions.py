"""What substitution does to expressions that their author may not have meant."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from runner.fleet import Variables
from runner.model import Manifest, ResourceRef
from runner.render.explain import opted_out
from runner.render.traps import Way, path, warning
from runner.rendered import Problem

_EXPRESSION = re.compile(
    r"\$\$(?:\{#?(?P<literal>\w+))?"  # an escaped dollar opens nothing
    r"|\$\{(?P<name>\w+)"
)
_NAMED = re.compile(rb"\$\{#?(\w+)")


def suspicious(objects: Sequence[Manifest], variables: Variables) -> bool:
    """Whether a look at the text before substitution may find anything; that text has to be built first."""
    if _of_several_lines(variables):
        return True
    if not variables.values:
        return False
    texts = (text for each in objects if b"${" in (text := orjson.dumps(each)))
    return any(name.decode() in variables.values for text in texts for name in _NAMED.findall(text))


def warnings(manifest: Manifest, variables: Variables) -> tuple[Problem, ...]:
    """What is odd about the expressions of one object that is not substituted yet."""
    several, ref, as_is = _of_several_lines(variables), ResourceRef.of(manifest), opted_out(manifest)
    found: dict[tuple[str, str, str], Problem] = {}
    for way, text in _texts(manifest, ()):
        for match in _EXPRESSION.finditer(text):
            literal, name = match["literal"], match["name"]
            if literal in variables.values:
                what = _escape(literal, path(way), as_is=as_is)
                code = "escaped_variable"
            elif name in several and not as_is:
                what, code = _joined(name, path(way)), "lines_joined"
            else:
                continue
            made = warning(code, ref, way, f"{ref} has {what}", literal or name)
            found.setdefault((code, made.variable, made.json_path), made)
    return tuple(found.values())


def variable(manifest: Manifest, json_path: str) -> str:
    """The variable that a value of an object was, before substitution; "" when there is not just one."""
    texts = (text for way, text in _texts(manifest, ()) if path(way) == json_path)
    names = {match["name"] for text in texts for match in _EXPRESSION.finditer(text) if match["name"]}
    return names.pop() if len(names) == 1 else ""


def _escape(name: str, where: str, *, as_is: bool) -> str:
    if as_is:
        return (
            f"$${{{name}}} although it is not substituted: {where}; it stays as it is, with both "
            "dollar signs: write one if the text ${" + name + "} is meant"
        )
    return (
        f"the variable {name} behind an escaped dollar sign: {where}; $${{{name}}} ends as the text "
        f"${{{name}}}: write one dollar sign if its value is meant"
    )


def _joined(name: str, where: str) -> str:
    return (
        f"the variable {name}, whose value is of several lines: {where}; substitution joins them into "
        "one, as in Flux: put the text itself there, or refer to the ConfigMap or Secret that holds it"
    )


def _of_several_lines(variables: Variables) -> frozenset[str]:
    """Variables that say something else without their line breaks; at an end, and in JSON, none is missed."""
    return frozenset(
        name
        for name, value in variables.values.items()
        if "\n" in value.strip("\r\n") and not _is_json(value)
    )


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _texts(value: Any, way: Way) -> Iterator[tuple[Way, str]]:  # noqa: ANN401 -- whatever JSON holds
    """Every string in a value with the way to it; a key is at its value."""
    if isinstance(value, str):
        yield way, value
    elif isinstance(value, Mapping):
        for key, below in value.items():
            yield (*way, key), key
            yield from _texts(below, (*way, key))
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from _texts(below, (*way, number))
