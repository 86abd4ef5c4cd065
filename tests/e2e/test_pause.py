"""Pausing on a real API server: who is left alone, who is told, and that no run undoes it."""

from __future__ import annotations

import pytest

from runner.state import config_map_ref, decode
from tests.cluster import wait_until
from tests.e2e.harness import Bench, config_map, kustomization

pytestmark = pytest.mark.cluster


def two(world: Bench) -> None:
    """`app`, and `after`, which depends on it; deployed once, and changed since."""
    world.repository.write(
        "clusters/test/all.yaml",
        kustomization(world, "app", "app"),
        kustomization(world, "after", "after", dependsOn=[{"name": "app"}]),
    )
    for name in ("app", "after"):
        world.repository.write(f"{name}/cm.yaml", config_map(world, name))
    world.repository.commit()
    world.reconcile()
    for name in ("app", "after"):
        world.repository.write(f"{name}/cm.yaml", config_map(world, name, key="new"))
    world.repository.commit()


def data(world: Bench, name: str) -> str:
    return world.get(f"/api/v1/namespaces/{world.namespace}/configmaps/{name}")["data"]["key"]


def pause(world: Bench, *names: str) -> None:
    done = world.run(
        "pause", "-n", world.namespace, *names, "--reason", "the database\nmoves\x1b[2J", "--by", "ada"
    )
    assert done.code == 0, done.stderr


def test_a_paused_one_is_left_alone_and_everybody_is_told(world: Bench):
    two(world)
    pause(world, "app")
    why = "paused by ada: the database moves"

    planned = world.run("plan", "-o", "json").json
    dry = world.run("reconcile", "--dry-run", "-o", "json")
    done = world.reconcile()

    assert [(each["name"], each["reason"]) for each in planned["pending"]] == [("app", why)]
    assert dry.of("app")["reason"] == why
    assert done.states == {"fleet": "ready", "app": "suspended", "after": "ready"}
    assert done.of("app")["reason"] == why
    assert (data(world, "app"), data(world, "after")) == ("value", "new"), "as with spec.suspend"
    told = world.run("get", "-n", world.namespace, "-o", "json").of("app")
    assert (told["paused"], told["state"]) == (why, "ready")
    assert f"{world.namespace}/app    suspended  {why}" in world.run("reconcile").stdout
    assert why in world.run("get", "-n", world.namespace).stdout
    assert why in world.run("tree", "--live").stdout

    assert world.run("resume", "-n", world.namespace, "app").stdout == f"{world.namespace}/app resumed\n"
    assert world.reconcile().states["app"] == "ready"
    assert data(world, "app") == "new"


def test_a_run_that_writes_the_record_does_not_undo_a_pause(world: Bench):
    """Set after the run has read the records, while it waits for health; then it writes them."""
    two(world)
    waits = {"healthChecks": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "late"}]}
    waits["healthChecks"][0]["namespace"] = world.namespace
    world.repository.write("clusters/test/all.yaml", kustomization(world, "app", "app", **waits))
    world.repository.commit()
    running = world.start("reconcile", "-o", "json")
    wait_until(lambda: data(world, "app") == "new", "the run has applied app")
    pause(world, "app")
    late = f"/api/v1/namespaces/{world.namespace}/configmaps"
    world.api.request("POST", late, config_map(world, "late"))

    out, err = running.communicate(timeout=60)

    assert running.returncode == 0, (out, err)
    ref = config_map_ref(f"{world.namespace}/app")
    record = decode(world.get(f"/api/v1/namespaces/{ref.namespace}/configmaps/{ref.name}"))
    assert (record.state, str(record.pause)) == ("ready", "paused by ada: the database moves")


def test_pausing_twice_writes_once_and_an_unknown_one_is_refused_before_any(world: Bench):
    two(world)
    pause(world, "app")
    before = len(world.writes())
    again = world.run("pause", "-n", world.namespace, "app", "--reason", "the database moves", "--by", "ada")
    assert again.stdout.endswith("was paused by ada: the database moves already\n")
    refused = world.run("pause", "-n", world.namespace, "after", "nothing")
    assert refused.code == 2
    assert f"error: Kustomization {world.namespace}/nothing is not on record" in refused.stderr
    assert len(world.writes()) == before
    assert world.run("resume", "-n", world.namespace, "after").stdout.endswith("after was not paused\n")


def test_a_paused_one_that_leaves_git_leaves_its_objects(world: Bench):
    two(world)
    pause(world, "after")
    world.repository.write("clusters/test/all.yaml", kustomization(world, "app", "app"))
    world.repository.commit()
    world.reconcile()
    assert {"app", "after"} <= world.config_maps()
