"""Manifests of small fleets, edits of their files, and what `kustodian diff` says of these."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner import cli, review
from runner.changes import Comparison
from runner.options import Options
from tests.e2e.harness import ENTRY, Repository

Edit = Callable[[Repository], object]


def kustomization(name: str, path: str, **spec: object) -> dict:
    source = {"kind": "GitRepository", "name": "flux-system"}
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": "flux-system"},
        "spec": {"interval": "10m", "path": path, "prune": True, "sourceRef": source, **spec},
    }


def config(name: str, **data: str) -> dict:
    meta = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def uses(name: str, reference: str) -> dict:
    """A Deployment that reads a ConfigMap."""
    container = {"name": "app", "image": "app:1", "envFrom": [{"configMapRef": {"name": reference}}]}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template},
    }


def small(path: Path) -> Repository:
    """One Kustomization with one ConfigMap, committed once."""
    made = Repository(path)
    made.write(f"{ENTRY}/app.yaml", kustomization("app", "./apps/app"))
    made.write("apps/app/a.yaml", config("a", text="1"))
    made.commit()
    return made


def clone(original: Repository, path: Path) -> Repository:
    """A clone, on a branch of its own."""
    made = Repository(path)
    made.git("remote", "add", "origin", str(original.path))
    made.git("fetch", "--quiet", "origin")
    made.git("checkout", "--quiet", "-b", "change", "origin/main")
    return made


def compared(repository: Repository, base: str = "origin/main", **options: object) -> Comparison:
    return review.diff(Options(repo=repository.path, **{"entry": ENTRY, **options}), base)


def affected(told: Comparison) -> dict[str, list[str]]:
    """Name to reasons, those without any left out: they only depend on another."""
    return {
        each.kustomization.partition("/")[2]: [str(why) for why in each.reasons]
        for each in told.affected
        if not each.dependent
    }


def replaced(path: str, old: str, new: str) -> Edit:
    def edit(repository: Repository) -> None:
        file = repository.path / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    return edit


def written(path: str, *documents: object) -> Edit:
    return lambda repository: repository.write(path, *documents)


@dataclass
class Diff:
    """The command line, run in this process."""

    repository: Repository
    capture: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str, code: int = 0, entry: str = ENTRY) -> dict:
        """The result as JSON, with nothing said beside it."""
        told, said = self.both(*arguments, code=code, entry=entry)
        assert not said
        return told

    def both(self, *arguments: str, code: int = 0, entry: str = ENTRY) -> tuple[dict, str]:
        flags = ["--repo", str(self.repository.path), "--entry", entry, "-o", "json"]
        flags += [] if "--cache-dir" in arguments else ["--no-cache"]
        exit_code = cli.run(["diff", *flags, *arguments])
        stdout, stderr = self.capture.readouterr()
        assert exit_code == code, stdout + stderr
        assert "Traceback" not in stderr
        return json.loads(stdout) if stdout else {}, stderr

    def refused(self, *arguments: str, code: int = 2, entry: str = ENTRY) -> str:
        told, said = self.both(*arguments, code=code, entry=entry)
        assert not told
        assert said.startswith("error: ")
        assert said.count("\nhint: ") == 1
        return said
