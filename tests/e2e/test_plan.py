"""A plan on a real API server: it says what the deploy does, and the deploy does that or nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import runner.report
from tests.e2e.harness import Bench, config_map, deployment, kustomization

SCHEMA = Path(runner.report.__file__).parent / "schemas/plan.json"

pytestmark = pytest.mark.cluster


@pytest.fixture
def fleet(world: Bench) -> Bench:
    """Two Kustomizations, deployed; then a change of three objects of the first, and of nothing else."""
    write = world.repository.write
    write("clusters/test/app.yaml", kustomization(world, "app", "app"))
    write("clusters/test/web.yaml", kustomization(world, "web", "web", dependsOn=[{"name": "app"}]))
    for name in ("one", "two", "three"):
        write(f"app/{name}.yaml", config_map(world, name))
    write("app/server.yaml", deployment(world, "server", replicas=0))
    write("web/page.yaml", config_map(world, "page", text="1"))
    world.repository.commit()
    world.reconcile()
    write("app/two.yaml", config_map(world, "two", key="changed"))
    world.repository.remove("app/three.yaml")
    write("app/four.yaml", config_map(world, "four"))
    write("app/server.yaml", deployment(world, "server", image="registry.example/app:2", replicas=0))
    world.repository.commit()
    return world


def planned(world: Bench, file: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    result = world.run("plan", "-o", "json", "--out", str(file), "--no-cache", *arguments)
    assert result.code == code, f"exit code {result.code}\n{result.stdout}\n{result.stderr}"
    return result.json


def told(plan: dict[str, Any], name: str) -> dict[str, str]:
    """What a plan says of one Kustomization: `Kind/name` to action."""
    return {
        f"{each['ref']['kind']}/{each['ref']['name']}": each["action"]
        for each in plan["changes"]
        if each["kustomization"].endswith(f"/{name}")
    }


def written(changes: dict[str, str]) -> dict[str, str]:
    return {name: action for name, action in changes.items() if action not in {"unchanged", "skipped"}}


def patch(world: Bench, name: str, data: dict[str, str]) -> None:
    """Change a ConfigMap by hand, as kubectl would."""
    path = f"/api/v1/namespaces/{world.namespace}/configmaps/{name}"
    answer = world.api.request(
        "PATCH",
        f"{path}?fieldManager=kubectl-edit",
        {"data": data},
        content_type="application/merge-patch+json",
    )
    assert answer.status == 200, answer.body


def test_what_a_plan_says_is_what_the_deploy_does(fleet: Bench, tmp_path: Path):
    before = fleet.writes()
    plan = planned(fleet, tmp_path / "plan.json")
    assert fleet.writes() == before
    assert told(plan, "app") == {
        "ConfigMap/two": "configured",
        "ConfigMap/three": "deleted",
        "ConfigMap/four": "created",
        "Deployment/server": "configured",
    }
    assert [each["name"] for each in plan["affected"]] == ["app", "web"]
    assert [each["dependent"] for each in plan["affected"]] == [False, True]

    done = fleet.reconcile("--plan", str(tmp_path / "plan.json"))

    for name in ("fleet", "app", "web"):
        assert written(done.changes(name)) == told(plan, name)


def test_the_file_holds_what_the_view_says_and_the_steps(fleet: Bench, tmp_path: Path):
    plan = planned(fleet, tmp_path / "plan.json")
    file = json.loads((tmp_path / "plan.json").read_text())
    assert file == plan
    jsonschema.validate(file, json.loads(SCHEMA.read_text()))
    assert [step["name"] for step in file["steps"]] == ["fleet", "app", "web"]


@pytest.mark.parametrize("moved", ["commit", "live", "deleted"])
def test_a_plan_that_holds_no_more_is_refused(fleet: Bench, tmp_path: Path, moved: str):
    planned(fleet, tmp_path / "plan.json")
    if moved == "commit":
        fleet.repository.write("web/page.yaml", config_map(fleet, "page", text="2"))
        fleet.repository.commit()
    elif moved == "live":
        patch(fleet, "two", {"key": "by hand"})
    else:
        fleet.api.request("DELETE", f"/api/v1/namespaces/{fleet.namespace}/configmaps/three")
    before = fleet.writes()

    refused = fleet.run("reconcile", "--plan", str(tmp_path / "plan.json"))

    assert refused.code == 6
    assert fleet.writes() == before
    expected = {
        "commit": f"{fleet.namespace}/web: it renders something else",
        "live": "ConfigMap/" + fleet.namespace + "/two is another one in the cluster",
        "deleted": f"ConfigMap/{fleet.namespace}/three was to be deleted",
    }
    assert expected[moved] in refused.stderr
    assert "plan again" in refused.stderr


def test_a_later_commit_that_renders_the_same_is_deployed_by_the_plan(fleet: Bench, tmp_path: Path):
    planned(fleet, tmp_path / "plan.json")
    fleet.repository.write("README.md", "nothing that anybody renders")
    fleet.repository.commit()
    done = fleet.reconcile("--plan", str(tmp_path / "plan.json"))
    assert done.changes("app")["ConfigMap/four"] == "created"


def test_a_later_commit_may_not_change_a_secret_behind_the_plan(fleet: Bench, tmp_path: Path):
    secret = {**config_map(fleet, "key", word="one"), "kind": "Secret", "stringData": {"word": "one"}}
    del secret["data"]
    fleet.repository.write("app/key.yaml", secret)
    fleet.repository.commit()
    planned(fleet, tmp_path / "plan.json")
    fleet.repository.write("app/key.yaml", {**secret, "stringData": {"word": "two"}})
    fleet.repository.commit()
    refused = fleet.run("reconcile", "--plan", str(tmp_path / "plan.json"))
    assert refused.code == 6
    assert f"it is not known whether {fleet.namespace}/app would be the same" in refused.stderr


def test_drift_is_told_apart_from_the_change(fleet: Bench, tmp_path: Path):
    patch(fleet, "page", {"text": "by hand"})
    patch(fleet, "two", {"key": "by hand", "more": "by hand"})
    plan = planned(fleet, tmp_path / "plan.json")
    changes = {each["ref"]["name"]: each for each in plan["changes"]}

    page = changes["page"]
    assert page["fields"] == []
    assert [(each["path"], each["before"], each["after"]) for each in page["drift"]] == [
        ("data.text", "by hand", "1")
    ]
    two = changes["two"]
    assert [(each["path"], each["before"], each["after"]) for each in two["fields"]] == [
        ("data.key", "by hand", "changed")
    ]
    assert two["clashes"] == ["data.key"]


def test_credentials_that_may_only_read_are_enough_for_less(fleet: Bench, tmp_path: Path):
    kubeconfig = reader(fleet, tmp_path)
    result = fleet.run("plan", "-o", "json", "--no-cache", kubeconfig=kubeconfig)
    assert result.code == 0, result.stderr
    changes = told(result.json, "app")
    assert changes == {
        "ConfigMap/two": "configured",
        "ConfigMap/three": "deleted",
        "ConfigMap/four": "created",
        "Deployment/server": "configured",
    }
    unchecked = [each for each in result.json["changes"] if "not checked by the server" in each["reason"]]
    assert {each["ref"]["name"] for each in unchecked} == {"two", "four", "server"}


def reader(world: Bench, directory: Path) -> Path:
    """A kubeconfig whose user may read everything and write nothing."""
    user = f"reader-{world.namespace}"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user}
    base = "/apis/rbac.authorization.k8s.io/v1"
    meta = {"metadata": {"name": user}}
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]
    world.api.request("POST", f"{base}/clusterroles", {**meta, "rules": rules})
    subjects = [{"kind": "User", "apiGroup": role["apiGroup"], "name": user}]
    world.api.request("POST", f"{base}/clusterrolebindings", {**meta, "roleRef": role, "subjects": subjects})
    kubeconfig = world.plane.user_kubeconfig(user, [])
    target = directory / "reader.kubeconfig"
    target.write_bytes(Path(kubeconfig).read_bytes())
    assert yaml.safe_load(target.read_text())["kind"] == "Config"
    return target


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is no JSON"),
        ("[]", "is no plan"),
        ('{"schema": "kustodian/diff/v1"}', "it has the schema kustodian/diff/v1"),
        ('{"schema": "kustodian/plan/v1"}', "is a damaged plan"),
    ],
)
def test_a_file_that_is_no_plan(world: Bench, tmp_path: Path, content: str, told: str):
    world.repository.write("clusters/test/a.yaml", config_map(world, "a"))
    world.repository.commit()
    (tmp_path / "plan.json").write_text(content)
    refused = world.run("reconcile", "--plan", str(tmp_path / "plan.json"))
    assert refused.code == 2
    assert told in refused.stderr
    assert "Traceback" not in refused.stderr
