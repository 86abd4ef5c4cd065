"""Which objects a rule is for: `spec.ignore[].target`. Pure.

Source: fluxcd/pkg/ssa/jsondiff (SelectorRegex): expressions that have to fit from the first character to the
last, in the syntax of Go, which is RE2's; selectors of labels as Kubernetes reads them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from runner.model import Manifest, ResourceRef

EXPRESSIONS = ("group", "version", "kind", "name", "namespace")
SELECTORS = {"labelSelector": "labels", "annotationSelector": "annotations"}

_KEY = r"(?:[A-Za-z0-9][-A-Za-z0-9.]*/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"
_VALUE = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
_REQUIREMENT = re.compile(
    rf"\s*(?:(?P<not>!)\s*(?P<absent>{_KEY})"
    rf"|(?P<set>{_KEY})\s+(?P<in>in|notin)\s*\((?P<values>[^()]*)\)"
    rf"|(?P<key>{_KEY})\s*(?P<op>==|=|!=|>|<)\s*(?P<value>{_VALUE})"
    rf"|(?P<present>{_KEY}))\s*(?:,|$)"
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on labels or annotations."""

    key: str
    operator: str  # exists, absent, in, notin, > or <
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "absent":
                return value is None
            case "notin":
                return value is None or value not in self.values
            case "in":
                return value in self.values
            case "exists":
                return value is not None
            case _:
                return _compared(value, self.operator, next(iter(self.values)))


def problems(target: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the fields of a target, by their names."""
    found: dict[str, str] = {}
    for name in (*EXPRESSIONS, *SELECTORS):
        text = target.get(name) or ""
        if not isinstance(text, str):
            continue  # that is said by who looks at its type
        try:
            _expression(text) if name in EXPRESSIONS else requirements(text)
        except ValueError as exc:
            found[name] = str(exc)
    return found


def selects(target: Mapping[str, str], manifest: Manifest) -> bool:
    """Whether a target means an object; an empty one means all."""
    ref = ResourceRef.of(manifest)
    meta = manifest["metadata"]
    return all(
        not target.get(name) or _expression(target[name]).fullmatch(getattr(ref, name))
        for name in EXPRESSIONS
    ) and all(
        each.holds(meta.get(part) or {})
        for name, part in SELECTORS.items()
        for each in requirements(target.get(name) or "")
    )


@lru_cache(maxsize=256)
def requirements(text: str) -> tuple[Requirement, ...]:
    """The conditions of a selector: `app=web, tier in (a, b), !old`. Raises ValueError."""
    found, at = [], 0
    while at < len(text.rstrip()):
        match = _REQUIREMENT.match(text, at)
        if match is None:
            raise ValueError(f"{text!r} is not a selector of labels")
        found.append(_requirement(match.groupdict()))
        at = match.end()
    if text.rstrip().endswith(","):
        raise ValueError(f"{text!r} is not a selector of labels")
    return tuple(found)


def _requirement(part: Mapping[str, str | None]) -> Requirement:
    if part["absent"]:
        return Requirement(part["absent"], "absent")
    if part["present"]:
        return Requirement(part["present"], "exists")
    if part["set"] and part["in"]:
        return Requirement(
            part["set"], part["in"], frozenset(v.strip() for v in (part["values"] or "").split(","))
        )
    key, operator, value = part["key"] or "", part["op"] or "", part["value"] or ""
    if operator in {"<", ">"} and not re.fullmatch(r"\d+", value):
        raise ValueError(f"{value!r} after {operator} is not a whole number")
    word = {"=": "in", "==": "in", "!=": "notin"}.get(operator, operator)
    return Requirement(key, word, frozenset({value}))


def _compared(value: str | None, operator: str, limit: str) -> bool:
    if value is None or not re.fullmatch(r"-?\d+", value):
        return False
    return int(value) > int(limit) if operator == ">" else int(value) < int(limit)


@lru_cache(maxsize=256)
def _expression(text: str) -> Any:  # noqa: ANN401 -- re2 has no types
    """Raises ValueError. Linear in time, whatever it is: it comes out of a pull request."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(f"(?:{text})", options)
    except re2.error as exc:
        reason = exc.args[0].decode(errors="replace") if isinstance(exc.args[0], bytes) else exc.args[0]
        raise ValueError(f"{text!r} is not a regular expression: {reason}") from None
