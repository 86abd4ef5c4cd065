"""Results as text for people: no colours, the same for the same facts, safe to print."""

from __future__ import annotations

from runner.report.style import fit
from runner.report.text.comparison import coloured, comparison
from runner.report.text.drift import drift
from runner.report.text.leaves import get, names, rows, tree
from runner.report.text.problems import problems
from runner.report.text.run import reconcile
from runner.report.text.variables import variables

__all__ = [
    "coloured",
    "comparison",
    "drift",
    "fit",
    "get",
    "names",
    "problems",
    "reconcile",
    "rows",
    "tree",
    "variables",
]
