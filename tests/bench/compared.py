"""A fleet to compare: Kustomizations that are overlays of one base, and two changes to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import manifests
from tests.e2e.harness import Repository
from tests.fidelity.compare import Case

ENTRY = "clusters"
BASE, ONE, ALL = "main", "one", "all"
"""The branches: what both others are compared with, one overlay changed, what all overlays share changed."""
OBJECTS = 8
ROOT = f"{manifests.FLUX_NAMESPACE}/fleet"
_TEXT = "something that makes the object about as long as objects are "


@dataclass(frozen=True)
class Fleet:
    """A repository with the three branches."""

    repository: Repository
    units: int

    @property
    def path(self) -> Path:
        return self.repository.path

    def cases(self, tree: Path) -> list[Case]:
        """The Kustomizations, to be rendered from a tree of files."""
        return [Case(tree, f"overlays/{name}", _kustomization(name)) for name in manifests.names(self.units)]

    def worktree(self, branch: str) -> Path:
        """The files of a branch beside the repository."""
        target = self.path.with_name(f"{self.path.name}-{branch}")
        self.repository.git("worktree", "add", "--quiet", "--detach", str(target), branch)
        return target


def write(directory: Path, units: int, files: int = 0) -> Fleet:
    """A new repository of so many Kustomizations; with `files`, of so many files in all."""
    repository = Repository(directory)
    repository.write("base/app.yaml", *_objects())
    repository.write("base/kustomization.yaml", {"resources": ["app.yaml"]})
    for number, name in enumerate(manifests.names(units)):
        kfile = {"namespace": name, "resources": ["../../base"], "patches": [{"path": "replicas.yaml"}]}
        repository.write(f"overlays/{name}/kustomization.yaml", kfile)
        repository.write(f"overlays/{name}/replicas.yaml", _replicas(1 + number % 5))
        repository.write(f"{ENTRY}/{name}.yaml", _kustomization(name))
    for number in range(files - 3 * units - 2):
        repository.write(f"docs/{number % 100}/{number}.md", f"{number}\n")
    repository.commit()
    _branch(repository, ONE, f"overlays/{manifests.names(units)[units // 2]}/replicas.yaml", _replicas(9))
    _branch(repository, ALL, "base/app.yaml", *_objects("registry.example/app:2"))
    return Fleet(repository, units)


def _branch(repository: Repository, name: str, path: str, *documents: Mapping[str, Any]) -> None:
    repository.git("checkout", "--quiet", "-b", name, BASE)
    repository.write(path, *documents)
    repository.commit()
    repository.git("checkout", "--quiet", BASE)


def _kustomization(name: str) -> manifests.Manifest:
    return manifests.kustomization(manifests.FLUX_NAMESPACE, name, f"overlays/{name}")


def _objects(image: str = "registry.example/app:1") -> list[manifests.Manifest]:
    found = manifests.application("", "web", image)
    while len(found) < OBJECTS:
        name = f"settings-{len(found)}"
        found.append(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": _TEXT}}
        )
    return found


def _replicas(count: int) -> manifests.Manifest:
    meta = {"name": "web"}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {"replicas": count}}
