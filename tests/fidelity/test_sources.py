"""Whole sources: what an artifact leaves out, and the example fleet, against the flux command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from runner.clients.kustomize import WorkerPool
from tests.fidelity.cli import Failure, Flux
from tests.fidelity.compare import Case, check, ours, printed
from tests.fidelity.kfiles import config_map
from tests.fidelity.trees import APP, flux_kustomization, together

pytestmark = pytest.mark.fidelity
Tree = Callable[[Mapping[str, str]], Path]
FLEET = Path(__file__).parents[2] / "examples" / "fleet"

# --- artifacts --------------------------------------------------------------------------------------------
# The CLI reads ignore files below the path it builds and knows no defaults; it is comparable where the path
# is the root and a pattern of the user's switches the source's defaults off, too.

PATHS = ["a.yaml", "b.yml", "deploy/c.yaml", "deploy/d.yaml", "deploy/deep/e.yaml", "docs/f.yaml"]
STRANGE_PATHS = ["x y.yaml", "#g.yaml"]
PATTERNS: Mapping[str, Mapping[str, str]] = {
    "a-file": {".sourceignore": "a.yaml\n"},
    "a-comment-and-blanks": {".sourceignore": "# a.yaml\n\n  \nb.yml   \n"},
    "a-directory": {".sourceignore": "docs/\n"},
    "all-but-one-directory": {".sourceignore": "/*\n!/deploy\n"},
    "brought-back-below": {".sourceignore": "deploy/\n!deploy/deep/e.yaml\n"},
    "anchored": {".sourceignore": "/e.yaml\n/a.yaml\n"},
    "globs": {".sourceignore": "**/deep/*.yaml\n?.yml\n[a-c].yaml\n"},
    "escaped": {".sourceignore": "\\#g.yaml\nx\\ y.yaml\n"},
    "in-a-directory": {"deploy/.sourceignore": "/c.yaml\ne.yaml\n"},
    "parent-then-child": {".sourceignore": "*.yaml\n", "deploy/.sourceignore": "!d.yaml\n"},
    "everything": {".sourceignore": "*\n"},
}


@pytest.mark.parametrize("name", PATTERNS)
def test_ignore_files(pool: WorkerPool, flux: Flux, tree: Tree, name: str) -> None:
    root = tree({**config_maps(*PATHS, *STRANGE_PATHS), **PATTERNS[name]})
    theirs = flux.build(root, ".", flux_kustomization())
    assert theirs == built_from_artifact(pool, root)


@pytest.mark.parametrize("ignore", ["a.yaml", "/*\n!/deploy", "deploy/\n!deploy/d.yaml"])
def test_ignore_of_the_source(pool: WorkerPool, flux: Flux, tree: Tree, ignore: str) -> None:
    """`--ignore-paths` stands for the source's `spec.ignore`."""
    root = tree({**config_maps(*PATHS), "deploy/.sourceignore": "deep\n"})
    theirs = flux.build(root, ".", flux_kustomization(), "--ignore-paths", ignore.replace("\n", ","))
    assert theirs == built_from_artifact(pool, root, ignore)


def config_maps(*paths: str) -> dict[str, str]:
    return {path: config_map(Path(path).stem.strip("#").replace(" ", "-")) for path in paths}


def built_from_artifact(pool: WorkerPool, root: Path, ignore: str = "") -> str:
    """What we render once the files are gone that the source's artifact does not have."""
    listing = pool.artifact(root, ignore)
    assert listing.excluded
    for path in listing.excluded:
        (root / path).unlink()
    case = Case(root, ".", flux_kustomization())
    return printed(pool, case, ours(pool, case))


def test_an_ignored_file_that_is_listed(pool: WorkerPool, flux: Flux, tree: Tree) -> None:
    """The CLI takes it off the list; the controller's artifact lacks it, and the build fails as here."""
    lists = {"kustomization.yaml": "resources: [a.yaml, b.yaml]\n", ".sourceignore": "b.yaml\n"}
    root = tree({**config_maps("a.yaml", "b.yaml"), **lists})
    theirs = flux.build(root, ".", flux_kustomization())
    assert not isinstance(theirs, Failure)
    assert theirs.count("kind: ConfigMap") == 1
    (root / "b.yaml").unlink()
    [problem] = ours(pool, Case(root, ".", flux_kustomization())).problems
    assert problem.code == "missing_file"


# --- the example fleet ------------------------------------------------------------------------------------


@pytest.mark.parametrize("cluster", ["staging", "production"])
def test_example_fleet(pool: WorkerPool, flux: Flux, cluster: str) -> None:
    """Every Kustomization; without a cluster, the CLI needs the variables of `substituteFrom` inline."""
    found = {
        (item.object["kind"], item.object["metadata"]["name"]): item.object
        for file in sorted((FLEET / "clusters" / cluster).rglob("*.yaml"))
        for item in pool.parse(file.read_bytes(), file.name).objects
    }
    kustomizations = [item for (kind, _), item in found.items() if kind == "Kustomization"]
    assert len(kustomizations) >= 5
    for kustomization in kustomizations:
        inlined = inline(kustomization, found)
        assert check(pool, flux, Case(FLEET, kustomization["spec"]["path"], inlined)).resources


def inline(kustomization: Mapping[str, Any], found: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    made = json.loads(json.dumps(kustomization))
    post_build = made["spec"].get("postBuild") or {}
    variables: dict[str, str] = {}
    for source in post_build.pop("substituteFrom", []):
        variables |= found[source["kind"], source["name"]]["data"]
    if variables:
        post_build["substitute"] = {**variables, **(post_build.get("substitute") or {})}
    return made


def test_on_disk_and_in_memory_are_the_same_to_the_cli(flux: Flux, tree: Tree) -> None:
    """The comparisons use its in-memory way, which leaves the tree alone; people use the other one."""
    root = tree(APP)
    for path in ("app", "plain"):
        kustomization = flux_kustomization(**together("components", "images", "substitute"))
        assert flux.build(root, path, kustomization) == flux.build(root, path, kustomization, in_memory=False)
