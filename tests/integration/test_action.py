"""The action on events of pull requests: a real clone, the real worker, and GitHub over HTTP."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runner import action
from runner.clients.kustomize.compile import build as compile_worker
from tests import workflow
from tests.e2e.harness import Repository
from tests.fakes.github import TOKEN, Fault, Server

ENTRY = "clusters/test"
KEY = f"<!-- kustodian:{ENTRY} -->\n"
DEPLOYMENT = """\
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web, namespace: web}
    spec:
      selector: {matchLabels: {app: web}}
      template:
        metadata: {labels: {app: web}}
        spec: {containers: [{name: web, image: "ghcr.io/acme/web:%s"}]}
    """


@pytest.fixture(scope="module", autouse=True)
def worker() -> None:
    compile_worker()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@dataclass
class Step:
    """One step of a workflow on a pull request of one change."""

    repository: Repository
    temp: Path
    server: Server
    base: str
    head: str
    environment: dict[str, str] = field(default_factory=dict)
    payload: dict[str, Any] = field(default_factory=dict)

    def run(self, event: str = "pull_request", **inputs: str) -> tuple[int, str, dict[str, str], str]:
        """The exit code, the log, the outputs and the summary."""
        self.server.calls.clear()
        for name in ("output", "summary.md"):
            (self.temp / name).unlink(missing_ok=True)
        (self.temp / "event.json").write_text(json.dumps(self.payload))
        given = {"GITHUB_EVENT_NAME": event, **workflow.inputs(**inputs)}
        log = io.StringIO()
        code = action.run({**self.environment, **given}, log, log)
        written = dict(line.split("=", 1) for line in (self.temp / "output").read_text().splitlines())
        return code, log.getvalue(), written, (self.temp / "summary.md").read_text()

    @property
    def comments(self) -> list[str]:
        return [each.body for each in self.server.repository.comments]


@pytest.fixture
def step(tmp_path: Path, server: Server) -> Step:
    """A pull request that raises an image, checked out as GitHub merges it."""
    repository = Repository(tmp_path / "workspace")
    repository.write(f"{ENTRY}/web.yaml", DEPLOYMENT % "1.4.2")
    base = repository.commit()
    repository.git("checkout", "--quiet", "-b", "topic")
    repository.write(f"{ENTRY}/web.yaml", DEPLOYMENT % "1.4.3")
    head = repository.commit()
    repository.git("checkout", "--quiet", "--detach", "main")
    repository.git("merge", "--quiet", "--no-ff", "-m", "merge", "topic")
    server.repository.commit(head)
    server.repository.pull(5, head)
    temp = tmp_path / "temp"
    temp.mkdir()
    pull = {"number": 5, "head": {"sha": head}, "base": {"sha": base, "ref": "main"}}
    made = Step(repository, temp, server, base, head)
    made.payload = {
        "action": "opened",
        "number": 5,
        "pull_request": pull,
        "repository": {"default_branch": "main"},
    }
    made.environment = {
        **workflow.environment(repository.path, temp, server.url),
        "INPUT_ENTRY": ENTRY,
        "INPUT_TOKEN": TOKEN,
    }
    return made


def test_a_preview_comments_once_and_says_it_everywhere(step: Step):
    code, log, written, summary = step.run()

    assert code == 0
    (comment,) = step.comments
    assert comment.startswith(KEY)
    for told in (comment, summary):
        assert "`ghcr.io/acme/web`" in told
        assert "`1.4.2`" in told
        assert "`1.4.3`" in told
    assert "ghcr.io/acme/web:1.4.2 → ghcr.io/acme/web:1.4.3" in log
    assert (written["changed"], written["affected"], written["applied"]) == ("true", "1", "1")
    assert written["comment-url"].startswith("https://")
    assert written["plan-path"] == ""
    assert TOKEN not in log + comment + summary


def test_the_comment_is_edited_only_when_it_says_something_else(step: Step):
    step.run()
    step.run()
    assert not step.server.sent("PATCH")
    assert len(step.comments) == 1
    step.repository.git("checkout", "--quiet", "topic")
    step.repository.write(f"{ENTRY}/web.yaml", DEPLOYMENT % "1.5.0")
    step.head = step.repository.commit()
    step.server.repository.commit(step.head)
    step.server.repository.pull(5, step.head)
    step.payload["pull_request"]["head"]["sha"] = step.head

    step.run()

    (comment,) = step.comments
    assert "`1.5.0`" in comment
    assert len(step.server.sent("PATCH")) == 1


def test_the_head_of_a_pull_request_counts_as_it_would_be_merged(step: Step):
    """What others did to the base since must not look like something that this change undoes."""
    step.repository.git("checkout", "--quiet", "main")
    step.repository.write(f"{ENTRY}/other.yaml", DEPLOYMENT.replace("name: web,", "name: other,") % "7")
    step.payload["pull_request"]["base"]["sha"] = step.repository.commit()
    step.repository.git("checkout", "--quiet", "topic")

    code, _, written, summary = step.run()

    assert code == 0
    assert (written["applied"], written["pruned"]) == ("1", "0")
    assert "other" not in summary


def test_a_source_that_names_the_base_branch_is_the_checkout(step: Step):
    """HEAD is detached, as it always is for pull requests; the payload knows the branch."""
    repository = step.repository
    repository.git("checkout", "--quiet", "topic")
    kustomization = """
        apiVersion: kustomize.toolkit.fluxcd.io/v1
        kind: Kustomization
        metadata: {name: more, namespace: flux-system}
        spec: {interval: 1m, prune: true, path: ./more, sourceRef: {kind: GitRepository, name: self}}
        """
    source = f"""
        apiVersion: source.toolkit.fluxcd.io/v1
        kind: GitRepository
        metadata: {{name: self, namespace: flux-system}}
        spec: {{interval: 1m, url: "file://{repository.path}", ref: {{branch: main}}}}
        """
    repository.write(f"{ENTRY}/more.yaml", kustomization, source)
    repository.write("more/web.yaml", DEPLOYMENT % "9.9.9")
    head = repository.commit()
    repository.git("checkout", "--quiet", "--detach", "main")
    repository.git("merge", "--quiet", "--no-ff", "-m", "merge", "topic")
    step.server.repository.commit(head)
    step.server.repository.pull(5, head)
    step.payload["pull_request"]["head"]["sha"] = head

    code, log, _, _ = step.run()

    assert "more" in log
    assert "cannot be" not in log
    assert code == 0


def test_a_conflict_is_said(step: Step):
    step.repository.git("checkout", "--quiet", "main")
    step.repository.write(f"{ENTRY}/web.yaml", DEPLOYMENT % "2.0.0")
    step.payload["pull_request"]["base"]["sha"] = step.repository.commit()
    step.repository.git("checkout", "--quiet", "topic")

    code, log, _, summary = step.run()

    assert code == 2
    assert f"{ENTRY}/web.yaml" in log
    assert "✗" in summary


@pytest.mark.parametrize(("when", "comments"), [("changes", 0), ("always", 1), ("never", 0)])
def test_a_change_of_nothing_comments_only_when_asked_to(step: Step, when: str, comments: int):
    step.repository.git("checkout", "--quiet", "topic")
    step.repository.write(f"{ENTRY}/web.yaml", DEPLOYMENT % "1.4.2")
    step.payload["pull_request"]["head"]["sha"] = step.repository.commit()
    step.server.repository.commit(step.payload["pull_request"]["head"]["sha"])
    step.server.repository.pull(5, step.payload["pull_request"]["head"]["sha"])

    code, _, written, _ = step.run(comment=when)

    assert (code, written["changed"]) == (0, "false")
    assert len(step.comments) == comments


def test_a_closed_pull_request_is_left_alone(step: Step):
    step.payload["action"] = "closed"
    code, log, _, _ = step.run()
    assert code == 0
    assert "closed" in log
    assert not step.server.calls


def test_a_merge_queue_gets_a_check_and_a_summary_but_no_comment(step: Step):
    step.payload = {"merge_group": {"base_sha": step.base, "head_sha": step.head}}

    code, _, written, summary = step.run("merge_group", checks="cluster")

    assert code == 0
    assert not step.comments
    (check,) = step.server.repository.checks
    assert (check.values["name"], check.values["conclusion"]) == (f"kustodian: {ENTRY}", "success")
    assert "`1.4.3`" in summary
    assert written["comment-url"] == ""


def test_what_cannot_be_rendered_fails_with_its_file_and_line(step: Step):
    step.repository.git("checkout", "--quiet", "topic")
    step.repository.write(f"{ENTRY}/kustomization.yaml", {"resources": ["web.yaml", "apps.yaml"]})
    kustomization = {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": "apps", "namespace": "flux-system"},
        "spec": {
            "interval": "10m",
            "prune": True,
            "path": "./apps",
            "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
        },
    }
    step.repository.write(f"{ENTRY}/apps.yaml", kustomization)
    step.repository.write("apps/kustomization.yaml", "resources:\n- gone.yaml\n")
    head = step.repository.commit()
    step.payload["pull_request"]["head"]["sha"] = head
    step.server.repository.commit(head)
    step.server.repository.pull(5, head)

    code, log, written, _ = step.run(checks="cluster")

    assert code == 1
    assert written["failed"] == "1"
    assert re.search(r"^::error file=apps/kustomization\.yaml,line=2", log, re.MULTILINE)
    assert "gone.yaml" in step.comments[0]
    (check,) = step.server.repository.checks
    assert check.values["conclusion"] == "failure"
    assert check.annotations[0]["path"] == "apps/kustomization.yaml"
    assert step.run(fail_on="none")[0] == 0


def test_deletions_that_a_guard_will_hold_back_are_marked_where_their_kustomization_is(step: Step):
    spec = "{interval: 10m, prune: true, path: ./apps, sourceRef: {kind: GitRepository, name: flux-system}}"
    kustomization = (
        "# the apps\napiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n"
        f"metadata: {{name: apps, namespace: flux-system}}\nspec: {spec}\n"
    )
    step.repository.git("checkout", "--quiet", "main")
    step.repository.write(f"{ENTRY}/apps.yaml", kustomization)
    step.repository.write("apps/web.yaml", (DEPLOYMENT % "1.4.2").replace("name: web,", "name: app,"))
    step.payload["pull_request"]["base"]["sha"] = step.repository.commit()
    step.repository.git("rm", "--quiet", "apps/web.yaml")
    step.repository.write("apps/kustomization.yaml", "resources: []\n")
    head = step.repository.commit()
    step.payload["pull_request"]["head"]["sha"] = head
    step.server.repository.commit(head)
    step.server.repository.pull(5, head)

    _, log, _, _ = step.run(checks="cluster")

    assert re.search(rf"^::warning file={ENTRY}/apps\.yaml,line=2", log, re.MULTILINE), log
    (check,) = step.server.repository.checks
    assert check.annotations[0]["title"] == "1 deletion of flux-system/apps will be held back"


@pytest.mark.parametrize(("fail_on", "code"), [("error", 0), ("change", 5), ("deletion,blocker", 0)])
def test_what_fails_a_preview_is_chosen(step: Step, fail_on: str, code: int):
    assert step.run(fail_on=fail_on)[0] == code


def test_the_report_is_left_where_later_steps_find_it(step: Step):
    _, _, written, _ = step.run()
    page = step.temp / written["report-path"]
    assert page.read_text().startswith("<!doctype html>")
    assert json.loads(page.with_name("report.json").read_text())["schema"] == "kustodian/diff/v1"
    assert page.stat().st_uid == step.temp.stat().st_uid


@pytest.mark.parametrize(
    "fault",
    [
        Fault(403, "Resource not accessible by integration"),
        Fault(401, "Bad credentials"),
        Fault(404, "Not Found"),
    ],
)
def test_github_that_refuses_turns_no_preview_red(step: Step, fault: Fault):
    step.server.on("GET", "/pulls/5", fault, times=20)
    code, log, written, summary = step.run()
    assert code == 0
    assert "::warning::" in log
    assert written["comment-url"] == ""
    assert "`1.4.3`" in summary


def test_a_newer_commit_has_the_say_in_the_comment(step: Step):
    newer = "b" * 40
    step.server.repository.commit(newer)
    step.server.repository.pull(5, newer)
    code, _, written, _ = step.run()
    assert (code, written["comment-url"]) == (0, "")
    assert not step.comments


def test_without_a_token_the_summary_has_it_all(step: Step):
    code, _, _, summary = step.run(token="")
    assert code == 0
    assert not step.server.calls
    assert "`1.4.3`" in summary


def test_renderings_are_kept_for_the_next_run(step: Step):
    first = step.run(cache_dir=str(step.temp / "renders"))
    assert any((step.temp / "renders").rglob("*"))
    assert step.run(cache_dir=str(step.temp / "renders"))[2] == first[2]
    assert step.run(cache_dir="/etc")[0] == 2


def test_a_mode_that_does_not_fit_the_event_is_refused(step: Step):
    code, log, _, _ = step.run(mode="reconcile")
    assert code == 2
    assert "mode: reconcile, on event pull_request" in log


class TestForks:
    """A fork's run has no secret and no token that may write; another run comments for it."""

    @pytest.fixture
    def left(self, step: Step) -> Step:
        """The step of a second run, with what the first one left."""
        _, _, written, _ = step.run(token="")
        report = (step.temp / written["report-path"]).with_name("report.json")
        (step.temp / "downloaded.json").write_bytes(report.read_bytes())
        step.payload = {"action": "completed", "workflow_run": {"head_sha": step.head}}
        step.environment |= {"INPUT_MODE": "comment", "INPUT_REPORT": "downloaded.json"}
        return step

    def test_the_comment_says_what_the_other_run_found(self, left: Step):
        code, log, written, _ = left.run("workflow_run")
        assert code == 0, log
        (comment,) = left.comments
        assert comment.startswith(KEY)
        assert "`1.4.3`" in comment
        assert written["comment-url"]

    def test_the_pull_request_is_the_one_that_github_names(self, left: Step):
        left.payload["workflow_run"]["head_sha"] = "d" * 40
        left.server.repository.commit("d" * 40)
        code, log, _, _ = left.run("workflow_run")
        assert code == 0
        assert not left.comments, log

    @pytest.mark.parametrize(
        "document",
        [
            "",
            "[]",
            "{}",
            '{"schema": "kustodian/diff/v1"}',
            '{"schema": "kustodian/diff/v2"}',
            "[" * 100_000,
            '{"schema": "kustodian/diff/v1", "entry": {"a": 1}}',
        ],
    )
    def test_what_is_no_report_is_refused(self, left: Step, document: str):
        (left.temp / "downloaded.json").write_text(document)
        code, log, _, _ = left.run("workflow_run")
        assert code == 2
        assert "input report" in log
        assert "Traceback" not in log
        assert not left.comments

    @pytest.mark.parametrize(
        "hostile",
        [
            "</details>\n\n# forged",
            f"{KEY}forged",
            "@everybody #1 https://evil.example ```",
            "\n::set-output name=changed::false",
        ],
    )
    def test_hostile_text_stays_text(self, left: Step, hostile: str):
        file = left.temp / "downloaded.json"
        document = json.loads(file.read_text())
        document["changes"][0]["reason"] = hostile
        document["changes"][0]["ref"]["name"] = hostile
        document["changes"][0]["fields"][0]["after"] = hostile
        file.write_text(json.dumps(document))
        code, log, _, _ = left.run("workflow_run")
        assert code == 0
        (comment,) = left.comments
        assert comment.count(KEY) == 1
        assert "\n# forged" not in comment
        assert not re.search(r"^::set-output", log, re.MULTILINE)

    def test_the_mode_and_the_event_go_together(self, left: Step):
        assert left.run("workflow_run", mode="auto")[0] == 2
        assert left.run("push", mode="comment")[0] == 2


def test_inputs_that_a_preview_has_no_use_for_are_named_in_one_warning(step: Step):
    code, log, _, _ = step.run(plan="nowhere.json", retries="3", fail_on="deletion")
    assert code == 0, log
    (told,) = [line for line in log.splitlines() if line.startswith("::warning::")]
    assert told.startswith(
        "::warning::nothing comes of plan, retries: a preview without a cluster has no use"
    )
