"""What Flux takes out of a live object before it applies: other managers' ownership, and old annotations.

The fields of these managers become ours, so that the apply that follows removes what Git does not have: that
is how `kubectl edit` is undone. Source: kustomize-controller (ApplyCleanupOptions) and fluxcd/pkg/ssa
(cleanupMetadata, PatchReplaceFieldsManagers). Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner import ownership
from runner.markers import marked
from runner.model import FIELD_MANAGER, FLUX, Manifest

MANAGERS = (
    ("kubectl", "Apply"),
    ("kubectl", "Update"),
    ("before-first-apply", "Update"),
    (FIELD_MANAGER, "Update"),  # Flux before it applied at the server
)
"""How the names of managers begin that are cleaned up after, each with the operation."""

ANNOTATIONS = (
    "kubectl.kubernetes.io/last-applied-configuration",
    f"{FLUX}/checksum",
    "fluxcd.io/sync-checksum",
)
LABELS = ("fluxcd.io/sync-gc-mark",)


def needed(live: Manifest) -> bool:
    """Whether there is anything to clean up; metadata is enough of `live`."""
    return bool(any(_leftovers(live)) or _cleaned(live))


def unwanted(manifest: Manifest, live: Manifest) -> bool:
    """Whether a marker, on the desired or on the live object, keeps other managers' fields."""
    return marked(manifest, "ssa", "Merge") or marked(live, "ssa", "Merge")


def managers(live: Manifest) -> tuple[str, ...]:
    """Whom there is to clean up after."""
    return tuple(sorted({str(entry.get("manager")) for entry in _cleaned(live)}))


def reason(live: Manifest) -> str:
    """What is said of an object that is cleaned up."""
    whose = ", ".join(managers(live))
    return f"cleaned up after {whose}" if whose else "old annotations are removed"


def patch(live: Manifest) -> list[dict[str, Any]]:
    """The JSON patch that cleans up, for this version of the object only."""
    meta = live["metadata"]
    found: list[dict[str, Any]] = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": meta["resourceVersion"]}
    ]
    found += [
        {"op": "remove", "path": f"/metadata/{part}/{name.replace('/', '~1')}"}
        for part, name in _leftovers(live)
    ]
    if _cleaned(live):
        found.append({"op": "replace", "path": "/metadata/managedFields", "value": _ours(live)})
    return found


def foreseen(live: Manifest, merged: Manifest) -> Manifest:
    """What a dry-run said, without what the apply after a clean-up takes away besides."""
    after = {**merged, "metadata": dict(merged["metadata"])}
    for part, name in _leftovers(live):
        kept = {key: value for key, value in (after["metadata"].get(part) or {}).items() if key != name}
        after["metadata"][part] = kept
    gone = _cleaned(merged)
    rest = [entry.get("fieldsV1") or {} for entry in ownership.entries(merged) if entry not in gone]
    rest += [
        e.get("fieldsV1") or {} for e in merged["metadata"].get("managedFields") or () if e.get("subresource")
    ]
    for entry in gone:
        after = ownership.without(after, entry.get("fieldsV1") or {}, rest)
    return after


def _leftovers(live: Manifest) -> Iterator[tuple[str, str]]:
    for part, names in (("annotations", ANNOTATIONS), ("labels", LABELS)):
        found = live["metadata"].get(part) or {}
        yield from ((part, name) for name in names if name in found)


def _cleaned(live: Manifest) -> list[Mapping[str, Any]]:
    return [entry for entry in ownership.entries(live) if _is_cleaned(entry)]


def _is_cleaned(entry: Mapping[str, Any]) -> bool:
    name = str(entry.get("manager"))
    return any(name.startswith(prefix) and entry.get("operation") == op for prefix, op in MANAGERS)


def _ours(live: Manifest) -> list[Mapping[str, Any]]:
    """All entries, those that are cleaned up made one with ours; without ours the first becomes it."""
    everything = live["metadata"].get("managedFields") or []
    gone = _cleaned(live)
    own = next((e for e in reversed(ownership.entries(live)) if _is_ours(e)), None)
    rest = [entry for entry in everything if entry not in gone and entry is not own]
    merged = dict(own) if own is not None else {**gone.pop(0), "manager": FIELD_MANAGER, "operation": "Apply"}
    for entry in gone:
        merged["fieldsV1"] = ownership.union(merged.get("fieldsV1") or {}, entry.get("fieldsV1") or {})
    return [*rest, merged]


def _is_ours(entry: Mapping[str, Any]) -> bool:
    return (entry.get("manager"), entry.get("operation")) == (FIELD_MANAGER, "Apply")
