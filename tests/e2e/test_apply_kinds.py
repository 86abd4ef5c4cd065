"""What a real API server says of kinds and their fields; and sets whose objects need each other."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.cluster import wait_until
from tests.e2e.harness import Bench, config_map, deployment
from tests.e2e.test_apply_rules import commit, deploy, path, result
from tests.e2e.test_rules import crd

pytestmark = pytest.mark.cluster
RBAC = "rbac.authorization.k8s.io"


def test_unknown_fields_of_built_in_kinds_are_dropped_with_a_warning_each_time(world: Bench):
    web = deployment(world, "web", replicaz=3)
    container = web["spec"]["template"]["spec"]["containers"][0]
    container |= {"imagePullpolicy": "Always", "ports": [{"containerPort": 80, "protocl": "TCP"}]}
    app = {**config_map(world, "app"), "dat": {"a": "b"}, "daat": {}}
    world.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": world.namespace}})
    commit(world, web, app)
    planned = world.run("plan", "-o", "json")
    assert planned.code == 0, planned.stderr
    foreseen = [text for text in planned.json["warnings"] if "dropped" in text]
    first = world.reconcile()
    assert first.changes("app") == {"Deployment/web": "created", "ConfigMap/app": "created"}
    told = [text for text in first.of("app")["warnings"] if "dropped" in text]
    assert len(told) == 2, "one for each object"
    assert sorted(foreseen) == sorted(told), "a plan says so too"
    by_kind = {text.partition("/")[0]: text for text in told}
    for field in (".spec.replicaz", 'containers[name="app"].imagePullpolicy', "protocl"):
        assert field in by_kind["Deployment"]
    assert by_kind["ConfigMap"].endswith(".daat, .dat")

    second = world.reconcile()
    assert set(second.changes("app").values()) == {"unchanged"}
    assert [text for text in second.of("app")["warnings"] if "dropped" in text] == told
    assert second.json["requests"].get("PATCH", 0) == 0


def test_unknown_fields_of_custom_resources_and_roles_are_the_servers_error(world: Bench):
    """As in Flux, which turns neither into a type of its own."""
    role = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role",
        "metadata": {"name": "app", "namespace": world.namespace},
        "rulez": [],
    }
    commit(world, role)
    assert ".rulez: field not declared in schema" in world.reconcile(code=1).of("app")["error"]

    group = f"g{uuid.uuid4().hex[:6]}.example"
    definition = crd(group, "Thing", "things")
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"a": {"type": "string"}}}},
    }
    definition["spec"]["versions"][0]["schema"] = {"openAPIV3Schema": schema}
    thing = {
        "apiVersion": f"{group}/v1",
        "kind": "Thing",
        "metadata": {"name": "app", "namespace": world.namespace},
        "spec": {"b": "x"},
    }
    commit(world, definition, thing)
    assert ".spec.b: field not declared in schema" in world.reconcile(code=1).of("app")["error"]


def test_the_servers_warnings_are_told_once_for_each_object(world: Bench):
    group = f"g{uuid.uuid4().hex[:6]}.example"
    definition = crd(group, "Thing", "things")
    old = {"deprecated": True, "deprecationWarning": "Thing v1 is old"}
    definition["spec"]["versions"][0] |= old
    names = ("one", "two")
    things = [
        {
            "apiVersion": f"{group}/v1",
            "kind": "Thing",
            "metadata": {"name": name, "namespace": world.namespace},
        }
        for name in names
    ]
    commit(world, definition, *things)
    told = [text for text in world.reconcile().of("app")["warnings"] if "is old" in text]
    assert sorted(told) == [f"Thing/{world.namespace}/{name}: Thing v1 is old" for name in names]


def test_a_namespace_and_what_is_in_it_in_one_set(world: Bench):
    name = f"{world.namespace}-new"
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    inside = config_map(world, "app")
    inside["metadata"]["namespace"] = name
    commit(world, inside, space)
    plan = world.run("plan", "-o", "json")
    assert plan.code == 0, plan.stderr
    seen = {c["ref"]["kind"]: c["action"] for c in plan.json["changes"]}
    assert (seen["Namespace"], seen["ConfigMap"]) == ("created", "created")
    assert world.reconcile().changes("app") == {f"Namespace/{name}": "created", "ConfigMap/app": "created"}


def test_a_role_and_its_binding_in_one_set_by_a_user_who_may_not_escalate(world: Bench):
    """The server resolves the role that a binding names: it has to be there before the dry-run."""
    user = f"{world.user}-plain"
    everything = {"apiGroups": ["", "coordination.k8s.io"], "resources": ["*"], "verbs": ["*"]}
    rules = [
        everything,
        {
            "apiGroups": [RBAC],
            "resources": ["roles", "rolebindings"],
            "verbs": ["get", "list", "watch", "create", "patch"],
        },
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]},
    ]
    name = f"plain-{world.namespace}"
    roles = f"/apis/{RBAC}/v1/clusterroles"
    world.api.request("POST", roles, {"metadata": {"name": name}, "rules": rules})
    body = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "User", "name": user, "apiGroup": RBAC}],
    }
    world.api.request("POST", f"{roles}".replace("clusterroles", "clusterrolebindings"), body)
    as_user = world.plane.api(user, [])
    secrets = f"/api/v1/namespaces/{world.namespace}/secrets"
    wait_until(lambda: as_user.get(secrets).status == 200, "the user may read Secrets")

    def named(kind: str, **fields: Any) -> dict[str, Any]:
        meta = {"name": "reader", "namespace": world.namespace}
        return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": meta, **fields}

    role = named("Role", rules=[{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}])
    ref = {"apiGroup": RBAC, "kind": "Role", "name": "reader"}
    binding = named("RoleBinding", roleRef=ref, subjects=[])
    commit(world, binding, role)
    kubeconfig = world.plane.user_kubeconfig(user, [])

    world.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": world.namespace}})
    seen = world.reconcile("--dry-run", kubeconfig=kubeconfig).of("app")["changes"]
    assert {c["ref"]["kind"]: c["action"] for c in seen} == {"Role": "created", "RoleBinding": "created"}
    assert "not yet checked: this run creates its role" in {c.get("reason") for c in seen}
    done = world.reconcile(kubeconfig=kubeconfig)
    assert done.changes("app") == {"Role/reader": "created", "RoleBinding/reader": "created"}


def test_an_object_without_changes_is_not_written_again(world: Bench):
    deploy(world, config_map(world, "app"))
    version = world.get(path(world))["metadata"]["resourceVersion"]
    world.reconcile("--all")
    assert result(world) == ("unchanged", "")
    assert world.get(path(world))["metadata"]["resourceVersion"] == version


def test_a_kind_that_the_same_commit_defines_loses_the_namespace_it_cannot_have(world: Bench):
    """Flux, taking over, would delete what the inventory lists under a namespace that it is not in."""
    group = f"g{uuid.uuid4().hex[:6]}.example"
    definition = crd(group, "Gadget", "gadgets")
    definition["spec"]["scope"] = "Cluster"
    meta = {"name": "only", "namespace": world.namespace}
    commit(world, definition, {"apiVersion": f"{group}/v1", "kind": "Gadget", "metadata": meta})
    world.reconcile()
    owned = {ref.namespace for ref in world.records()["app"].inventory if ref.kind == "Gadget"}
    assert owned == {""}
    assert set(world.reconcile("--all").changes("app").values()) == {"unchanged"}
