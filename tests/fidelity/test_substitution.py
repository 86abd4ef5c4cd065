"""Variables: the same expressions, the same faults and the same types as Flux's own programs make of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import lists

from runner.clients.kustomize import WorkerPool
from runner.rendered import BuildRequest
from tests.fidelity.cli import Envsubst, Failure, Flux
from tests.fidelity.compare import Case, check
from tests.fidelity.expressions import TABLE, TEMPLATES, VARIABLES, Fault
from tests.fidelity.trees import flux_kustomization
from tests.fidelity.typing_cases import CASES as TYPED
from tests.fidelity.typing_cases import Typed

pytestmark = pytest.mark.fidelity
Tree = Callable[[Mapping[str, str]], Path]
Result = str | Failure

MODES = {"strict": True, "lenient": False}
FENCE = "."
"""Around every template, so that no blank at its ends makes YAML write it in another style."""


@pytest.fixture(scope="module")
def envsubst(flux: Flux) -> Iterator[Mapping[bool, Envsubst]]:
    with ExitStack() as running:
        yield {
            strict: running.enter_context(Envsubst(flux, VARIABLES, strict=strict))
            for strict in (True, False)
        }


def ours(pool: WorkerPool, root: Path, templates: list[str], *, strict: bool) -> list[Result]:
    """Each template in a ConfigMap of its own, in a literal block: there YAML adds nothing to a text."""
    texts = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"c{number:04}"},
            "data": {"text": f"{FENCE}{template}{FENCE}\n"},
        }
        for number, template in enumerate(templates)
    ]
    (root / "all.yaml").write_text("\n---\n".join(json.dumps(text) for text in texts))
    spec = flux_kustomization(postBuild={})
    built = pool.build(BuildRequest(root, ".", spec, variables=VARIABLES, strict=strict))
    results: dict[str, Result] = {}
    for problem in built.problems:  # Flux stops at the first, which need not be our first
        name = problem.subject.name
        before = results.get(name, Failure(""))
        results[name] = Failure(f"{before.message}\n{problem.message}")
    for resource in built.resources:
        results[resource.object["metadata"]["name"]] = resource.object["data"]["text"].removesuffix("\n")
    return [results[f"c{number:04}"] for number in range(len(templates))]


def same(mine: Result, theirs: Result) -> bool:
    if not isinstance(theirs, Failure) and not _is_text(theirs):
        return isinstance(mine, Failure)  # half a character: no YAML can have it
    if isinstance(mine, Failure) and isinstance(theirs, Failure):
        said = theirs.message.partition(" [")[0].removeprefix("panic: runtime error: ")
        return said in mine.message
    return mine == theirs


def _is_text(result: str) -> bool:
    return not any("\udc80" <= character <= "\udcff" for character in result)


@pytest.mark.parametrize("mode", MODES)
def test_the_table(pool: WorkerPool, envsubst: Mapping[bool, Envsubst], tmp_path: Path, mode: str) -> None:
    strict = MODES[mode]
    mine = ours(pool, tmp_path, [row.template for row in TABLE], strict=strict)
    different = []
    for row, my in zip(TABLE, mine, strict=True):
        their = envsubst[strict](f"{FENCE}{row.template}{FENCE}")
        wanted = row.strict if strict else row.lenient
        for result in (my, their):
            if isinstance(wanted, Fault):
                fine = isinstance(result, Failure) and wanted.text in result.message
            else:
                fine = result == f"{FENCE}{wanted}{FENCE}"
            if not fine:
                different.append((row.template, wanted, my, their))
    assert different == [], "\n".join(map(str, different))


def test_what_a_grammar_makes(pool: WorkerPool, envsubst: Mapping[bool, Envsubst], tmp_path: Path) -> None:
    @settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    @given(templates=lists(TEMPLATES, min_size=10, max_size=10, unique=True))
    def compare(templates: list[str]) -> None:
        for strict in (True, False):
            for template, mine in zip(templates, ours(pool, tmp_path, templates, strict=strict), strict=True):
                theirs = envsubst[strict](f"{FENCE}{template}{FENCE}")
                assert same(mine, theirs), (template, strict, mine, theirs)

    compare()


# --- types ----------------------------------------------------------------------------------------------


def widgets(cases: Iterable[tuple[int, Typed]]) -> str:
    """The cases' templates, each in an object and with a variable of its own."""
    return "\n---\n".join(
        json.dumps(
            {
                "apiVersion": "example.com/v1",
                "kind": "Widget",
                "metadata": {"name": f"w{number:03}"},
                "spec": {"value": case.template.replace("@", f"v{number}")},
            }
        )
        for number, case in cases
    )


def substituting(cases: Iterable[tuple[int, Typed]]) -> dict[str, Any]:
    return flux_kustomization(postBuild={"substitute": {f"v{number}": case.value for number, case in cases}})


def test_types(pool: WorkerPool, flux: Flux, tree: Tree) -> None:
    sound = [(n, case) for n, case in enumerate(TYPED) if not isinstance(case.result, Fault)]
    built = check(pool, flux, Case(tree({"all.yaml": widgets(sound)}), ".", substituting(sound)))
    got = {(n, repr(r.object["spec"]["value"])) for (n, _), r in zip(sound, built.resources, strict=True)}
    assert got == {(n, repr(case.result)) for n, case in sound}


def test_values_that_break_the_manifest(pool: WorkerPool, flux: Flux, tmp_path: Path) -> None:
    def break_it(number: int, case: Typed) -> None:
        root = tmp_path / str(number)
        root.mkdir()
        (root / "all.yaml").write_text(widgets([(0, case)]))
        theirs = flux.build(root, ".", substituting([(0, case)]))
        [mine] = pool.build(Case(root, ".", substituting([(0, case)])).request).problems
        assert isinstance(theirs, Failure), case
        assert case.result.text in theirs.message
        assert case.result.text in mine.message
        assert (mine.subject.name, mine.json_path) == ("w000", "$.spec.value")

    wrong = [case for case in TYPED if isinstance(case.result, Fault)]
    with ThreadPoolExecutor() as threads:
        list(threads.map(break_it, range(len(wrong)), wrong))


@pytest.mark.parametrize("value", ["1", "yes", "", "null", "text"])
@pytest.mark.parametrize("common", [{}, {"labels": {"c": "d"}}, {"annotations": {"e": "f"}}])
def test_labels_and_annotations_that_are_no_text(
    pool: WorkerPool, flux: Flux, tree: Tree, value: str, common: Mapping[str, Any]
) -> None:
    meta = "{name: a, labels: {x: '${v}', y: z}, annotations: {q: '${v}', r: s}}"
    root = tree({"a.yaml": f"apiVersion: v1\nkind: ConfigMap\nmetadata: {meta}\n"})
    spec = {"postBuild": {"substitute": {"v": value}}, "commonMetadata": common}
    check(pool, flux, Case(root, ".", flux_kustomization(**spec)))
