"""What is rendered is byte for byte what `flux build kustomization` prints, and the library's own build.

See `compare` for what the CLI adds to objects and is therefore evened out.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runner.clients.kustomize import WorkerPool
from tests.fidelity.cli import Flux
from tests.fidelity.compare import Case, check
from tests.fidelity.kfiles import KFILES
from tests.fidelity.trees import APP, FIELDS, flux_kustomization, together

pytestmark = pytest.mark.fidelity
Tree = Callable[[Mapping[str, str]], Path]

VARIED = {"postBuild": {"substitute": {"tier": "back", "port": "8080"}}, "nameSuffix": "-s"}


def check_all(pool: WorkerPool, flux: Flux, cases: Iterable[Case]) -> None:
    """Without the library's own build, which the CLI contains."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(lambda case: check(pool, flux, case, library=False), cases))


@pytest.mark.parametrize("path", ["app", "plain"])
@pytest.mark.parametrize("field", FIELDS)
def test_every_field_alone(pool: WorkerPool, flux: Flux, tree: Tree, field: str, path: str) -> None:
    built = check(pool, flux, Case(tree(APP), path, flux_kustomization(**together(field))))
    assert built.generated == (path == "plain")
    assert len(built.resources) >= 6


@pytest.mark.parametrize("field", FIELDS)
def test_every_pair_of_fields(pool: WorkerPool, flux: Flux, tree: Tree, field: str) -> None:
    root = tree(APP)
    later = itertools.dropwhile(lambda other: other != field, FIELDS)
    pairs = [together(field, other) for other in later if other != field]
    check_all(pool, flux, [Case(root, "app", flux_kustomization(**spec)) for spec in pairs])


def test_all_fields_at_once(pool: WorkerPool, flux: Flux, tree: Tree) -> None:
    check(pool, flux, Case(tree(APP), "app", flux_kustomization(**together(*FIELDS))))


@pytest.mark.parametrize("name", KFILES)
def test_every_kind_of_kustomization_file(pool: WorkerPool, flux: Flux, tree: Tree, name: str) -> None:
    root = tree(KFILES[name])
    check(pool, flux, Case(root, "app", flux_kustomization()))
    check(pool, flux, Case(root, "app", flux_kustomization(**VARIED)))
