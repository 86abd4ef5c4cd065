"""A comparison as a unified diff, for tools: one file an object, as `git apply --stat` takes it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from runner.changes import Comparison, ObjectChange
from runner.model import Action, Manifest, ResourceRef
from runner.report import clean, difference, fields, manifest

_VALUE = 300


def comparison(value: Comparison) -> str:
    """All objects that differ, in the comparison's order; the values of Secrets are as they come, masked."""
    return "".join(f"{line}\n" for change in value.changes for line in _file(change))


def _file(change: ObjectChange) -> Iterator[str]:
    before, after = (_lines(side) for side in (change.before, change.after))
    if change.action is Action.DELETED:
        after = []
    hunks = list(difference.unified(before, after))
    new = path(change.kustomization, change.ref)
    old = path(change.moved_from or change.kustomization, change.was or change.ref)
    # What stands between files is for people: readers of patches pass over it.
    if not hunks:
        yield f"# {clean.line(str(change.ref))} {change.action}: the same lines on both sides"
    yield from (f"# {fields.line(each, _VALUE)}" for each in change.fields if fields.unseen(each))
    if not hunks:
        return
    yield f"--- a/{old}" if before else "--- /dev/null"
    yield f"+++ b/{new}" if after else "+++ /dev/null"
    yield from hunks


def path(kustomization: str, ref: ResourceRef) -> str:
    """`flux-system/apps/Deployment.apps/web/api.yaml`; what is no name of a file is percent-encoded."""
    namespace, _, name = kustomization.partition("/")
    kind = f"{ref.kind}.{ref.group}" if ref.group else ref.kind
    parts = [namespace, name, kind, *([ref.namespace] if ref.namespace else []), f"{ref.name}.yaml"]
    return "/".join(_part(part) for part in parts)


def _part(text: str) -> str:
    written = quote(text.encode("utf-8", "replace"), safe=":@+=,") or "_"
    return written.replace(".", "%2E") if not written.strip(".") else written


def _lines(side: Manifest | None) -> list[str]:
    return [] if side is None else manifest.yaml(side).removesuffix("\n").split("\n")
