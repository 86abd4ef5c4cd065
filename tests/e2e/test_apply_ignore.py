"""`spec.ignore`, rule by rule, on a real API server."""

from __future__ import annotations

from typing import Any

import pytest

from runner.model import FIELD_MANAGER
from tests.cluster.api import APPLY
from tests.e2e.harness import Bench, config_map, deployment
from tests.e2e.test_apply_rules import commit, deploy, managers, merge, path, result

pytestmark = pytest.mark.cluster


def rule(*paths: str, **target: str) -> dict[str, Any]:
    return {"paths": list(paths), **({"target": target} if target else {})}


def test_an_ignored_field_may_differ_and_nothing_is_written(world: Bench):
    deploy(world, config_map(world, "app", key="git", free="git"), ignore=[rule("/data/free")])
    merge(world, "somebody", {"data": {"free": "live"}})
    version = world.get(path(world))["metadata"]["resourceVersion"]
    for _ in range(2):
        assert result(world) == ("unchanged", "")
    live = world.get(path(world))
    assert (live["data"]["free"], live["metadata"]["resourceVersion"]) == ("live", version)


def test_an_object_that_is_not_there_is_created_with_everything(world: Bench):
    deploy(world, config_map(world, "app", free="git"), ignore=[rule("/data/free")])
    assert world.get(path(world))["data"] == {"free": "git"}


def test_another_change_takes_over_the_live_value_of_an_ignored_field(world: Bench):
    deploy(world, config_map(world, "app", key="git", free="git"), ignore=[rule("/data/free")])
    merge(world, "somebody", {"data": {"free": "live"}})
    commit(world, config_map(world, "app", key="new", free="git"), ignore=[rule("/data/free")])

    assert result(world) == ("configured", "data changed")

    live = world.get(path(world))
    assert live["data"] == {"key": "new", "free": "live"}
    (own,) = [e for e in live["metadata"]["managedFields"] if e["manager"] == FIELD_MANAGER]
    assert "f:free" in own["fieldsV1"]["f:data"], "it is ours, with the live value"
    assert result(world) == ("unchanged", "")


def test_another_change_leaves_an_ignored_field_to_the_manager_that_applied_it(world: Bench):
    deploy(world, config_map(world, "app", key="git", free="git"), ignore=[rule("/data/free")])
    theirs = config_map(world, "app", free="live")
    world.api.request("PATCH", f"{path(world)}?fieldManager=autoscaler&force=true", theirs, APPLY)
    commit(world, config_map(world, "app", key="new", free="git"), ignore=[rule("/data/free")])

    assert result(world) == ("configured", "data changed")

    live = world.get(path(world))
    assert live["data"] == {"key": "new", "free": "live"}
    (own,) = [e for e in live["metadata"]["managedFields"] if e["manager"] == FIELD_MANAGER]
    assert "f:free" not in own["fieldsV1"]["f:data"], "the other one is its only owner"
    assert ("autoscaler", "Apply") in managers(live)
    assert result(world) == ("unchanged", "")


def test_an_item_of_a_list_is_left_to_the_manager_that_applied_it(world: Bench):
    image = "/spec/template/spec/containers/0/image"
    deploy(world, deployment(world, "web"), ignore=[rule(image)])
    where = path(world, "web", "deployments")
    theirs = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": world.namespace},
        "spec": {"template": {"spec": {"containers": [{"name": "app", "image": "registry.example/app:9"}]}}},
    }
    world.api.request("PATCH", f"{where}?fieldManager=updater&force=true", theirs, APPLY)
    commit(world, deployment(world, "web", replicas=0), ignore=[rule(image)])
    assert result(world, "Deployment", "web") == ("configured", "spec changed")
    live = world.get(where)
    assert live["spec"]["replicas"] == 0
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/app:9"


def test_an_ignored_field_that_does_not_differ_stays_in_what_is_applied(world: Bench):
    deploy(world, config_map(world, "app", key="git", free="git"), ignore=[rule("/data/free")])
    commit(world, config_map(world, "app", key="new", free="git"), ignore=[rule("/data/free")])
    assert result(world)[0] == "configured"
    (own,) = world.get(path(world))["metadata"]["managedFields"]
    assert set(own["fieldsV1"]["f:data"]) == {"f:free", "f:key"}


@pytest.mark.parametrize(
    ("target", "action"),
    [
        pytest.param({}, "unchanged", id="all objects"),
        pytest.param({"kind": "ConfigMap", "name": "ap+", "version": "v1"}, "unchanged", id="expressions"),
        pytest.param({"name": "ap"}, "configured", id="an expression fits the whole name"),
        pytest.param({"kind": "Secret|ConfigMap"}, "unchanged", id="alternatives"),
        pytest.param({"labelSelector": "tier in (web, db), !old"}, "unchanged", id="labels"),
        pytest.param({"labelSelector": "tier=db"}, "configured", id="other labels"),
        pytest.param({"annotationSelector": "note"}, "unchanged", id="annotations"),
    ],
)
def test_a_rule_is_for_the_objects_that_its_target_selects(world: Bench, target: dict[str, str], action: str):
    app = config_map(world, "app", free="git")
    app["metadata"] |= {"labels": {"tier": "web"}, "annotations": {"note": "x"}}
    deploy(world, app, ignore=[rule("/data/free", **target)])
    merge(world, "somebody", {"data": {"free": "live"}})
    assert result(world)[0] == action
    assert world.get(path(world))["data"]["free"] == ("live" if action == "unchanged" else "git")


@pytest.mark.parametrize("bad", ["data/free", "/data/nowhere/deep", "", "/data/~2", "/spec/0/x"])
def test_a_path_that_leads_nowhere_or_is_none_changes_nothing(world: Bench, bad: str):
    deploy(world, config_map(world, "app", free="git"), ignore=[rule(bad)])
    merge(world, "somebody", {"data": {"free": "live"}})
    assert result(world)[0] == "configured"
    assert world.get(path(world))["data"]["free"] == "git"


def test_without_the_rule_the_field_is_put_back(world: Bench):
    """What was applied under a rule is no proof without it."""
    deploy(world, config_map(world, "app", key="git", free="git"), ignore=[rule("/data/free")])
    merge(world, "somebody", {"data": {"free": "live"}})
    commit(world, config_map(world, "app", key="new", free="git"), ignore=[rule("/data/free")])
    assert result(world)[0] == "configured"
    commit(world, config_map(world, "app", key="new", free="git"))
    assert result(world) == ("configured", "data changed")
    assert world.get(path(world))["data"]["free"] == "git"


def test_a_plan_does_not_show_what_is_ignored(world: Bench):
    deploy(world, config_map(world, "app", key="git", free="git"), ignore=[rule("/data/free")])
    merge(world, "somebody", {"data": {"free": "live", "key": "live"}})
    plan = world.run("plan", "-o", "json")
    (change,) = [c for c in plan.json["changes"] if c["ref"]["name"] == "app"]
    assert [each["path"] for each in change["drift"]] == ["data.key"]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"paths": ["/x"], "pathz": 1}, "spec.ignore[0].pathz is not a field of a Kustomization"),
        ({"target": {"kind": "x"}}, "spec.ignore[0].paths is missing"),
        (rule("/x", name="("), "spec.ignore[0].target.name: '(' is not a regular expression"),
        (rule("/x", labelSelector="a in"), "spec.ignore[0].target.labelSelector: 'a in' is not a selector"),
    ],
)
def test_a_rule_that_is_malformed_is_refused_by_name(world: Bench, entry: dict[str, Any], said: str):
    commit(world, config_map(world, "app"), ignore=[entry])
    failed = world.run("reconcile")
    assert failed.code == 2
    assert said in failed.stderr
