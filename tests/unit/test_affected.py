"""Which Kustomizations a change affects, why, and who depends on them."""

from dataclasses import replace

import pytest

from runner.affected import Sides, affected, idle
from runner.changes import Affected, Cause, Why
from runner.discover import parse
from runner.fleet import Fleet, Origin, Rendering, Unit, Variables
from runner.model import VariableSource
from runner.ports import PathChange
from runner.ports import PathChangeKind as Kind
from runner.rendered import Closure, Problem

ROOT = "flux-system/flux-system"
VARS = VariableSource("ConfigMap", "flux-system", "vars")
BROKEN = (Problem("yaml", "it is no YAML", file="apps/api/kustomization.yaml", line=3),)


def unit(name: str, *, value: str = "1", parent: str = ROOT, **how) -> Unit:
    """A Kustomization of ./apps/<name> that renders one ConfigMap with the given value."""
    spec = {
        "path": how.get("path", f"./apps/{name}"),
        "prune": True,
        "interval": "10m",
        "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
        "dependsOn": [{"name": each} for each in how.get("needs", ())],
        **how.get("spec", {}),
    }
    meta = {"name": name, "namespace": "flux-system", "labels": how.get("labels", {})}
    k = parse(
        {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": meta,
            "spec": spec,
        }
    )
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": {"value": value},
    }
    closure = Closure(
        read=how.get("reads", (f"apps/{name}/kustomization.yaml", f"apps/{name}/config.yaml")),
        listed=how.get("listed", ()),
        missing=how.get("missing", (f"apps/{name}/kustomization.yml",)),
    )
    rendering = Rendering(
        objects=(config,),
        shown=(config,),
        closure=closure,
        variables=how.get("variables", Variables()),
        problems=how.get("problems", ()),
    )
    suspended = spec.get("suspend")
    return Unit(k, parent, None if suspended else rendering)


def root(*, reads: tuple[str, ...] = ("clusters/production/apps.yaml",), problems=(), objects=()) -> Unit:
    made = unit("flux-system", parent="", path="./clusters/production", reads=reads, problems=problems)
    return replace(made, rendering=replace(made.rendering, objects=tuple(objects), shown=tuple(objects)))


def fleet(*units: Unit, top: Unit | None = None) -> Fleet:
    return Fleet(ROOT, {each.id: each for each in sorted((top or root(), *units), key=lambda u: u.id)})


def modified(*paths: str) -> tuple[PathChange, ...]:
    return tuple(PathChange(path, kind=Kind.MODIFIED) for path in paths)


def found(before: Fleet | None, after: Fleet | None, *paths: PathChange, **how) -> dict[str, list[str]]:
    result = affected(Sides(before, after), paths, **how)
    return {each.kustomization.partition("/")[2]: [str(why) for why in each.reasons] for each in result}


def test_a_changed_file_of_its_own():
    changed = modified("apps/api/config.yaml")
    assert found(fleet(unit("api")), fleet(unit("api", value="2")), *changed) == {
        "api": ["files: apps/api/config.yaml"]
    }


def test_a_file_that_is_read_but_makes_no_difference_affects_nothing():
    changed = modified("apps/api/config.yaml")
    same = fleet(unit("api")), fleet(unit("api"))
    assert found(*same, *changed) == {}
    assert idle(Sides(*same), affected(Sides(*same), changed), changed) == ("apps/api/config.yaml",)


def test_a_file_that_nobody_reads():
    changed = modified("README.md", "apps/api/config.yaml")
    sides = Sides(fleet(unit("api")), fleet(unit("api", value="2")))
    assert idle(sides, affected(sides, changed), changed) == ("README.md",)


def test_the_files_of_one_that_comes_or_goes_are_not_idle():
    changed = modified("README.md", "apps/api/config.yaml")
    for sides in (Sides(fleet(), fleet(unit("api"))), Sides(fleet(unit("api")), fleet())):
        assert idle(sides, affected(sides, changed), changed) == ("README.md",)


def test_a_shared_base_affects_everybody_who_reads_it():
    reads = {name: (f"apps/{name}/kustomization.yaml", "base/config.yaml") for name in ("api", "web")}
    before = fleet(*(unit(name, reads=paths) for name, paths in reads.items()))
    after = fleet(*(unit(name, value="2", reads=paths) for name, paths in reads.items()))
    assert found(before, after, *modified("base/config.yaml")) == {
        "api": ["shared: base/config.yaml"],
        "web": ["shared: base/config.yaml"],
    }


def test_a_path_that_only_begins_like_its_own_is_shared():
    reads = ("apps/api-base/config.yaml",)
    assert found(
        fleet(unit("api", reads=reads)),
        fleet(unit("api", value="2", reads=reads)),
        *modified("apps/api-base/config.yaml"),
    ) == {"api": ["shared: apps/api-base/config.yaml"]}


@pytest.mark.parametrize(
    ("change", "how"),
    [
        pytest.param(
            PathChange("apps/api/new.yaml", kind=Kind.ADDED), {"listed": ("apps/api",)}, id="listed"
        ),
        pytest.param(
            PathChange("apps/api/kustomization.yml", kind=Kind.ADDED),
            {},
            id="was looked for in vain",
        ),
        pytest.param(
            PathChange("components/x/kustomization.yaml", kind=Kind.ADDED),
            {"missing": ("components/x",)},
            id="below a directory that was looked for in vain",
        ),
        pytest.param(PathChange("apps/api/config.yaml", kind=Kind.DELETED), {}, id="deleted"),
        pytest.param(
            PathChange("elsewhere/config.yaml", before="apps/api/config.yaml", kind=Kind.RENAMED),
            {},
            id="renamed away",
        ),
        pytest.param(PathChange("apps/api/config.yaml", kind=Kind.TYPE), {}, id="became a link"),
    ],
)
def test_files_that_come_and_go(change: PathChange, how: dict):
    reasons = found(fleet(unit("api", **how)), fleet(unit("api", value="2", **how)), change)
    named = change.before or change.path
    cause = "shared" if named.startswith("components") else "files"
    assert reasons == {"api": [f"{cause}: {named}"]}


def test_a_change_of_mode_alone_is_no_reason():
    change = PathChange("apps/api/config.yml", kind=Kind.MODE)
    reasons = found(
        fleet(unit("api", listed=("apps/api",))), fleet(unit("api", value="2", listed=("apps/api",))), change
    )
    assert reasons == {"api": ["render: it renders differently"]}


def test_its_own_object_changed_in_git():
    how = {"defined_in": lambda _unit, files: files[0]}
    before, after = fleet(unit("api")), fleet(unit("api", spec={"wait": True}))
    assert found(before, after, *modified("clusters/production/apps.yaml"), **how) == {
        "api": ["spec: clusters/production/apps.yaml"]
    }


def test_a_parents_patch_changed_its_object():
    top = root(reads=("clusters/production/apps.yaml", "clusters/production/patch.yaml"))
    before, after = fleet(unit("api"), top=top), fleet(unit("api", spec={"timeout": "1m"}), top=top)
    assert found(before, after, *modified("clusters/production/patch.yaml")) == {
        "api": [f"parent: {ROOT} changes spec.timeout"]
    }


def test_labels_of_its_object_are_its_parents_business():
    before, after = fleet(unit("api")), fleet(unit("api", labels={"team": "blue"}))
    assert found(before, after, *modified("clusters/production/apps.yaml")) == {}


def test_a_variable_changed():
    def given(value: str) -> Variables:
        return Variables(values={"size": value}, origins={"size": (Origin(VARS, ROOT),)})

    before = fleet(unit("api", variables=given("1")))
    after = fleet(unit("api", value="2", variables=given("2")))
    assert found(before, after) == {"api": ["variables: size (ConfigMap/flux-system/vars)"]}


def test_new_removed_and_moved():
    before = fleet(unit("api"), unit("web"), unit("db"))
    after = fleet(unit("api"), unit("new"), unit("db", parent="flux-system/api"))
    assert found(before, after) == {
        "db": [f"moved: from {ROOT} to flux-system/api"],
        "new": ["new: ./apps/new"],
        "web": ["removed: ./apps/web"],
    }


def test_an_entry_that_is_new_or_goes():
    whole = fleet(unit("api"))
    assert found(None, whole).keys() == found(whole, None).keys() == {"api", "flux-system"}


@pytest.mark.parametrize("side", ["base", "head"])
def test_children_of_a_parent_that_cannot_be_rendered_neither_come_nor_go(side: str):
    whole, broken = fleet(unit("api")), fleet(top=root(problems=BROKEN))
    pair = (broken, whole) if side == "base" else (whole, broken)
    assert "api" not in found(*pair)


def test_children_of_a_parent_that_is_suspended_now_do_not_go():
    top = root()
    stopped = replace(top, kustomization=replace(top.kustomization, suspend=True), rendering=None)
    assert "api" not in found(fleet(unit("api")), fleet(top=stopped))


def test_one_side_that_cannot_be_rendered():
    change = modified("apps/api/config.yaml")
    before, after = fleet(unit("api")), fleet(unit("api", problems=BROKEN))
    assert found(before, after, *change) == {
        "api": ["files: apps/api/config.yaml", "render: head cannot be rendered"]
    }


def test_neither_side_can_be_rendered():
    broken = fleet(unit("api", problems=BROKEN))
    assert found(broken, broken, *modified("README.md")) == {}
    assert found(broken, broken, *modified("apps/api/config.yaml")) == {
        "api": ["files: apps/api/config.yaml"]
    }


def test_dependents_with_the_shortest_way():
    def side(value: str) -> Fleet:
        return fleet(
            unit("db", value=value),
            unit("api", needs=("db",)),
            unit("web", needs=("api", "cache")),
            unit("cache"),
            unit("docs", needs=("cache",)),
        )

    result = affected(Sides(side("1"), side("2")), modified("apps/db/config.yaml"))
    assert result == (
        Affected("flux-system/db", (Why(Cause.FILES, "apps/db/config.yaml"),)),
        Affected("flux-system/api", via=("flux-system/db",)),
        Affected("flux-system/web", via=("flux-system/api", "flux-system/db")),
    )
    assert [each.dependent for each in result] == [False, True, True]


def test_the_consumer_of_a_variable_depends_on_its_producer():
    def side(value: str) -> Fleet:
        uses = Variables(values={"size": "1"}, producers=frozenset({"flux-system/vars"}))
        return fleet(unit("vars", value=value), unit("api", variables=uses))

    result = affected(Sides(side("1"), side("2")), modified("apps/vars/config.yaml"))
    assert [(each.kustomization, each.via) for each in result] == [
        ("flux-system/vars", ()),
        ("flux-system/api", ("flux-system/vars",)),
    ]


@pytest.mark.parametrize("side", ["base", "head"])
def test_grandchildren_of_a_parent_that_cannot_be_rendered_neither_come_nor_go(side: str):
    leaf = unit("leaf", parent="flux-system/api")
    whole, broken = fleet(unit("api"), leaf), fleet(top=root(problems=BROKEN))
    pair = (broken, whole) if side == "base" else (whole, broken)
    assert not found(*pair).keys() & {"api", "leaf"}


@pytest.mark.parametrize("value", [True, 1.0])
def test_values_that_python_takes_for_the_same(value: object):
    changed = modified("apps/api/config.yaml")
    assert "api" in found(fleet(unit("api", value=1)), fleet(unit("api", value=value)), *changed)


def test_a_remote_base_that_stands_for_something_else():
    pin = "https://git.example/a/b?ref=main"
    before, after = unit("api"), unit("api", value="2")
    before = replace(before, rendering=replace(before.rendering, pins={pin: "main@sha1:1"}))
    after = replace(after, rendering=replace(after.rendering, pins={pin: "main@sha1:2"}))
    assert found(fleet(before), fleet(after)) == {"api": [f"source: {pin}"]}
    assert found(fleet(before), fleet(before)) == {}


def test_what_is_wrong_on_both_sides_may_move_to_another_line():
    moved = (replace(BROKEN[0], line=9),)
    assert found(fleet(unit("api", problems=BROKEN)), fleet(unit("api", problems=moved))) == {}
