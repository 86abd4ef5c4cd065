"""Our rendering beside that of the real flux command line: `build --diff-flux`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import unified_diff
from pathlib import Path
from typing import Any, Protocol

from runner import redact
from runner.desired import Desired
from runner.errors import RunnerError
from runner.fleet import Unit
from runner.model import FLUX, Kustomization, Manifest
from runner.ports import Builder
from runner.rendered import BuildRequest


class Flux(Protocol):
    """The command line; see `runner.clients.flux`."""

    def version(self) -> str: ...

    def build(self, root: Path, path: str, manifest: Manifest) -> str: ...


def against(flux: Flux, source: Desired, units: Iterable[Unit]) -> tuple[str, bool]:
    """What differs, as text, and whether anything does.

    Both are given the same variables; secret values are replaced in both, so that none can show.
    What the controller normalises only when it applies is left as it is.
    """
    lines = [f"compared with flux {flux.version()}"]
    different = False
    for unit in units:
        if unit.rendering is None or not unit.rendering.variables.known:
            why = "suspended" if unit.rendering is None else "not fully known"
            lines.append(f"{unit.id}: not compared, as it is {why}")
            continue
        found = _difference(flux, source, unit)
        different |= bool(found)
        lines += found or [f"{unit.id}: equal, {len(unit.objects)} objects"]
    return "\n".join(lines) + "\n", different


def _difference(flux: Flux, source: Desired, unit: Unit) -> list[str]:
    k, builder = unit.kustomization, source.builder
    variables = unit.rendering.variables if unit.rendering else None
    values = {**variables.values, **variables.display} if variables else {}
    root = source.checkout.artifact(k, variables.sources if variables else ()).root
    ours = _attempt(lambda: _ours(builder, BuildRequest(root, k.path, k.manifest, values), k))
    theirs = _attempt(lambda: _theirs(builder, flux.build(root, k.path, _inline(k, values))))
    diff = unified_diff(theirs, ours, f"flux build {k.id}", f"kustodian build {k.id}", lineterm="")
    return list(diff)


def _ours(builder: Builder, request: BuildRequest, k: Kustomization) -> list[str]:
    built = builder.build(request)
    if built.problems:
        return [f"error: {problem}" for problem in built.problems]
    return _lines(builder, [_as_printed(resource.object, k) for resource in built.resources])


def _theirs(builder: Builder, text: str) -> list[str]:
    return _lines(builder, [found.object for found in builder.parse(text.encode(), "flux build").objects])


def _lines(builder: Builder, objects: list[dict[str, Any]]) -> list[str]:
    return builder.encode([redact.shown(each) for each in objects]).splitlines() if objects else []


def _attempt(render: Callable[[], list[str]]) -> list[str]:
    try:
        return render()
    except RunnerError as exc:
        return [f"error: {exc.message}"]


def _inline(k: Kustomization, values: dict[str, str]) -> Manifest:
    """The Kustomization with all its variables in place: flux's dry run reads no sources."""
    spec = dict(k.manifest["spec"])
    if spec.get("postBuild") is not None:
        rest = {key: value for key, value in spec["postBuild"].items() if key != "substituteFrom"}
        spec["postBuild"] = {**rest, "substitute": values}
    return {**k.manifest, "spec": spec}


def _as_printed(manifest: Manifest, k: Kustomization) -> dict[str, Any]:
    """An object with the metadata that flux build adds: the owner, and `commonMetadata`."""
    meta = dict(manifest["metadata"])
    owner = {f"{FLUX}/name": k.name, f"{FLUX}/namespace": k.namespace}
    meta["labels"] = {**(meta.get("labels") or {}), **owner, **k.labels}
    if k.annotations:
        meta["annotations"] = {**(meta.get("annotations") or {}), **k.annotations}
    return {**manifest, "metadata": meta}
