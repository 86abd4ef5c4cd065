"""Keep secret values out of everything that is shown or recorded."""

from __future__ import annotations

import json
from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Iterable, Iterator, Mapping

from runner.fleet import Unit
from runner.model import Manifest
from runner.rendered import sealed

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
    content = str(value).encode()
    if encoded:
        try:
            content = b64decode(content, validate=True)
        except (BadBase64, ValueError):
            return "‹hidden›"
    return sealed(content) or f"‹{len(content)} bytes›"


def is_sealed(manifest: Manifest) -> bool:
    """Whether any value of a ConfigMap or Secret stays sealed."""
    texts = [each.encode() for field in ("data", "stringData") for each in _texts(manifest.get(field))]
    if is_secret(manifest):
        texts += [_decoded(each) for each in _texts(manifest.get("data"))]
    return any(sealed(each) for each in texts)


def _decoded(value: str) -> bytes:
    try:
        return b64decode(value, validate=True)
    except (BadBase64, ValueError):
        return b""


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
    found = [*variables, *values(rendering.objects)]
    if rendering.variables.opens:
        names = {str(manifest["metadata"].get("name")) for manifest in rendering.objects}
        for real, view in zip(rendering.objects, rendering.shown, strict=True):
            if not is_secret(real):
                found += [text for text in _only(real, view) if text not in names]
    return found


def _only(real: object, view: object) -> Iterator[str]:
    """The texts of an object that its view has not at the same place."""
    if isinstance(real, Mapping):
        other = view if isinstance(view, Mapping) else {}
        for key, value in real.items():
            yield from _only(value, other.get(key))
    elif isinstance(real, list):
        others = view if isinstance(view, list) and len(view) == len(real) else [None] * len(real)
        for value, each in zip(real, others, strict=True):
            yield from _only(value, each)
    elif real != view and not isinstance(real, bool) and real is not None:
        yield str(real)
