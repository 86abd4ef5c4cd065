"""The action that deploys: a real API server, and GitHub over HTTP that hears how it went."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from runner import action
from tests import workflow
from tests.e2e.harness import ENTRY, Bench, config_map, deployment, kustomization
from tests.fakes.github import ROBOT, TOKEN, Fault, Server

pytestmark = pytest.mark.cluster


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


class Push:
    """A push to the branch that deploys."""

    def __init__(self, world: Bench, server: Server, directory: Path) -> None:
        self.world, self.server, self.temp = world, server, directory / "temp"
        self.temp.mkdir()
        self.payload: dict[str, object] = {}
        self.environment = {
            **workflow.environment(world.repository.path, self.temp, server.url),
            "GITHUB_EVENT_NAME": "push",
            "INPUT_ENTRY": ENTRY,
            "INPUT_ROOT": world.root,
            "INPUT_TOKEN": TOKEN,
            "INPUT_KUBECONFIG": world.kubeconfig.read_text(),
        }

    @property
    def marker(self) -> str:
        return f"<!-- kustodian:{ENTRY} {self.world.root} -->\n"

    def run(self, **environment: str) -> tuple[int, str, dict[str, str]]:
        """The exit code, the log and the outputs."""
        self.server.calls.clear()
        (self.temp / "output").unlink(missing_ok=True)
        event = {"ref": "refs/heads/main", "repository": {"default_branch": "main"}, **self.payload}
        (self.temp / "event.json").write_text(json.dumps(event))
        log = io.StringIO()
        checked_out = {"GITHUB_SHA": self.world.repository.git("rev-parse", "HEAD")}
        code = action.run({**self.environment, **checked_out, **environment}, log, log)
        outputs = dict(line.split("=", 1) for line in (self.temp / "output").read_text().splitlines())
        return code, log.getvalue(), outputs


@pytest.fixture
def push(world: Bench, server: Server, tmp_path: Path) -> Push:
    world.repository.write(f"{ENTRY}/app.yaml", kustomization(world, "app", "app"))
    world.repository.write("app/one.yaml", config_map(world, "one"))
    commit = world.repository.commit()
    server.repository.push("main", commit)
    server.repository.pull(7, commit, state="closed", merged_at="2030-01-01T00:00:00Z", commits=(commit,))
    return Push(world, server, tmp_path)


def test_a_deploy_is_told_in_a_check_and_in_the_comment_it_came_from(push: Push):
    push.server.repository.say(7, f"{push.marker}the preview\n", author=ROBOT)

    code, log, outputs = push.run(INPUT_CHECKS="kustomizations")

    assert code == 0, log
    assert outputs["changed"] == "true"
    assert "one" in push.world.config_maps()
    checks = {each.values["name"]: each.values["conclusion"] for each in push.server.repository.checks}
    scope = f"kustodian: {ENTRY} {push.world.root}"
    assert checks == {
        scope: "success",
        f"{scope} {push.world.root}": "success",
        f"{scope} {push.world.namespace}/app": "success",
    }
    (comment,) = push.server.repository.comments
    assert comment.body.startswith(f"{push.marker}the preview")
    assert "✓ deployed: `main@sha1:" in comment.body

    push.run()
    assert push.server.repository.comments[0].body.count("deployed:") == 1


def test_a_failed_deploy_is_told_as_one(push: Push):
    push.server.repository.say(7, f"{push.marker}the preview\n", author=ROBOT)
    push.world.repository.write("app/two.yaml", {**config_map(push.world, "two"), "kind": "Nothing"})
    commit = push.world.repository.commit()
    push.server.repository.push("main", commit)
    push.server.repository.pulls[7].commits = (commit,)

    code, log, outputs = push.run(INPUT_CHECKS="cluster")

    assert code == 1
    assert outputs["failed"] == "1"
    assert "✗ not deployed" in push.server.repository.comments[0].body
    (check,) = push.server.repository.checks
    assert check.values["conclusion"] == "failure"
    assert "Nothing" in check.values["output"]["summary"]
    assert "::error::" in log


@pytest.mark.parametrize(
    ("ref", "branches", "deploys"),
    [
        ("refs/heads/main", "", True),
        ("refs/heads/topic", "", False),
        ("refs/tags/v1", "", False),
        ("refs/heads/topic", "topic", True),
        ("refs/heads/main", "topic", False),
    ],
)
def test_only_the_branch_that_the_cluster_is_deployed_from_deploys(
    push: Push, ref: str, branches: str, *, deploys: bool
):
    code, log, _ = push.run(GITHUB_REF=ref, INPUT_BRANCHES=branches)
    assert code == 0
    assert bool(push.world.writes()) is deploys
    assert ("is not deployed to this cluster" in log) is not deploys


def test_an_error_before_the_run_ends_the_check_that_was_begun(push: Push):
    code, _, _ = push.run(INPUT_CHECKS="cluster", INPUT_NAMES="nobody")
    assert code == 2
    (check,) = push.server.repository.checks
    assert (check.values["status"], check.values["conclusion"]) == ("completed", "failure")


def test_what_of_the_kubeconfig_is_secret_is_hidden_first(push: Push):
    _, log, _ = push.run()
    masks = [line for line in log.splitlines() if line.startswith("::add-mask::")]
    assert masks
    rest = [line for line in log.splitlines() if not line.startswith("::add-mask::")]
    secrets = [line.removeprefix("::add-mask::") for line in masks]
    assert not [line for line in rest for secret in secrets if secret in line]


def test_a_server_and_a_token_will_do(push: Push):
    address = push.world.kubeconfig.read_text()

    document = yaml.safe_load(address)
    cluster = document["clusters"][0]["cluster"]
    authority = (
        cluster.get("certificate-authority-data") or Path(cluster["certificate-authority"]).read_text()
    )
    code, log, _ = push.run(
        INPUT_KUBECONFIG="",
        INPUT_SERVER=cluster["server"],
        INPUT_CA=authority,
        **{"INPUT_BEARER-TOKEN": "not-a-token"},
    )
    assert code == 4
    assert "Unauthorized" in log or "401" in log
    assert "not-a-token" not in log.replace("::add-mask::not-a-token", "")


def test_a_shallow_checkout_asks_github_what_is_newer(push: Push):
    world = push.world
    world.repository.git("remote", "add", "origin", "https://github.example/acme/fleet.git")
    first = world.repository.git("rev-parse", "HEAD")
    assert push.run()[0] == 0
    world.repository.write("app/two.yaml", config_map(world, "two"))
    second = world.repository.commit()
    push.server.repository.push("main", second, first)
    shallow = world.repository.path / ".git" / "shallow"
    shallow.write_text(f"{second}\n")

    code, log, _ = push.run()

    assert code == 0, log
    assert "two" in world.config_maps()
    assert any(call.path.endswith(f"/compare/{second}...{first}") for call in push.server.calls)
    shallow.write_text(f"{first}\n{second}\n")
    world.repository.git("checkout", "--quiet", "--detach", first)
    code, log, _ = push.run()
    assert code == 7, log
    assert "is older than main@sha1:" in log


@pytest.fixture
def thrown_away(push: Push) -> str:
    """A commit that main had until a forced push, checked out as a second run of its workflow does."""
    repository = push.world.repository
    first = repository.git("rev-parse", "HEAD")
    assert push.run()[0] == 0
    push.world.repository.write("app/old.yaml", config_map(push.world, "old"))
    old = repository.commit()
    push.server.repository.push("main", old, first)
    repository.git("reset", "--quiet", "--hard", first)
    push.world.repository.write("app/new.yaml", config_map(push.world, "new"))
    new = repository.commit()
    push.server.repository.push("main", new, first)
    return old


def again(push: Push, commit: str, **environment: str) -> tuple[int, str]:
    """Run the workflow of a commit: actions/checkout sets its branch to it, whatever origin has."""
    push.world.repository.git("checkout", "--quiet", "-B", "main", commit)
    push.world.repository.git("update-ref", "refs/remotes/origin/main", commit)
    code, log, _ = push.run(**environment)
    return code, log


@pytest.mark.parametrize("is_newer_deployed", [True, False])
def test_a_commit_that_a_forced_push_threw_away_is_not_deployed_again(
    push: Push, thrown_away: str, *, is_newer_deployed: bool
):
    if is_newer_deployed:
        assert push.run()[0] == 0
    code, log = again(push, thrown_away, INPUT_COMMENT="never")
    assert code == 7, log
    assert f"{thrown_away[:12]} is no longer in main" in log
    assert "old" not in push.world.config_maps()
    assert ("new" in push.world.config_maps()) is is_newer_deployed

    code, log = again(push, thrown_away, **{"INPUT_ALLOW-OLDER": "true"})
    assert code == 0, log
    assert "old" in push.world.config_maps()


def test_a_workflow_that_checks_out_something_else_is_not_asked_what_its_branch_has(
    push: Push, thrown_away: str
):
    push.world.repository.git("checkout", "--quiet", "-b", "elsewhere", thrown_away)
    code, log, _ = push.run(GITHUB_SHA="0" * 40)
    assert code == 0, log
    assert not any("/compare/" in call.path for call in push.server.calls)


def test_without_a_token_origin_tells_what_the_branch_has(push: Push, thrown_away: str, tmp_path: Path):
    repository = push.world.repository
    identity = f"{tmp_path}/origin.git"
    repository.git("clone", "--quiet", "--bare", str(repository.path), identity)
    repository.git("remote", "add", "origin", identity)
    kept = repository.git("rev-parse", "HEAD")
    takeover = {"INPUT_TOKEN": "", "INPUT_TAKEOVER": "true"}  # the repository has a name now
    code, log = again(push, thrown_away, **takeover)
    assert code == 7, log
    assert f"{thrown_away[:12]} is no longer in main" in log
    code, log = again(push, kept, **takeover)
    assert code == 0, log
    assert {"new", "old"} & push.world.config_maps() == {"new"}


def test_a_shallow_checkout_of_a_thrown_away_commit_is_told_by_github(push: Push, thrown_away: str):
    repository = push.world.repository
    repository.git("remote", "add", "origin", "https://github.example/acme/fleet.git")
    (repository.path / ".git" / "shallow").write_text(f"{thrown_away}\n")
    code, log = again(push, thrown_away, INPUT_TAKEOVER="true")
    assert code == 7, log
    assert f"{thrown_away[:12]} is no longer in main" in log
    assert any(call.path.endswith(f"/compare/{thrown_away}...main") for call in push.server.calls)
    push.server.on("GET", "/compare", Fault(status=404, message="Not Found"), times=4)
    code, log = again(push, thrown_away, INPUT_TAKEOVER="true")
    assert code == 7, log
    assert "may" in log


def marked(log: str) -> list[tuple[str, str, str]]:
    """Level, place and message of the annotations that are at a line."""
    found = re.findall(r"^::(error|warning) file=([^,]*),line=(\d+)[^:]*::(.*)$", log, re.MULTILINE)
    return [(level, f"{file}:{line}", message) for level, file, line, message in found]


def test_what_a_deploy_fails_for_is_marked_where_it_is_written(push: Push):
    world = push.world
    push.run()
    wrong = deployment(world, "wrong")
    wrong["spec"]["selector"] = {"matchLabels": {"app": "another"}}
    world.repository.write("app/wrong.yaml", config_map(world, "first"), wrong)
    world.repository.write(
        f"{ENTRY}/slow.yaml", kustomization(world, "slow", "slow", wait=True, timeout="1s")
    )
    slow = deployment(world, "slow")
    slow["spec"]["template"]["spec"]["nodeSelector"] = {"nobody": "has-it"}
    world.repository.write("slow/slow.yaml", "# on no node\n", slow)
    world.repository.write(f"{ENTRY}/lost.yaml", kustomization(world, "lost", "nowhere"))
    push.server.repository.push("main", world.repository.commit())

    code, log, _ = push.run(INPUT_CHECKS="cluster")

    assert code == 1, log
    told = {place: (level, message) for level, place, message in marked(log)}
    assert told.keys() == {"app/wrong.yaml:9", "slow/slow.yaml:3", f"{ENTRY}/lost.yaml:1"}
    assert "selector" in told["app/wrong.yaml:9"][1]
    assert {level for level, _ in told.values()} == {"error"}
    (check,) = push.server.repository.checks
    assert {f"{each['path']}:{each['start_line']}" for each in check.annotations} == told.keys()

    _, log, _ = push.run(INPUT_ANNOTATIONS="false")
    assert not marked(log)
    code, log, _ = push.run(INPUT_ANNOTATIONS="perhaps")
    assert code == 2
    assert "input annotations" in log


def test_deletions_that_a_guard_held_are_marked_at_their_kustomization(push: Push):
    world = push.world
    push.run()
    world.repository.write("app/one.yaml", "# nothing is left\n")
    push.server.repository.push("main", world.repository.commit())
    code, log, _ = push.run()
    assert code == 6, log
    assert [(level, place) for level, place, _ in marked(log)] == [("warning", f"{ENTRY}/app.yaml:1")]


def test_what_the_cluster_would_refuse_fails_the_preview_at_its_line(push: Push):
    world = push.world
    push.run()
    wrong = deployment(world, "wrong")
    wrong["spec"]["selector"] = {"matchLabels": {"app": "another"}}
    world.repository.write("app/wrong.yaml", wrong)
    push.server.repository.push("main", world.repository.commit())

    code, log, outputs = push.run(**{"INPUT_DRY-RUN": "true"})

    assert code == 1, log
    assert outputs["failed"] == "1"
    ((level, place, message),) = marked(log)
    assert (level, place) == ("error", "app/wrong.yaml:1")
    assert "selector" in message
    summary = (push.temp / "summary.md").read_text()
    assert "**Would fail in the cluster**" in summary
    assert "`app/wrong.yaml:1`" in summary


@pytest.mark.parametrize("squashed", [True, False])
def test_the_plan_of_a_pull_request_is_deployed_once_it_is_merged(push: Push, *, squashed: bool):
    repository, server = push.world.repository, push.server.repository
    assert push.run()[0] == 0
    base = repository.git("rev-parse", "HEAD")
    repository.git("checkout", "--quiet", "-b", "topic")
    repository.write("app/two.yaml", config_map(push.world, "two"))
    head = repository.commit()
    repository.git("checkout", "--quiet", "--detach", "main")
    repository.git("merge", "--quiet", "--no-ff", "--message", "as GitHub tries it", "topic")
    server.pull(9, head)
    pull = {"number": 9, "head": {"sha": head}, "base": {"sha": base, "ref": "main"}}
    push.payload = {"action": "opened", "pull_request": pull}
    code, log, outputs = push.run(GITHUB_EVENT_NAME="pull_request", GITHUB_REF="refs/pull/9/merge")
    assert code == 0, log
    assert "two" not in push.world.config_maps()

    push.payload = {}
    repository.git("checkout", "--quiet", "main")
    repository.git("merge", "--quiet", *(["--squash"] if squashed else ["--no-ff", "-m", "merged"]), "topic")
    server.push("main", repository.commit("merged"), base)
    code, log, _ = push.run(INPUT_PLAN=outputs["plan-path"])
    assert code == 0, log
    assert "two" in push.world.config_maps()
