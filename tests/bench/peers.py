"""Other programs that do the same work, where they are installed; nothing is downloaded."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_VERSION_SECONDS = 30


@dataclass(frozen=True)
class Renderer:
    """A program that builds one overlay per process."""

    label: str
    command: tuple[str, ...]

    def argv(self, overlay: Path) -> list[str]:
        return [*self.command, str(overlay)]


def renderer() -> Renderer | None:
    """A kustomize of its own, else the one inside kubectl."""
    if path := shutil.which("kustomize"):
        return Renderer(f"kustomize {_said(path, 'version')}".strip(), (path, "build"))
    if path := shutil.which("kubectl"):
        return Renderer(f"kubectl kustomize {kubectl_version('kustomizeVersion')}", (path, "kustomize"))
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
