"""Results as JSON; `schemas/` says what is in each."""

from __future__ import annotations

import json
from collections.abc import Sequence

import orjson

from runner.changes import Comparison
from runner.drift import Drift
from runner.intent import SCHEMA, Intent, plain
from runner.model import Leaf, Run
from runner.report import clean, facts, facts_comparison, facts_drift
from runner.report.views import BuildView, Scope


def reconcile(run: Run, exit_code: int) -> str:
    return dump(facts.reconcile(run, exit_code))


def build(scope: Scope, kustomizations: Sequence[BuildView], exit_code: int = 0) -> str:
    return dump(facts.build(scope, kustomizations, exit_code))


def tree(scope: Scope, leaves: Sequence[Leaf], exit_code: int = 0) -> str:
    return dump(facts.tree(scope, leaves, exit_code))


def get(scope: Scope, leaves: Sequence[Leaf], exit_code: int = 0) -> str:
    return dump(facts.get(scope, leaves, exit_code))


def diff(comparison: Comparison, exit_code: int = 0) -> str:
    return dump(facts_comparison.diff(comparison, exit_code))


def drift(value: Drift, exit_code: int = 0) -> str:
    return dump(facts_drift.drift(value, exit_code))


def plan(comparison: Comparison, intent: Intent, exit_code: int = 0) -> str:
    """What `diff` says, and what a deploy is held to."""
    return dump({**facts_comparison.diff(comparison, exit_code), **plain(intent), "schema": SCHEMA})


def dump(document: facts.Document) -> str:
    """Indented JSON with a newline at the end; what a terminal would obey is escaped, which loses nothing."""
    try:
        text = orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONEncodeError:
        # It refuses names that are no Unicode and integers beyond 64 bits; a report must not fail over them.
        text = json.dumps(document, indent=2, ensure_ascii=False).encode("utf-8", "replace").decode()
    return clean.UNSAFE.sub(lambda found: _escaped(found.group()), text) + "\n"


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"
