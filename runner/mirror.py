"""The status of a Flux Kustomization: how kustomize-controller writes it, and what we take from it.

Source: kustomize-controller 1.9.5, `internal/controller`; fluxcd/pkg `apis/meta` and `runtime/conditions`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from runner import inventory
from runner.inventory import Entry, Inventory
from runner.model import Manifest, ResourceRef

MANAGER = "gotk-kustomize-controller"
"""The controller's field manager for what it writes through the status subresource."""

REQUESTED = "reconcile.fluxcd.io/requestedAt"
HISTORY = 5
_LONGEST = 20_000  # bytes of a condition's message
_SPENT = re.compile(r"\b(after|in) [0-9.hmnµs]+\b")
_WEIGHTS = {"Stalled": 0, "Reconciling": 1, "Ready": 2}


class Reason(StrEnum):
    """Why Ready is what it is, in the controller's words."""

    SUCCEEDED = "ReconciliationSucceeded"
    ARTIFACT = "ArtifactFailed"
    BUILD = "BuildFailed"
    DEPENDENCY = "DependencyNotReady"
    APPLY = "ReconciliationFailed"
    HEALTH = "HealthCheckFailed"
    PRUNE = "PruneFailed"


_TRIED = {Reason.SUCCEEDED, Reason.APPLY, Reason.HEALTH, Reason.PRUNE}  # these are in the history
_APPLIED = {Reason.SUCCEEDED, Reason.HEALTH, Reason.PRUNE}  # from these on there is an inventory, be it empty
_FAILED_CHECK = "health check failed"
_DOING = {
    Reason.ARTIFACT: "Fetching manifests",
    Reason.BUILD: "Building manifests",
    Reason.APPLY: "Detecting drift",
    Reason.PRUNE: "Detecting drift",
    Reason.HEALTH: "Running health checks",
}


@dataclass(frozen=True, slots=True)
class Ending:
    """How the work on one Kustomization ended."""

    reason: Reason
    message: str = ""  # what went wrong
    revision: str = ""  # of its source's artifact
    origin: str = ""  # the revision that the artifact itself was made from, where it names one
    digest: str = ""  # of what was rendered, `sha256:…`
    owned: Inventory | None = None  # None: nothing of it is known to have changed
    timeout: float = 0.0  # seconds
    seconds: float = 0.0  # that it took
    checked: float | None = None  # seconds that its health was waited for; None: there was nothing to check


def status(live: Manifest, ending: Ending, now: float) -> dict[str, Any]:
    """What the controller would have left in `.status` of a live Kustomization at `now`."""
    found: dict[str, Any] = dict(live.get("status") or {})
    generation = live["metadata"].get("generation") or 0
    ready = ending.reason is Reason.SUCCEEDED
    asked = (live["metadata"].get("annotations") or {}).get(REQUESTED)
    if asked is not None:
        found["lastHandledReconcileAt"] = asked
    found["conditions"] = _conditions(found.get("conditions") or [], ending, generation, now)
    if ready:
        found["observedGeneration"] = generation
        found["lastAppliedRevision"] = ending.revision
        found.pop("lastAppliedOriginRevision", None)
        if ending.origin:
            found["lastAppliedOriginRevision"] = ending.origin
    if ending.reason not in {Reason.DEPENDENCY, Reason.ARTIFACT}:
        found["lastAttemptedRevision"] = ending.revision
    if ending.owned is not None and (ending.owned or ending.reason in _APPLIED or "inventory" in found):
        found["inventory"] = {"entries": _entries(ending.owned)}
    if ending.reason in _TRIED:
        found["history"] = _history(found.get("history") or [], ending, now)
    return found


def patch(live: Manifest, ending: Ending, now: float) -> dict[str, Any]:
    """The merge patch that brings `.status` there; empty when it says all of that already.

    Moments, durations and the history are no news by themselves.
    """
    before: Mapping[str, Any] = live.get("status") or {}
    after = status(live, ending, now)
    return {} if _essence(before) == _essence(after) else _difference(before, after)


def listed(live: Manifest, owned: Inventory) -> dict[str, Any]:
    """The merge patch for the inventory alone; empty when it is there."""
    if fingerprint(imported(live)) == fingerprint(owned):
        return {}
    return {"inventory": {"entries": _entries(owned)}}


def imported(live: Manifest) -> dict[ResourceRef, Entry]:
    """What a Kustomization owns by its own status; nothing is known of the uids."""
    entries = ((live.get("status") or {}).get("inventory") or {}).get("entries") or []
    return inventory.of(Entry(ref) for each in entries if (ref := _ref(each)) is not None)


def fingerprint(owned: Iterable[ResourceRef]) -> str:
    """Short, and equal for inventories of the same objects in the same versions."""
    lines = sorted(f"{inventory.encode(ref)} {ref.version}" for ref in owned)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def duration(seconds: float) -> str:
    """As Go writes it: 1h0m0s, 1m30s, 2.5s, 340ms."""
    left = round(seconds * 1e9)
    if left == 0:
        return "0s"
    if left < 1_000_000_000:  # noqa: PLR2004 -- a second
        size, unit = next((s, u) for s, u in ((1_000_000, "ms"), (1_000, "µs"), (1, "ns")) if left >= s)
        return f"{_decimal(left, size)}{unit}"
    minutes, rest = divmod(left, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    larger = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{larger}{_decimal(rest, 1_000_000_000)}s"


def _decimal(number: int, unit: int) -> str:
    whole, part = divmod(number, unit)
    digits = f"{part:0{len(str(unit)) - 1}d}".rstrip("0") if part else ""
    return f"{whole}.{digits}" if digits else str(whole)


def _ref(entry: Mapping[str, Any]) -> ResourceRef | None:
    try:
        return inventory.decode(str(entry.get("id", "")), str(entry.get("v", "")))
    except ValueError:
        return None


def _entries(owned: Inventory) -> list[dict[str, str]]:
    """In the order of the inventory, which is the order in which the objects were applied."""
    return [{"id": inventory.encode(ref), "v": ref.version} for ref in owned]


def _conditions(
    before: Iterable[Mapping[str, Any]], ending: Ending, generation: int, now: float
) -> list[dict[str, Any]]:
    kept = {str(c.get("type")): dict(c) for c in before}

    def put(kind: str, state: str, reason: str, message: str) -> None:
        text = message.encode()[:_LONGEST].decode(errors="ignore")
        made = {"type": kind, "status": state, "reason": reason, "message": text}
        same = all(kept.get(kind, {}).get(key) == value for key, value in made.items())
        since = kept[kind].get("lastTransitionTime") if same else None
        kept[kind] = {**made, "lastTransitionTime": since or _time(now), "observedGeneration": generation}

    reason, during = ending.reason, f"for revision {ending.revision} with a timeout of "
    if reason is not Reason.DEPENDENCY:
        kept.pop("Stalled", None)
    if reason in {Reason.SUCCEEDED, Reason.HEALTH, Reason.PRUNE}:
        _health(kept, ending, put)
    if reason is Reason.SUCCEEDED:
        kept.pop("Reconciling", None)
        put("Ready", "True", reason, f"Applied revision: {ending.revision}")
    else:
        put("Ready", "False", reason, _said(ending))
        if reason in _DOING and ending.revision:
            progress = f"{_DOING[reason]} {during}{duration(ending.timeout)}"
            put("Reconciling", "True", "ProgressingWithRetry", progress)
        elif "Reconciling" in kept:
            put("Reconciling", "True", "ProgressingWithRetry", str(kept["Reconciling"].get("message", "")))
    return sorted(kept.values(), key=_place)


def _said(ending: Ending) -> str:
    """What went wrong; of a health check also how long it took."""
    why = ending.message.removeprefix(f"{_FAILED_CHECK}: ")
    if ending.checked is None or why == ending.message:
        return ending.message
    return f"{_FAILED_CHECK} after {duration(ending.checked)}: {why}"


def _health(kept: dict[str, dict[str, Any]], ending: Ending, put: Any) -> None:  # noqa: ANN401 -- a closure
    if ending.checked is None:
        kept.pop("Healthy", None)
    elif ending.reason is Reason.HEALTH:
        put("Healthy", "False", Reason.HEALTH, ending.message.removeprefix(f"{_FAILED_CHECK}: "))
    else:
        put("Healthy", "True", "Succeeded", f"Health check passed in {duration(ending.checked)}")


def _place(condition: Mapping[str, Any]) -> tuple[int, int, str]:
    kind = str(condition["type"])
    return _WEIGHTS.get(kind, len(_WEIGHTS)), -(condition.get("observedGeneration") or 0), kind


def _history(before: Iterable[Mapping[str, Any]], ending: Ending, now: float) -> list[dict[str, Any]]:
    """The controller counts again what it rendered before with the same end, and moves it to the front."""
    known = [dict(each) for each in before]
    same = [
        s for s in known if (s.get("digest"), s.get("lastReconciledStatus")) == (ending.digest, ending.reason)
    ]
    first = same[0] if same else {}
    made = {
        "digest": ending.digest,
        "firstReconciled": first.get("firstReconciled") or _time(now),
        "lastReconciled": _time(now),
        "lastReconciledDuration": duration(ending.seconds),
        "lastReconciledStatus": str(ending.reason),
        "metadata": {
            "revision": ending.revision,
            **({"originRevision": ending.origin} if ending.origin else {}),
        },
        "totalReconciliations": (first.get("totalReconciliations") or 0) + 1,
    }
    return [made, *(s for s in known if s is not first)][:HISTORY]


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _essence(found: Mapping[str, Any]) -> dict[str, Any]:
    conditions = [
        {
            **{key: c.get(key) for key in ("type", "status", "reason", "observedGeneration")},
            "message": _SPENT.sub(r"\1 …", str(c.get("message", ""))),
        }
        for c in found.get("conditions") or []
    ]
    entries = (found.get("inventory") or {}).get("entries") or []
    rest = {key: value for key, value in found.items() if key not in {"conditions", "inventory", "history"}}
    owned = sorted((str(e.get("id")), str(e.get("v"))) for e in entries)
    return {**rest, "conditions": conditions, "inventory": owned}


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    changed = {key: value for key, value in after.items() if before.get(key) != value}
    return changed | {key: None for key in before if key not in after}
