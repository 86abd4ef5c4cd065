"""From the entry to every Kustomization, by rendering; the renderer here knows what each one contains."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pytest
import yaml

from runner import discover
from runner.errors import CycleError, UsageError
from runner.fleet import Rendering, Unit, Variables
from runner.model import FLUX
from runner.render.variables import NotRead, resolve
from runner.rendered import Problem

ROOT = "flux-system/flux-system"
SPEC = "{interval: 10m, prune: true, path: ./PATH, sourceRef: {kind: GitRepository, name: flux-system}}"


def ks(name, *, path="", namespace="flux-system", **spec):
    base = yaml.safe_load(SPEC.replace("PATH", path or name))
    space = {"namespace": namespace} if namespace else {}
    return {
        "apiVersion": f"{FLUX}/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, **space},
        "spec": {**base, **spec},
    }


def config(name, **data):
    meta = {"name": name, "namespace": "flux-system"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def reading(*names, **substitute):
    sources = [{"kind": "ConfigMap", "name": name} for name in names]
    return {"postBuild": {"substitute": substitute, "substituteFrom": sources}}


@dataclass
class Tree:
    """Renders what `files` has under a path, putting variables in for `$name`; counts its renders.

    `hides` replaces texts in what is shown, as the display render does for secret values.
    """

    files: dict[str, list[dict]]
    cluster: dict[str, dict] | None = None
    hides: dict[str, str] = field(default_factory=dict)
    renders: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def offline(self):
        return replace(self, cluster=None)

    def recalled(self, k, variables):
        return None

    def resolve(self, k, desired):
        def live(source):
            if self.cluster is not None:
                self.asked.append(source.name)
            return NotRead.NOT_READ if self.cluster is None else self.cluster.get(source.name)

        return resolve(k, desired, live, lambda _: None)

    def render(self, k, variables, **_):
        self.renders.append(k.name)
        content = self.files.get(k.path.removeprefix("./"))
        if content is None:
            return Rendering(problems=(Problem("missing_path", k.path),), variables=variables)
        objects = tuple(_replaced(content, {f"${n}": v for n, v in variables.values.items()}))
        return Rendering(objects=objects, shown=tuple(_replaced(objects, self.hides)), variables=variables)


def _replaced(objects, texts):
    text = yaml.safe_dump(copy.deepcopy(list(objects)))
    for old, new in texts.items():
        text = text.replace(old, new)
    return yaml.safe_load(text)


@pytest.fixture
def walk():
    with ThreadPoolExecutor(4) as pool:
        yield lambda tree, adopted=(): discover.walk(discover.root(ROOT, "production"), tree, pool, adopted)


def parents(fleet):
    return {unit.id.removeprefix("flux-system/"): unit.parent.removeprefix("flux-system/") for unit in fleet}


def test_the_root_is_what_bootstrap_would_have_written():
    root = discover.root("gitops/cluster", "clusters/production")
    assert (root.id, root.path, root.prune, root.wait) == (
        "gitops/cluster", "./clusters/production", True, False,
    )  # fmt: skip
    assert (root.interval, str(root.source)) == (600.0, "GitRepository/gitops/cluster")


@pytest.mark.parametrize("id_", ["", "flux-system", "/x", "x/", "a/b/c"])
def test_a_root_that_is_no_name_is_refused(id_):
    with pytest.raises(UsageError, match="is not NAMESPACE/NAME"):
        discover.root(id_, "production")


def test_an_entry_without_kustomizations_is_its_root_alone(walk):
    fleet = walk(Tree({"production": [config("a")]}))
    assert parents(fleet) == {"flux-system": ""}
    assert fleet.root == ROOT
    assert [manifest["kind"] for manifest in fleet.units[ROOT].objects] == ["ConfigMap"]


def test_what_makes_a_source_is_an_input_wherever_it_is_rendered(walk):
    made = {
        "artifacts": [{"name": "web"}],
        "sources": [{"alias": "repo", "kind": "GitRepository", "name": "r"}],
    }
    meta = {"name": "g", "namespace": "flux-system"}
    generator = {"apiVersion": "source.extensions.fluxcd.io/v1beta1", "kind": "ArtifactGenerator"}
    generator |= {"metadata": meta, "spec": made}
    web = ks("web", sourceRef={"kind": "ExternalArtifact", "name": "web"})
    tree = Tree({"production": [web, ks("api"), ks("sources")], "web": [], "api": [], "sources": [generator]})
    fleet = walk(tree)
    assert fleet.units["flux-system/web"].rendering.variables.sources == (generator,)
    assert sorted(tree.renders) == ["api", "flux-system", "sources", "web", "web"]


def test_what_is_rendered_is_rendered_in_turn_each_once_and_knows_its_parent(walk):
    tree = Tree(
        {"production": [ks("infra"), ks("apps")], "infra": [config("x")], "apps": [ks("web")], "web": []}
    )
    fleet = walk(tree)
    assert parents(fleet) == {"flux-system": "", "infra": "flux-system", "apps": "flux-system", "web": "apps"}
    assert list(fleet.units) == sorted(fleet.units)
    assert sorted(tree.renders) == ["apps", "flux-system", "infra", "web"]
    assert fleet.unrendered == ()


def test_what_cannot_be_rendered_is_part_of_the_fleet(walk):
    fleet = walk(Tree({"production": [ks("broken"), ks("web")], "web": []}))
    assert fleet.unrendered == ("flux-system/broken",)


def test_other_peoples_kustomizations_are_objects(walk):
    other = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "metadata": {"name": "x"},
    }
    assert parents(walk(Tree({"production": [other]}))) == {"flux-system": ""}


def test_the_roots_own_spec_in_git_counts(walk):
    own = ks("flux-system", path="production", interval="1h", wait=True)
    tree = Tree({"production": [own, ks("web")], "web": []})
    fleet = walk(tree)
    root = fleet.units[ROOT]
    assert (root.kustomization.interval, root.kustomization.wait, root.parent) == (3600.0, True, "")
    assert parents(fleet) == {"flux-system": "", "web": "flux-system"}
    assert tree.renders.count("flux-system") == 2


def test_a_root_that_is_written_as_bootstrap_does_is_rendered_once(walk):
    tree = Tree({"production": [discover.root(ROOT, "production").manifest]})
    walk(tree)
    assert tree.renders == ["flux-system"]


def test_a_suspended_root_renders_nothing_further(walk):
    own = ks("flux-system", path="production", suspend=True)
    fleet = walk(Tree({"production": [own, ks("web")], "web": []}))
    assert parents(fleet) == {"flux-system": ""}
    assert fleet.units[ROOT].rendering is None


def test_the_roots_own_spec_must_stay_in_the_entry(walk):
    with pytest.raises(UsageError, match=r"has spec\.path \./staging"):
        walk(Tree({"production": [ks("flux-system", path="staging")], "staging": []}))


def test_the_object_of_a_kustomization_is_shown_without_secret_values(walk):
    own = ks("flux-system", path="production", interval="1h", targetNamespace="hunter2")
    child = ks("web", targetNamespace="hunter2")
    fleet = walk(Tree({"production": [own, child], "web": []}, hides={"hunter2": "‹hidden›"}))
    for unit in fleet:
        assert unit.kustomization.manifest["spec"]["targetNamespace"] == "hunter2"
        assert unit.shown["spec"]["targetNamespace"] == "‹hidden›"


def test_one_that_applies_itself_is_its_parents_child(walk):
    fleet = walk(Tree({"production": [ks("web")], "web": [ks("web"), ks("flux-system", path="production")]}))
    assert parents(fleet) == {"flux-system": "", "web": "flux-system"}


def test_one_of_two_parents_is_refused(walk):
    files = {"production": [ks("a"), ks("b")], "a": [ks("web")], "b": [ks("web")], "web": []}
    with pytest.raises(UsageError, match="flux-system/web is rendered by flux-system/a and by flux-system/b"):
        walk(Tree(files))


def test_everything_that_is_malformed_comes_in_one_error(walk):
    files = {
        "production": [ks("homeless", namespace=""), ks("typo", pathh="x"), ks("fine")],
        "fine": [ks("deep", decryption={"provider": "sops", "serviceAccountName": "x"})],
    }
    with pytest.raises(UsageError) as caught:
        walk(Tree(files))
    lines = caught.value.message.splitlines()
    assert len(lines) == 3
    assert "Kustomization /homeless: metadata.namespace is missing" in lines
    assert any("flux-system/typo: spec.pathh is not a field" in line for line in lines)
    assert any("flux-system/deep: spec.decryption" in line for line in lines)


def test_a_suspended_one_is_not_rendered(walk):
    tree = Tree({"production": [ks("web", suspend=True), ks("api")], "web": [ks("child")], "api": []})
    fleet = walk(tree)
    assert parents(fleet) == {"flux-system": "", "web": "flux-system", "api": "flux-system"}
    assert fleet.units["flux-system/web"].rendering is None
    assert fleet.unrendered == ()
    assert "web" not in tree.renders


def test_adopted_ones_go_on_with_their_children_by_the_spec_they_had(walk):
    files = {"production": [ks("web", suspend=True)], "child": [ks("grandchild")], "grandchild": []}
    child = Unit(discover.parse(ks("child")), "flux-system/web")
    fleet = walk(Tree(files), [child])
    assert parents(fleet) == {
        "flux-system": "", "web": "flux-system", "child": "web", "grandchild": "child",
    }  # fmt: skip
    assert fleet.units["flux-system/child"].rendered


def test_what_another_renders_settles_its_variables_in_rounds(walk):
    files = {
        "production": [
            ks("a", **reading("first")), ks("b", **reading("second")), ks("c"),
        ],
        "c": [config("first", one="1")],
        "a": [config("second", two="$one-2")],
        "b": [config("end", value="$two-3")],
    }  # fmt: skip
    tree = Tree(files, cluster={})
    fleet = walk(tree)
    assert tree.asked == [], "the cluster is not asked for what the desired state has"
    assert fleet.units["flux-system/b"].objects[0]["data"] == {"value": "1-2-3"}
    assert fleet.units["flux-system/b"].rendering.variables.producers == {"flux-system/a"}


def test_a_name_that_is_a_variable_makes_another_kustomization(walk):
    files = {
        "production": [ks("team", **reading("names")), ks("values")],
        "values": [config("names", who="blue")],
        "team": [ks("team-$who", path="blue")],
        "blue": [],
    }
    fleet = walk(Tree(files, cluster={}))
    assert parents(fleet) == {
        "flux-system": "", "team": "flux-system", "values": "flux-system", "team-blue": "team",
    }  # fmt: skip


def test_what_only_the_cluster_has_is_asked_last_and_unknown_without_it(walk):
    files = {"production": [ks("web", **reading("live"))], "web": [config("x", value="$who")]}
    known = walk(Tree(files, cluster={"live": config("live", who="me")}))
    assert known.units["flux-system/web"].objects[0]["data"] == {"value": "me"}
    unknown = walk(Tree(files)).units["flux-system/web"].rendering
    assert (unknown.objects[0]["data"], unknown.ok, unknown.final) == ({"value": "$who"}, True, False)


def test_what_is_malformed_only_while_a_variable_is_unknown_is_not(walk):
    files = {
        "production": [ks("team", **reading("live"))],
        "team": [ks("web", deletionPolicy="$policy")],
        "web": [],
    }
    fleet = walk(Tree(files, cluster={"live": config("live", policy="Orphan")}))
    assert fleet.units["flux-system/web"].kustomization.deletes is False


def test_variables_that_grow_in_a_circle_are_an_error(walk):
    files = {
        "production": [ks("a", **reading("second")), ks("b", **reading("first"))],
        "a": [config("first", x="1$y")],
        "b": [config("second", y="2$x")],
    }
    with pytest.raises(CycleError, match="render each other's variables in a circle") as caught:
        walk(Tree(files, cluster={}))
    assert set(caught.value.cycle) <= {"flux-system/a", "flux-system/b"}


def test_children_are_read_from_a_rendering(walk):
    parent = Unit(discover.parse(ks("web")))
    assert discover.children(parent) == ()
    objects = (ks("web"), config("x"), ks("child"))
    shown = (ks("web"), config("x"), ks("child", path="‹hidden›"))
    rendered = replace(parent, rendering=Rendering(objects, shown, variables=Variables()))
    (child,) = discover.children(rendered)
    assert (child.id, child.parent, child.rendering) == ("flux-system/child", "flux-system/web", None)
    assert child.shown == shown[2]
    broken = replace(parent, rendering=Rendering((ks("x", wait=1),), (ks("x"),)))
    with pytest.raises(UsageError, match="wait is 1"):
        discover.children(broken)


def test_what_is_odd_about_many_is_said_once():
    odd = [
        Unit(discover.parse(ks(name) | {"apiVersion": f"{FLUX}/{version}"}))
        for name, version in zip("abcde", ["v1", "v1", "v1", "v1", "v1beta2"], strict=True)
    ]
    assert discover.warnings([*odd, Unit(discover.parse(ks("f")))]) == (
        f"apiVersion {FLUX}/v1beta2 is not served by Flux any more; read as v1: write that (flux-system/e)",
    )


def test_what_is_wrong_with_a_kustomization_never_quotes_a_secret(walk):
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "flux-system"}}
    variables = {"postBuild": {"substituteFrom": [{"kind": "Secret", "name": "s"}]}}
    tree = Tree(
        {
            "production": [{**secret, "stringData": {"word": "canary"}}, ks("parent", **variables)],
            "parent": [ks("child", deletionPolicy="$word", timeout="$word")],
        }
    )
    with pytest.raises(UsageError) as caught:
        walk(tree)
    assert "spec.deletionPolicy is '‹hidden›', not one of" in caught.value.message
    assert "canary" not in caught.value.message
