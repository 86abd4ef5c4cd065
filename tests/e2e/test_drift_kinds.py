"""What is drift and what is not: autoscalers, policies, definitions, Namespaces, moves, leftovers."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.cluster import wait_until
from tests.cluster.api import MERGE
from tests.e2e.harness import Bench, config_map, deployment, kustomization
from tests.e2e.test_drift import blamed, drift, edit, live, objects, where
from tests.e2e.webhook import webhook

pytestmark = pytest.mark.cluster

OWNER = "kustomize.toolkit.fluxcd.io"


def deployed(world: Bench, *documents: dict[str, Any], **spec: Any) -> None:
    """One Kustomization with these objects."""
    world.repository.write("clusters/test/app.yaml", kustomization(world, "app", "app", **spec))
    world.repository.write("app/all.yaml", *documents)
    world.repository.commit()
    world.reconcile()


def clean(world: Bench) -> None:
    assert drift(world, "--exit-code").json["drifted"] == []


def test_replicas_belong_to_the_autoscaler_and_to_nobody_else(world: Bench):
    deployed(world, deployment(world, "server", replicas=2))
    edit(world, "deployments", "server", {"spec": {"replicas": 3}}, "kube-controller-manager", "scale")
    (told,) = objects(drift(world)).values()
    assert blamed(told) == {"spec.replicas": "kube-controller-manager"}

    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "server"}
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "any", "namespace": world.namespace},
        "spec": {"scaleTargetRef": target, "maxReplicas": 5},
    }
    path = where(world, "horizontalpodautoscalers", "")[:-1]
    assert world.api.request("POST", path, scaler).status == 201
    clean(world)


def test_what_a_policy_fills_in_since_is_no_drift(alone: Bench):
    deployed(alone, config_map(alone, "one"), config_map(alone, "two"))
    group = "/apis/admissionregistration.k8s.io/v1"
    name = f"fill-{uuid.uuid4().hex[:8]}"
    filled = '[JSONPatch{op: "add", path: "/data/filled", value: "in"}]'
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["configmaps"],
    }
    place = {"matchLabels": {"kubernetes.io/metadata.name": alone.namespace}}
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [rule], "namespaceSelector": place},
            "matchConditions": [{"name": "ours", "expression": "object.metadata.name in ['one', 'two']"}],
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": filled}}],
            "reinvocationPolicy": "Never",
            "failurePolicy": "Fail",
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name},
    }
    assert alone.api.request("POST", f"{group}/mutatingadmissionpolicies", policy).status == 201
    assert alone.api.request("POST", f"{group}/mutatingadmissionpolicybindings", binding).status == 201
    try:

        def at_work() -> bool:
            body = config_map(alone, "one")
            target = f"{where(alone, 'configmaps', 'one')}?dryRun=All"
            return "filled" in str(alone.api.request("PUT", target, body).body.get("data"))

        wait_until(at_work, "the policy is at work")
        clean(alone)
        path = f"{where(alone, 'configmaps', 'one')}?fieldManager=kubectl-edit"
        assert alone.api.request("PATCH", path, {"data": {"key": "by hand"}}, MERGE).status == 200
        (told,) = objects(drift(alone)).values()
        assert blamed(told) == {"data.key": "kubectl-edit"}
        drift(alone, "--policy", "correct")
        assert live(alone, "configmaps", "one")["data"] == {"filled": "in", "key": "value"}
        clean(alone)
    finally:
        alone.api.request("DELETE", f"{group}/mutatingadmissionpolicybindings/{name}")
        alone.api.request("DELETE", f"{group}/mutatingadmissionpolicies/{name}")


SIDECAR = {"name": "proxy", "image": "registry.example/proxy:1"}


def inject(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """As a service mesh does: a container, and defaults where nothing is said."""
    containers = manifest["spec"]["template"]["spec"]["containers"]
    patch: list[dict[str, Any]] = []
    if not any(each["name"] == "proxy" for each in containers):
        patch.append({"op": "add", "path": "/spec/template/spec/containers/-", "value": SIDECAR})
    if "priorityClassName" not in manifest["spec"]["template"]["spec"]:
        path = "/spec/template/spec/priorityClassName"
        patch.append({"op": "add", "path": path, "value": "system-node-critical"})
    return patch


def test_what_a_webhook_puts_in_is_no_drift_and_not_fought_over(alone: Bench, tmp_path: Any):
    deployed(alone, deployment(alone, "server", replicas=0), deployment(alone, "later", replicas=0))
    with webhook(alone.api, tmp_path, alone.namespace, inject, ("apps", "deployments")):

        def at_work() -> bool:
            target = f"{where(alone, 'deployments', 'server')}?dryRun=All"
            answer = alone.api.request("PUT", target, deployment(alone, "server", replicas=0))
            return "registry.example/proxy" in str(answer.body)

        wait_until(at_work, "the webhook is at work")
        clean(alone)
        edit(alone, "deployments", "server", {"metadata": {"labels": {"theirs": "x"}}}, "somebody")
        injected = live(alone, "deployments", "server")["spec"]["template"]["spec"]
        assert [each["name"] for each in injected["containers"]] == ["app", "proxy"]
        clean(alone)

        edit(alone, "deployments", "server", {"spec": {"replicas": 2}}, "somebody")
        (told,) = objects(drift(alone)).values()
        assert blamed(told) == {"spec.replicas": "somebody"}, "what is put in is nobody's doing"
        drift(alone, "--policy", "correct")

        spec = live(alone, "deployments", "server")["spec"]
        assert spec["replicas"] == 0
        assert [each["name"] for each in spec["template"]["spec"]["containers"]] == ["app", "proxy"]
        assert spec["template"]["spec"]["priorityClassName"] == "system-node-critical"
        clean(alone)
        before = [w for w in alone.writes() if "deployments" in w]
        drift(alone, "--policy", "correct")
        assert [w for w in alone.writes() if "deployments" in w] == before


def test_what_is_suspended_in_git_is_not_looked_at(world: Bench):
    """Whoever suspends it wants to change things by hand; the others are looked at all the same."""
    write = world.repository.write
    write("clusters/test/all.yaml", kustomization(world, "app", "app"), kustomization(world, "web", "web"))
    for name in ("app", "web"):
        write(f"{name}/cm.yaml", config_map(world, name))
    world.repository.commit()
    world.reconcile()
    suspended = kustomization(world, "app", "app", suspend=True)
    write("clusters/test/all.yaml", suspended, kustomization(world, "web", "web"))
    world.repository.commit()
    world.reconcile()
    for name in ("app", "web"):
        edit(world, "configmaps", name, {"data": {"key": "by hand"}})

    found = drift(world, "--policy", "correct")

    assert objects(found).keys() == {"ConfigMap/web"}
    assert live(world, "configmaps", "app")["data"] == {"key": "by hand"}
    assert live(world, "configmaps", "web")["data"] == {"key": "value"}
    write("clusters/test/all.yaml", kustomization(world, "app", "app"), kustomization(world, "web", "web"))
    world.repository.commit()
    world.reconcile("--dry-run")
    assert live(world, "configmaps", "app")["data"] == {"key": "by hand"}
    world.reconcile()
    assert live(world, "configmaps", "app")["data"] == {"key": "value"}, "resumed, it is as in Git again"


def test_a_definition_that_somebody_upgraded_goes_back(world: Bench):
    group = f"{world.namespace}.example"
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {}}}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }
    deployed(world, definition)
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.{group}"
    found = world.get(path)
    properties = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    properties["properties"] = {"size": {"type": "integer"}}
    assert world.api.request("PUT", f"{path}?fieldManager=helm", found).status == 200

    (told,) = objects(drift(world)).values()

    assert blamed(told) == {"v1: spec.size": "helm"}
    drift(world, "--policy", "correct")
    again = world.get(path)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert "size" not in again.get("properties", {})
    clean(world)


def test_a_namespace_comes_back_with_all_that_was_in_it(world: Bench):
    place = f"{world.namespace}-apps"
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": place}}
    inside = config_map(world, "inside")
    inside["metadata"]["namespace"] = place
    deployed(world, namespace, inside)
    world.api.request("DELETE", f"/api/v1/namespaces/{place}")
    wait_until(lambda: world.get(f"/api/v1/namespaces/{place}") is None, "it is gone", seconds=60)

    told = objects(drift(world))

    assert {name: each["kind"] for name, each in told.items()} == {
        f"Namespace/{place}": "deleted",
        "ConfigMap/inside": "deleted",
    }
    assert len(drift(world, "--policy", "correct").json["corrected"]) == 2
    assert world.get(f"/api/v1/namespaces/{place}/configmaps/inside")["data"] == {"key": "value"}
    clean(world)


def test_what_moved_is_clean_and_what_nobody_owns_is_extra(world: Bench):
    write = world.repository.write
    write("clusters/test/all.yaml", *(kustomization(world, name, name) for name in ("app", "web")))
    write("app/one.yaml", config_map(world, "one"))
    write("app/two.yaml", config_map(world, "two"))
    write("web/three.yaml", config_map(world, "three"))
    world.repository.commit()
    world.reconcile()
    world.repository.git("mv", "app/two.yaml", "web/two.yaml")
    world.repository.commit()
    pending = drift(world).json
    assert pending["drifted"] == []
    assert [each["name"] for each in pending["pending"]] == ["app", "web"]
    world.reconcile()
    clean(world)

    labels = {f"{OWNER}/name": "app", f"{OWNER}/namespace": world.namespace}
    for name, owners in (("extra", []), ("owned", [live(world, "configmaps", "one")])):
        made = config_map(world, name)
        made["metadata"]["labels"] = labels
        made["metadata"]["ownerReferences"] = [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "one", "uid": each["metadata"]["uid"]}
            for each in owners
        ]
        path = f"{where(world, 'configmaps', '')[:-1]}?fieldManager=helm"
        assert world.api.request("POST", path, made).status == 201

    (told,) = objects(drift(world, "--policy", "correct")).items()

    assert (told[0], told[1]["kind"], told[1]["writer"]["manager"]) == ("ConfigMap/extra", "extra", "helm")
    assert live(world, "configmaps", "extra")["data"] == {"key": "value"}
    assert drift(world, "--exit-code", code=5).json["corrected"] == []


def test_a_job_that_went_by_its_time_to_live_is_no_drift(world: Bench):
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "x", "image": "x"}]}}
    jobs = [
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "namespace": world.namespace},
            "spec": {"template": template, "suspend": True, **spec},
        }
        for name, spec in (("passing", {"ttlSecondsAfterFinished": 3600}), ("staying", {}))
    ]
    deployed(world, *jobs)
    for name in ("passing", "staying"):
        world.api.request("DELETE", where(world, "jobs", name), {"propagationPolicy": "Background"})
        wait_until(lambda n=name: world.get(where(world, "jobs", n)) is None, "it is gone")

    assert list(objects(drift(world))) == ["Job/staying"]


def test_policies_of_kustomizations_and_fields_that_are_ignored(world: Bench):
    write = world.repository.write
    policies = {
        "mend": "correct",
        "look": "report",
        "wait": "correct-after=1h",
        "leave": "ignore",
        "odd": "fix",
    }
    apps = []
    for name, policy in policies.items():
        app = kustomization(world, name, name, ignore=[{"paths": ["/data/free"]}])
        app["metadata"]["annotations"] = {"kustodian.io/drift": policy}
        apps.append(app)
        write(f"{name}/cm.yaml", config_map(world, name, key="value", free="git"))
    write("clusters/test/all.yaml", *apps)
    world.repository.commit()
    world.reconcile()
    for name in policies:
        edit(world, "configmaps", name, {"data": {"free": "by hand"}}, "somebody")
    clean(world)
    for name in policies:
        edit(world, "configmaps", name, {"data": {"key": "by hand"}}, "somebody")

    found = drift(world, "--policy", "correct").json

    assert {each["name"]: each["policy"] for each in found["drifted"]} == {
        "mend": "correct",
        "look": "report",
        "wait": "correct-after=1h",
        "odd": "report",
    }
    assert [each["kustomization"] for each in found["corrected"]] == [f"{world.namespace}/mend"]
    assert found["ignored"] == [f"{world.namespace}/leave"]
    assert any("annotation kustodian.io/drift: 'fix' is not report" in text for text in found["warnings"])
    assert live(world, "configmaps", "mend")["data"] == {"key": "value", "free": "by hand"}
    assert live(world, "configmaps", "wait")["data"]["key"] == "by hand"


def test_only_what_is_due_is_looked_at_and_what_drifted_until_it_is_clean(world: Bench):
    write = world.repository.write
    write("clusters/test/all.yaml", *(kustomization(world, name, name) for name in ("app", "web")))
    for name in ("app", "web"):
        write(f"{name}/cm.yaml", config_map(world, name))
    world.repository.commit()
    world.reconcile()
    edit(world, "configmaps", "app", {"data": {"key": "by hand"}})
    assert drift(world, "--due").json["checked"] == 3

    later = drift(world, "--due").json
    assert (later["checked"], [each["name"] for each in later["drifted"]]) == (1, ["app"])
    assert later["notDue"] == [f"{world.namespace}/fleet", f"{world.namespace}/web"]
    drift(world, "--due", "--policy", "correct")
    assert drift(world, "--due").json["checked"] == 1
    assert drift(world, "--due").json["checked"] == 0
    assert drift(world).json["checked"] == 3


def test_failed_ones_are_tried_again_and_what_is_pending_is_deployed(world: Bench):
    write = world.repository.write
    write("clusters/test/all.yaml", *(kustomization(world, name, name) for name in ("app", "web")))
    write("app/cm.yaml", config_map(world, "app"))
    broken = config_map(world, "web")
    broken["metadata"]["namespace"] = f"{world.namespace}-late"
    write("web/cm.yaml", broken)
    world.repository.commit()
    world.reconcile(code=1)
    namespace = {"metadata": {"name": f"{world.namespace}-late"}}
    assert world.api.request("POST", "/api/v1/namespaces", namespace).status == 201

    found = drift(world)
    assert [(each["name"], each["state"]) for each in found.json["pending"]] == [("web", "failed")]
    assert found.json["drifted"] == []
    drift(world, "--heal", "drift,failed")
    assert world.get(f"/api/v1/namespaces/{world.namespace}-late/configmaps/web") is not None
    assert drift(world).json["pending"] == []

    write("app/cm.yaml", config_map(world, "app", key="new"))
    commit = world.repository.commit()
    assert [each["name"] for each in drift(world).json["pending"]] == ["app"]
    assert live(world, "configmaps", "app")["data"] == {"key": "value"}
    drift(world, "--heal", "pending")
    assert live(world, "configmaps", "app")["data"] == {"key": "new"}
    now = drift(world).json
    assert (now["revision"], now["pending"]) == (f"main@sha1:{commit}", [])


def test_a_correction_leaves_the_entry_deployed(world: Bench):
    deployed(world, config_map(world, "one"))
    before = world.run("get", "-o", "json", world.root).json["kustomizations"][0]
    edit(world, "configmaps", "one", {"data": {"key": "by hand"}})
    drift(world, "--policy", "correct")
    after = world.run("get", "-o", "json", world.root).json["kustomizations"][0]
    assert [d["revision"] for d in after["deployments"]] == [d["revision"] for d in before["deployments"]]
    assert after["revision"] == before["revision"]


def test_without_the_deployed_commit_owners_tell_what_they_can(world: Bench):
    world.repository.commit("what the repository is known by")
    for name in ("same", "other", "gone", "fine"):
        world.repository.write(f"app/{name}.yaml", config_map(world, name))
    world.repository.write("clusters/test/app.yaml", kustomization(world, "app", "app"))
    world.repository.commit()
    world.reconcile()
    world.reconcile()  # so that all of it is proven
    for name in ("other", "gone", "fine"):
        world.repository.write(f"app/{name}.yaml", config_map(world, name, key="new"))
    world.repository.git("add", "--all")
    world.repository.git("commit", "--quiet", "--amend", "--message", "rewritten")
    world.repository.git("reflog", "expire", "--expire=now", "--all")
    world.repository.git("gc", "--quiet", "--prune=now")
    edit(world, "configmaps", "same", {"data": {"key": "by hand"}}, "somebody")
    edit(world, "configmaps", "other", {"data": {"key": "by hand"}}, "kubectl-edit")
    world.api.request("DELETE", where(world, "configmaps", "gone"))

    found = drift(world, "--policy", "correct", code=7)

    told = objects(found)
    assert {name: each["kind"] for name, each in told.items()} == {
        "ConfigMap/same": "changed",
        "ConfigMap/other": "changed",
        "ConfigMap/gone": "deleted",
    }
    assert blamed(told["ConfigMap/same"]) == {"data.key": "somebody"}
    assert told["ConfigMap/other"]["fields"] == []
    assert told["ConfigMap/other"]["writer"]["manager"] == "kubectl-edit"
    assert [each["name"] for each in found.json["pending"]] == ["app"]
    assert "the history at hand does not tell" in found.json["notCorrected"]
    assert live(world, "configmaps", "same")["data"] == {"key": "by hand"}
