"""Going back to what the cluster has on record, and approving by the commit itself."""

from __future__ import annotations

import json
import re

import pytest

from tests.e2e.harness import Bench, config_map, kustomization

pytestmark = pytest.mark.cluster


def data(world: Bench, name: str) -> str:
    found = world.get(f"/api/v1/namespaces/{world.namespace}/configmaps/{name}")
    return str(found["data"]["key"])


def deployed(world: Bench, *values: str) -> list[str]:
    """Deploy two apps with each value in turn; the commits."""
    apps = [kustomization(world, name, name) for name in ("one", "two")]
    world.repository.write("clusters/test/all.yaml", *apps)
    commits = []
    for value in values:
        for name in ("one", "two"):
            world.repository.write(f"{name}/cm.yaml", config_map(world, name, key=value))
        commits.append(world.repository.commit())
        world.reconcile()
    return commits


def on_record(world: Bench, name: str) -> dict:
    found = json.loads(world.run("get", "-o", "json", f"{world.namespace}/{name}").stdout)
    return dict(found["kustomizations"][0])


def test_all_goes_back_and_the_next_deploy_comes_again(world: Bench):
    first, second = deployed(world, "1", "2")

    back = world.run("rollback", "-o", "json")

    assert back.code == 0, back.stderr
    assert (data(world, "one"), data(world, "two")) == ("1", "1")
    (told,) = [w for w in back.json["warnings"] if "goes back" in w]
    assert f"from main@sha1:{second[:8]} to main@sha1:{first[:8]}: the next deploy of the branch" in told
    root = on_record(world, "fleet")
    assert [d["revision"][-40:] for d in root["deployments"]] == [first, second]
    assert root["deployments"][0]["replaced"] == f"main@sha1:{second}"
    one = on_record(world, "one")
    assert [h["replaced"] for h in one["history"]] == [f"main@sha1:{second}", None, None]
    assert one["message"] == f"Rolled back to main@sha1:{first[:8]} from main@sha1:{second[:8]}"
    assert all(h["startedAt"] and h["endedAt"] and h["seconds"] >= 0 for h in one["history"])

    world.reconcile()
    assert (data(world, "one"), data(world, "two")) == ("2", "2")


def test_one_goes_back_alone_and_the_entry_stays_where_it_is(world: Bench):
    first, second = deployed(world, "1", "2")
    dry = world.run("rollback", "one", "--dry-run", "-o", "json")
    assert dry.changes("one") == {"ConfigMap/one": "configured"}
    assert data(world, "one") == "2"

    back = world.run("rollback", "one", "--to", first[:10], "-o", "json")

    assert back.code == 0, back.stderr
    assert (data(world, "one"), data(world, "two")) == ("1", "2")
    assert on_record(world, "fleet")["deployments"][0]["revision"] == f"main@sha1:{second}"
    world.reconcile()
    assert data(world, "one") == "2"


def test_guards_hold_in_a_rollback_too(world: Bench):
    world.repository.write("clusters/test/all.yaml", kustomization(world, "app", "app"))
    world.repository.write("app/cm.yaml", config_map(world, "kept"))
    world.repository.commit()
    world.reconcile()
    world.repository.write("app/more.yaml", *(config_map(world, f"more-{n}") for n in range(12)))
    world.repository.commit()
    world.reconcile()

    held = world.run("rollback")

    assert held.code == 6
    assert "more than the prune limit allows" in held.stdout
    assert len(world.config_maps()) == 13


def test_a_commit_approves_what_a_guard_held_back(world: Bench):
    world.repository.write("clusters/test/all.yaml", kustomization(world, "app", "app"))
    world.repository.write("app/cm.yaml", config_map(world, "kept"))
    world.repository.write("app/more.yaml", *(config_map(world, f"more-{n}") for n in range(12)))
    world.repository.commit()
    world.reconcile()
    world.repository.remove("app/more.yaml")
    world.repository.commit()
    held = world.run("reconcile")
    assert held.code == 6
    found = re.search(r"--approve ([0-9a-f]+)", held.stdout)
    assert found is not None
    world.repository.commit(f"Drop them\n\nThey are not needed.\n\nKustodian-Approve: {found[1]}")

    done = world.run("reconcile")

    assert done.code == 0, done.stderr
    assert f"lets through what a guard held back as {found[1]}" in done.stdout
    assert world.config_maps() == {"kept"}
