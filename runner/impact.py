"""What applying changes about a live object: its fields, and a digest that a plan can be held to."""

from __future__ import annotations

import hashlib

import orjson

from runner import diff, redact
from runner.changes import FieldChange
from runner.model import Action, Manifest

_VOLATILE = frozenset(
    {"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"}
)


def fields(live: Manifest | None, merged: Manifest | None) -> tuple[FieldChange, ...]:
    """The fields that an apply changes, without what the server writes itself; of Secrets keys and sizes."""
    if live is None or merged is None:
        return ()
    before, after = settled(live), settled(merged)
    if redact.is_secret(before):
        return diff.secret_fields(before, after)
    return diff.fields(before, after)


def digest(action: Action, live: Manifest | None, merged: Manifest | None) -> str:
    """Equal when an apply does the same to the same object; "" when it is not known what it does.

    One that is unchanged has no fields to speak of: what is known of it may be its metadata alone.
    """
    if action is Action.UNKNOWN:
        return ""
    uid = live["metadata"].get("uid", "") if live else ""
    changed = [
        (each.path, each.touch, each.before, each.after) for each in fields(live, merged) if action.writes
    ]
    told = orjson.dumps([action, uid, changed], option=orjson.OPT_SORT_KEYS)
    return f"sha256:{hashlib.sha256(told).hexdigest()}"


def settled(manifest: Manifest) -> Manifest:
    """The object without what the server writes itself."""
    meta = {key: value for key, value in manifest["metadata"].items() if key not in _VOLATILE}
    return {**{key: value for key, value in manifest.items() if key != "status"}, "metadata": meta}
