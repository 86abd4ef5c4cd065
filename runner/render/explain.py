"""Variables explained: what is wrong with a missing one, and where each got its value. Names, no secrets."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from runner import redact
from runner.fleet import Provenance, Variables
from runner.model import FLUX, Kustomization, Manifest, PostBuild, VariableSource
from runner.rendered import Problem

NEAREST = 3
"""How many names are offered for one that is missing."""

NAMES = 12
"""How many names of one source a message lists."""

_EXPRESSION = re.compile(
    r"\$\$"  # an escaped dollar opens nothing
    r"|\$\{#?(?P<name>\w+)(?:(?P<operator>:[-=+?]|=)(?:(?P<default>[^${}]*)\})?)?"
)


@dataclass(frozen=True, slots=True)
class Mentions:
    """The variables that objects name before substitution."""

    used: frozenset[str] = frozenset()
    defaults: Mapping[str, frozenset[str | None]] = field(default_factory=dict)
    """What stands in for a name without a value; None for a default that has expressions itself."""


def problems(found: Sequence[Problem], k: Kustomization, variables: Variables) -> tuple[Problem, ...]:
    """The same problems; one with a missing variable names the nearest known ones.

    Where was looked is the same for all of them, so the first one says it.
    """
    told: list[Problem] = []
    looked = _looked(k, variables)
    for problem in found:
        if problem.code != "missing_variable":
            told.append(problem)
            continue
        told.append(
            replace(problem, message=problem.message + _nearest(problem.variable, variables) + looked)
        )
        looked = ""
    return tuple(told)


def mentions(objects: Iterable[Manifest]) -> Mentions:
    """Find the expressions in objects that are not substituted yet."""
    used: set[str] = set()
    defaults: dict[str, set[str | None]] = {}
    for manifest in objects:
        if opted_out(manifest):
            continue
        for text in _texts(manifest):
            for match in _EXPRESSION.finditer(text):
                if (name := match["name"]) is None:
                    continue
                used.add(name)
                if match["operator"]:
                    defaults.setdefault(name, set()).add(match["default"])
    return Mentions(frozenset(used), {name: frozenset(given) for name, given in defaults.items()})


def provenance(
    k: Kustomization, variables: Variables, found: Mentions | None, secrets: Sequence[str]
) -> tuple[Provenance, ...]:
    """Every variable that is given or named, sorted; no value that holds one of the `secrets`."""
    rows = [_given(name, variables, found, secrets) for name in variables.values]
    if found is not None and (variables.values or _always(k)):
        rows += [
            _without_value(name, variables, found) for name in found.used if name not in variables.values
        ]
    return tuple(sorted(rows, key=lambda row: row.name))


def _given(name: str, variables: Variables, found: Mentions | None, secrets: Sequence[str]) -> Provenance:
    *earlier, last = variables.origins[name]
    value: str | None = variables.values[name].replace("\n", "")
    placeholder = variables.display.get(name, "")
    if not placeholder and redact.scrub(variables.values[name], secrets) != variables.values[name]:
        placeholder = "‹hidden›"
    return Provenance(
        name=name,
        value=None if placeholder else value,
        source=str(last),
        producer=last.producer,
        overridden=tuple(str(origin) for origin in earlier),
        used=None if found is None else name in found.used,
        placeholder=placeholder,
    )


def _without_value(name: str, variables: Variables, found: Mentions) -> Provenance:
    defaults = found.defaults.get(name)
    if not defaults or not variables.known:
        return Provenance(name, None, "unset", used=True)
    value = next(iter(defaults)) if len(defaults) == 1 else None
    return Provenance(name, value, "default", used=True)


def _always(k: Kustomization) -> bool:
    """Whether expressions count although no variable is given."""
    post_build = k.manifest["spec"].get("postBuild") or {}
    return post_build.get("substituteStrategy") == "Always"


def _nearest(name: str, variables: Variables) -> str:
    by_case = {known.lower(): known for known in sorted(variables.values)}
    close = difflib.get_close_matches(name.lower(), by_case, n=NEAREST)
    if not close:
        return ""
    return "; did you mean " + " or ".join(f"`{by_case[each]}`" for each in close) + "?"


def _looked(k: Kustomization, variables: Variables) -> str:
    post_build = k.post_build or PostBuild()
    by_origin: dict[str, list[str]] = {}
    if post_build.substitute:
        by_origin["postBuild.substitute"] = sorted(post_build.substitute)
    for source in post_build.substitute_from:
        if source not in variables.absent:
            by_origin[str(source)] = _names_of(source, variables)
    known = "; ".join(f"from {origin}: {_listed(names)}" for origin, names in by_origin.items())
    absent = ", ".join(str(source) for source in variables.absent)
    return f"; known: {known or 'nothing'}" + (f"; optional and not there: {absent}" if absent else "")


def _names_of(source: VariableSource, variables: Variables) -> list[str]:
    return sorted(
        name
        for name, origins in variables.origins.items()
        if any(origin.source == source for origin in origins)
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    return (", ".join(names[:NAMES]) or "no names") + more


def opted_out(manifest: Manifest) -> bool:
    """Whether an object asks not to be substituted."""
    meta = manifest["metadata"]
    return any(
        (meta.get(where) or {}).get(f"{FLUX}/substitute") == "disabled" for where in ("labels", "annotations")
    )


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401 -- whatever JSON holds
    """Every string in a value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, below in value.items():
            yield from _texts(key)
            yield from _texts(below)
    elif isinstance(value, list):
        for below in value:
            yield from _texts(below)
