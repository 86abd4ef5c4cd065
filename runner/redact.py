"""Keep secret values out of everything that is shown or recorded."""

from __future__ import annotations

import json
from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Iterable, Mapping

from runner.fleet import Unit
from runner.model import Manifest

SHORTEST = 4
"""Characters from which on a value is hidden in foreign text; a shorter one is no secret worth the name."""


def is_secret(manifest: Manifest) -> bool:
    """Whether the object is a core Secret, whatever its version."""
    return manifest.get("kind") == "Secret" and "/" not in str(manifest.get("apiVersion"))


def shown(manifest: Manifest) -> Manifest:
    """The object with the values of a Secret replaced by their sizes; anything else as it is."""
    if not is_secret(manifest):
        return manifest
    masked = dict(manifest)
    for field in ("data", "stringData"):
        values = manifest.get(field)
        if isinstance(values, Mapping):
            masked[field] = {key: _size(value, encoded=field == "data") for key, value in values.items()}
        elif values is not None:
            masked[field] = "‹hidden›"
    return masked


def placeholder(kind: str, namespace: str, name: str, key: str) -> str:
    """What stands in a view for a variable's secret value."""
    return f"‹{kind} {namespace}/{name}:{key}›"


def _size(value: object, *, encoded: bool) -> str:
    text = str(value)
    if encoded:
        try:
            return f"‹{len(b64decode(text, validate=True))} bytes›"
        except (BadBase64, ValueError):
            return "‹hidden›"
    return f"‹{len(text.encode())} bytes›"


def values(manifests: Iterable[Manifest]) -> list[str]:
    """Every value of every Secret among the objects, as text and as it is encoded."""
    found: list[str] = []
    for manifest in manifests:
        if not is_secret(manifest):
            continue
        for value in _texts(manifest.get("data")):
            found.append(value)
            try:
                found.append(b64decode(value, validate=True).decode())
            except (BadBase64, ValueError):
                continue
        found += _texts(manifest.get("stringData"))
    return found


def scrub(text: str, secrets: Iterable[str]) -> str:
    """The text with secret values taken out; those too short to be one are left, or nothing would stay.

    Substitution drops the line breaks of a value, and servers quote what they complain about.
    """
    forms = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST}
    for secret in sorted(forms, key=len, reverse=True):
        text = text.replace(secret, "‹hidden›")
    return text


def _forms(secret: str) -> tuple[str, ...]:
    joined = secret.replace("\n", "")
    return (
        secret,
        secret.strip(),
        joined,
        *(json.dumps(s, ensure_ascii=False)[1:-1] for s in (secret, joined)),
    )


def _texts(values: object) -> list[str]:
    return [str(value) for value in values.values()] if isinstance(values, Mapping) else []


def of(unit: Unit) -> list[str]:
    """Every secret value that a Kustomization's objects may carry: its Secrets', and its variables'."""
    rendering = unit.rendering
    if rendering is None:
        return []
    hidden = rendering.variables.display.keys()
    variables = [value for name, value in rendering.variables.values.items() if name in hidden]
    return [*variables, *values(rendering.objects)]
