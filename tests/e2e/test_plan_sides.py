"""A plan where one side has nothing to compare with: never deployed, another entry, a base that is broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Bench, config_map, kustomization

pytestmark = pytest.mark.cluster


def planned(world: Bench, *arguments: str, code: int = 0) -> dict[str, Any]:
    result = world.run("plan", "-o", "json", "--no-cache", *arguments)
    assert result.code == code, f"exit code {result.code}\n{result.stdout}\n{result.stderr}"
    assert "Traceback" not in result.stderr
    return result.json


def told(plan: dict[str, Any]) -> dict[str, str]:
    """Name to action, of the ConfigMaps."""
    return {e["ref"]["name"]: e["action"] for e in plan["changes"] if e["ref"]["kind"] == "ConfigMap"}


def names(plan: dict[str, Any]) -> dict[str, list[str]]:
    return {each["name"]: [why["code"] for why in each["reasons"]] for each in plan["affected"]}


@pytest.fixture
def fleet(world: Bench) -> Bench:
    world.repository.write("clusters/test/app.yaml", kustomization(world, "app", "app"))
    world.repository.write("app/one.yaml", config_map(world, "one"))
    world.repository.commit()
    return world


def test_the_first_deploy_ever(fleet: Bench, tmp_path: Path):
    plan = planned(fleet, "--out", str(tmp_path / "plan.json"), "--exit-code", code=5)
    assert plan["base"] == ""
    assert names(plan) == {"fleet": ["new"], "app": ["new"]}
    assert told(plan) == {"one": "created"}
    assert (plan["pending"], plan["unaffectedFiles"]) == ([], [])
    assert fleet.writes() == []
    fleet.reconcile("--plan", str(tmp_path / "plan.json"))
    assert fleet.config_maps() == {"one"}


def test_a_base_without_the_entry(fleet: Bench):
    base = fleet.repository.git("rev-parse", "HEAD")
    fleet.repository.git("mv", "clusters/test", "clusters/elsewhere")
    without = fleet.repository.commit()
    fleet.repository.git("mv", "clusters/elsewhere", "clusters/test")
    fleet.repository.commit()
    assert names(planned(fleet, "--base", without)) == {"fleet": ["new"], "app": ["new"]}
    assert names(planned(fleet, "--base", base)) == {}


def test_a_head_without_the_entry(fleet: Bench):
    fleet.reconcile()
    fleet.repository.git("mv", "clusters/test", "clusters/elsewhere")
    fleet.repository.commit()
    refused = fleet.run("plan", "--no-cache")
    assert refused.code == 2
    assert "entry clusters/test is no directory of HEAD" in refused.stderr
    assert "hint: " in refused.stderr


def test_a_base_that_cannot_be_rendered(fleet: Bench):
    """What the cluster has is known all the same."""
    fleet.repository.write("clusters/test/bad.yaml", "a: [\n")
    broken = fleet.repository.commit()
    fleet.repository.git("rm", "-q", "clusters/test/bad.yaml")
    fleet.repository.commit()
    plan = planned(fleet, "--base", broken)
    assert [(each["side"], each["file"]) for each in plan["errors"]] == [("base", None)]
    assert told(plan) == {"one": "created"}


def test_a_deployed_commit_that_is_nowhere_any_more(fleet: Bench):
    git = fleet.repository.git
    git("remote", "add", "origin", "file:///nowhere/fleet")
    fleet.reconcile()
    fleet.repository.write("app/two.yaml", config_map(fleet, "two"))
    git("checkout", "--quiet", "--orphan", "again")
    fleet.repository.commit()
    git("branch", "--quiet", "--delete", "--force", "main")
    git("reflog", "expire", "--expire=now", "--all")
    git("gc", "--quiet", "--prune=now")
    refused = fleet.run("plan", "--no-cache")
    assert refused.code == 7, refused.stderr
    assert "hint: " in refused.stderr
    plan = planned(fleet, "--allow-older")
    assert told(plan) == {"two": "created"}
    (fault,) = plan["errors"]
    assert fault["side"] == "base"
    assert "is not in this clone" in fault["message"]


def test_uncommitted_files(fleet: Bench):
    fleet.reconcile()
    fleet.repository.write("app/two.yaml", config_map(fleet, "two"))
    plan = planned(fleet, "--worktree")
    assert names(plan) == {"app": ["files"]}
    assert told(plan) == {"two": "created"}
