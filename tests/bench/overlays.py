"""Fleets to render: Kustomizations that are small overlays of one base, every ten of the same mixture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.bench import manifests
from tests.fidelity.compare import Case

PATCHED, COMPOSED, SUBSTITUTED = {0, 2, 4, 6, 8}, {0, 5}, {0, 1, 2, 3}
"""Which of ten have a patch, a component, a variable; one has all three, two have none."""
TEN = 10
MIXTURE = f"of ten, {len(PATCHED)} with a patch, {len(COMPOSED)} a component, {len(SUBSTITUTED)} a variable"
LEAST = 4
"""Objects in every overlay, those of the base; a component and a variable come with one more each."""

SITE = {"site": "north"}


def write(root: Path, units: int) -> list[Case]:
    """The whole fleet; beside the overlays stand their Flux Kustomizations, as in a real repository."""
    _write(root / "base/app.yaml", *manifests.application("", "web"))
    _write(root / "base/kustomization.yaml", {"resources": ["app.yaml"]})
    _component(root / "component")
    return [_overlay(root, name, number % TEN) for number, name in enumerate(manifests.names(units))]


def flux_file(case: Case) -> Path:
    """Where the Flux Kustomization of an overlay is."""
    return case.root / "clusters" / f"{case.kustomization['metadata']['name']}.yaml"


def sample(fleet: Sequence[Case], most: int) -> Sequence[Case]:
    """Not more than that many, as whole tens from all over the fleet: each kind keeps its share."""
    if len(fleet) <= most:
        return fleet
    tens, wanted = len(fleet) // TEN, most // TEN
    starts = [number * tens // wanted * TEN for number in range(wanted)]
    return [case for start in starts for case in fleet[start : start + TEN]]


def _overlay(root: Path, name: str, kind: int) -> Case:
    directory = root / "overlays" / name
    kfile: dict[str, Any] = {"namespace": name, "resources": ["../../base"]}
    spec: dict[str, Any] = {}
    if kind in PATCHED:
        patch = [{"op": "replace", "path": "/spec/replicas", "value": 3}]
        kfile["patches"] = [{"target": {"kind": "Deployment"}, "patch": yaml.safe_dump(patch)}]
    if kind in COMPOSED:
        kfile["components"] = ["../../component"]
    if kind in SUBSTITUTED:
        spec["postBuild"] = {"substitute": SITE}
        kfile["resources"].append("settings.yaml")
        _write(directory / "settings.yaml", _settings("settings", site="${site}", color="${color:=blue}"))
    _write(directory / "kustomization.yaml", kfile)
    kustomization = manifests.kustomization(manifests.FLUX_NAMESPACE, name, f"overlays/{name}", **spec)
    case = Case(root, f"overlays/{name}", kustomization)
    _write(flux_file(case), kustomization)
    return case


def _component(directory: Path) -> None:
    head = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
    labels = [{"pairs": {"tier": "back"}}]
    _write(directory / "kustomization.yaml", {**head, "resources": ["extra.yaml"], "labels": labels})
    _write(directory / "extra.yaml", _settings("extra", level="info"))


def _settings(name: str, **data: str) -> manifests.Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def _write(path: Path, *documents: manifests.Manifest) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump_all(documents, sort_keys=False))
