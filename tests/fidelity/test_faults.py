"""What cannot be rendered fails here as in Flux, and our message says where; `snapshots/` shows both."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import pytest

from runner import discover
from runner.clients.kustomize import WorkerPool
from runner.errors import Refused, UsageError
from runner.model import Artifact, VariableSource
from runner.render import Renderer
from runner.rendered import Problem
from tests.fidelity.api import refusal, refusing
from tests.fidelity.cli import Failure, Flux
from tests.fidelity.compare import Case, ours
from tests.fidelity.faults import FAULTS, Wrong
from tests.fidelity.trees import flux_kustomization

pytestmark = pytest.mark.fidelity
NEWLINE = "\n"
SNAPSHOTS = Path(__file__).with_name("snapshots")


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault(
    pool: WorkerPool, flux: Flux, tree: Callable[[Mapping[str, str]], Path], tmp_path: Path, name: str
) -> None:
    wrong = FAULTS[name]
    case = Case(tree(wrong.files), wrong.path, flux_kustomization(**wrong.spec))
    with ThreadPoolExecutor(1) as meanwhile:
        asked = meanwhile.submit(ask, flux, case, wrong, tmp_path / "kubeconfig")
        ours(pool, case)
        problems = ours_in_a_fleet(pool, case, wrong)
        theirs = asked.result()
    compare_with_snapshot(f"{name}.txt", snapshot(problems, theirs, case.root))
    told = [str(each) for each in problems]
    assert any(text.startswith(f"{wrong.where}: " if wrong.where else "") for text in told), told


def ask(flux: Flux, case: Case, wrong: Wrong, kubeconfig: Path) -> str | Failure:
    """Flux's own words; with a server only where it is the server that is asked for something."""
    if not wrong.server:
        return flux.build(case.root, case.path, case.kustomization)
    with refusing(wrong.server, case.kustomization, kubeconfig):
        return flux.build(case.root, case.path, case.kustomization, kubeconfig=kubeconfig)


def ours_in_a_fleet(pool: WorkerPool, case: Case, wrong: Wrong) -> tuple[Problem, ...]:
    """What a run says of the Kustomization, which a parent has in a file of its own."""
    spec = {**case.kustomization["spec"], "path": case.path}
    (case.root / "clusters").mkdir()
    written = pool.encode([{**case.kustomization, "spec": spec}])
    (case.root / "clusters" / "apps.yaml").write_text(f"# what is wrong is {case.path}\n---\n{written}")

    def live(source: VariableSource) -> None:
        if wrong.server == HTTPStatus.FORBIDDEN:
            status = refusal(wrong.server, f"{source.kind.lower()}s", source.name)
            raise Refused(status["message"], code=wrong.server, reason=status["reason"])

    renderer = Renderer(pool, lambda *_: Artifact(case.root, ""), live)
    with ThreadPoolExecutor(1) as threads:
        try:
            fleet = discover.walk(discover.root("flux-system/flux-system", "clusters"), renderer, threads)
        except UsageError as exc:
            return (Problem("spec", exc.message, "discover", hint=exc.hint),)
    unit = fleet.units["flux-system/apps"]
    variables = renderer.resolve(unit.kustomization, {})
    made = replace(unit, rendering=renderer.render(unit.kustomization, variables, final=True))
    return discover.placed(made, fleet.units[fleet.root]).rendering.problems


def snapshot(problems: Sequence[Problem], theirs: str | Failure, root: Path) -> str:
    mine = [
        f"{problem}\n  [{problem.stage}, {problem.code}]"
        + (f"\n  hint: {problem.hint}" if problem.hint else "")
        for problem in problems
    ]
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
