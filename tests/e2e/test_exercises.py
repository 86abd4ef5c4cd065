"""The three exercises that Flux users are taught, on a real control plane."""

from __future__ import annotations

import pytest

from tests.e2e.harness import Bench, config_map, deployment, kustomization

pytestmark = pytest.mark.cluster
BROKEN = "registry.example/broken:1"


def test_health_gate(world: Bench):
    """A broken image is not ready; the fix recovers."""
    repository = world.repository
    repository.write("clusters/test/app.yaml", kustomization(world, "app", "app", wait=True, timeout="3s"))
    repository.write("app/app.yaml", deployment(world, "web", image=BROKEN))
    repository.commit()

    failed = world.reconcile(code=1)

    assert failed.states == {"fleet": "ready", "app": "failed"}
    assert f"Deployment/{world.namespace}/web status: 'InProgress'" in failed.of("app")["error"]

    repository.write("app/app.yaml", deployment(world, "web"))
    repository.commit()
    fixed = world.reconcile()
    assert fixed.states == {"fleet": "ready", "app": "ready"}
    assert fixed.changes("app") == {"Deployment/web": "configured"}


def test_a_failure_blocks_its_dependents_and_the_chain_recovers_in_order(world: Bench):
    repository = world.repository
    repository.write(
        "clusters/test/chain.yaml",
        kustomization(world, "infra", "infra", wait=True, timeout="3s"),
        kustomization(world, "middleware", "middleware", wait=True, dependsOn=[{"name": "infra"}]),
        kustomization(world, "app", "app", wait=True, dependsOn=[{"name": "middleware"}]),
    )
    repository.write("infra/infra.yaml", deployment(world, "infra", image=BROKEN))
    repository.write("middleware/middleware.yaml", deployment(world, "middleware"))
    repository.write("app/app.yaml", deployment(world, "app"))
    repository.commit()

    broken = world.reconcile(code=1)

    assert broken.states == {"fleet": "ready", "infra": "failed", "middleware": "blocked", "app": "blocked"}
    assert broken.of("middleware")["blockedBy"] == [f"{world.namespace}/infra"]
    assert broken.of("app")["blockedBy"] == [f"{world.namespace}/infra"]
    assert world.get(f"/apis/apps/v1/namespaces/{world.namespace}/deployments/middleware") is None

    repository.write("infra/infra.yaml", deployment(world, "infra"))
    repository.commit()
    fixed = world.reconcile()

    assert set(fixed.states.values()) == {"ready"}
    infra, middleware, app = (fixed.of(name) for name in ("infra", "middleware", "app"))
    assert infra["readyAt"] <= middleware["startedAt"] < middleware["readyAt"] <= app["startedAt"]
    assert app["startedAt"] <= app["appliedAt"] <= app["readyAt"] <= app["endedAt"]
    assert app["waitedFor"] == [f"{world.namespace}/fleet", f"{world.namespace}/middleware"]
    assert [(need["kustomization"], need["edge"]) for need in app["needs"]] == [
        (f"{world.namespace}/fleet", "parent"),
        (f"{world.namespace}/middleware", "dependsOn"),
    ]
    assert fixed.json["waves"] == [
        [f"{world.namespace}/{name}"] for name in ("fleet", "infra", "middleware", "app")
    ]
    assert broken.json["startedAt"] < broken.of("infra")["endedAt"] <= broken.json["endedAt"]


def test_variables_come_from_a_config_map(world: Bench):
    repository = world.repository
    repository.write(
        "clusters/test/vars.yaml", config_map(world, "cluster-vars", replicas="3", cluster_env="test")
    )
    repository.write(
        "clusters/test/app.yaml",
        kustomization(
            world,
            "app",
            "app",
            wait=True,
            postBuild={"substituteFrom": [{"kind": "ConfigMap", "name": "cluster-vars"}]},
        ),
    )
    app = deployment(world, "web")
    app["spec"]["replicas"] = "${replicas}"
    app["metadata"]["labels"] = {"env": "${cluster_env}"}
    repository.write("app/app.yaml", app)
    repository.commit()

    world.reconcile()

    live = world.get(f"/apis/apps/v1/namespaces/{world.namespace}/deployments/web")
    assert live["spec"]["replicas"] == 3
    assert live["metadata"]["labels"]["env"] == "test"

    repository.write(
        "clusters/test/vars.yaml", config_map(world, "cluster-vars", replicas="2", cluster_env="test")
    )
    repository.commit()
    changed = world.reconcile()
    assert changed.changes("app") == {"Deployment/web": "configured"}
    live = world.get(f"/apis/apps/v1/namespaces/{world.namespace}/deployments/web")
    assert live["spec"]["replicas"] == 2
