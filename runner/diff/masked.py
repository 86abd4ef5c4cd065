"""What changed in content that is not shown: keys and sizes, nothing of the values.

A digest, or the start of a value, would already help somebody who guesses.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Mapping
from typing import Any

from runner.changes import FieldChange
from runner.diff.walk import walk
from runner.model import Manifest
from runner.rendered import sealed

_SHOWN = ("apiVersion", "immutable", "kind", "metadata", "type")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

Content = Mapping[str, bytes | str]
"""Values by their key; text is what should be base64 and is not."""


def secret_fields(before: Manifest, after: Manifest) -> tuple[FieldChange, ...]:
    """What differs between two Secrets as they are, not as they are shown.

    `stringData` is what it becomes in the cluster: `data`.
    """
    old, new = _sizes(_secret(before), _secret(after))
    return tuple(walk({**_rest(before), "data": old}, {**_rest(after), "data": new}))


def binary_fields(before: Manifest, after: Manifest) -> tuple[FieldChange, ...]:
    """What differs between two ConfigMaps, of `binaryData` the sizes."""
    old, new = _sizes(*(_decoded(each.get("binaryData")) for each in (before, after)))
    return tuple(walk({**before, "binaryData": old}, {**after, "binaryData": new}))


def _sizes(before: Content, after: Content) -> tuple[dict[str, str], dict[str, str]]:
    """What to hold against each other instead: equal where the content is, different where it is not."""
    old = {name: _size(value) for name, value in before.items()}
    new = {name: _size(value) for name, value in after.items()}
    for name in old.keys() & new.keys():
        if old[name] == new[name] and before[name] != after[name]:
            new[name] = f"{new[name][:-1]}, other content›"
    return old, new


def _size(value: bytes | str) -> str:
    if not isinstance(value, bytes):
        return "‹hidden›"
    return "‹encrypted›" if sealed(value) else f"‹{len(value)} bytes›"


def _secret(manifest: Manifest) -> Content:
    text = manifest.get("stringData")
    plain = {name: str(value).encode() for name, value in text.items()} if isinstance(text, Mapping) else {}
    return {**_decoded(manifest.get("data")), **plain}


def _decoded(data: object) -> Content:
    return {name: _decode(value) for name, value in data.items()} if isinstance(data, Mapping) else {}


def _decode(value: object) -> bytes | str:
    try:
        return b64decode(str(value), validate=True)
    except (BadBase64, ValueError):
        return str(value)


def _rest(manifest: Manifest) -> dict[str, Any]:
    """What is no content. kubectl keeps a copy of that in an annotation, and a mistyped field another."""
    rest = {name: manifest[name] for name in _SHOWN if name in manifest}
    metadata = rest.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    if isinstance(metadata, Mapping) and isinstance(annotations, Mapping) and _LAST_APPLIED in annotations:
        rest["metadata"] = {**metadata, "annotations": {**annotations, _LAST_APPLIED: "‹hidden›"}}
    return rest
