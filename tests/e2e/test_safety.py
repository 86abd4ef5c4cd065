"""What people lose sleep over: a second run, a prune, a kill, two runs at once, the wrong cluster."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from tests.cluster import wait_until
from tests.e2e.harness import ENTRY, Bench, Repository, config_map, deployment, kustomization
from tests.integration.faults import Fault, FaultyProxy, Seen, writes

pytestmark = pytest.mark.cluster
OWNER = "kustomize.toolkit.fluxcd.io/name"
BROKEN = "registry.example/broken:1"


@pytest.fixture
def app(world: Bench) -> Bench:
    """A fleet with one application of three ConfigMaps and a Deployment."""
    world.repository.write(
        "clusters/test/app.yaml", kustomization(world, "app", "app", wait=True, timeout="20s")
    )
    for name in ("one", "two", "three"):
        world.repository.write(f"app/{name}.yaml", config_map(world, name))
    world.repository.write("app/web.yaml", deployment(world, "web"))
    world.repository.commit()
    return world


def test_a_second_run_writes_nothing(app: Bench):
    app.reconcile()
    before = app.writes()

    again = app.reconcile()

    assert before
    assert app.writes() == before
    assert set(again.states.values()) == {"ready"}
    assert set(again.changes("app").values()) == {"unchanged"}
    assert {verb: again.json["requests"][verb] for verb in ("POST", "PATCH", "PUT", "DELETE")} == {
        "POST": 0,
        "PATCH": 0,
        "PUT": 0,
        "DELETE": 0,
    }


def test_a_dry_run_writes_nothing_and_says_what_the_run_then_does(app: Bench):
    dry = app.reconcile("--dry-run")
    assert app.writes() == []
    assert dry.json["dryRun"] is True

    app.reconcile()
    app.repository.write("app/two.yaml", config_map(app, "two", key="changed"))
    app.repository.remove("app/three.yaml")
    app.repository.write("app/four.yaml", config_map(app, "four"))
    app.repository.commit()
    before = app.writes()

    foreseen = app.reconcile("--dry-run").changes("app")

    assert app.writes() == before
    assert foreseen == app.reconcile().changes("app")
    assert foreseen["ConfigMap/three"] == "deleted"
    assert foreseen["ConfigMap/two"] == "configured"
    assert foreseen["ConfigMap/four"] == "created"


def test_what_leaves_git_is_deleted_once_the_rest_is_healthy(app: Bench):
    app.reconcile()
    app.repository.remove("app/two.yaml")
    app.repository.write("app/web.yaml", deployment(app, "web", image=BROKEN))
    app.repository.write("clusters/test/app.yaml", kustomization(app, "app", "app", wait=True, timeout="3s"))
    app.repository.commit()

    app.reconcile(code=1)
    assert app.config_maps() == {"one", "two", "three"}

    app.repository.write("app/web.yaml", deployment(app, "web", image="registry.example/app:2"))
    app.repository.commit()
    healthy = app.reconcile()

    assert app.config_maps() == {"one", "three"}
    assert [k for k, action in healthy.changes("app").items() if action == "deleted"] == ["ConfigMap/two"]
    deletions = [w for w in app.writes() if w.startswith("delete ")]
    assert deletions == [f"delete /api/v1/namespaces/{app.namespace}/configmaps/two"]


def test_a_kustomization_that_leaves_git_takes_its_objects_along(app: Bench):
    app.repository.write("clusters/test/other.yaml", kustomization(app, "other", "other"))
    app.repository.write("other/other.yaml", config_map(app, "others"))
    app.repository.commit()
    app.reconcile()
    app.repository.remove("clusters/test/other.yaml")
    app.repository.commit()

    gone = app.reconcile()

    assert gone.changes("other") == {"ConfigMap/others": "deleted"}
    assert app.config_maps() == {"one", "two", "three"}
    assert "other" not in app.records()


def test_a_kustomization_that_orphans_leaves_its_objects(app: Bench):
    app.repository.write(
        "clusters/test/other.yaml", kustomization(app, "other", "other", deletionPolicy="Orphan")
    )
    app.repository.write("other/other.yaml", config_map(app, "others"))
    app.repository.commit()
    app.reconcile()
    app.repository.remove("clusters/test/other.yaml")
    app.repository.commit()

    app.reconcile()

    assert "others" in app.config_maps()
    assert "other" not in app.records()


def test_an_object_that_moves_is_never_deleted(app: Bench):
    app.repository.write("clusters/test/other.yaml", kustomization(app, "other", "other"))
    app.repository.write("other/other.yaml", config_map(app, "others"))
    app.repository.commit()
    app.reconcile()
    uid = app.get(f"/api/v1/namespaces/{app.namespace}/configmaps/two")["metadata"]["uid"]
    app.repository.git("mv", "app/two.yaml", "other/two.yaml")
    app.repository.commit()

    moved = app.reconcile()

    assert moved.changes("other")["ConfigMap/two"] == "moved"
    live = app.get(f"/api/v1/namespaces/{app.namespace}/configmaps/two")
    assert (live["metadata"]["uid"], live["metadata"]["labels"][OWNER]) == (uid, "other")
    names = {name: {ref.name for ref in r.inventory} for name, r in app.records().items()}
    assert "two" in names["other"]
    assert "two" not in names["app"]


def test_nothing_is_pruned_while_something_cannot_be_rendered(app: Bench):
    app.repository.write("clusters/test/other.yaml", kustomization(app, "other", "other"))
    app.repository.write("other/other.yaml", config_map(app, "others"))
    app.repository.commit()
    app.reconcile()
    app.repository.remove("app/two.yaml")
    app.repository.write("other/other.yaml", "a: [1,\n")
    app.repository.commit()

    held = app.reconcile(code=1)

    assert "two" in app.config_maps()
    assert held.states == {"fleet": "ready", "app": "ready", "other": "failed"}
    assert [(h["kustomization"], len(h["refs"])) for h in held.json["held"]] == [(f"{app.namespace}/app", 1)]
    assert "other" in held.json["held"][0]["reason"]

    app.repository.write("other/other.yaml", config_map(app, "others"))
    app.repository.commit()
    app.reconcile()
    assert "two" not in app.config_maps()


def test_a_mass_deletion_is_held_back_until_it_is_approved(world: Bench):
    repository = world.repository
    repository.write("clusters/test/app.yaml", kustomization(world, "app", "app"))
    for number in range(15):
        repository.write(f"app/cm-{number}.yaml", config_map(world, f"cm-{number}"))
    repository.commit()
    world.reconcile()
    for number in range(1, 15):
        repository.remove(f"app/cm-{number}.yaml")
    repository.commit()

    held = world.reconcile(code=6)
    assert len(world.config_maps()) == 15
    digest = held.json["held"][0]["digest"]
    assert world.reconcile("--approve", "0" * 12, code=6).json["held"]

    world.reconcile("--approve", digest)
    assert world.config_maps() == {"cm-0"}


def test_an_emptied_path_prunes_nothing_by_itself(app: Bench):
    app.reconcile()
    app.repository.remove("app")
    app.repository.write("app/kustomization.yaml", "kind: Kustomization\nnamespace: unused\n")
    app.repository.commit()

    held = app.reconcile(code=6)

    assert app.config_maps() == {"one", "two", "three"}
    assert "renders no object" in held.json["held"][0]["reason"]


def test_the_wrong_cluster_is_refused(app: Bench, tmp_path: Path):
    app.reconcile()
    before = app.writes()
    mine, app.repository = app.repository, Repository(tmp_path / "another")
    app.repository.write(f"{ENTRY}/cm.yaml", config_map(app, "intruder"))
    app.repository.commit()

    refused = app.run("reconcile")

    assert refused.code == 6
    assert "is deployed from clusters/test" in refused.stderr
    assert app.writes() == before
    app.repository = mine
    app.reconcile()


def test_an_older_commit_does_not_undo_a_newer_one(app: Bench):
    older = app.repository.git("rev-parse", "HEAD")
    app.reconcile()
    app.repository.write("app/two.yaml", config_map(app, "two", key="newer"))
    app.repository.commit()
    app.reconcile()

    late = app.run("reconcile", "--revision", older)

    assert late.code == 7
    assert "older than" in late.stderr
    back = app.reconcile("--revision", older, "--allow-older")
    assert back.changes("app")["ConfigMap/two"] == "configured"


def applies(request: Seen) -> bool:
    return writes(request) and request.method == "PATCH" and "/deployments/" in request.path


def test_of_two_runs_at_once_one_waits(app: Bench, tmp_path: Path):
    with FaultyProxy(app.kubeconfig) as proxy:
        go_on = threading.Event()
        proxy.on(applies, Fault(hold=go_on))
        config = proxy.kubeconfig(tmp_path)
        first = app.start("reconcile", "-o", "json", kubeconfig=config)
        proxy.wait_until_seen(applies)
        second = app.start("reconcile", "-o", "json")
        assert second.stderr is not None
        line = next(line for line in second.stderr if "another run" in line)
        assert "waiting" in line
        assert second.poll() is None
        go_on.set()
        outputs = [run.communicate(timeout=60) for run in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert app.config_maps() == {"one", "two", "three"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_soon_and_the_next_completes_it(app: Bench, number: signal.Signals):
    app.repository.write("app/web.yaml", deployment(app, "web", image=BROKEN))
    app.repository.write("clusters/test/app.yaml", kustomization(app, "app", "app", wait=True, timeout="5m"))
    app.repository.commit()
    run = app.start("reconcile")
    assert run.stderr is not None
    next(line for line in run.stderr if "checking health" in line)

    os.kill(run.pid, number)
    stdout, stderr = run.communicate(timeout=7)

    assert run.returncode == 128 + number, stderr
    assert "nterrupted" in stdout
    app.repository.write("app/web.yaml", deployment(app, "web"))
    app.repository.commit()
    assert set(app.reconcile().states.values()) == {"ready"}


def test_a_live_object_that_is_not_ours_any_more_stays(app: Bench):
    app.reconcile()
    path = f"/api/v1/namespaces/{app.namespace}/configmaps/two"
    app.api.request("DELETE", path)
    wait_until(lambda: app.get(path) is None, "it is gone")
    app.api.request("POST", path.rpartition("/")[0], config_map(app, "two"))
    app.repository.remove("app/two.yaml")
    app.repository.commit()

    result = app.reconcile()

    assert result.changes("app")["ConfigMap/two"] == "skipped"
    assert "two" in app.config_maps()
