"""What a run may be told: attempts, its time, the order of prunes, what becomes of dependents."""

from __future__ import annotations

import json
import threading

import pytest

from tests.e2e.harness import Bench, config_map, kustomization


def never(world: Bench) -> dict:
    """What makes a Kustomization wait until its time is up: an object that nobody makes."""
    check = {"apiVersion": "v1", "kind": "ConfigMap", "name": "never", "namespace": world.namespace}
    return {"healthChecks": [check]}


def fleet(world: Bench, **specs: dict) -> None:
    """One Kustomization for each name, each with a ConfigMap of its own."""
    world.repository.write(
        "clusters/test/all.yaml", *(kustomization(world, name, name, **spec) for name, spec in specs.items())
    )
    for name in specs:
        world.repository.write(f"{name}/{name}.yaml", config_map(world, name))
    world.repository.commit()


def edit(world: Bench, name: str, value: str) -> None:
    path = f"/api/v1/namespaces/{world.namespace}/configmaps/{name}"
    body = {"data": {"key": value}}
    assert world.api.request("PATCH", path, body, "application/merge-patch+json").status == 200


def value(world: Bench, name: str) -> str:
    return world.get(f"/api/v1/namespaces/{world.namespace}/configmaps/{name}")["data"]["key"]


def test_a_failure_that_may_pass_is_tried_again(world: Bench):
    fleet(world, app={"retryInterval": "1s"}, after={"dependsOn": [{"name": "app"}]})
    late = f"{world.namespace}-late"
    beside = config_map(world, "beside")
    beside["metadata"]["namespace"] = late
    world.repository.write("app/beside.yaml", beside)
    world.repository.commit()
    told: list[str] = []
    with world.start("reconcile", "--retries", "100", "-o", "json") as run:
        reader = threading.Thread(target=lambda: told.append(run.stdout.read()))
        reader.start()
        assert any("trying again" in line for line in run.stderr)
        world.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": late}})
        run.stderr.read()
        reader.join()

    assert run.returncode == 0, told[0]
    app, after = (
        next(k for k in json.loads(told[0])["kustomizations"] if k["name"] == name)
        for name in ("app", "after")
    )
    assert (app["state"], after["state"]) == ("ready", "ready")
    assert app["attempts"] >= 2
    assert {c["ref"]["name"]: c["action"] for c in app["changes"]} == {"app": "created", "beside": "created"}
    assert after["attempts"] == 1


def test_what_cannot_end_otherwise_is_not_tried_again(world: Bench):
    fleet(world, app={})
    world.repository.write("app/kustomization.yaml", "resources: [absent.yaml]\n")
    world.repository.commit()

    app = world.reconcile("--retries", "3", code=1).of("app")

    assert (app["state"], app["attempts"]) == ("failed", 1)


def test_a_run_out_of_time_ends_cleanly_and_the_next_one_goes_on(world: Bench):
    fleet(world, app=never(world), after={"dependsOn": [{"name": "app"}]}, other={})

    result = world.reconcile("--timeout", "6s", code=1)

    assert result.json["timedOut"] is True
    assert result.states == {"fleet": "ready", "other": "ready", "app": "failed", "after": "skipped"}
    assert result.of("app")["error"].startswith("the time of the run was up: ")
    assert result.of("after")["error"] == "it was not begun"
    assert "Out of time: " in world.run("reconcile", "--timeout", "3s").stdout
    fleet(world, app={}, after={"dependsOn": [{"name": "app"}]}, other={})
    assert set(world.reconcile("--lock-timeout", "1s").states.values()) == {"ready"}


@pytest.mark.parametrize("order", ["after-health", "before-health"])
def test_what_left_git_goes_after_health_or_before_it(world: Bench, order: str):
    fleet(world, app={})
    world.repository.write("app/old.yaml", config_map(world, "old"))
    world.repository.commit()
    world.reconcile()
    world.repository.remove("app/old.yaml")
    fleet(world, app=never(world) | {"timeout": "1s"})

    app = world.reconcile("--prune-order", order, code=1).of("app")

    if order == "after-health":
        assert "old" in world.config_maps()
        assert app["hint"] == (
            f"ConfigMap/{world.namespace}/old left Git, and will be deleted once all of this is healthy."
        )
    else:
        assert "old" not in world.config_maps()
        assert {c["ref"]["name"]: c["action"] for c in app["changes"]}["old"] == "deleted"
    fleet(world, app={})
    assert set(world.reconcile().states.values()) == {"ready"}
    assert "old" not in world.config_maps()


@pytest.mark.parametrize(
    ("choice", "state", "left"), [("none", "skipped", "by hand"), ("verify", "ready", "by hand"),
                                  ("reconcile", "ready", "value")],
)  # fmt: skip
def test_dependents_of_what_changed_are_reconciled_checked_or_left(
    world: Bench, choice: str, state: str, left: str
):
    specs = {"app": {}, "after": {"dependsOn": [{"name": "app"}], "wait": True}, "apart": {}}
    fleet(world, **specs)
    world.reconcile()
    for name in ("after", "apart"):
        edit(world, name, "by hand")
    world.repository.write("app/app.yaml", config_map(world, "app", key="new"))
    world.repository.commit()

    result = world.reconcile("--dependents", choice)

    assert result.states == {"fleet": "ready", "app": "ready", "after": state, "apart": "ready"}
    assert value(world, "after") == left
    assert value(world, "apart") == "value", "what depends on nothing that changed is looked after anyway"
    assert value(world, "app") == "new"


def test_a_dependent_that_is_only_checked_fails_when_it_is_not_healthy(world: Bench):
    check = {"apiVersion": "v1", "kind": "ConfigMap", "name": "apart", "namespace": world.namespace}
    specs = {"app": {}, "after": {"dependsOn": [{"name": "app"}], "healthChecks": [check], "timeout": "1s"}}
    fleet(world, **specs)
    world.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": world.namespace}})
    world.api.request("POST", f"/api/v1/namespaces/{world.namespace}/configmaps", config_map(world, "apart"))
    world.reconcile()
    world.api.request("DELETE", f"/api/v1/namespaces/{world.namespace}/configmaps/apart")
    world.repository.write("app/app.yaml", config_map(world, "app", key="new"))
    world.repository.commit()

    result = world.reconcile("--dependents", "verify", code=1)

    assert result.of("after")["error"].startswith("health check failed: timeout waiting for: ")


def test_a_dry_run_ends_in_time_too(world: Bench):
    fleet(world, app={})
    before = world.writes()
    told = world.run("reconcile", "--dry-run", "--timeout", "1ms")
    assert told.code == 1, told.stdout
    assert "the time was up before" in told.stderr
    assert world.writes() == before
    assert world.run("reconcile", "--dry-run", "--timeout", "5m").code == 0
