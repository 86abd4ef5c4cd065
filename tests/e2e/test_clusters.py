"""`clusters:` of kustodian.yaml on a real cluster: what it says is done, by flag and by input."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from runner import action
from tests import workflow
from tests.e2e.harness import ENTRY, Bench, config_map, kustomization

pytestmark = pytest.mark.cluster
FILE = "kustodian.yaml"
MANY = [f"extra-{number}" for number in range(3)]


@pytest.fixture
def named(world: Bench) -> Bench:
    """A cluster whose name stands for entry, root and kubeconfig; one object more than may be deleted."""
    app = kustomization(world, "app", "app")
    world.repository.write(f"{ENTRY}/app.yaml", app)
    for name in ("one", *MANY):
        world.repository.write(f"app/{name}.yaml", config_map(world, name))
    say(world)
    world.repository.commit()
    world.cluster = "test"
    return world


def say(world: Bench, **options: Any) -> None:
    cluster = {"entry": ENTRY, "root": world.root, "kubeconfig": str(world.kubeconfig)}
    given = {"prune-limit": "1,1%", **options}
    other = {"entry": "clusters/none"}
    world.repository.write(FILE, {"clusters": {"test": {**cluster, "options": given}, "other": other}})


def shrink(world: Bench) -> None:
    """Take away more than the limit in the file allows."""
    for name in MANY:
        world.repository.remove(f"app/{name}.yaml")
    world.repository.commit()


def act(world: Bench, directory: Path, event: str, payload: dict[str, Any], **inputs: str) -> tuple[int, str]:
    (directory / "event.json").write_text(json.dumps(payload))
    environment = {
        "GITHUB_EVENT_NAME": event,
        "GITHUB_EVENT_PATH": str(directory / "event.json"),
        "GITHUB_WORKSPACE": str(world.repository.path),
        "GITHUB_STEP_SUMMARY": str(directory / "summary.md"),
        "GITHUB_REF": "refs/heads/main",
        "RUNNER_TEMP": str(directory),
        "INPUT_CLUSTER": "test",
        "INPUT_COMMENT": "never",
        **workflow.inputs(**inputs),
    }
    log = io.StringIO()
    return action.run(environment, log, log), log.getvalue()


def test_what_the_file_says_counts_and_a_flag_counts_more(named: Bench):
    told = named.reconcile()
    assert (told.json["entry"], told.states["app"]) == (ENTRY, "ready")
    assert named.config_maps() == {"one", *MANY}

    shrink(named)
    held = named.reconcile(code=6)
    assert set(MANY) <= named.config_maps()
    assert [each["kustomization"] for each in held.json["held"]] == [f"{named.namespace}/app"]

    named.reconcile("--prune-limit", "10,100%")
    assert named.config_maps() == {"one"}
    before = len(named.writes())
    named.reconcile()
    assert len(named.writes()) == before


def test_a_kubeconfig_that_is_given_counts_more(named: Bench, tmp_path: Path):
    nowhere = tmp_path / "nowhere"
    nowhere.write_text(named.kubeconfig.read_text().replace(named.plane.server, "https://127.0.0.1:1"))
    told = named.run("reconcile", "--kubeconfig", str(nowhere))
    assert told.code == 4, told.stderr
    assert "127.0.0.1:1" in told.stderr
    assert named.config_maps() == set()


def test_the_input_deploys_and_another_input_counts_more(named: Bench, tmp_path: Path):
    push = {"ref": "refs/heads/main", "repository": {"default_branch": "main"}}
    code, log = act(named, tmp_path, "push", push)
    assert code == 0, log
    assert named.config_maps() == {"one", *MANY}
    shrink(named)
    code, log = act(named, tmp_path, "push", push)
    assert code == 6, log
    assert set(MANY) <= named.config_maps()
    code, log = act(named, tmp_path, "push", push, prune_limit="10,100%")
    assert code == 0, log
    assert named.config_maps() == {"one"}


def test_a_pull_request_says_neither_which_cluster_is_asked_nor_what_holds_it_back(
    named: Bench, tmp_path: Path
):
    """Its own kustodian.yaml points elsewhere and lifts the limit; in its preview the base's counts."""
    named.reconcile()
    base = named.repository.git("rev-parse", "HEAD")
    say(named, **{"prune-limit": "100,100%"})
    file = named.repository.path / FILE
    file.write_text(file.read_text().replace(str(named.kubeconfig), "evil"))
    named.repository.write("evil", {"apiVersion": "v1", "kind": "Config", "clusters": []})
    shrink(named)
    head = named.repository.git("rev-parse", "HEAD")

    plan = named.run("plan", "--base", base, "-o", "json")
    assert plan.code == 0, plan.stderr
    assert plan.json["cluster"] == named.plane.server
    assert [each["kustomization"] for each in plan.json["held"]] == [f"{named.namespace}/app"]

    pull = {"number": 5, "head": {"sha": head}, "base": {"sha": base, "ref": "main"}}
    payload = {"pull_request": pull, "number": 5, "repository": {"default_branch": "main"}}
    code, log = act(named, tmp_path, "pull_request", payload, fail_on="none")
    assert code == 0, log
    assert named.plane.server in log
    assert "held back" in log
