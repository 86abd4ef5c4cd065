"""What real repositories do to a tool that asks "what does this change affect?", on real git and the worker.

Each case is one edit of the same fleet, with the Kustomizations that it affects and why. Whether that is
right is checked again by rendering both sides from nothing, one build at a time.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from runner import review
from runner.clients.kustomize.compile import build as compile_worker
from runner.errors import UsageError
from runner.model import Action
from runner.options import Options
from tests.e2e.harness import ENTRY, Repository
from tests.integration.edited import (
    affected,
    clone,
    compared,
    config,
    kustomization,
    replaced,
    uses,
    written,
)


@pytest.fixture(scope="module", autouse=True)
def worker() -> None:
    compile_worker()


def fleet(repository: Repository) -> None:
    """A dozen Kustomizations, two levels deep, with everything that the cases need."""
    write = repository.write
    patch = {
        "patch": "- {op: add, path: /spec/timeout, value: 3m}",
        "target": {"kind": "Kustomization", "labelSelector": "plain notin (true)"},
    }
    write(f"{ENTRY}/flux-system/root.yaml", kustomization("flux-system", f"./{ENTRY}"))
    write(f"{ENTRY}/children.yaml", kustomization("children", "./children", patches=[patch]))
    write(
        f"{ENTRY}/several.yaml",
        """\
        apiVersion: kustomize.toolkit.fluxcd.io/v1
        kind: Kustomization
        metadata: {name: one, namespace: flux-system}
        spec: &spec
          interval: 10m
          path: ./shared/one
          prune: true
          sourceRef: {kind: GitRepository, name: flux-system}
        """,
        {**kustomization("two", "./shared/two"), "spec": kustomization("two", "./shared/two")["spec"]},
    )
    write("children/loose.yaml", kustomization("loose", "./apps/loose"))
    write("children/listed.yaml", kustomization("listed", "./apps/listed", dependsOn=[{"name": "loose"}]))
    plain = kustomization("plain", "./apps/plain", components=["../../components/extra"])
    plain["metadata"]["labels"] = {"plain": "true"}
    write("children/plain.yaml", plain)
    write("apps/loose/a.yaml", config("loose", text="1"))
    write("apps/loose/docs/readme.txt", "nothing\n")
    write("apps/listed/kustomization.yaml", {"resources": ["a.yaml"]})
    write("apps/listed/a.yaml", config("listed", text="1"))
    write("apps/listed/unlisted/b.yaml", config("unlisted", text="1"))
    write("apps/plain/kustomization.yaml", {"resources": ["a.yaml"]})
    write("apps/plain/a.yaml", config("plain", text="1"))
    component = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
    write("components/extra/kustomization.yaml", {**component, "commonAnnotations": {"extra": "1"}})
    write("base/kustomization.yaml", {"resources": ["a.yaml"]})
    write("base/a.yaml", config("base", text="1"))
    write("shared/one/kustomization.yaml", {"resources": ["../../base"], "namePrefix": "one-"})
    generator = {"name": "made", "files": ["made.txt"], "namespace": "default"}
    write(
        "shared/two/kustomization.yaml",
        {"resources": ["../../base", "uses.yaml"], "namePrefix": "two-", "configMapGenerator": [generator]},
    )
    write("shared/two/uses.yaml", uses("two", "made"))
    write("shared/two/made.txt", "# a comment that is content\n1\n")
    substitution(repository)


def substitution(repository: Repository) -> None:
    write = repository.write
    from_map = [{"kind": "ConfigMap", "name": "no", "optional": True}, {"kind": "ConfigMap", "name": "vars"}]
    variables = {"substituteFrom": from_map}
    write(f"{ENTRY}/vars.yaml", config("vars", size="1", colour="blue"))
    vars_ = config("vars", size="1", colour="blue")
    vars_["metadata"]["namespace"] = "flux-system"
    write(f"{ENTRY}/vars.yaml", vars_)
    write(
        f"{ENTRY}/substituted.yaml", kustomization("substituted", "./apps/substituted", postBuild=variables)
    )
    opted_out = config("out", text="$${size} ${size}")
    opted_out["metadata"]["labels"] = {"kustomize.toolkit.fluxcd.io/substitute": "disabled"}
    write("apps/substituted/a.yaml", config("in", text="${size}"), opted_out)
    secret = {"substituteFrom": [{"kind": "Secret", "name": "made-by-an-operator"}]}
    write(f"{ENTRY}/unknown.yaml", kustomization("unknown", "./apps/unknown", postBuild=secret))
    over = {"substitute": {}, "substituteFrom": [from_map[1], from_map[0]]}
    write(f"{ENTRY}/overridable.yaml", kustomization("overridable", "./apps/overridable", postBuild=over))
    write("apps/overridable/a.yaml", config("over", text="${size}"))
    write("apps/unknown/a.yaml", config("unknown", text="${password:=none}", other="1"))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    repository = Repository(tmp_path_factory.mktemp("traps") / "fleet")
    fleet(repository)
    repository.commit()
    return repository


@pytest.fixture
def repository(original: Repository, tmp_path: Path) -> Repository:
    """A clone of the fleet, on a branch of its own."""
    return clone(original, tmp_path / "clone")


CASES = {
    "a loose manifest joins where no kustomization file is": (
        written("apps/loose/b.yaml", config("second", text="1")),
        {"loose": ["files: apps/loose/b.yaml"]},
    ),
    "a file below a directory with a kustomization file that does not list it": (
        replaced("apps/listed/unlisted/b.yaml", "1", "2"),
        {},
    ),
    "what is no manifest joins nothing": (written("apps/loose/docs/more.txt", "text\n"), {}),
    "a parent's patch of its children": (
        replaced(f"{ENTRY}/children.yaml", "3m", "4m"),
        {
            "flux-system": [f"files: {ENTRY}/children.yaml"],
            "children": [f"spec: {ENTRY}/children.yaml"],
            "loose": ["parent: flux-system/children changes spec.timeout"],
            "listed": ["parent: flux-system/children changes spec.timeout"],
        },
    ),
    "a component that is reached by climbing": (
        replaced("components/extra/kustomization.yaml", "extra: '1'", "extra: '2'"),
        {"plain": ["shared: components/extra/kustomization.yaml"]},
    ),
    "several Kustomizations in one file": (
        replaced(f"{ENTRY}/several.yaml", "path: ./shared/one", "path: ./shared/one\n  wait: true"),
        {"flux-system": [f"files: {ENTRY}/several.yaml"], "one": [f"spec: {ENTRY}/several.yaml"]},
    ),
    "a base that two share": (
        replaced("base/a.yaml", "text: '1'", "text: '2'"),
        {"one": ["shared: base/a.yaml"], "two": ["shared: base/a.yaml"]},
    ),
    "comments alone": (replaced("base/a.yaml", "\ndata:", "\n# a word\ndata:"), {}),
    "a comment in a file that a generator embeds": (
        replaced("shared/two/made.txt", "a comment", "another comment"),
        {"two": ["files: shared/two/made.txt"]},
    ),
    "a variable": (
        replaced(f"{ENTRY}/vars.yaml", "size: '1'", "size: '2'"),
        {
            "flux-system": [f"files: {ENTRY}/vars.yaml"],
            "overridable": ["variables: size (ConfigMap/flux-system/vars)"],
            "substituted": ["variables: size (ConfigMap/flux-system/vars)"],
        },
    ),
    "a variable that nobody uses": (
        replaced(f"{ENTRY}/vars.yaml", "colour: blue", "colour: red"),
        {"flux-system": [f"files: {ENTRY}/vars.yaml"]},
    ),
    "an expression of which only the cluster has the value": (
        replaced("apps/unknown/a.yaml", "other: '1'", "other: '2'"),
        {"unknown": ["files: apps/unknown/a.yaml"]},
    ),
    "a label of a child is its parent's business": (
        replaced("children/loose.yaml", "name: loose", "name: loose\n  labels: {team: blue}"),
        {"children": ["files: children/loose.yaml"]},
    ),
    "a label that a patch's selector asks for": (
        replaced("children/loose.yaml", "name: loose", "name: loose\n  labels: {plain: 'true'}"),
        {"children": ["files: children/loose.yaml"], "loose": ["spec: children/loose.yaml"]},
    ),
    "common metadata, which comes after the build": (
        replaced("children/loose.yaml", "prune: true", "prune: true\n  commonMetadata: {labels: {x: 'y'}}"),
        {"children": ["files: children/loose.yaml"], "loose": ["spec: children/loose.yaml"]},
    ),
    "a source's ignore file": (
        written(".sourceignore", "apps/loose/*.yaml\n!apps/loose/kustomization.yaml\n"),
        {"loose": ["source: .sourceignore"]},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_change_affects(repository: Repository, case: str):
    edit, expected = CASES[case]
    edit(repository)
    repository.commit()
    told = compared(repository)
    assert affected(told) == expected
    assert not told.faults


def test_a_renamed_file_changes_nothing_where_nobody_minds_its_name(repository: Repository):
    repository.git("mv", "apps/loose/a.yaml", "apps/loose/ü b.yaml")
    repository.commit()
    told = compared(repository)
    assert affected(told) == {}
    assert told.idle == ("apps/loose/ü b.yaml",)


def test_dependents_are_told_apart(repository: Repository):
    replaced("apps/loose/a.yaml", "text: '1'", "text: '2'")(repository)
    repository.commit()
    told = compared(repository)
    assert [(each.kustomization, each.via) for each in told.affected] == [
        ("flux-system/loose", ()),
        ("flux-system/listed", ("flux-system/loose",)),
    ]
    assert told.waves == (("flux-system/loose",), ("flux-system/listed",))


def test_a_variable_that_the_cluster_may_override_is_not_known(repository: Repository):
    replaced(f"{ENTRY}/vars.yaml", "size: '1'", "size: '2'")(repository)
    repository.commit()
    found = {each.ref.name: each for each in compared(repository).changes}
    assert (found["over"].action, found["over"].unknown) == (Action.UNKNOWN, ("size",))
    assert [(each.path, each.before, each.after) for each in found["in"].fields] == [("data.text", 1, 2)]


def test_an_object_that_moves_is_not_deleted(repository: Repository):
    repository.git("mv", "apps/loose/a.yaml", "apps/listed/c.yaml")
    repository.write("apps/listed/kustomization.yaml", {"resources": ["a.yaml", "c.yaml"]})
    repository.commit()
    told = compared(repository)
    (moved,) = told.changes
    assert (moved.kustomization, moved.action, moved.moved_from) == (
        "flux-system/listed",
        Action.MOVED,
        "flux-system/loose",
    )


def test_a_generated_name_is_paired(repository: Repository):
    replaced("shared/two/made.txt", "1\n", "2\n")(repository)
    repository.commit()
    made, user = sorted(compared(repository).changes, key=lambda each: each.ref.kind)
    assert made.was is not None
    assert made.was.name != made.ref.name
    assert made.action is Action.CONFIGURED
    assert [each.path for each in user.fields] == [
        "spec.template.spec.containers[name=app].envFrom[0].configMapRef.name"
    ]


def test_one_side_that_cannot_be_rendered_deletes_nothing(repository: Repository):
    replaced("base/kustomization.yaml", "a.yaml", "gone.yaml")(repository)
    repository.commit()
    told = compared(repository)
    assert [(fault.kustomization, fault.side) for fault in told.faults] == [
        ("flux-system/one", "head"),
        ("flux-system/two", "head"),
    ]
    assert told.changes == ()
    assert review.exit_code(told) == 1
    back = review.diff(
        Options(repo=repository.path, entry=ENTRY, revision="origin/main"),
        repository.git("rev-parse", "HEAD"),
    )
    assert {fault.side for fault in back.faults} == {"base"}
    assert back.changes == ()
    assert review.exit_code(back) == 0


def test_deletions_wait_for_what_cannot_be_rendered(repository: Repository):
    replaced("base/kustomization.yaml", "a.yaml", "gone.yaml")(repository)
    repository.git("rm", "-q", "apps/listed/a.yaml")
    repository.write("apps/listed/kustomization.yaml", {"resources": ["unlisted/b.yaml"]})
    repository.commit()
    gone = next(each for each in compared(repository).changes if each.ref.name == "listed")
    assert gone.action is Action.SKIPPED
    assert "flux-system/one" in gone.reason


def test_a_removed_kustomization_takes_its_objects_along(repository: Repository):
    repository.git("rm", "-q", "children/listed.yaml")
    repository.commit()
    told = compared(repository)
    assert affected(told)["listed"] == ["removed: ./apps/listed"]
    gone = [each for each in told.changes if each.kustomization == "flux-system/listed"]
    assert [(str(each.ref), each.action) for each in gone] == [("ConfigMap/default/listed", Action.DELETED)]


def test_an_entry_that_only_one_side_has(repository: Repository):
    repository.git("mv", ENTRY, "clusters/elsewhere")
    replaced("clusters/elsewhere/flux-system/root.yaml", ENTRY, "clusters/elsewhere")(repository)
    repository.commit()
    gone = compared(repository)
    assert {each.action for each in gone.changes} == {Action.DELETED}
    new = review.diff(Options(repo=repository.path, entry="clusters/elsewhere"), "origin/main")
    assert {each.action for each in new.changes} == {Action.CREATED}
    with pytest.raises(UsageError, match="is no directory of"):
        review.diff(Options(repo=repository.path, entry="clusters/nowhere"), "origin/main")


def test_the_cache_changes_nothing_but_the_time(repository: Repository, tmp_path: Path):
    replaced("base/a.yaml", "text: '1'", "text: '2'")(repository)
    repository.commit()
    plain = compared(repository)
    cold, warm = (compared(repository, cache=tmp_path / "cache") for _ in range(2))
    assert plain == cold == warm
    for file in (tmp_path / "cache").rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[:-3] + b"...")
    assert compared(repository, cache=tmp_path / "cache") == plain
