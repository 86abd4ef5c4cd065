"""The render worker and its pool, with the real program: what Flux renders, and what it must survive."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.clients.kustomize import WorkerPool, toolchain
from runner.clients.kustomize.compile import WORKER, minimum_go, source_hash
from runner.clients.kustomize.compile import build as compile_worker
from runner.errors import WorkerError
from runner.rendered import BuildRequest, Built, Problem, Remote, Subject

Tree = Callable[[Mapping[str, str]], Path]


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    compile_worker()
    with WorkerPool(1) as shared:
        yield shared


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Makes the artifact of a test from texts by path."""
    root = tmp_path / "artifact"

    def make(files: Mapping[str, str]) -> Path:
        root.mkdir(exist_ok=True)
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return root

    return make


def flux(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": "apps", "namespace": "flux-system"},
        "spec": spec,
    }


def config_map(name: str, **data: str) -> str:
    lines = [f"  {key}: {value}" for key, value in data.items()]
    return "\n".join(
        ["apiVersion: v1", "kind: ConfigMap", "metadata:", f"  name: {name}", "data:", *lines, ""]
    )


def render(pool: WorkerPool, root: Path, path: str = ".", /, **options: Any) -> Built:
    spec = options.pop("spec", {})
    return pool.build(BuildRequest(root, path, flux(**spec), **options))


def objects(built: Built) -> list[dict[str, Any]]:
    assert built.problems == ()
    return [resource.object for resource in built.resources]


def only(built: Built) -> dict[str, Any]:
    [found] = objects(built)
    return found


def problem(built: Built) -> Problem:
    [found] = built.problems
    return found


def substituted(pool: WorkerPool, root: Path, variables: Mapping[str, str], **options: Any) -> Built:
    return render(pool, root, spec={"postBuild": {}}, variables=variables, **options)


DEPLOYMENT = """\
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web}
    spec:
      template:
        spec:
          containers:
          - {name: web, image: "nginx:1.0"}
          - {name: log, image: busybox}
    """

WIDGETS = """\
    apiVersion: example.com/v1
    kind: Widget
    metadata: {name: w}
    spec:
      parts:
      - {name: a, size: 1}
      - {name: b, size: 2}
    """

WIDGET_PATCH = textwrap.dedent("""\
    resources: [widget.yaml]
    patches:
    - patch: |
        apiVersion: example.com/v1
        kind: Widget
        metadata: {name: w}
        spec: {parts: [{name: b, size: 3}]}
    """)

WIDGET_SCHEMA = """\
    {"definitions": {"example.v1.Widget": {
      "type": "object",
      "properties": {
        "apiVersion": {"type": "string"}, "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": {"type": "object", "properties": {"parts": {
          "type": "array",
          "x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge",
          "items": {"type": "object", "properties": {"name": {"type": "string"}}}}}}},
      "x-kubernetes-group-version-kind": [{"group": "example.com", "kind": "Widget", "version": "v1"}]}}}
    """

EVERYTHING = {
    "plain/a.yaml": DEPLOYMENT,
    "plain/deep/b.yml": config_map("b", n='"1"'),
    "plain/with-kfile/kustomization.yaml": "resources: [c.yaml]\nnamePrefix: p-\n",
    "plain/with-kfile/c.yaml": config_map("c", x="y"),
    "plain/notes.txt": "not: yaml: at all",
    "base/kustomization.yaml": "resources: [d.yaml]\nlabels: [{pairs: {app: web}}]\n",
    "base/d.yaml": DEPLOYMENT,
    "component/kustomization.yaml": """\
        apiVersion: kustomize.config.k8s.io/v1alpha1
        kind: Component
        patches:
        - target: {kind: Deployment}
          patch: |
            - {op: add, path: /spec/replicas, value: 3}
        """,
    "overlay/kustomization.yml": """\
        resources: [../base]
        namespace: team
        nameSuffix: -v2
        images: [{name: nginx, newTag: "2.0"}]
        configMapGenerator: [{name: cfg, files: [data.txt]}]
        secretGenerator: [{name: key, literals: [k=v]}]
        replacements:
        - source: {kind: ConfigMap, name: cfg, fieldPath: metadata.name}
          targets:
          - select: {kind: Deployment}
            fieldPaths: [spec.template.metadata.annotations.cfg]
            options: {create: true}
        """,
    "overlay/data.txt": "one\ntwo\n",
    "pollutor/kustomization.yaml": WIDGET_PATCH + "openapi: {path: schema.json}\n",
    "pollutor/widget.yaml": WIDGETS,
    "pollutor/schema.json": WIDGET_SCHEMA,
    "victim/kustomization.yaml": WIDGET_PATCH,
    "victim/widget.yaml": WIDGETS,
    "broken/kustomization.yaml": "resources: [none.yaml]\n",
    "empty/README.md": "",
}
SPEC = {
    "targetNamespace": "prod",
    "components": ["../component"],
    "images": [{"name": "nginx", "newName": "mirror/nginx", "digest": "sha256:" + "0" * 64}],
    "patches": [
        {"patch": "- {op: add, path: /metadata/annotations, value: {x: z}}", "target": {"name": "web"}}
    ],
}


# --- the same as Flux ---------------------------------------------------------------------------------


def test_version_names_its_sources(pool: WorkerPool) -> None:
    version = pool.version()
    assert (version.source_hash, version.flux, version.kustomize) == (source_hash(), "2.9.5", "v0.21.1")
    assert version.go.startswith("go1.")


@pytest.mark.parametrize("check", ["vet", "test"])
def test_the_worker_passes_its_own_tests(check: str) -> None:
    done = subprocess.run(
        [toolchain.go(minimum_go()), check, "."],
        cwd=WORKER.sources,
        env=toolchain.go_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_build_equals_the_librarys_own_in_any_order(pool: WorkerPool, tree: Tree) -> None:
    root = tree(EVERYTHING)
    requests = [
        BuildRequest(root, path, flux(**spec), oracle=False)
        for path in ("pollutor", "victim", "plain", "broken", "overlay", "victim", "base", "empty")
        for spec in ({}, SPEC if path in {"base", "overlay"} else {"namePrefix": "x-"})
    ]
    ours = [pool.build(request) for request in (*requests, *reversed(requests))]
    theirs = [
        pool.build(BuildRequest(r.root, r.path, r.kustomization, oracle=True))
        for r in (*requests, *reversed(requests))
    ]
    for mine, oracle in zip(ours, theirs, strict=True):
        assert mine == oracle
    assert sum(built.ok for built in ours) == len(ours) - 4


def test_schema_of_one_build_does_not_leak_into_the_next(pool: WorkerPool, tree: Tree) -> None:
    root = tree(EVERYTHING)
    merged, replaced = (only(render(pool, root, path)) for path in ("pollutor", "victim"))
    assert merged["spec"]["parts"] == [{"name": "b", "size": 3}, {"name": "a", "size": 1}]
    assert replaced["spec"]["parts"] == [{"name": "b", "size": 3}]


def test_missing_kfile_is_generated_as_flux_does(pool: WorkerPool, tree: Tree) -> None:
    built = render(pool, tree(EVERYTHING), "plain")
    assert (built.generated, built.kfile) == (True, "plain/kustomization.yaml")
    assert [item["metadata"]["name"] for item in objects(built)] == ["web", "b", "p-c"]


def test_spec_is_merged_into_the_kfile(pool: WorkerPool, tree: Tree) -> None:
    built = render(pool, tree(EVERYTHING), "base", spec=SPEC)
    found = only(built)
    assert (built.generated, built.kfile) == (False, "base/kustomization.yaml")
    assert found["metadata"] == {
        "annotations": {"x": "z"},
        "labels": {"app": "web"},
        "name": "web",
        "namespace": "prod",
    }
    assert found["spec"]["replicas"] == 3
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "mirror/nginx@sha256:" + "0" * 64


def test_generators_in_the_spec_are_added_and_said(pool: WorkerPool, tree: Tree) -> None:
    spec = {
        "configMapGenerator": [{"name": "c", "literals": ["a=b"], "options": {"disableNameSuffixHash": True}}]
    }
    built = render(pool, tree({"d/x.txt": ""}), "d", spec=spec)
    assert only(built) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c"},
        "data": {"a": "b"},
    }
    assert [warning.code for warning in built.warnings] == ["spec_generator"]


def test_missing_component_can_be_ignored(pool: WorkerPool, tree: Tree) -> None:
    root = tree(EVERYTHING)
    spec = {"components": ["../nowhere"]}
    assert problem(render(pool, root, "base", spec=spec)).code == "missing_file"
    assert render(pool, root, "base", spec=spec | {"ignoreMissingComponents": True}).ok
    refused = problem(render(pool, root, "base", spec={"components": ["https://example.com/x"]}))
    assert "must be local and relative" in refused.message


def test_misspelt_field_is_dropped_as_in_flux_but_said(pool: WorkerPool, tree: Tree) -> None:
    root = tree(
        {"kustomization.yaml": "resourcs: [a.yaml]\nconfigMapGenerator: [{name: a, literals: [x=y]}]\n"}
    )
    built = render(pool, root)
    assert built.ok
    [warning] = built.warnings
    assert (warning.code, warning.file) == ("unknown_field", "kustomization.yaml")
    assert "resourcs" in warning.message


def test_path_that_climbs_out_ends_at_the_root(pool: WorkerPool, tree: Tree) -> None:
    root = tree({"a.yaml": config_map("a"), "etc/b.yaml": config_map("b")})
    assert len(objects(render(pool, root, "../.."))) == 2
    assert only(render(pool, root, "../../etc"))["metadata"]["name"] == "b"
    assert problem(render(pool, root, "../../tmp")).code == "missing_path"


def test_symlinked_path_is_built_where_it_points(pool: WorkerPool, tree: Tree) -> None:
    root = tree({"real/a.yaml": config_map("a")})
    (root / "link").symlink_to("real")
    built = render(pool, root, "link", spec={"namePrefix": "x-"})
    assert only(built)["metadata"]["name"] == "x-a"
    assert built.closure.links == {"link": "real"}


def test_kustomization_files_in_the_output_are_dropped_with_a_warning(pool: WorkerPool, tree: Tree) -> None:
    nested = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nmetadata: {name: k}\n"
    built = render(pool, tree({"a.yaml": config_map("a"), "k.yaml": nested}))
    assert only(built)["metadata"]["name"] == "a"
    assert [warning.code for warning in built.warnings] == ["dropped"]


def test_lists_are_taken_apart(pool: WorkerPool, tree: Tree) -> None:
    items = [f"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}}}" for name in "ab"]
    root = tree({"l.yaml": f"apiVersion: v1\nkind: List\nitems: [{', '.join(items)}]\n"})
    assert [item["metadata"]["name"] for item in objects(render(pool, root))] == ["a", "b"]


def test_origin_is_given_when_kustomize_keeps_it(pool: WorkerPool, tree: Tree) -> None:
    built = render(pool, tree(EVERYTHING), "base", spec={"buildMetadata": ["originAnnotations"]})
    assert [resource.origin for resource in built.resources] == ["base/d.yaml"]


def test_numbers_keep_their_type_and_size(pool: WorkerPool, tree: Tree) -> None:
    root = tree(
        {"w.yaml": "apiVersion: e/v1\nkind: W\nmetadata: {name: w}\nbig: 9007199254740993\nf: 1.5\ns: '1'\n"}
    )
    found = only(render(pool, root))
    assert (found["big"], found["f"], found["s"]) == (9007199254740993, 1.5, "1")


# --- substitution -------------------------------------------------------------------------------------


def test_nothing_is_substituted_without_post_build(pool: WorkerPool, tree: Tree) -> None:
    root = tree({"a.yaml": config_map("a", x="${v}", y="$$HOME", z="${w:=1}")})
    verbatim = {"x": "${v}", "y": "$$HOME", "z": "${w:=1}"}
    assert only(render(pool, root, variables={"v": "1"}))["data"] == verbatim
    assert only(substituted(pool, root, {}))["data"] == verbatim
    always = {"postBuild": {"substituteStrategy": "Always"}}
    assert only(render(pool, root, spec=always, strict=False))["data"] == {"x": None, "y": "$HOME", "z": 1}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ('"${n}"', 123),
        ("${yes}", True),
        ("${e}", None),
        ("${q}${n}${q}", "123"),
        ("pre-${n}", "pre-123"),
        ("${x:=p-${n}-s}", "p-123-s"),
        ("${x:=${y:=deep}}", "deep"),
        ("$${n}", "${n}"),
        ("$$${n}", "$123"),
        ("${p##*/}", "c.tar.gz"),
        ("${n:+other}", 123),
        ("${lines}", "ab"),
    ],
)
def test_substitution_follows_flux(pool: WorkerPool, tree: Tree, template: str, expected: Any) -> None:
    values = {"n": "123", "yes": "yes", "e": "", "q": '"', "p": "/a/b/c.tar.gz", "lines": "a\nb\n"}
    assert (
        only(substituted(pool, tree({"a.yaml": config_map("a", v=template)}), values))["data"]["v"]
        == expected
    )


@pytest.mark.parametrize("place", ["labels", "annotations"])
def test_objects_can_opt_out(pool: WorkerPool, tree: Tree, place: str) -> None:
    mark = f"{{{place}: {{kustomize.toolkit.fluxcd.io/substitute: disabled}}, name: a}}"
    root = tree({"a.yaml": f"apiVersion: v1\nkind: ConfigMap\nmetadata: {mark}\ndata: {{x: '${{v}}$$'}}\n"})
    built = substituted(pool, root, {"v": "1"})
    assert only(built)["data"] == {"x": "${v}$$"}
    assert [resource.substitution for resource in built.resources] == ["disabled"]


def test_every_missing_variable_is_reported_with_its_place(pool: WorkerPool, tree: Tree) -> None:
    second = """\
        apiVersion: v1
        kind: Secret
        metadata: {name: s, namespace: ns, labels: {app.kubernetes.io/name: "${three}"}}
        stringData:
          "${four}": x
          text: |
            ${one} ${set:=${five}}
        """
    root = tree({"a.yaml": config_map("a", x="${one} ${two}", y="${ok:=d}"), "b.yaml": second})
    built = substituted(pool, root, {"set": "1"})
    assert {found.code for found in built.problems} == {"missing_variable"}
    secret = Subject("", "v1", "Secret", "ns", "s")
    assert [(found.variable, found.json_path) for found in built.problems if found.subject == secret] == [
        ("three", '$.metadata.labels["app.kubernetes.io/name"]'),
        ("four", '$.stringData["${four}"]'),
        ("five", "$.stringData.text"),
        ("one", "$.stringData.text"),
    ]
    assert [(found.variable, found.json_path) for found in built.problems if found.subject != secret] == [
        ("one", "$.data.x"),
        ("two", "$.data.x"),
    ]
    lenient = substituted(pool, root, {"set": "1"}, strict=False)
    assert (lenient.resources[0].object["data"], problem(lenient).json_path) == (
        {"x": None, "y": "d"},
        '$.stringData["${four}"]',  # a key must not become empty
    )


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("${a-b}", "missing closing brace"),
        ("${}", "unable to parse variable name"),
        ("${colon}", "mapping values are not allowed"),
    ],
)
def test_a_substitution_that_fails_says_where(
    pool: WorkerPool, tree: Tree, template: str, message: str
) -> None:
    root = tree(
        {"a.yaml": config_map("a", good="${v}", bad=f'"{template}"'), "b.yaml": config_map("b", w="${v}")}
    )
    built = substituted(pool, root, {"v": "abcdef", "colon": "x: y"})
    found = problem(built)
    assert (found.code, found.json_path) == ("substitution", "$.data.bad")
    assert message in found.message
    assert [resource.object["metadata"]["name"] for resource in built.resources] == ["b"]


def test_every_invalid_name_is_reported(pool: WorkerPool, tree: Tree) -> None:
    built = substituted(pool, tree({"a.yaml": config_map("a")}), {"my-key": "", "app.yaml": "", "ok": ""})
    assert [(found.code, found.variable) for found in built.problems] == [
        ("invalid_variable_name", "app.yaml"),
        ("invalid_variable_name", "my-key"),
    ]


def test_two_objects_that_become_one_are_an_error(pool: WorkerPool, tree: Tree) -> None:
    root = tree({"a.yaml": config_map("a-${x}"), "b.yaml": config_map("a-b")})
    assert "matched 2 resources" in problem(substituted(pool, root, {"x": "b"})).message


def test_object_that_loses_its_name_is_dropped_with_a_warning(pool: WorkerPool, tree: Tree) -> None:
    built = substituted(pool, tree({"a.yaml": config_map("${x}")}), {"x": "12"})
    assert (built.ok, built.resources) == (True, ())
    assert [warning.code for warning in built.warnings] == ["dropped"]


def test_without_post_build_a_unit_shows_its_objects_before_substitution(
    pool: WorkerPool, tree: Tree
) -> None:
    root = tree({"a.yaml": config_map("a", x="${self}")})
    assert only(render(pool, root, variables={"self": "1"}))["data"] == {"x": "${self}"}


# --- values that are not known, or not to be shown ----------------------------------------------------


@pytest.mark.parametrize(
    ("template", "expected", "unresolved"),
    [
        ("${a}", 1, ()),
        ("${u}", "${u}", ("u",)),
        ("${u:=d}", "${u:=d}", ("u",)),
        ("${a}-${u:=x-${a}}-${b}", "1-${u:=x-${a}}-2", ("u",)),
        ("${a:=${u}}", "${a:=${u}}", ("u",)),
        ('${u:={"k":{"l":1}}}', '${u:={"k":{"l":1}}}', ("u",)),
        ("$${u} $$${u} $$", "${u} $${u} $", ("u",)),
        ("${u:=a$$b}", "${u:=a$$b}", ("u",)),
        ("${o}", "${o}", ("o",)),
        ("${u//a/b}${o##*/}", "${u//a/b}${o##*/}", ("o", "u")),
        ("${u: -2} # no comment", "${u: -2} # no comment", ("u",)),
        ('it\'s "${u:=it\'s \\"x\\"}"', 'it\'s "${u:=it\'s \\"x\\"}"', ("u",)),
        ("${u:=" + "long words " * 20 + "}", "${u:=" + "long words " * 20 + "}", ("u",)),
        ("line ${a}\n${u:=two\n lines}\n", "line 1\n${u:=two\n lines}\n", ("u",)),
        ("\ue000 ${u} \ue001", "\ue000 ${u} \ue001", ("u",)),
    ],
)
def test_unresolved_expressions_stay_verbatim(
    pool: WorkerPool, tree: Tree, template: str, expected: Any, unresolved: tuple[str, ...]
) -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"v": template}}
    root = tree({})
    (root / "a.yaml").write_text(pool.encode([manifest]))
    values = {"a": "1", "b": "2", "o": "3"}
    built = substituted(pool, root, values, keep_unresolved=True, overridable=frozenset({"o"}))
    [resource] = built.resources
    assert (resource.object["data"]["v"], resource.unresolved) == (expected, unresolved)


def test_unresolved_expressions_in_keys_and_names_stay_verbatim(pool: WorkerPool, tree: Tree) -> None:
    root = tree(
        {"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 'a-${u}'}\ndata: {'${u}-${a}': x}\n"}
    )
    built = substituted(pool, root, {"a": "1"}, keep_unresolved=True)
    assert only(built)["metadata"]["name"] == "a-${u}"
    assert only(built)["data"] == {"${u}-1": "x"}


def test_keeping_unresolved_without_any_variable(pool: WorkerPool, tree: Tree) -> None:
    root = tree({"a.yaml": config_map("a", x="${u:=d}", y="$$HOME")})
    built = substituted(pool, root, {}, keep_unresolved=True)
    assert only(built)["data"] == {"x": "${u:=d}", "y": "$HOME"}


def test_an_error_beside_an_unresolved_expression_is_still_found(pool: WorkerPool, tree: Tree) -> None:
    root = tree({"a.yaml": config_map("a", x="${u}", y="${colon}")})
    found = problem(substituted(pool, root, {"colon": "x: y"}, keep_unresolved=True))
    assert (found.code, found.json_path) == ("substitution", "$.data.y")


def test_display_shows_where_a_secret_value_would_be(pool: WorkerPool, tree: Tree) -> None:
    root = tree({"a.yaml": config_map("a", x="${pw}", y="${a}"), "b.yaml": config_map("b", y="${a}")})
    shown = "‹Secret flux-system/x:key›"
    built = substituted(pool, root, {"pw": "hunter2", "a": "t"}, display={"pw": shown})
    first, second = built.resources
    assert first.object["data"] == {"x": "hunter2", "y": "t"}
    assert first.shown["data"] == {"x": shown, "y": "t"}
    assert second.display is None
    assert "hunter2" not in str([resource.shown for resource in built.resources])


def test_display_and_unresolved_work_together(pool: WorkerPool, tree: Tree) -> None:
    root = tree({"a.yaml": config_map("a", x="${pw}-${u}")})
    built = substituted(pool, root, {"pw": "hunter2"}, display={"pw": "‹s›"}, keep_unresolved=True)
    [resource] = built.resources
    assert (resource.object["data"], resource.shown["data"]) == ({"x": "hunter2-${u}"}, {"x": "‹s›-${u}"})


def test_display_that_does_not_fit_shows_only_the_identity(pool: WorkerPool, tree: Tree) -> None:
    root = tree({"a.yaml": config_map("a", x="${pw}")})
    [resource] = substituted(pool, root, {"pw": "hunter2"}, display={"pw": "a: b"}).resources
    assert resource.shown == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}


# --- the closure --------------------------------------------------------------------------------------


def test_closure_of_a_directory_without_kfile(pool: WorkerPool, tree: Tree) -> None:
    root = tree(
        {"app/a.yaml": config_map("a"), "app/sub/b.yaml": config_map("b"), "app/x.txt": "", "other/c": ""}
    )
    closure = render(
        pool, root, "app", spec={"components": ["../gone"], "ignoreMissingComponents": True}
    ).closure
    kfiles = ("Kustomization", "kustomization.yaml", "kustomization.yml")
    assert closure.read == ("app/a.yaml", "app/sub/b.yaml")
    assert closure.stat == ("app/x.txt",)
    assert closure.listed == ("app", "app/sub")
    assert set(closure.missing) == {f"{where}/{name}" for where in ("app", "app/sub") for name in kfiles} | {
        "gone"
    }


def test_closure_of_an_overlay(pool: WorkerPool, tree: Tree) -> None:
    closure = render(pool, tree(EVERYTHING), "overlay").closure
    assert closure.read == (
        "base/d.yaml",
        "base/kustomization.yaml",
        "overlay/data.txt",
        "overlay/kustomization.yml",
    )
    assert "overlay/kustomization.yaml" in closure.missing
    assert closure.listed == ()


def test_closure_is_enough_to_build_from(pool: WorkerPool, tree: Tree, tmp_path: Path) -> None:
    root = tree(EVERYTHING)
    for path in ("plain", "overlay", "pollutor", "base"):
        built = render(pool, root, path)
        copy = tmp_path / f"copy-{path}"
        for name in (*built.closure.listed, *built.closure.dirs):
            (copy / name).mkdir(parents=True, exist_ok=True)
        for name in (*built.closure.read, *built.closure.stat):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((root / name).read_bytes())
        assert render(pool, copy, path) == built


def test_failed_build_has_a_closure_and_names_the_file(pool: WorkerPool, tree: Tree) -> None:
    root = tree(EVERYTHING)
    built = render(pool, root, "broken")
    found = problem(built)
    assert (found.code, found.stage) == ("missing_file", "build")
    assert "broken/none.yaml" in found.file + " ".join(built.closure.missing)
    assert str(root) not in found.message


def test_yaml_error_names_file_and_line(pool: WorkerPool, tree: Tree) -> None:
    bad = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  bad: [\n"
    root = tree(
        {
            "o/kustomization.yaml": "resources: [../b]\n",
            "b/kustomization.yaml": "resources: [x.yaml]\n",
            "b/x.yaml": bad,
        }
    )
    for path in ("o", "b"):
        found = problem(render(pool, root, path))
        assert (found.code, found.file) == ("yaml", "b/x.yaml")
        assert found.line in {5, 6}
        assert str(root) not in found.message
    assert problem(render(pool, tree({"g/x.yaml": bad}), "g")).file == "g/x.yaml"


def test_checkout_is_never_written(pool: WorkerPool, tree: Tree) -> None:
    root = tree(EVERYTHING)

    def state() -> dict[str, tuple[int, bytes]]:
        return {
            str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
            for path in (root, *root.rglob("*"))
        }

    before = state()
    for path in ("plain", "overlay", "empty", "base"):
        render(pool, root, path, spec={"namePrefix": "x-"})
    assert state() == before


# --- what must not do harm ----------------------------------------------------------------------------


def laughs() -> str:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 10))
    return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nl0: &l0 [x]\n" + levels


@pytest.mark.parametrize(
    "bomb", [laughs(), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nself: &self [*self]\n"]
)
def test_yaml_bombs_are_refused_everywhere(pool: WorkerPool, tree: Tree, bomb: str) -> None:
    root = tree(
        {"a/x.yaml": bomb, "b/kustomization.yaml": "resources: [../a/x.yaml]\n", "c/c.yaml": config_map("c")}
    )
    for path, file in (("a", "a/x.yaml"), ("b", "a/x.yaml")):
        found = problem(render(pool, root, path))
        assert (found.code, found.file) == ("yaml", file)
        assert "aliases" in found.message
    inline = render(pool, root, "c", spec={"patches": [{"patch": bomb, "target": {"kind": "ConfigMap"}}]})
    assert problem(inline).json_path == "$.spec.patches[0].patch"
    assert [found.code for found in pool.parse(bomb.encode(), "x.yaml").problems] == ["yaml"]
    kfile = "resources: [c.yaml]\npatches:\n- patch: |\n" + textwrap.indent(bomb, "    ")
    assert problem(render(pool, tree({"c/kustomization.yaml": kfile}), "c")).file == "c/kustomization.yaml"


def test_a_file_that_changes_is_looked_at_anew(pool: WorkerPool, tree: Tree) -> None:
    harmless = config_map("a", x="&x 1", y="*x")
    bomb = config_map("a", x="&x [*x]")
    for _ in range(2):
        assert objects(render(pool, tree({"a.yaml": harmless})))[0]["data"] == {"x": 1, "y": 1}
        assert "aliases" in problem(render(pool, tree({"a.yaml": bomb}))).message
    changed = harmless.replace("&x 1", "&x 2")
    assert objects(render(pool, tree({"a.yaml": changed})))[0]["data"] == {"x": 2, "y": 2}


def test_objects_that_are_too_deep_are_refused(pool: WorkerPool, tree: Tree) -> None:
    deep = "apiVersion: v1\nkind: X\nmetadata: {name: a}\nd: " + "[" * 3000 + "]" * 3000 + "\n"
    assert problem(render(pool, tree({"a.yaml": deep}))).code == "too_deep"
    assert [found.code for found in pool.parse(deep.encode(), "a.yaml").problems] == ["too_deep"]


@pytest.mark.parametrize("name", ["x.yaml", "kustomization.yaml"])
def test_pipes_and_huge_files_are_not_opened(pool: WorkerPool, tree: Tree, name: str) -> None:
    root = tree({"a/a.yaml": config_map("a"), "b/a.yaml": config_map("a")})
    os.mkfifo(root / "a" / name)
    with (root / "b" / name).open("wb") as huge:
        huge.truncate(40 << 20)
    for path, code in (("a", "irregular"), ("b", "file_too_big")):
        found = problem(render(pool, root, path))
        assert (found.code, found.file) == (code, f"{path}/{name}")


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside.yaml"])
def test_nothing_outside_the_root_is_read(pool: WorkerPool, tree: Tree, target: str) -> None:
    root = tree(
        {"a/kustomization.yaml": f"resources: [{target}]\n", "b/kustomization.yaml": "resources: [l.yaml]\n"}
    )
    (root.parent / "outside.yaml").write_text(config_map("outside"))
    (root / "b/l.yaml").symlink_to(root.parent / "outside.yaml")
    assert problem(render(pool, root, "a")).code == "outside_root"
    assert problem(render(pool, root, "b")).code == "outside_root"


def test_bases_that_include_each_other_are_a_cycle(pool: WorkerPool, tree: Tree) -> None:
    root = tree(
        {"a/kustomization.yaml": "resources: [../b]\n", "b/kustomization.yaml": "resources: [../a]\n"}
    )
    assert problem(render(pool, root, "a")).code == "cycle"


@pytest.fixture
def listener() -> Iterator[tuple[int, list[int]]]:
    """A port, and one entry for every connection to it."""
    connections: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, (_, port) = server.accept()
                    connections.append(port)
                    connection.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1], connections
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    "kfile",
    [
        "resources: ['http://{at}/a.yaml']",
        "resources: ['http://{at}/a.git//dir?ref=v1']",
        "resources: ['git::http://{at}/a.git']",
        "resources: ['ssh://git@{at}/a.git']",
        "resources: ['git@127.0.0.1:owner/a']",
        "resources: ['github.com/owner/a//dir?ref=v1']",
        "resources: ['file:///a.git//dir']",
        "components: ['http://{at}/a.git']",
        "configMapGenerator: [{{name: a, files: ['http://{at}/a']}}]",
        "resources: [a.yaml]\npatches: [{{path: 'http://{at}/a'}}]",
        "resources: [a.yaml]\nopenapi: {{path: 'http://{at}/a'}}",
        "resources: [a.yaml]\ntransformers: ['http://{at}/a']",
        "resources: [a.yaml]\nreplacements: [{{path: 'http://{at}/a'}}]",
    ],
)
def test_nothing_remote_is_fetched(
    pool: WorkerPool, tree: Tree, listener: tuple[int, list[int]], kfile: str
) -> None:
    port, connections = listener
    root = tree({"kustomization.yaml": kfile.format(at=f"127.0.0.1:{port}"), "a.yaml": config_map("a")})
    (tree({}).parent / "scratch").mkdir()
    for remote in (None, Remote(root.parent / "scratch")):
        refused = problem(render(pool, root, remote=remote))
        assert refused.code == "remote_refused"
        assert not refused.entries or refused.entries[-1] in kfile.format(at=f"127.0.0.1:{port}")
    assert connections == []
    assert [*(root.parent / "scratch").iterdir()] == []


def test_builds_see_nothing_of_the_environment(
    pool: WorkerPool, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOY_TOKEN", "hunter2")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hunter2@127.0.0.1:9")
    root = tree(
        {
            "kustomization.yaml": "configMapGenerator: [{name: a, envs: [e]}]\n",
            "e": "DEPLOY_TOKEN\nHTTPS_PROXY\nHOME\n",
        }
    )
    with WorkerPool(1) as fresh:
        assert only(render(fresh, root))["data"] == {"DEPLOY_TOKEN": "", "HTTPS_PROXY": "", "HOME": ""}


def test_bytes_that_are_no_yaml_do_no_harm(pool: WorkerPool, tree: Tree) -> None:
    root = tree({"a/kustomization.yaml": "", "b/kustomization.yaml": ""})
    (root / "a/kustomization.yaml").write_bytes(bytes(range(256)) * 8)
    (root / "b/kustomization.yaml").write_bytes(b"\x00\xff: {{{ - &")
    assert not render(pool, root, "a").ok
    assert not render(pool, root, "b").ok
    assert pool.parse(b"\x00\xff\xfe", "x").problems


# --- the pool -----------------------------------------------------------------------------------------


def explosive(levels: int) -> dict[str, str]:
    """Bases that double the work at each level."""
    files = {f"{side}{levels}/kustomization.yaml": "resources: [a.yaml]\n" for side in "ab"}
    files |= {f"{side}{levels}/a.yaml": config_map(f"leaf-{side}") for side in "ab"}
    for level in range(levels):
        below = f"resources: [../a{level + 1}, ../b{level + 1}]\n"
        files |= {f"{side}{level}/kustomization.yaml": f"{below}namePrefix: {side}-\n" for side in "ab"}
    return files


def wait_for_end(pid: int, seconds: float = 20) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([handle], [], [], seconds)[0], f"process {pid} is still there"
    finally:
        os.close(handle)


@pytest.fixture
def slow(tree: Tree) -> BuildRequest:
    return BuildRequest(tree(explosive(22)), "a0", flux(), timeout=60)


def test_a_build_that_takes_too_long_is_given_up_and_the_worker_replaced(slow: BuildRequest) -> None:
    with WorkerPool(1, timeout=0.5) as pool:
        version = pool.version()
        [first] = pool.pids
        with pytest.raises(WorkerError, match="rendering a0: timed out after 500ms"):
            pool.build(replace(slow, timeout=None))
        wait_for_end(first)
        assert pool.version() == version
        assert pool.pids != (first,)


def test_a_worker_that_does_not_even_say_so_is_killed(slow: BuildRequest) -> None:
    with WorkerPool(1, timeout=0.5, grace=0.1) as pool:
        pool.version()
        [first] = pool.pids
        os.kill(first, signal.SIGSTOP)
        os.waitid(os.P_PID, first, os.WSTOPPED | os.WNOWAIT)  # until then it may still answer
        with pytest.raises(WorkerError, match=r"timed out after 0\.5 s"):
            pool.version()
        wait_for_end(first)
        assert pool.version()


def in_background(work: Callable[[], Any]) -> Future[Any]:
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def new_worker(pool: WorkerPool, old: set[int]) -> int:
    """The process id of the next worker, once it has work to do."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for pid in set(pool.pids) - old:
            if cpu_ticks(pid) > 2:
                return pid
    raise AssertionError("no worker has started")


def cpu_ticks(pid: int) -> int:
    with contextlib.suppress(OSError):
        return sum(int(n) for n in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])
    return 0


def test_a_worker_that_is_killed_is_replaced_and_asked_again(tree: Tree) -> None:
    request = BuildRequest(tree(explosive(11)), "a0", flux())
    with WorkerPool(1) as pool:
        answer = in_background(lambda: pool.build(request))
        os.kill(new_worker(pool, set()), signal.SIGKILL)
        assert len(objects(answer.result(timeout=60))) == 2**11


def test_a_build_that_kills_two_workers_is_one_clear_error(slow: BuildRequest) -> None:
    with WorkerPool(1) as pool:
        answer = in_background(lambda: pool.build(slow))
        killed: set[int] = set()
        for _ in range(2):
            pid = new_worker(pool, killed)
            killed.add(pid)
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(
            WorkerError, match="rendering a0: the render worker died twice: it was ended by SIGKILL"
        ):
            answer.result(timeout=20)
        assert pool.version()


def test_a_build_that_needs_too_much_memory_ends_only_its_worker(tree: Tree) -> None:
    items = "".join(f"- {{a: {n}, b: [x, y, z], c: {{d: e}}}}\n" for n in range(200_000))
    root = tree({"a.yaml": "apiVersion: e/v1\nkind: X\nmetadata: {name: a}\nitems_:\n" + items})
    with WorkerPool(1, memory_limit=100 << 20) as pool:
        with pytest.raises(WorkerError, match="died twice: it ended with code 2; it said: "):
            render(pool, root)
        assert pool.version()


@pytest.mark.parametrize("limits", [{"max_answer": 1 << 20}, {"max_objects": 3}])
def test_an_answer_that_is_too_big_is_refused(tree: Tree, limits: dict[str, int]) -> None:
    files = {f"{n}.yaml": config_map(f"c{n}", x="y" * (300 << 10)) for n in range(4)}
    root = tree(files)
    with WorkerPool(1, **limits) as pool:
        with pytest.raises(WorkerError, match=r"rendering \.: .* limit") as caught:
            render(pool, root)
        assert "split" in caught.value.hint
        assert only(render(pool, tree({"one/a.yaml": config_map("a")}), "one"))


def test_any_number_of_threads_share_the_workers(tree: Tree) -> None:
    root = tree({f"d{n}/a.yaml": config_map(f"c{n}", x="${v}") for n in range(40)})
    with WorkerPool(2) as pool, ThreadPoolExecutor(16) as threads:
        results = list(threads.map(lambda n: substituted_in(pool, root, f"d{n}", f"v{n}"), range(40)))
        assert len(pool.pids) <= 2
    assert results == [(f"c{n}", f"v{n}") for n in range(40)]


def substituted_in(pool: WorkerPool, root: Path, path: str, value: str) -> tuple[str, str]:
    found = only(render(pool, root, path, spec={"postBuild": {}}, variables={"v": value}))
    return found["metadata"]["name"], found["data"]["x"]


def test_closing_ends_the_workers_and_whoever_waits_for_them(slow: BuildRequest) -> None:
    with WorkerPool(1) as pool:
        answer = in_background(lambda: pool.build(slow))
        pid = new_worker(pool, set())
    wait_for_end(pid)
    with pytest.raises(WorkerError, match="closed"):
        answer.result(timeout=20)
    with pytest.raises(WorkerError, match="closed"):
        pool.version()


CHILD = """
import sys
from runner.clients.kustomize import WorkerPool
from runner.rendered import BuildRequest
pool = WorkerPool(1)
pool.version()
print(*pool.pids, flush=True)
{then}
"""


@pytest.mark.parametrize(
    ("then", "ending"),
    [
        ("pool.build(BuildRequest({root!r}, 'a0', {{'spec': {{}}}}))", signal.SIGKILL),
        ("pool.build(BuildRequest({root!r}, 'a0', {{'spec': {{}}}}))", signal.SIGINT),
        ("input()", signal.SIGKILL),
        ("", None),
    ],
)
def test_workers_die_with_their_parent(slow: BuildRequest, then: str, ending: signal.Signals | None) -> None:
    script = CHILD.format(then=then.format(root=str(slow.root)))
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        if ending:
            parent.send_signal(ending)
        wait_for_end(pid)


def test_a_worker_that_is_not_there_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUSTODIAN_WORKER", "/nowhere/worker")
    with WorkerPool(1) as pool, pytest.raises(WorkerError, match="/nowhere/worker") as caught:
        pool.version()
    assert "KUSTODIAN_WORKER" in caught.value.hint


# --- reading, writing, artifacts ----------------------------------------------------------------------


def test_parse_gives_objects_with_lines_and_every_bad_document(pool: WorkerPool) -> None:
    text = """\
        # a comment

        apiVersion: v1
        kind: ConfigMap
        metadata: {name: a}
        data: {no: yes, octal: 010, date: 2024-01-01}
        --- # next

        broken: [
        ---
        values: {not: an object}
        ---
        apiVersion: v1
        kind: List
        items:
        - apiVersion: v1
          kind: ConfigMap
          metadata: {name: b}
        # between
        - apiVersion: v1
          kind: ConfigMap
          metadata: {name: c}
        ---
        a: b: c
        """
    found = pool.parse(textwrap.dedent(text).encode(), "dir/x.yaml")
    assert [(item.object["metadata"]["name"], item.document, item.line) for item in found.objects] == [
        ("a", 0, 3),
        ("b", 3, 16),
        ("c", 3, 20),
    ]
    assert found.objects[0].object["data"] == {"false": True, "octal": 8, "date": "2024-01-01"}
    assert [(item.code, item.file, item.line) for item in found.problems] == [
        ("yaml", "dir/x.yaml", 9),
        ("not_an_object", "dir/x.yaml", 11),
        ("yaml", "dir/x.yaml", 24),
    ]


def test_parse_reports_a_bad_separator(pool: WorkerPool) -> None:
    [found] = pool.parse(config_map("a").encode() + b"--- what\n", "x.yaml").problems
    assert (found.code, found.line) == ("yaml", 6)


def test_encode_writes_sorted_yaml_that_parses_to_the_same(pool: WorkerPool) -> None:
    written = [
        {
            "kind": "X",
            "apiVersion": "v1",
            "metadata": {"name": "b"},
            "s": ["yes", "010", "1e3", "a\nb\n", ""],
        },
        {"kind": "Y", "apiVersion": "v1", "metadata": {"name": "c"}, "n": [2**53 + 1, 1.5, True, None]},
    ]
    text = pool.encode(written)
    assert text.startswith("apiVersion: v1\nkind: X\nmetadata:\n  name: b\n")
    assert text.count("---\n") == 1
    assert [item.object for item in pool.parse(text.encode(), "x").objects] == written
    assert pool.encode([]) == ""


ARTIFACT = {
    "app/a.yaml": "",
    "app/logo.png": "",
    "app/.sops.yaml": "",
    ".gitlab-ci.yml": "",
    ".github/workflows/x.yml": "",
    "docs/x.md": "",
    "docs/keep.yaml": "",
    ".gitignore": "",
}


def test_artifact_without_patterns_has_the_default_exclusions(pool: WorkerPool, tree: Tree) -> None:
    root = tree(ARTIFACT)
    (root / "app/link.yaml").symlink_to("a.yaml")
    listing = pool.artifact(root)
    assert listing.excluded == (
        ".github/workflows/x.yml",
        ".gitignore",
        ".gitlab-ci.yml",
        "app/.sops.yaml",
        "app/logo.png",
    )
    assert listing.symlinks == ("app/link.yaml",)
    assert listing.directories == (".github", ".github/workflows")


def test_any_pattern_switches_most_defaults_off(pool: WorkerPool, tree: Tree) -> None:
    root = tree(ARTIFACT | {".sourceignore": "# only a comment\n\n"})
    assert "app/logo.png" in pool.artifact(root).excluded
    tree({".sourceignore": "/docs\n!/docs/keep.yaml\n"})
    assert pool.artifact(root).excluded == (".gitignore", "docs/x.md")
    assert pool.artifact(root).directories == ("docs",)  # though not all that is in it


def test_patterns_are_scoped_and_the_sources_own_come_last(pool: WorkerPool, tree: Tree) -> None:
    root = tree({"a/x.yaml": "", "a/y.yaml": "", "b/x.yaml": "", "a/.sourceignore": "x.yaml\n"})
    assert pool.artifact(root).excluded == ("a/x.yaml",)
    assert pool.artifact(root, ignore="/*\n!/b\n").excluded == ("a/.sourceignore", "a/x.yaml", "a/y.yaml")
    assert pool.artifact(root, ignore="!a/x.yaml\n").excluded == ()


def test_artifact_of_a_tree_that_cannot_be_read(pool: WorkerPool, tree: Tree) -> None:
    root = tree({"a.yaml": ""})
    os.mkfifo(root / ".sourceignore")
    with pytest.raises(WorkerError, match="not a regular file"):
        pool.artifact(root)
    with pytest.raises(WorkerError, match="no such file"):
        pool.artifact(root / "nowhere")
