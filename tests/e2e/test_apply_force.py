"""`spec.force` and `force: enabled`, on a real API server: what cannot be changed is made anew."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.cluster import wait_until
from tests.cluster.api import MERGE
from tests.e2e.harness import Bench, config_map, deployment
from tests.e2e.test_apply_rules import commit, deploy, marked, merge, path, result

pytestmark = pytest.mark.cluster


def frozen(world: Bench, value: str) -> dict[str, Any]:
    """A ConfigMap whose data cannot be changed."""
    return {**config_map(world, "app", key=value), "immutable": True}


def uid(world: Bench) -> str:
    found: str = world.get(path(world))["metadata"]["uid"]
    return found


def test_without_force_an_immutable_field_is_an_error_that_says_what_to_do(world: Bench):
    deploy(world, frozen(world, "a"))
    commit(world, frozen(world, "b"))
    failed = world.reconcile(code=1).of("app")
    assert "field is immutable" in failed["error"]
    assert "spec.force" in failed["hint"]
    assert world.get(path(world))["data"] == {"key": "a"}


@pytest.mark.parametrize("how", ["spec", "desired", "live"])
def test_with_force_it_is_deleted_and_created(world: Bench, how: str):
    before, after = frozen(world, "a"), frozen(world, "b")
    deploy(world, before)
    old = uid(world)
    if how == "live":
        merge(world, "somebody", {"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/force": "Enabled"}}})
    commit(world, marked(after, force="enabled") if how == "desired" else after, force=how == "spec")

    assert result(world) == ("created", "made anew (force): data cannot be changed")

    assert world.get(path(world))["data"] == {"key": "b"}
    assert uid(world) != old
    assert result(world) == ("unchanged", "")


def test_an_invalid_object_deletes_nothing(world: Bench):
    """Not even where a field is immutable as well: the new one would not be taken."""
    web = deployment(world, "web")
    deploy(world, web, force=True)
    where = path(world, "web", "deployments")
    old = world.get(where)["metadata"]["uid"]
    invalid = deployment(world, "web", selector={"matchLabels": {"app": "other"}})
    for broken in (invalid, deployment(world, "web", replicas=-1)):
        commit(world, broken, force=True)
        failed = world.reconcile(code=1).of("app")
        assert "Deployment" in failed["error"]
        assert world.get(where)["metadata"]["uid"] == old
        said = "it is not made anew, as that would fail" in failed["error"]
        assert said is (broken is invalid), "the other one is refused at once"
    assert not [write for write in world.writes() if write.startswith("delete")]


def test_a_service_keeps_its_node_port_when_it_is_made_anew(world: Bench):
    """The port is taken while the old one is there: that does not speak against the new one."""

    def service(cluster_ip: str, port: int) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "app", "namespace": world.namespace},
            "spec": {
                "type": "NodePort",
                "selector": {"app": "x"},
                "clusterIP": cluster_ip,
                "ports": [{"port": 80, "nodePort": port}],
            },
        }

    deploy(
        world,
        {**service("", 0), "spec": {"selector": {"a": "b"}, "type": "NodePort", "ports": [{"port": 80}]}},
    )
    live = world.get(path(world, "app", "services"))
    port = live["spec"]["ports"][0]["nodePort"]
    first = live["spec"]["clusterIP"]
    other = f"{first.rpartition('.')[0]}.{(int(first.rpartition('.')[2]) + 90) % 250 + 1}"
    commit(world, service(other, port), force=True)
    assert result(world, "Service")[0] == "created"
    spec = world.get(path(world, "app", "services"))["spec"]
    assert (spec["clusterIP"], spec["ports"][0]["nodePort"]) == (other, port)


def test_a_role_binding_gets_another_role(world: Bench):
    def binding(role: str) -> dict[str, Any]:
        group = "rbac.authorization.k8s.io"
        return {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "app", "namespace": world.namespace},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
            "subjects": [],
        }

    deploy(world, binding("view"), force=True)
    commit(world, binding("edit"), force=True)
    assert result(world, "RoleBinding") == ("created", "made anew (force): roleRef cannot be changed")


def test_a_finalizer_is_waited_for_and_then_named(world: Bench):
    deploy(world, frozen(world, "a"), force=True)
    merge(world, "somebody", {"metadata": {"finalizers": ["example.org/hold"]}})
    commit(world, frozen(world, "b"), force=True, timeout="2s")

    failed = world.reconcile(code=1).of("app")["error"]
    assert "failed to wait for object to be deleted" in failed
    assert "example.org/hold" in failed

    commit(world, frozen(world, "b"), force=True, timeout="1m")

    def release() -> None:
        wait_until(lambda: world.get(path(world))["metadata"].get("deletionTimestamp"), "it is being deleted")
        world.api.request("PATCH", path(world), {"metadata": {"finalizers": None}}, MERGE)

    helper = threading.Thread(target=release)
    helper.start()
    assert result(world)[0] == "created"
    helper.join()
    assert world.get(path(world))["data"] == {"key": "b"}


def test_a_run_that_was_killed_after_the_deletion_is_completed_by_the_next(world: Bench):
    deploy(world, frozen(world, "a"), force=True)
    merge(world, "somebody", {"metadata": {"finalizers": ["example.org/hold"]}})
    commit(world, frozen(world, "b"), force=True, timeout="5m")
    run = world.start("reconcile", "--lease-duration", "5s")
    wait_until(lambda: world.get(path(world))["metadata"].get("deletionTimestamp"), "it is being deleted")
    run.kill()
    run.communicate()
    world.api.request("PATCH", path(world), {"metadata": {"finalizers": None}}, MERGE)
    wait_until(lambda: world.get(path(world)) is None, "it is gone")

    assert result(world) == ("created", "")
    assert world.get(path(world))["data"] == {"key": "b"}


def test_what_a_killed_run_made_anew_is_still_ours(world: Bench):
    """Killed between the creation and its record: the new object is not taken for somebody else's."""
    deploy(world, frozen(world, "a"), config_map(world, "other"), force=True)
    merge(world, "somebody", {"metadata": {"finalizers": ["example.org/hold"]}})
    commit(world, frozen(world, "b"), config_map(world, "other"), force=True, timeout="5m")
    run = world.start("reconcile", "--lease-duration", "5s")
    wait_until(lambda: world.get(path(world))["metadata"].get("deletionTimestamp"), "it is being deleted")
    run.kill()
    run.communicate()
    made = frozen(world, "b")
    made["metadata"]["labels"] = world.get(path(world))["metadata"]["labels"]
    world.api.request("PATCH", path(world), {"metadata": {"finalizers": None}}, MERGE)
    wait_until(lambda: world.get(path(world)) is None, "it is gone")
    world.api.request("POST", path(world).rpartition("/")[0], made)
    commit(world, config_map(world, "other"))

    assert result(world)[0] == "deleted"


def test_a_plan_shows_what_is_made_anew_and_the_deploy_keeps_to_it(world: Bench, tmp_path: Any):
    deploy(world, frozen(world, "a"), force=True)
    old = uid(world)
    commit(world, frozen(world, "b"), force=True)
    file = str(tmp_path / "plan.json")
    plan = world.run("plan", "-o", "json", "--out", file)
    assert plan.code == 0, plan.stderr
    (change,) = [c for c in plan.json["changes"] if c["ref"]["name"] == "app"]
    assert (change["action"], change["reason"]) == ("created", "made anew (force): data cannot be changed")
    assert uid(world) == old, "a plan writes nothing"
    done = world.run("reconcile", "--plan", file, "-o", "json")
    assert done.code == 0, done.stderr
    assert uid(world) != old
