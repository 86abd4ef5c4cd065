"""Rendering explained, by the command line and the real worker, on a repository of its own."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
from base64 import b64encode
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest

from runner.clients.kustomize.compile import build as compile_worker
from tests import forked

SCHEMA = Path(__file__).parents[2] / "runner/report/schemas/build.json"
SECRET = "correct-horse"
APPS = """\
    apiVersion: kustomize.toolkit.fluxcd.io/v1
    kind: Kustomization
    metadata: {name: apps, namespace: flux-system}
    spec:
      interval: 10m
      prune: true
      path: apps
      sourceRef: {kind: GitRepository, name: flux-system}
      postBuild:
        substitute: {region: north}
        substituteFrom:
        - {kind: ConfigMap, name: vars}
        - {kind: Secret, name: db}
        - {kind: ConfigMap, name: extra, optional: true}
    """
VARS = """\
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: vars, namespace: flux-system}
    data: {cluster_env: prod, region: south, port: "80"}
    """
WEB = """\
    # a comment before it
    ---
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: other, namespace: web}
    ---
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: web, namespace: web}
    data: {env: "%s", dsn: "db:${password}@host", size: "n-${size:=3}", region: "${region}"}
    """
VALUES = f"""\
    apiVersion: v1
    kind: Secret
    metadata: {{name: db, namespace: flux-system}}
    data: {{password: {b64encode(SECRET.encode()).decode()}}}
    ---
    apiVersion: v1
    kind: ConfigMap
    metadata: {{name: vars, namespace: flux-system}}
    data: {{cluster_env: never}}
    ---
    apiVersion: v1
    kind: ConfigMap
    metadata: {{name: extra, namespace: flux-system}}
    """


class Fleet:
    """A repository whose root makes the variables of `apps`, and the command line on it."""

    def __init__(self, path: Path) -> None:
        self.path = path / "fleet"
        self.write("clusters/one/apps.yaml", APPS)
        self.write("clusters/one/vars.yaml", VARS)
        self.write("apps/web.yaml", WEB % "${cluster_env}")
        self.values = path / "values.yaml"
        self.values.write_text(textwrap.dedent(VALUES))
        subprocess.run(["git", "init", "--quiet", "--initial-branch=main", self.path], check=True)

    def write(self, name: str, text: str) -> None:
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_text(textwrap.dedent(text))

    def run(self, *arguments: str, command: str = "build", code: int = 0) -> SimpleNamespace:
        for git in (["add", "-A"], ["commit", "--quiet", "--allow-empty", "-m", "change"]):
            subprocess.run(["git", *git], cwd=self.path, check=True)
        given = [command, "--repo", str(self.path), "--entry", "clusters/one", *arguments]
        done = forked.run(*given, env={**os.environ, "NO_COLOR": "1"})
        assert done.returncode == code, done.stderr
        assert SECRET not in done.stdout + done.stderr
        return SimpleNamespace(out=done.stdout, err=done.stderr)

    def apps(self, *arguments: str, code: int = 0) -> dict:
        answer = json.loads(self.run("-o", "json", *arguments, "apps", code=code).out)
        jsonschema.validate(answer, json.loads(SCHEMA.read_text()))
        [found] = answer["kustomizations"]
        return found


@pytest.fixture(scope="module", autouse=True)
def _worker():
    compile_worker()


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def test_values_stand_in_for_the_cluster_and_never_for_the_desired_state(fleet: Fleet):
    without = fleet.apps()
    assert without["resources"][1]["data"]["dsn"] == "db:${password}@host"
    assert "variables" not in without
    found = fleet.apps("--values", str(fleet.values))
    assert found["resources"][1]["data"] == {
        "env": "prod",
        "dsn": "db:‹Secret flux-system/db:password›@host",
        "size": "n-3",
        "region": "north",
    }


def test_where_the_variables_come_from(fleet: Fleet):
    found = fleet.apps("--explain", "--values", str(fleet.values))["variables"]
    told = {v["name"]: (v["value"], v["source"], v["producer"], v["overridden"], v["used"]) for v in found}
    source, root = "ConfigMap/flux-system/vars", "flux-system/flux-system"
    assert told == {
        "cluster_env": ("prod", source, root, [], True),
        "password": (None, "Secret/flux-system/db", None, [], True),
        "port": ("80", source, root, [], False),
        "region": ("north", "inline", None, [source], True),
        "size": ("3", "default", None, [], True),
    }
    text = fleet.run("--explain", "--values", str(fleet.values)).out
    assert "‹Secret flux-system/db:password›  Secret/flux-system/db, from --values\n" in text
    assert "flux-system/flux-system\n  no variables\n" in text
    assert "--explain has no -o name" in fleet.run("--explain", "-o", "name", code=2).err


def test_a_missing_variable_is_told_with_its_place_and_the_nearest_name(fleet: Fleet):
    fleet.write("apps/web.yaml", WEB % "${cluster_evn}")
    fleet.write("apps/kustomization.yaml", "resources: [web.yaml]\nnamePrefix: my-\n")
    [error] = fleet.apps("--values", str(fleet.values), code=1)["errors"]
    assert (error["code"], error["variable"], error["path"], error["file"], error["line"]) == (
        "missing_variable", "cluster_evn", "$.data.env", "apps/web.yaml", 7,
    )  # fmt: skip
    assert error["message"] == (
        'variable not set (strict mode): "cluster_evn"; did you mean `cluster_env`?; '
        "known: from postBuild.substitute: region; "
        "from ConfigMap/flux-system/vars: cluster_env, port, region; from Secret/flux-system/db: password; "
        "from ConfigMap/flux-system/extra: no names"
    )
    told = fleet.run("--values", str(fleet.values), code=1).err
    assert "flux-system/apps: apps/web.yaml:7: variable not set" in told
    assert "ConfigMap/web/my-web" in told


def test_the_precedence_can_be_turned_round(fleet: Fleet):
    given = ("--values", str(fleet.values))
    warning = "variable region is set in postBuild.substitute and in ConfigMap/flux-system/vars"
    assert warning in fleet.run(*given).err
    found = fleet.apps(*given, "--explain", "--substitute-precedence", "from")
    assert found["resources"][1]["data"]["region"] == "south"
    [region] = [each for each in found["variables"] if each["name"] == "region"]
    assert (region["source"], region["overridden"]) == ("ConfigMap/flux-system/vars", ["inline"])
    assert warning in fleet.run(*given, "--substitute-precedence", "from").err


def test_a_string_that_became_a_number_is_a_warning(fleet: Fleet):
    fleet.write("apps/web.yaml", WEB % "${port}")
    told = fleet.run("--values", str(fleet.values)).err
    assert (
        "warning: apps/web.yaml:7: ConfigMap/web/web has a number where a string is needed: $.data.env;"
        in told
    )
    assert told.count("(variable port)") == 1
    fleet.write("clusters/one/apps.yaml", APPS.replace("region: north", "region: north, quote: '\"'"))
    fleet.write("apps/web.yaml", WEB % "${quote}${port}${quote}")
    result = fleet.run("--values", str(fleet.values))
    assert "where a string is needed" not in result.err
    assert 'env: "80"' in result.out


def test_a_warning_shows_no_secret_that_is_part_of_a_name(fleet: Fleet):
    fleet.write("apps/web.yaml", WEB.replace("name: web,", 'name: "${password}",') % "${port}")
    told = fleet.run("--values", str(fleet.values)).err
    assert "apps/web.yaml:7: ConfigMap/web/‹hidden› has a number where a string is needed" in told


def test_lines_that_substitution_joins_and_escapes_are_warnings(fleet: Fleet):
    pem = "  pem: |\n        one\n        two\n      json: |\n        [1,\n        2]\n"
    pem += "      end: |\n        one\n"
    fleet.write(
        "clusters/one/vars.yaml",
        VARS.replace('data: {cluster_env: prod, region: south, port: "80"}', "data:\n    " + pem),
    )
    fleet.write("apps/web.yaml", WEB % "a ${pem} ${json} ${end} $${region} $${HOME} $$${end}")
    told = fleet.run("--values", str(fleet.values)).err
    at = "warning: apps/web.yaml:7: ConfigMap/web/web has the variable"
    assert f"{at} pem, whose value is of several lines: $.data.env; substitution joins them" in told
    assert f"{at} region behind an escaped dollar sign: $.data.env; $${{region}} ends as the text" in told
    assert told.count(at) == 2


def test_an_escape_in_an_object_that_opted_out(fleet: Fleet):
    out = "metadata: {name: web, namespace: web, labels: {kustomize.toolkit.fluxcd.io/substitute: disabled}}"
    web = WEB.replace("metadata: {name: web, namespace: web}", out)
    fleet.write("apps/web.yaml", web % "$${region} $${HOME}")
    told = fleet.run("--values", str(fleet.values)).err
    assert (
        "apps/web.yaml:7: ConfigMap/web/web has $${region} although it is not substituted: $.data.env" in told
    )
    assert "HOME" not in told
    fleet.write("apps/web.yaml", web % "${region} ${HOME} $$5")
    assert "substituted: $" not in fleet.run("--values", str(fleet.values)).err


def test_every_object_has_its_place(fleet: Fleet):
    fleet.write(
        "base/kustomization.yaml", "resources: [two.yaml]\nconfigMapGenerator: [{name: g, literals: [a=b]}]\n"
    )
    fleet.write("base/two.yaml", WEB.replace("other", "web-x") % "${port}")
    fleet.write(
        "apps/kustomization.yaml",
        "namePrefix: my-\nresources: [web.yaml, ../base]\npatches: [{path: patch.yaml}]\n",
    )
    fleet.write("apps/patch.yaml", "# a patch\n" + textwrap.dedent(WEB).split("---\n")[2] % "x")
    fleet.write("apps/web.yaml", WEB.replace("name: web, ", "name: '${region}', ") % "y")
    found = fleet.apps("--values", str(fleet.values))
    places = [(o["ref"]["name"], o["file"], o["line"]) for o in found["origins"]]
    assert [name for name, _, _ in places] == [r["metadata"]["name"] for r in found["resources"]]
    assert [place for place in places if not place[0].startswith("my-g-")] == [
        ("my-other", "apps/web.yaml", 3),
        ("my-north", "apps/web.yaml", 7),
        ("my-web-x", "base/two.yaml", 3),
        ("my-web", "base/two.yaml", 7),
    ]
    [generated] = [place for place in places if place[0].startswith("my-g-")]
    assert generated[1:] == ("base/kustomization.yaml", None)


def test_the_hint_of_a_source_is_shown(fleet: Fleet):
    fleet.write("clusters/one/apps.yaml", APPS.replace("kind: GitRepository", "kind: Bucket"))
    told = fleet.run(code=1).err
    assert "apps: clusters/one/apps.yaml:1: flux-system/apps uses Bucket/flux-system/flux-system, and" in told
    hint = (
        "kustodian.yaml can say where its files are: "
        "`sources: {Bucket/flux-system/flux-system: ./directory}`, or an oci:// URL."
    )
    assert f"\n  hint: {hint}\n" in told
    [error] = fleet.apps(code=1)["errors"]
    assert error["hint"] == hint
    assert (error["file"], error["line"]) == ("clusters/one/apps.yaml", 1)
    tree = json.loads(fleet.run("-o", "json", command="tree", code=1).out)["kustomizations"]
    assert ["\nhint: kustodian.yaml can say" in text for leaf in tree for text in leaf["problems"]] == [True]


@pytest.mark.parametrize(
    ("kfile", "reason", "hint"),
    [
        ("resources:\n- https://git.invalid/a.yaml\n", "a remote resource is not fetched: ", "copy what"),
        ("namePrefix: x\nresources:\n- ssh://git@git.invalid/a//b?ref=v1\n", "a remote", "copy what it"),
        ("helmCharts: [{name: x, repo: 'https://charts.invalid'}]\n", "a Helm chart is not", "write a Helm"),
        ("generators: [plugin.yaml]\n", "a plugin or function is not run: ", "use kustomize's own"),
    ],
)  # fmt: skip
def test_what_is_never_fetched_or_run_says_why_and_what_to_do(
    fleet: Fleet, kfile: str, reason: str, hint: str
):
    fleet.write("apps/kustomization.yaml", kfile)
    run = "annotations: {config.kubernetes.io/function: 'exec: {path: ./x}'}"
    fleet.write("apps/plugin.yaml", f"apiVersion: x/v1\nkind: Gen\nmetadata: {{name: g, {run}}}\n")
    [error] = fleet.apps("--values", str(fleet.values), code=1)["errors"]
    assert error["message"].startswith(reason)
    assert error["hint"].startswith(hint)
    assert "--enable" not in error["message"] + error["hint"]
    if "https://git" in kfile or "ssh:" in kfile:
        assert (error["file"], error["line"]) == ("apps/kustomization.yaml", kfile.count("\n"))


def test_values_that_cannot_be_used_are_refused_without_quoting_them(fleet: Fleet):
    def refused(text: str) -> str:
        fleet.values.write_text(textwrap.dedent(text))
        return fleet.run("--values", str(fleet.values), code=2).err

    assert "is not a YAML file of ConfigMaps and Secrets at line " in refused(f"a: [{SECRET}\nb")
    assert "is not a YAML file of ConfigMaps and Secrets" in refused("")
    assert "values.yaml:1: Pod/a/b is not a" in refused(
        "{apiVersion: v1, kind: Pod, metadata: {name: b, namespace: a}}"
    )
    assert "ConfigMap/b is not a ConfigMap or Secret with a namespace" in refused(
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}"
    )
    fleet.values.unlink()
    assert "cannot be read: No such file" in fleet.run("--values", str(fleet.values), code=2).err
    assert "--values is for dry runs" in fleet.run("--values", "x", command="reconcile", code=2).err


def test_a_secret_that_went_through_a_config_map_stays_hidden(fleet: Fleet):
    fleet.write("apps/derived.yaml", VARS.replace("vars", "derived").replace("prod", "'${password}'"))
    child = APPS.replace("name: apps,", "name: web,").replace("path: apps", "path: web")
    fleet.write(
        "clusters/one/web.yaml", child.replace("name: db}", "name: derived}").replace("Secret", "ConfigMap")
    )
    fleet.write("web/x.yaml", VARS.replace("vars", "x"))
    [found] = json.loads(fleet.run("--explain", "-o", "json", "--values", str(fleet.values), "web").out)[
        "kustomizations"
    ]
    [row] = [each for each in found["variables"] if each["name"] == "cluster_env"]
    assert (row["value"], row["source"]) == (None, "ConfigMap/flux-system/derived")
