"""CEL in a Kustomization is compiled before anything is applied: Flux stalls on what does not compile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runner import cel, readiness

_HEALTH = frozenset(f"healthCheckExprs[].{name}" for name in ("current", "failed", "inProgress"))


def problems(path: str, at: str, text: str) -> Iterator[str]:
    """What is wrong with the text of a field, if it is one that holds an expression."""
    try:
        if text and path in _HEALTH:
            cel.parse(text)
        elif text and path == "dependsOn[].readyExpr":
            cel.condition(text, readiness.VARIABLES)
    except cel.ExpressionError as exc:
        yield f"{at}: {exc}"


def duplicates(path: str, at: str, entries: Sequence[Any]) -> Iterator[str]:
    """Entries of `healthCheckExprs` for a kind that another one is for; the version does not count."""
    if path != "healthCheckExprs":
        return
    seen: set[tuple[str, str]] = set()
    for number, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            continue
        group, kind = str(entry.get("apiVersion") or "").rpartition("/")[0], str(entry.get("kind") or "")
        if (group, kind) in seen:
            name = f"{kind}.{group}".strip(".")
            yield f"{at}[{number}]: duplicate custom health check for GroupKind {name}"
        seen.add((group, kind))
