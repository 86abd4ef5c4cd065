"""What the action does on each event, in a real workflow and a real cluster."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
import yaml

from tests.cluster.api import MERGE
from tests.e2e.act import events
from tests.e2e.act.workflow import Act
from tests.e2e.harness import Bench, config_map, kustomization
from tests.fakes.github import TOKEN, Server

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.xdist_group("docker")]


@pytest.fixture
def server() -> Iterator[Server]:
    """GitHub's API."""
    with Server() as made:
        yield made


def fleet(world: Bench) -> str:
    """A fleet with one Kustomization of one ConfigMap; its commit."""
    world.repository.write("clusters/test/app.yaml", kustomization(world, "app", "app"))
    world.repository.write("app/one.yaml", config_map(world, "one"))
    return world.repository.commit()


def proposal(world: Bench) -> tuple[str, str]:
    """A merge of a branch that adds a ConfigMap is what is checked out; base and head of the branch."""
    base = fleet(world)
    world.repository.git("checkout", "--quiet", "-b", "changes")
    world.repository.write("app/two.yaml", config_map(world, "two"))
    head = world.repository.commit()
    world.repository.git("checkout", "--quiet", "--detach", "main")
    world.repository.git("merge", "--quiet", "--no-ff", "--message", "merge", "changes")
    return base, head


def test_a_push_deploys(act: Act, world: Bench):
    first = fleet(world)

    job = act.run("push", events.push(events.NOTHING, first))

    assert job.result == "success", job.printed
    assert world.config_maps() == {"one"}
    assert job.seen == {
        "changed": "true", "affected": "1", "applied": "1", "pruned": "0", "failed": "0",
        "drifted": "0", "corrected": "0", "issue-url": "",
        "revision": f"main@sha1:{first}", "plan-path": "", "report-path": "", "comment-url": "",
    }  # fmt: skip
    assert job.summary.startswith("### ✓ Reconciled: `clusters/test`")
    assert "1 created" in job.summary
    user = yaml.safe_load(world.kubeconfig.read_text())["users"][0]["user"]
    # What hides a value has to name it; it never gets further than the runner.
    seen = [line for line in job.printed.splitlines() if '"command":"add-mask"' not in line]
    assert user["client-key-data"] not in "\n".join(seen)

    world.repository.remove("app/one.yaml")
    world.repository.write("app/two.yaml", config_map(world, "two"))
    second = world.repository.commit()
    job = act.run("push", events.push(first, second))

    assert job.result == "success", job.printed
    assert world.config_maps() == {"two"}
    assert (job.seen["applied"], job.seen["pruned"]) == ("1", "1")


def test_what_fails_is_red_and_still_tells_all(act: Act, world: Bench):
    world.repository.write("clusters/test/bad.yaml", kustomization(world, "bad", "nowhere"))
    commit = fleet(world)

    job = act.run("push", events.push(events.NOTHING, commit))

    assert (job.result, job.code) == ("failure", 1), job.printed
    assert world.config_maps() == {"one"}
    assert job.seen["failed"] == "1"
    marked, verdict = job.errors
    assert marked.startswith("kustomization path not found")
    assert "bad" in verdict
    assert job.summary.startswith("### ✗ Reconciliation failed")


def test_a_pull_request_is_previewed(act: Act, world: Bench):
    base, head = proposal(world)
    world.reconcile("--revision", base)
    before = world.writes()

    job = act.run("pull_request", events.pull_request(base, head))

    assert job.result == "success", job.printed
    assert world.writes() == before
    assert (job.seen["changed"], job.seen["applied"]) == ("true", "1")
    assert "nothing was written" in job.summary


def test_a_pull_request_gets_one_comment_and_its_deploy_says_so_there(act: Act, world: Bench, server: Server):
    base, head = proposal(world)
    for commit, *parents in ((base,), (head, base)):
        server.repository.commit(commit, *parents)
    payload = events.pull_request(base, head)
    server.repository.pull(payload["number"], head)
    told = {"token": "${{ secrets.TOKEN }}", "checks": "cluster"}
    act.secrets["TOKEN"] = TOKEN
    env = {"GITHUB_API_URL": server.url, "GITHUB_REPOSITORY": server.repository.name}

    jobs = []
    for _ in range(2):
        server.calls.clear()
        jobs.append(act.run("pull_request", payload, env=env, **told))

    assert [job.result for job in jobs] == ["success"] * 2, jobs[-1].printed
    (comment,) = server.repository.comments
    assert "+2 created" in comment.body
    assert jobs[0].seen["comment-url"] == jobs[1].seen["comment-url"] != ""
    assert TOKEN not in "".join(
        line for job in jobs for line in job.printed.splitlines() if "add-mask" not in line
    )
    merged = world.repository.git("rev-parse", "HEAD")
    server.repository.commit(merged, base, head)
    merge = {"state": "closed", "merged_at": "2030-01-01T00:00:00Z", "commits": (merged,)}
    server.repository.pull(payload["number"], head, **merge)
    server.calls.clear()

    job = act.run("push", events.push(base, merged), env=env, **told)

    assert job.result == "success", job.printed
    (comment,) = server.repository.comments
    assert "✓ deployed: `" in comment.body


def test_a_merge_group_is_previewed(act: Act, world: Bench):
    base, _ = proposal(world)
    merged = world.repository.git("rev-parse", "HEAD")
    payload = events.merge_group(base, merged)
    env = {"GITHUB_REF": payload["merge_group"]["head_ref"], "SHA_REF": merged}  # else act tells of main

    job = act.run("merge_group", payload, env=env)

    assert job.result == "success", job.printed
    assert world.writes() == []
    assert job.seen["applied"] == "2"


def test_a_dispatch_deploys_unless_told_otherwise(act: Act, world: Bench):
    fleet(world)
    payload = events.payload("workflow_dispatch", ref="refs/heads/main")
    encoded = base64.b64encode(world.kubeconfig.read_bytes()).decode()
    act.secrets["KUBECONFIG"] = encoded

    job = act.run("workflow_dispatch", payload, dry_run="true")

    assert job.result == "success", job.printed
    assert world.writes() == []
    assert job.seen["applied"] == "1"

    job = act.run("workflow_dispatch", payload)

    assert job.result == "success", job.printed
    assert world.config_maps() == {"one"}


def test_a_schedule_looks_for_drift_and_corrects_it_when_told_to(act: Act, world: Bench):
    commit = fleet(world)
    assert act.run("push", events.push(events.NOTHING, commit)).result == "success"
    path = f"/api/v1/namespaces/{world.namespace}/configmaps/one"
    world.api.request("PATCH", path, {"data": {"key": "by hand"}}, MERGE)
    event = {"schedule": "17 * * * *"}

    job = act.run("schedule", event, issue="false", fail_on="drift")

    assert (job.result, job.code) == ("failure", 5), job.printed
    assert (job.seen["drifted"], job.seen["corrected"]) == ("1", "0")
    assert "by hand" in job.summary
    assert world.get(path)["data"]["key"] == "by hand"

    job = act.run("schedule", event, issue="false", policy="correct", fail_on="drift")

    assert job.result == "success", job.printed
    assert (job.seen["drifted"], job.seen["corrected"]) == ("0", "1")
    assert world.get(path)["data"]["key"] == "value"


def test_a_branch_that_goes_does_nothing(act: Act, world: Bench):
    commit = fleet(world)
    payload = events.payload("deleted", ref="refs/heads/changes", before=commit)

    job = act.run("push", payload)

    assert job.result == "success", job.printed
    assert "refs/heads/changes was deleted" in job.summary
    assert job.seen["changed"] == "false"
    assert asked(world) == []


def test_pull_request_target_is_refused(act: Act, world: Bench):
    base, head = proposal(world)

    job = act.run("pull_request_target", events.pull_request(base, head))

    assert (job.result, job.code) == ("failure", 2), job.printed
    assert "pull_request_target is refused" in job.errors[0]
    assert "pull_request_target is refused" in job.summary
    assert asked(world) == []


def asked(world: Bench) -> list[str]:
    """Every request of the action's user; the probe that closes the log is the test's own."""
    return [e["requestURI"] for e in world.events() if "/configmaps/probe-" not in e["requestURI"]]
