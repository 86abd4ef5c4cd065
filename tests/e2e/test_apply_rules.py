"""Flux's rules of applying, one by one, on a real API server: clean-up, markers, metadata."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from runner.model import FIELD_MANAGER, FLUX
from tests.cluster.api import APPLY, MERGE
from tests.e2e.harness import Bench, config_map, deployment, kustomization

pytestmark = pytest.mark.cluster
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def path(world: Bench, name: str = "app", plural: str = "configmaps") -> str:
    group = "apis/apps/v1" if plural == "deployments" else "api/v1"
    return f"/{group}/namespaces/{world.namespace}/{plural}/{name}"


def deploy(world: Bench, *objects: dict[str, Any], **spec: Any) -> None:
    """One Kustomization, `app`, with these objects, committed and deployed."""
    commit(world, *objects, **spec)
    world.reconcile()


def commit(world: Bench, *objects: dict[str, Any], **spec: Any) -> None:
    world.repository.write("clusters/test/all.yaml", kustomization(world, "app", "app", **spec))
    world.repository.write("app/app.yaml", *objects)
    world.repository.commit()


def merge(world: Bench, manager: str, change: dict[str, Any], where: str = "") -> None:
    """An edit as `kubectl edit`, or somebody else, makes one."""
    answer = world.api.request("PATCH", f"{where or path(world)}?fieldManager={manager}", change, MERGE)
    assert answer.status == 200, answer.body


def marked(manifest: dict[str, Any], where: str = "annotations", **markers: str) -> dict[str, Any]:
    meta = {**manifest["metadata"], where: {f"{FLUX}/{name}": value for name, value in markers.items()}}
    return {**manifest, "metadata": meta}


def managers(live: dict[str, Any]) -> set[tuple[str, str]]:
    return {(e["manager"], e["operation"]) for e in live["metadata"]["managedFields"]}


def result(world: Bench, kind: str = "ConfigMap", name: str = "app") -> tuple[str, str]:
    """What the next run does to an object, and why."""
    changes = world.reconcile().of("app")["changes"]
    (found,) = [c for c in changes if (c["ref"]["kind"], c["ref"]["name"]) == (kind, name)]
    return found["action"], found.get("reason", "")


def test_what_kubectl_added_goes_and_what_another_manager_added_stays(world: Bench):
    deploy(world, config_map(world, "app", key="value"))
    merge(world, "kubectl-edit", {"data": {"bad": "x"}})
    merge(world, "somebody", {"data": {"theirs": "y"}})

    assert result(world) == ("configured", "cleaned up after kubectl-edit")

    live = world.get(path(world))
    assert live["data"] == {"key": "value", "theirs": "y"}
    assert managers(live) == {(FIELD_MANAGER, "Apply"), ("somebody", "Update")}
    assert result(world) == ("unchanged", "")


def test_what_kubectl_changed_is_ours_again(world: Bench):
    deploy(world, config_map(world, "app", key="value"))
    merge(world, "kubectl-patch", {"data": {"key": "theirs"}})
    assert result(world)[0] == "configured"
    live = world.get(path(world))
    assert (live["data"], managers(live)) == ({"key": "value"}, {(FIELD_MANAGER, "Apply")})


@pytest.mark.parametrize(
    ("manager", "operation", "left"),
    [
        ("kubectl", "Apply", {}),
        ("kubectl-client-side-apply", "Update", {}),
        ("before-first-apply", "Update", {}),
        (FIELD_MANAGER, "Update", {}),
        ("before-first-apply", "Apply", {"extra": "x"}),
        ("my-kubectl", "Update", {"extra": "x"}),
        ("helm", "Apply", {"extra": "x"}),
    ],
)
def test_the_fields_of_a_manager_become_ours(
    world: Bench, manager: str, operation: str, left: dict[str, str]
):
    """An object that somebody made first: what Git lacks goes, but for what others own."""
    world.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": world.namespace}})
    old = config_map(world, "app", key="old", extra="x")
    if operation == "Apply":
        world.api.request("PATCH", f"{path(world)}?fieldManager={manager}", old, APPLY)
    else:
        place = path(world).rpartition("/")[0]
        world.api.request("POST", f"{place}?fieldManager={manager}", old)
    commit(world, config_map(world, "app", key="value"))

    assert result(world)[0] == "configured"

    live = world.get(path(world))
    assert live["data"] == {"key": "value", **left}
    assert ((manager, operation) in managers(live)) is bool(left)


def test_old_annotations_and_labels_go_and_that_alone_makes_an_object_configured(world: Bench):
    deploy(world, config_map(world, "app"))
    old = {LAST_APPLIED: "{}", f"{FLUX}/checksum": "1", "fluxcd.io/sync-checksum": "2", "kept": "yes"}
    meta = {"annotations": old, "labels": {"fluxcd.io/sync-gc-mark": "3", "theirs": "x"}}
    merge(world, "somebody", {"metadata": meta})

    assert result(world) == ("configured", "old annotations are removed")

    meta = world.get(path(world))["metadata"]
    assert meta["annotations"] == {"kept": "yes"}
    assert set(meta["labels"]) == {f"{FLUX}/name", f"{FLUX}/namespace", "theirs"}
    assert result(world) == ("unchanged", "")


def test_what_kubectl_scaled_through_the_subresource_is_not_cleaned_up(world: Bench):
    web = deployment(world, "web")
    del web["spec"]["replicas"]
    deploy(world, web)
    where = path(world, "web", "deployments")
    merge(world, "kubectl", {"spec": {"replicas": 3}}, f"{where}/scale")
    assert result(world, "Deployment", "web") == ("unchanged", "")
    assert world.get(where)["spec"]["replicas"] == 3


def test_a_dry_run_shows_what_a_clean_up_takes_away_and_writes_nothing(world: Bench):
    deploy(world, config_map(world, "app", key="value"))
    merge(world, "kubectl-edit", {"data": {"bad": "x"}})
    before = world.get(path(world))
    plan = world.run("plan", "-o", "json")
    assert plan.code == 0, plan.stderr
    (change,) = [c for c in plan.json["changes"] if c["ref"]["name"] == "app"]
    assert (change["action"], change["reason"]) == ("configured", "cleaned up after kubectl-edit")
    assert [each["path"] for each in change["drift"]] == ["data.bad"]
    assert world.get(path(world)) == before


@pytest.mark.parametrize("side", ["desired", "live"])
def test_ssa_merge_keeps_what_kubectl_added_and_takes_our_fields_all_the_same(world: Bench, side: str):
    plain = config_map(world, "app", key="value")
    deploy(world, marked(plain, ssa="Merge") if side == "desired" else plain)
    edit: dict[str, Any] = {"data": {"bad": "x", "key": "theirs"}}
    if side == "live":
        edit |= {"metadata": {"annotations": {f"{FLUX}/ssa": "merge"}}}
    merge(world, "kubectl-edit", edit)

    assert result(world) == ("configured", "data changed")

    assert world.get(path(world))["data"] == {"key": "value", "bad": "x"}
    assert result(world) == ("unchanged", "")


@pytest.mark.parametrize("where", ["labels", "annotations"])
@pytest.mark.parametrize(("name", "value"), [("reconcile", "Disabled"), ("ssa", "ignore")])
@pytest.mark.parametrize("side", ["desired", "live"])
def test_reconcile_disabled_and_ssa_ignore_leave_an_object_as_it_is(
    world: Bench, side: str, name: str, value: str, where: str
):
    deploy(world, config_map(world, "app", key="value"), config_map(world, "other"))
    new = config_map(world, "app", key="new")
    if side == "live":
        merge(world, "somebody", {"metadata": {where: {f"{FLUX}/{name}": value}}})
    commit(
        world, marked(new, where, **{name: value}) if side == "desired" else new, config_map(world, "other")
    )

    assert result(world)[0] == "skipped"
    assert world.get(path(world))["data"] == {"key": "value"}

    if side == "live":
        commit(world, config_map(world, "other"))
        assert result(world)[0] == "skipped", "nor is it pruned"
        assert "app" in world.config_maps()


def test_ssa_if_not_present_creates_and_then_leaves_alone_and_is_pruned(world: Bench):
    other = config_map(world, "other")
    commit(world, marked(config_map(world, "app", key="value"), ssa="ifnotpresent"), other)
    assert result(world)[0] == "created"
    commit(world, marked(config_map(world, "app", key="new"), ssa="IfNotPresent"), other)
    assert result(world)[0] == "skipped"
    assert world.get(path(world))["data"] == {"key": "value"}
    commit(world, other)
    assert result(world)[0] == "deleted"


def test_ssa_override_is_the_default(world: Bench):
    deploy(world, marked(config_map(world, "app", key="value"), ssa="Override"))
    merge(world, "kubectl-edit", {"data": {"bad": "x"}})
    assert result(world)[0] == "configured"
    assert world.get(path(world))["data"] == {"key": "value"}


def test_prune_disabled_counts_on_the_live_object(world: Bench):
    kept, dropped = config_map(world, "kept"), config_map(world, "dropped")
    deploy(world, marked(kept, prune="Disabled"), dropped, config_map(world, "app"))
    commit(world, config_map(world, "app"))
    changes = {c["ref"]["name"]: c["action"] for c in world.reconcile().of("app")["changes"]}
    assert changes == {"app": "unchanged", "kept": "skipped", "dropped": "deleted"}


def test_target_namespace_and_common_metadata_are_on_every_object(world: Bench):
    elsewhere = f"{world.namespace}-b"
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": elsewhere}}
    common = {"labels": {"team": "a", "tier": "x"}, "annotations": {"note": "b"}}
    app = config_map(world, "app")
    app["metadata"]["labels"] = {"team": "own", "own": "1"}
    deploy(world, space, app, targetNamespace=elsewhere, commonMetadata=common)

    assert world.get(path(world)) is None
    for where in (f"/api/v1/namespaces/{elsewhere}/configmaps/app", f"/api/v1/namespaces/{elsewhere}"):
        meta = world.get(where)["metadata"]
        assert meta["annotations"] == {"note": "b"}
        assert {"team": "a", "tier": "x", f"{FLUX}/name": "app"}.items() <= meta["labels"].items()


def test_string_data_status_and_timestamps_are_normalised_and_nothing_drifts(world: Bench):
    secret = {
        **config_map(world, "app", b="Yg=="),
        "kind": "Secret",
        "stringData": {"a": "plain", "b": "wins"},
        "status": {"x": 1},
    }
    secret["metadata"]["creationTimestamp"] = None
    web = deployment(world, "web")
    web["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 53}]
    web["spec"]["template"]["metadata"]["creationTimestamp"] = None
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "web",
            "namespace": world.namespace,
            "creationTimestamp": "2020-01-01T00:00:00Z",
        },
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 53}]},
        "status": {"loadBalancer": {}},
    }
    deploy(world, secret, web, service)
    data = world.get(path(world, "app", "secrets"))["data"]
    assert {key: base64.b64decode(value) for key, value in data.items()} == {"a": b"plain", "b": b"wins"}
    second = world.reconcile("--all")
    assert {c["action"] for c in second.of("app")["changes"]} == {"unchanged"}
    assert second.json["requests"].get("PATCH", 0) == 0
