"""The action on a schedule: a real cluster that drifts, and GitHub over HTTP that is told."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner import action
from tests import workflow
from tests.e2e.harness import ENTRY, Bench, config_map, kustomization
from tests.e2e.test_drift import edit, live, where
from tests.fakes.github import TOKEN, Server

pytestmark = pytest.mark.cluster


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@dataclass
class Job:
    """A workflow that runs on a schedule."""

    world: Bench
    server: Server
    temp: Path

    def run(self, event: str = "schedule", **inputs: str) -> tuple[int, str, dict[str, str], str]:
        """The exit code, the log, the outputs and the summary."""
        self.server.calls.clear()
        for name in ("output", "summary.md"):
            (self.temp / name).unlink(missing_ok=True)
        (self.temp / "event.json").write_text(json.dumps({"schedule": "17 * * * *"}))
        environment = {
            **workflow.environment(self.world.repository.path, self.temp, self.server.url),
            "GITHUB_EVENT_NAME": event,
            "INPUT_ENTRY": ENTRY,
            "INPUT_ROOT": self.world.root,
            "INPUT_TOKEN": TOKEN,
            "INPUT_KUBECONFIG": self.world.kubeconfig.read_text(),
            **workflow.inputs(**inputs),
        }
        log = io.StringIO()
        code = action.run(environment, log, log)
        written = dict(line.split("=", 1) for line in (self.temp / "output").read_text().splitlines())
        return code, log.getvalue(), written, (self.temp / "summary.md").read_text()


@pytest.fixture
def job(world: Bench, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """One Kustomization with one object, deployed."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    world.repository.write("clusters/test/app.yaml", kustomization(world, "app", "app"))
    world.repository.write("app/one.yaml", config_map(world, "one"))
    server.repository.commit(world.repository.commit())
    world.reconcile()
    (tmp_path / "temp").mkdir()
    return Job(world, server, tmp_path / "temp")


def test_the_issue_lives_as_long_as_the_drift(job: Job):
    code, log, written, _ = job.run()
    assert (code, written["drifted"], written["corrected"], written["issue-url"]) == (0, "0", "0", "")
    assert "No drift in 2 Kustomizations" in log
    assert job.server.repository.issues == []

    edit(job.world, "configmaps", "one", {"data": {"key": "@everybody | <!-- x -->"}}, "k9s")
    code, log, written, summary = job.run(fail_on="drift")
    assert code == 5
    assert "::error::fail-on: drift" in log
    assert written["drifted"] == "1"
    (issue,) = job.server.repository.issues
    assert (issue.state, issue.labels) == ("open", ["kustodian-drift"])
    commit = job.world.repository.git("rev-parse", "HEAD")
    for told in (issue.body, summary):
        assert '| `data.key` | `value` | `"@everybody ¦ <!-- x -->"` | `k9s` |' in told
    assert f"(https://github.example/acme/fleet/blob/{commit}/app/one.yaml#L1)" in issue.body
    assert written["issue-url"].endswith(f"/issues/{issue.number}")

    assert job.run()[0] == 0  # what is reported does not fail
    assert issue.edits == []
    job.world.api.request("DELETE", where(job.world, "configmaps", "one"))
    job.run()
    assert "deleted" in issue.body

    code, log, written, summary = job.run(policy="correct")

    assert (code, written["drifted"], written["corrected"], written["changed"]) == (0, "0", "1", "true")
    assert live(job.world, "configmaps", "one")["data"] == {"key": "value"}
    assert issue.state == "closed"
    assert "Corrected" in summary
    assert job.server.repository.issues == [issue]
    assert TOKEN not in log + summary + issue.body


def test_a_dry_run_corrects_nothing_and_a_part_closes_nothing(job: Job):
    edit(job.world, "configmaps", "one", {"data": {"key": "by hand"}})
    before = job.world.writes()

    job.run("workflow_dispatch", mode="drift", policy="correct", dry_run="true")

    assert job.world.writes() == before
    (issue,) = job.server.repository.issues
    job.run(names="fleet")
    assert (issue.state, issue.edits) == ("open", [])


def test_without_the_permission_the_verdict_stands(job: Job):
    job.server.withhold("issues")
    edit(job.world, "configmaps", "one", {"data": {"key": "by hand"}})

    code, log, written, _ = job.run()

    assert (code, written["drifted"], written["issue-url"]) == (0, "1", "")
    assert log.count("`issues: write` is missing") == 1


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"policy": "repair"}, "input policy: 'repair' is not report, correct,"),
        ({"heal": "all"}, "input heal: 'all' is none of none, drift, failed, pending"),
        ({"due": "1h"}, "input due: '1h' is neither true nor false"),
        ({"mode": "reconcile"}, "mode: reconcile, on event schedule"),
    ],
)
def test_what_is_wrong_is_said(job: Job, inputs: dict[str, str], told: str):
    code, log, _, _ = job.run(**inputs)
    assert code == 2
    assert told in log
