"""The README's tables of inputs and outputs, from action.yml; `python -m tests.interface` prints them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]


def action(path: str = "action.yml") -> dict[str, Any]:
    """What an action's file says."""
    found: dict[str, Any] = yaml.safe_load((ROOT / path).read_text())
    return found


def table(kind: str) -> str:
    """A row for each of the `inputs` or `outputs`, in their order."""
    described: Mapping[str, Any] = action()[kind]
    rows = (f"| `{name}` | {_cell(spec)} |" for name, spec in described.items())
    return "\n".join((f"| {kind.removesuffix('s')} | |", "| --- | --- |", *rows))


def _cell(spec: Mapping[str, Any]) -> str:
    text = spec["description"].strip()
    return f"{text} **Required.**" if spec.get("required") else text


if __name__ == "__main__":
    print(table("inputs"), table("outputs"), sep="\n\n")  # noqa: T201 -- what it is for
