"""The replay itself: a history in which every commit is a trap, told right; and an answer that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runner.clients.kustomize.compile import build as compile_worker
from tests.e2e.harness import ENTRY, Repository
from tests.fidelity.cli import Flux
from tests.fidelity.replay import exit_code, replay, table
from tests.integration.edited import config, kustomization, replaced, written

pytestmark = pytest.mark.fidelity
SOURCE = {"kind": "GitRepository", "name": "flux-system", "namespace": "flux-system"}
Edit = Callable[[Repository], object]


def fleet(repository: Repository) -> None:
    """A parent that patches its children, shared bases, generators, variables, a source from elsewhere."""
    write = repository.write
    patch = {
        "patch": "- {op: add, path: /spec/timeout, value: 3m}",
        "target": {"kind": "Kustomization", "labelSelector": "plain notin (true)"},
    }
    write(f"{ENTRY}/parent.yaml", kustomization("parent", "./parent", patches=[patch]))
    child = kustomization("child", "./apps/child", sourceRef=SOURCE, components=["../../component"])
    del child["metadata"]["namespace"]
    write("parent/kustomization.yaml", {"resources": ["child.yaml"], "namespace": "team"})
    write("parent/child.yaml", child)
    for name in ("child", "loose", "one", "two"):
        write(f"apps/{name}/a.yaml", config(name, text="1"))
    write("apps/child/unlisted/b.yaml", config("b", text="1"))
    made = {"name": "made", "namespace": "default", "files": ["made.txt"]}
    write("apps/child/kustomization.yaml", {"resources": ["a.yaml"], "configMapGenerator": [made]})
    write("apps/child/made.txt", "# a comment that is content\n")
    component = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
    write("component/kustomization.yaml", {**component, "commonAnnotations": {"extra": "1"}})
    variables = {"postBuild": {"substituteFrom": [{"kind": "ConfigMap", "name": "vars"}]}}
    values = config("vars", size="1", colour="blue")
    values["metadata"]["namespace"] = "flux-system"
    write(f"{ENTRY}/vars.yaml", values)
    write("apps/one/size.yaml", config("size", text="${size}"))
    write(
        f"{ENTRY}/apps.yaml",
        kustomization("loose", "./apps/loose"),
        kustomization("one", "./apps/one", **variables),
        kustomization("two", "./apps/two", dependsOn=[{"name": "one"}]),
    )
    write(f"{ENTRY}/chart.yaml", chart("1.0"), from_chart())


def chart(tag: str) -> dict:
    spec = {"interval": "5m", "url": "oci://registry.example/chart", "ref": {"tag": tag}}
    meta = {"name": "chart", "namespace": "flux-system"}
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "OCIRepository",
        "metadata": meta,
        "spec": spec,
    }


def from_chart() -> dict:
    return kustomization("chart", "./", sourceRef={"kind": "OCIRepository", "name": "chart"})


def moved(repository: Repository) -> None:
    repository.git("mv", "apps/two/a.yaml", "apps/loose/two.yaml")
    repository.write("apps/two/b.yaml", config("b", text="1"))


HISTORY: dict[str, tuple[Edit, set[str]]] = {
    "a comment": (replaced("apps/one/a.yaml", "\ndata:", "\n# a word\ndata:"), set()),
    "a comment that a generator embeds": (replaced("apps/child/made.txt", "a comment", "another"), {"child"}),
    "a patch of the children": (
        replaced(f"{ENTRY}/parent.yaml", "3m", "4m"),
        {"flux-system", "parent", "child"},
    ),
    "a component": (replaced("component/kustomization.yaml", "extra: '1'", "extra: '2'"), {"child"}),
    "a file that is not listed": (replaced("apps/child/unlisted/b.yaml", "'1'", "'2'"), set()),
    "a loose file": (written("apps/loose/b.yaml", config("second", text="1")), {"loose"}),
    "a variable": (replaced(f"{ENTRY}/vars.yaml", "size: '1'", "size: '2'"), {"flux-system", "one"}),
    "a variable that nobody uses": (replaced(f"{ENTRY}/vars.yaml", "blue", "red"), {"flux-system"}),
    "a label of a child": (
        replaced("parent/child.yaml", "name: child", "name: child\n  labels: {team: x}"),
        {"parent"},
    ),
    "the namespace of the children": (
        replaced("parent/kustomization.yaml", "team", "group"),
        {"parent", "child"},
    ),
    "a number that becomes true": (replaced("apps/one/a.yaml", "text: '1'", "text: true"), {"one"}),
    "an ignore file": (written(".sourceignore", "/apps/loose/b.yaml\n"), {"loose"}),
    "a tag of what is not here": (
        replaced(f"{ENTRY}/chart.yaml", "'1.0'", "'2.0'"),
        {"flux-system", "chart"},
    ),
    "a manifest that moves": (moved, {"loose", "two"}),
    "a side that breaks": (written("apps/two/c.yaml", "a: [\n"), {"two"}),
    "an executable file": (lambda r: (r.path / "apps/one/a.yaml").chmod(0o755), set()),
    "a Kustomization that goes": (written(f"{ENTRY}/chart.yaml", chart("2.0")), {"flux-system", "chart"}),
    "a parent that breaks": (
        replaced("parent/kustomization.yaml", "child.yaml", "other.yaml"),
        {"parent"},
    ),
}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    compile_worker()
    made = Repository(tmp_path / "fleet")
    fleet(made)
    made.commit()
    return made


def test_a_history_of_traps(repository: Repository, flux: Flux) -> None:
    for name, (edit, _) in HISTORY.items():
        edit(repository)
        repository.commit(name)
    rows = replay(repository.path, ENTRY, len(HISTORY), flux)
    found = [{id_.partition("/")[2] for id_ in row.theirs} for row in rows]
    assert found == [expected for _, expected in HISTORY.values()]
    assert [(row.missed, row.extra, row.refused) for row in rows] == [([], [], "")] * len(HISTORY)
    assert exit_code(rows) == 0


def test_a_wrong_answer(repository: Repository, flux: Flux) -> None:
    replaced("apps/loose/a.yaml", "'1'", "'2'")(repository)
    repository.commit()
    rows = replay(repository.path, ENTRY, 1, flux, lambda _base, _head: {"flux-system/two"})
    assert exit_code(rows) == 1
    lines = [line.strip() for line in table(rows).splitlines()]
    assert "missed: flux-system/loose" in lines
    assert "extra: flux-system/two" in lines
    assert lines[-1].split() == ["total", "1", "1", "1", "1", "1"]
