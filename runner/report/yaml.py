"""Results as YAML: the same facts as the JSON, under the same schemas."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from runner.changes import Comparison
from runner.model import Leaf, Run
from runner.report import clean, facts, facts_comparison
from runner.report.views import Scope


class _Dumper(yaml.SafeDumper):
    """Writes everything out: an anchor in a report is a riddle."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the base class's signature
        return True


def reconcile(run: Run, exit_code: int) -> str:
    return dump(facts.reconcile(run, exit_code))


def tree(scope: Scope, leaves: Sequence[Leaf], exit_code: int = 0) -> str:
    return dump(facts.tree(scope, leaves, exit_code))


def get(scope: Scope, leaves: Sequence[Leaf], exit_code: int = 0) -> str:
    return dump(facts.get(scope, leaves, exit_code))


def diff(comparison: Comparison, exit_code: int = 0) -> str:
    return dump(facts_comparison.diff(comparison, exit_code))


def dump(document: facts.Document) -> str:
    """Block style, keys in their own order; escaped throughout once anything in it could fool a terminal."""
    text = _dumped(document, readable=True)
    return _dumped(document, readable=False) if clean.UNSAFE.search(text) else text


def _dumped(document: facts.Document, *, readable: bool) -> str:
    dumped: str = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=readable, default_flow_style=False, width=110
    )
    return dumped
