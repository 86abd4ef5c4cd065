"""Flux's markers: labels or annotations that say how one object is to be treated."""

from __future__ import annotations

from runner.model import FLUX, Manifest


def marked(manifest: Manifest | None, name: str, value: str) -> bool:
    """Whether a label or an annotation sets the marker to this value, in whatever case.

    Source: fluxcd/pkg/ssa/utils, AnyInMetadata: either of the two is enough, whatever the other says.
    """
    meta = (manifest or {}).get("metadata") or {}
    key = f"{FLUX}/{name}"
    found = [(meta.get(where) or {}).get(key) for where in ("labels", "annotations")]
    return any(str(each).lower() == value.lower() for each in found if each)
