"""Other programs that do the same work, where they are installed; nothing is downloaded or built."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from runner.clients.kustomize import WorkerPool
from tests.bench.overlays import flux_file
from tests.fidelity import oracle
from tests.fidelity.compare import Case, as_printed

_VERSION_SECONDS = 30
NOT_HERE = "not measured, as it is not here: "
NO_FLUX = f"{NOT_HERE}flux build (flux {oracle.VERSION} on PATH, or built by the fidelity tests)"


class Renderer(Protocol):
    """A program that renders one Kustomization per process."""

    @property
    def label(self) -> str: ...

    def argv(self, case: Case) -> list[str]: ...

    def expected(self, pool: WorkerPool, case: Case) -> list[Mapping[str, Any]]:
        """What it has to print, made of our rendering."""


@dataclass(frozen=True)
class Kustomize:
    """It knows nothing of Flux: the same objects before substitution."""

    label: str
    command: tuple[str, ...]

    def argv(self, case: Case) -> list[str]:
        return [*self.command, str(case.root / case.path)]

    def expected(self, pool: WorkerPool, case: Case) -> list[Mapping[str, Any]]:
        spec = {name: value for name, value in case.kustomization["spec"].items() if name != "postBuild"}
        request = replace(case.request, kustomization={**case.kustomization, "spec": spec})
        return [resource.object for resource in pool.build(request).resources]


@dataclass(frozen=True)
class Flux:
    """`flux build kustomization` without a cluster, in the way that does what the controller does."""

    label: str
    program: Path

    def argv(self, case: Case) -> list[str]:
        flags = ["--dry-run", "--strict-substitute", "--in-memory-build"]
        where = ["--kustomization-file", str(flux_file(case)), "--path", str(case.root / case.path)]
        name = case.kustomization["metadata"]["name"]
        return [str(self.program), "build", "kustomization", name, *flags, *where]

    def expected(self, pool: WorkerPool, case: Case) -> list[Mapping[str, Any]]:
        built = pool.build(case.request)
        return [as_printed(resource.object, case.kustomization) for resource in built.resources]


def renderers() -> tuple[list[Renderer], list[str]]:
    """Those that are here, and of the others what to say."""
    found: list[Renderer] = []
    absent = []
    if kustomize := _kustomize():
        found.append(kustomize)
    else:
        absent.append(f"{NOT_HERE}kustomize build (kustomize or kubectl on PATH)")
    if program := oracle.found():
        found.append(Flux(f"flux {oracle.VERSION} build", program))
    else:
        absent.append(NO_FLUX)
    return found, absent


def _kustomize() -> Kustomize | None:
    """A kustomize of its own, else the one inside kubectl."""
    if path := shutil.which("kustomize"):
        return Kustomize(f"kustomize {_said(path, 'version')} build", (path, "build"))
    if path := shutil.which("kubectl"):
        return Kustomize(f"kubectl kustomize {kubectl_version('kustomizeVersion')}", (path, "kustomize"))
    return None


def kubectl() -> str:
    """The path of kubectl, "" when it is not there."""
    return shutil.which("kubectl") or ""


@functools.cache
def kubectl_version(part: str) -> str:
    """`kustomizeVersion`, or `gitVersion` for kubectl's own."""
    try:
        found = json.loads(_said(kubectl(), "version", "--client", "--output=json"))
    except ValueError:
        return ""
    return str(found.get(part) or found.get("clientVersion", {}).get(part) or "")


def _said(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_VERSION_SECONDS)
    return done.stdout.strip()
