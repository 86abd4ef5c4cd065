"""What cannot be rendered fails here as in Flux, and our message says where; `snapshots/` shows both."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runner.clients.kustomize import WorkerPool
from runner.rendered import Built
from tests.fidelity.cli import Failure, Flux
from tests.fidelity.compare import Case, ours
from tests.fidelity.faults import FAULTS
from tests.fidelity.trees import flux_kustomization

pytestmark = pytest.mark.fidelity
NEWLINE = "\n"
SNAPSHOTS = Path(__file__).with_name("snapshots")


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault(pool: WorkerPool, flux: Flux, tree: Callable[[Mapping[str, str]], Path], name: str) -> None:
    wrong = FAULTS[name]
    case = Case(tree(wrong.files), wrong.path, flux_kustomization(**wrong.spec))
    with ThreadPoolExecutor(1) as meanwhile:
        asked = meanwhile.submit(flux.build, case.root, case.path, case.kustomization)
        built = ours(pool, case)
        theirs = asked.result()
    compare_with_snapshot(f"{name}.txt", snapshot(built, theirs, case.root))
    places = [
        problem.json_path or f"{problem.file}:{problem.line}".removesuffix(":0") for problem in built.problems
    ]
    assert (wrong.where in places) if wrong.where else built.problems, places


def snapshot(built: Built, theirs: str | Failure, root: Path) -> str:
    mine = [f"{problem}\n  [{problem.stage}, {problem.code}]" for problem in built.problems] or ["(renders)"]
    said = theirs.message if isinstance(theirs, Failure) else "(renders)"
    said = re.sub(r" &\{0x[^}]*\}", "", said)  # pointers, other ones every time
    text = f"# ours\n{NEWLINE.join(mine)}\n\n# flux\n{said}\n"
    return text.replace(str(root), "ROOT").replace(str(root.parent.parent), "OUTSIDE")


def compare_with_snapshot(name: str, got: str) -> None:
    file = SNAPSHOTS / name
    if os.environ.get("UPDATE_GOLDEN"):
        SNAPSHOTS.mkdir(exist_ok=True)
        file.write_text(got, encoding="utf-8")
    assert got == file.read_text(encoding="utf-8"), f"UPDATE_GOLDEN=1 rewrites {name}"


def test_every_snapshot_has_its_fault() -> None:
    assert {path.stem for path in SNAPSHOTS.glob("*")} == set(FAULTS)
