"""Input that cannot be rendered, and where we say that the fault is."""

# ruff: noqa: E501 -- manifests are as wide as people write them

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fidelity.kfiles import config_map
from tests.fidelity.trees import COMPONENT

GOOD = config_map("good", a="b")
WEB = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 1}\n"


@dataclass(frozen=True)
class Wrong:
    files: Mapping[str, str]
    spec: Mapping[str, Any] = field(default_factory=dict)
    path: str = "app"
    where: str = ""
    """`file:line` of our problem, or `file`; "" where no file can be named."""
    server: int = 0
    """What an API server answers to whoever asks for a ConfigMap or Secret; 0: nobody asks."""


def kfile(text: str, **more: str) -> dict[str, str]:
    extra = {f"app/{key.replace('__', '/').replace('_yaml', '.yaml')}": value for key, value in more.items()}
    return {"app/kustomization.yaml": text, "app/good.yaml": GOOD, "app/web.yaml": WEB, **extra}


def values(**data: str) -> dict[str, str]:
    return {"app/good.yaml": config_map("good", **{key: f"'{value}'" for key, value in data.items()})}


def substitute(**variables: str) -> dict[str, Any]:
    return {"postBuild": {"substitute": {"set": "abc", **variables}}}


def patch(text: str, **target: str) -> dict[str, Any]:
    return {"patches": [{"patch": text, **({"target": target} if target else {})}]}


PATHS = {
    "missing-path": Wrong({"app/good.yaml": GOOD}, path="nowhere", where="clusters/apps.yaml:3"),
    "path-is-a-file": Wrong({"app/good.yaml": GOOD}, path="app/good.yaml", where="clusters/apps.yaml:3"),
    "two-kustomization-files": Wrong(
        {**kfile("resources: [good.yaml]\n"), "app/kustomization.yml": "resources: []\n"}, where="app/kustomization.yaml"
    ),
    "two-kustomization-files-in-a-base": Wrong(
        {**kfile("resources: [base]\n"), "app/base/kustomization.yml": "", "app/base/Kustomization": ""}, where="app/base/kustomization.yml"
    ),
    "missing-resource": Wrong(kfile("resources: [good.yaml, none.yaml]\n"), where="app/kustomization.yaml:1"),
    "missing-base": Wrong(kfile("resources: [../base]\n"), where="app/kustomization.yaml:1"),
    "base-without-kustomization-file": Wrong({**kfile("resources: [../base]\n"), "base/a.yaml": GOOD}, where="app/kustomization.yaml:1"),
    "outside-the-root": Wrong(kfile("resources: [../../../etc/hostname]\n"), where="app/kustomization.yaml:1"),
    "absolute-resource": Wrong(kfile("resources: [/etc/hostname]\n"), where="app/kustomization.yaml:1"),
    "git-base": Wrong(kfile("resources: ['ssh://git@git.invalid/a/b//c?ref=v1']\n"), where="app/kustomization.yaml:1"),
    "cycle-of-bases": Wrong(
        {**kfile("resources: [../b]\n"), "b/kustomization.yaml": "resources: [../c]\n", "c/kustomization.yaml": "resources: [../b]\n"}, where="c/kustomization.yaml:1"
    ),
    "base-is-itself": Wrong(kfile("resources: [../app]\n"), where="app/kustomization.yaml:1"),
}  # fmt: skip
YAML = {
    "bad-yaml": Wrong(
        {"app/a.yaml": GOOD, "app/b.yaml": "a: b\nkind: [\nc: d\n"}, where="app/b.yaml:3"
    ),
    "bad-yaml-in-a-second-document": Wrong({"app/a.yaml": f"{GOOD}---\nkind: {{\n"}, where="app/a.yaml:8"),
    "bad-yaml-in-a-listed-resource": Wrong(
        kfile("resources: [good.yaml, bad.yaml]\n", bad_yaml="kind: A\n  x: y\n"), where="app/bad.yaml:2"
    ),
    "bad-yaml-in-a-base": Wrong(
        {**kfile("resources: [../base]\n"), "base/kustomization.yaml": "resources: [b.yaml]\n", "base/b.yaml": "kind: A\n\tx: y\n"},
        where="base/b.yaml:2",
    ),
    "bad-yaml-in-the-kustomization-file": Wrong(
        kfile("resources:\n- good.yaml\n namePrefix: x\n"), where="app/kustomization.yaml:3"
    ),
    "bad-yaml-in-a-kustomization-file-of-a-base": Wrong(
        {**kfile("resources: [../base]\n"), "base/kustomization.yaml": "resources: [\n"}, where="base/kustomization.yaml:1"
    ),
    "wrong-type-in-the-kustomization-file": Wrong(kfile("resources: good.yaml\n"), where="app/kustomization.yaml"),
    "misspelt-field-in-a-base": Wrong(
        {**kfile("resources: [../base]\n"), "base/kustomization.yaml": "resource: [a.yaml]\n"}, where="base/kustomization.yaml"
    ),
    "same-key-twice": Wrong({"app/a.yaml": f"{config_map('first')}---\n# a comment\n{GOOD}data: {{}}\n"}, where="app/a.yaml:14"),
    "no-kind": Wrong({"app/a.yaml": "apiVersion: v1\nmetadata: {name: a}\n"}, where="app/a.yaml:1"),
    "no-name": Wrong({"app/a.yaml": "apiVersion: v1\nkind: ConfigMap\n"}, where="app/a.yaml"),
    "no-name-in-a-listed-resource": Wrong(
        kfile("resources: [bad.yaml]\n", bad_yaml="apiVersion: v1\nkind: ConfigMap\n"), where="app/bad.yaml"
    ),
    "bytes": Wrong({"app/a.yaml": "\0\1\2"}, where="app/a.yaml:1"),
    "not-an-object": Wrong({"app/a.yaml": "- a\n- b\n"}, where="app/a.yaml:1"),
    "broken-json": Wrong(kfile("resources: [bad.json]\n", **{"bad.json": '{"kind": "A",\n"x"'}), where="app/bad.json:2"),
}  # fmt: skip
KUSTOMIZE = {
    "same-object-twice": Wrong({"app/a.yaml": GOOD, "app/b.yaml": GOOD}, where="app/b.yaml"),
    "helm-chart": Wrong(kfile("helmCharts: [{name: x, repo: 'https://charts.invalid'}]\n")),
    "program-as-generator": Wrong(
        kfile("generators: [gen.yaml]\n", gen_yaml="apiVersion: x/v1\nkind: Gen\nmetadata: {name: g, annotations: {config.kubernetes.io/function: 'exec: {path: ./x}'}}\n")
    ),
    "missing-file-of-a-generator": Wrong(kfile("configMapGenerator: [{name: a, files: [none.txt]}]\n"), where="app/kustomization.yaml:1"),
    "bad-literal": Wrong(kfile("configMapGenerator: [{name: a, literals: [no-equals]}]\n")),
    "missing-patch-file": Wrong(kfile("resources: [web.yaml]\npatches: [{path: none.yaml}]\n"), where="app/kustomization.yaml:2"),
    "merge-of-nothing": Wrong(kfile("configMapGenerator: [{name: a, behavior: merge, literals: [a=b]}]\n")),
    "replacement-without-source": Wrong(
        kfile("resources: [web.yaml]\nreplacements: [{source: {kind: Secret}, targets: [{select: {kind: Deployment}, fieldPaths: [spec.x]}]}]\n")
    ),
    "missing-openapi": Wrong(kfile("resources: [web.yaml]\nopenapi: {path: none.json}\n"), where="app/kustomization.yaml:2"),
}  # fmt: skip
SPEC = {
    "absolute-component": Wrong(kfile("resources: [web.yaml]\n"), {"components": ["/components/a"]}, where="clusters/apps.yaml:3"),
    "absolute-component-in-the-kustomization-file": Wrong(
        kfile("resources: [web.yaml]\ncomponents:\n- /components/a\n"), where="app/kustomization.yaml:3"
    ),
    "component-by-address": Wrong(kfile("resources: [web.yaml]\n"), {"components": ["https://git.invalid/a//b"]}, where="clusters/apps.yaml:3"),
    "missing-component": Wrong(kfile("resources: [web.yaml]\n"), {"components": ["../components/none"]}, where="clusters/apps.yaml:3"),
    "component-that-is-none": Wrong(
        {**kfile("resources: [web.yaml]\n"), "other/kustomization.yaml": "namePrefix: x-\n"}, {"components": ["../other"]}
    ),
    "component-as-a-resource": Wrong(
        {**kfile("resources: [../c]\n"), "c/kustomization.yaml": COMPONENT + "namePrefix: x-\n"}
    ),
    "patch-that-matches-nothing": Wrong(
        kfile("resources: [web.yaml]\n"), patch("apiVersion: v1\nkind: Service\nmetadata: {name: x}\n")
    ),
    "patch-that-is-no-yaml": Wrong(kfile("resources: [web.yaml]\n"), patch("kind: {\n")),
    "patch-without-target": Wrong(kfile("resources: [web.yaml]\n"), patch('[{"op": "remove", "path": "/spec"}]')),
    "patch-of-a-missing-field": Wrong(
        kfile("resources: [web.yaml]\n"), patch('[{"op": "remove", "path": "/none"}]', kind="Deployment")
    ),
    "two-patches-for-one-target": Wrong(
        kfile("resources: [web.yaml]\n"), patch(f"{WEB}---\n{WEB}", kind="Deployment")
    ),
}  # fmt: skip


def source(kind: str, *, optional: bool = False) -> dict[str, Any]:
    return {"postBuild": {"substituteFrom": [{"kind": kind, "name": "vars", "optional": optional}]}}


VARIABLES = {
    "missing-config-map": Wrong(
        values(a="${x}"), source("ConfigMap"), where="clusters/apps.yaml:3", server=404
    ),
    "missing-secret": Wrong(values(a="${x}"), source("Secret"), where="clusters/apps.yaml:3", server=404),
    "forbidden-config-map": Wrong(
        values(a="x"), source("ConfigMap"), where="clusters/apps.yaml:3", server=403
    ),
    "forbidden-secret": Wrong(values(a="x"), source("Secret"), where="clusters/apps.yaml:3", server=403),
    "forbidden-secret-that-is-optional": Wrong(
        values(a="x"), source("Secret", optional=True), where="clusters/apps.yaml:3", server=403
    ),
    "invalid-variable-name": Wrong(
        values(a="x"), substitute(**{"my-key": "x"}), where="clusters/apps.yaml:3"
    ),
    "missing-variable": Wrong(values(a="${none} ${set}"), substitute(), where="app/good.yaml:1"),
    "missing-variable-in-a-default": Wrong(
        values(a="${set:=${none}}"), substitute(), where="app/good.yaml:1"
    ),
    "two-missing-variables": Wrong(values(a="${one}", b="${two}"), substitute(), where="app/good.yaml:1"),
    "unclosed-brace": Wrong(values(a="x", b="${set"), substitute(), where="app/good.yaml:1"),
    "hyphen-in-a-name": Wrong(values(a="${my-key}"), substitute(), where="app/good.yaml:1"),
    "no-name-in-braces": Wrong(values(a="${}"), substitute(), where="app/good.yaml:1"),
    "missing-variable-over-two-values": Wrong(
        values(a="${none/b", b="x/y}"), substitute(), where="app/good.yaml:1"
    ),
    "value-that-breaks-the-yaml": Wrong(values(a="${set}"), substitute(set="x: y"), where="app/good.yaml:1"),
    "panic-of-an-expression": Wrong(
        values(a="${set:1:9223372036854775807}"), substitute(), where="app/good.yaml:1"
    ),
    "two-names-become-one": Wrong(
        {"app/a.yaml": config_map("${set}"), "app/b.yaml": config_map("abc")},
        substitute(),
        where="app/b.yaml:1",
    ),
}
FAULTS = {**PATHS, **YAML, **KUSTOMIZE, **SPEC, **VARIABLES}
