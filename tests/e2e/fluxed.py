"""A cluster that serves Flux's own definitions, and no controller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.cluster import wait_until
from tests.cluster.api import MERGE, Api
from tests.e2e.harness import Bench

FLUX = "kustomize.toolkit.fluxcd.io"
SOURCES = "source.toolkit.fluxcd.io"
DEFINITIONS = Path(__file__).parent / "crds"


def serve(api: Api) -> None:
    """Make the API server serve what Flux's installation does."""
    for file in sorted(DEFINITIONS.glob("*.yaml")):
        (definition,) = [each for each in yaml.safe_load_all(file.read_text()) if each]
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        assert api.request("POST", path, definition).status == 201
        group, plural = definition["spec"]["group"], definition["spec"]["names"]["plural"]
        served = f"/apis/{group}/v1/{plural}"
        wait_until(lambda s=served: api.get(s).status == 200, f"{plural} are served")


def path(world: Bench, name: str = "") -> str:
    return f"/apis/{FLUX}/v1/namespaces/{world.namespace}/kustomizations/{name}".rstrip("/")


def live(world: Bench, name: str) -> dict[str, Any]:
    found = world.get(path(world, name))
    assert found is not None, f"there is no Kustomization {name}"
    return dict(found)


def status(world: Bench, name: str) -> dict[str, Any]:
    return dict(live(world, name).get("status") or {})


def set_status(world: Bench, name: str, **fields: Any) -> None:
    """Write what a controller would have."""
    answer = world.api.request("PATCH", f"{path(world, name)}/status", {"status": fields}, MERGE)
    assert answer.status == 200, answer.body


def condition(found: dict[str, Any], kind: str) -> dict[str, Any] | None:
    return next((c for c in found.get("conditions") or [] if c["type"] == kind), None)
