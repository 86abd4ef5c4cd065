"""Events that a run writes about Kustomizations, on a real API server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Bench, config_map, deployment, kustomization

pytestmark = pytest.mark.cluster
PASSWORD = "correct-horse-battery"


def written(world: Bench) -> list[tuple[str, str, str, str]]:
    """Object, type, reason and message of every Event of ours, oldest first."""
    items = world.api.get(f"/api/v1/namespaces/{world.namespace}/events").body["items"]
    ours = [each for each in items if each["source"].get("component") == "kustodian"]
    for each in ours:
        about = f"/api/v1/namespaces/{world.namespace}/configmaps/{each['involvedObject']['name']}"
        assert each["involvedObject"]["uid"] == world.get(about)["metadata"]["uid"]
    ours.sort(key=lambda each: int(each["metadata"]["name"].rpartition(".")[2], 16))
    return [(each["involvedObject"]["name"], each["type"], each["reason"], each["message"]) for each in ours]


def app(world: Bench, *objects: dict[str, Any], **spec: Any) -> None:
    world.repository.write("clusters/test/all.yaml", kustomization(world, "app", "app", **spec))
    world.repository.write("app/all.yaml", *objects)
    world.repository.commit()


def test_what_happened_is_told_once_and_nothing_when_nothing_did(world: Bench):
    app(world, config_map(world, "one"), config_map(world, "two"))
    result = world.reconcile()
    first = written(world)
    names = "\n".join(f"ConfigMap/{world.namespace}/{name} created" for name in ("one", "two"))
    assert ("kustodian-fleet", "Normal", "ReconciliationSucceeded") in [each[:3] for each in first]
    applied, finished = (each for each in first if each[0] == "kustodian-app")
    assert applied[1:] == ("Normal", "Progressing", names)
    assert finished[1:3] == ("Normal", "ReconciliationSucceeded")
    assert finished[3].startswith("Reconciliation finished in ")
    assert result.json["requests"]["POST"] >= len(first)

    world.reconcile()
    assert written(world) == first, "nothing changed"

    app(world, config_map(world, "one"))
    world.reconcile()
    assert [each[2:] for each in written(world)[3:4]] == [
        ("Progressing", f"ConfigMap/{world.namespace}/two deleted")
    ]


def test_failures_have_the_reasons_of_flux_and_no_secret(world: Bench):
    broken = deployment(world, "web", progressDeadlineSeconds=1)
    secret = {"apiVersion": "v1", "kind": "Secret", "stringData": {"password": PASSWORD}}
    secret["metadata"] = {"name": "db", "namespace": world.namespace}
    wrong = config_map(world, "wrong")
    wrong["data"] = {"key": [PASSWORD]}
    world.repository.write(
        "clusters/test/all.yaml",
        kustomization(world, "unhealthy", "unhealthy", wait=True, timeout="2s"),
        kustomization(world, "blocked", "fine", dependsOn=[{"name": "unhealthy"}]),
        kustomization(world, "unbuilt", "unbuilt"),
        kustomization(world, "refused", "refused"),
    )
    broken["spec"]["template"]["spec"]["schedulerName"] = "nobody"
    world.repository.write("unhealthy/all.yaml", broken)
    world.repository.write("fine/all.yaml", config_map(world, "fine"))
    world.repository.write("unbuilt/kustomization.yaml", {"resources": ["nothing.yaml"]})
    world.repository.write("refused/all.yaml", secret, wrong)
    world.repository.commit()

    world.reconcile(code=1)

    told = {name: (kind, reason) for name, kind, reason, _ in written(world)}
    assert told["kustodian-unhealthy"] == ("Warning", "HealthCheckFailed")
    assert told["kustodian-refused"] == ("Warning", "ReconciliationFailed")
    assert told["kustodian-unbuilt"] == ("Warning", "BuildFailed")
    assert "kustodian-blocked" not in told, "it has no record yet that an Event could be about"
    assert PASSWORD not in str(written(world))


def test_a_run_that_may_not_write_events_says_so_once_and_deploys(world: Bench, tmp_path: Path):
    app(world, config_map(world, "one"))
    user = f"mute-{world.namespace}"
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "metadata": {"name": user},
    }
    everything = [
        {"apiGroups": [""], "resources": ["configmaps", "namespaces", "secrets"], "verbs": ["*"]},
        {"apiGroups": ["coordination.k8s.io", "apps"], "resources": ["*"], "verbs": ["*"]},
        {"apiGroups": ["admissionregistration.k8s.io"], "resources": ["*"], "verbs": ["get", "list"]},
    ]
    base = "/apis/rbac.authorization.k8s.io/v1"
    world.api.request("POST", f"{base}/clusterroles", {**role, "kind": "ClusterRole", "rules": everything})
    binding = {
        **role,
        "kind": "ClusterRoleBinding",
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
    world.api.request("POST", f"{base}/clusterrolebindings", binding)

    result = world.reconcile(kubeconfig=world.plane.user_kubeconfig(user, []))

    assert result.states == {"fleet": "ready", "app": "ready"}
    (warning,) = result.json["warnings"]
    assert warning.startswith("no Events are written about what happens: ")
    assert written(world) == []
