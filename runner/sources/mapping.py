"""A source that kustodian.yaml maps elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.model import Manifest, SourceRef


def elsewhere(source: SourceRef, spec: Mapping[str, Any], known: Manifest | None) -> Manifest:
    """A source with another URL and ref; how it logs in stays."""
    before = (known or {}).get("spec")
    return {
        "apiVersion": (known or {}).get("apiVersion", "source.toolkit.fluxcd.io/v1"),
        "metadata": {"namespace": source.namespace, "name": source.name},
        "spec": {**(before if isinstance(before, Mapping) else {}), **spec},
    }
