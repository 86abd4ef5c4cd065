"""`clusters:` of kustodian.yaml: by flag and by input, with what is given before it, and a preview's base."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import yaml

from runner import action, cli
from runner.clients.kustomize.compile import build as compile_worker
from tests import workflow
from tests.e2e.harness import ENTRY, Repository
from tests.integration.edited import config, small

FILE = "kustodian.yaml"
NOWHERE = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "one",
    "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "u", "user": {}}],
    "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u"}}],
}


@pytest.fixture(scope="module", autouse=True)
def worker() -> None:
    compile_worker()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = small(tmp_path / "fleet")
    made.write(FILE, {"clusters": {"test": {"entry": ENTRY}}})
    made.commit()
    return made


@pytest.fixture
def run(repository: Repository, capsys: pytest.CaptureFixture[str]):
    def run(command: str, *arguments: str, code: int = 0) -> tuple[str, str]:
        assert cli.run([command, "--repo", str(repository.path), *arguments]) == code
        told, said = capsys.readouterr()
        return told, said

    return run


def test_a_cluster_stands_for_its_entry(run):
    told, _ = run("build", "--cluster", "test", "-o", "name")
    assert told.splitlines() == run("build", "--entry", ENTRY, "-o", "name")[0].splitlines()
    assert "ConfigMap/default/a" in told


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--cluster", "qa"], "kustodian.yaml has no cluster 'qa'"),
        (["--cluster", "test", "--entry", ENTRY], "says what the entry is, and so does --entry"),
        ([], "no entry is given"),
    ],
)
def test_what_makes_no_sense(run, flags: list[str], said: str):
    told, error = run("build", *flags, code=2)
    assert told == ""
    assert said in error
    assert "hint: " in error


def test_the_file_of_the_revision_counts(repository: Repository, run):
    repository.write(FILE, {"clusters": {"new": {"entry": ENTRY}}})
    run("build", "--cluster", "new", code=2)
    run("build", "--cluster", "new", "--worktree")
    run("build", "--cluster", "test")
    before = repository.git("rev-parse", "HEAD")
    repository.commit()
    run("build", "--cluster", "new")
    run("build", "--cluster", "test", "--revision", before)


def test_a_comparison_reads_the_file_of_its_base(repository: Repository, run):
    base = repository.git("rev-parse", "HEAD")
    repository.write(FILE, {"clusters": {"test": {"entry": "apps"}}})
    repository.write("apps/app/a.yaml", config("a", text="2"))
    repository.commit()
    told, _ = run("diff", "--cluster", "test", "--base", base, "--no-cache", "-o", "json")
    assert json.loads(told)["entry"] == ENTRY
    assert [each["name"] for each in json.loads(told)["affected"]] == ["app"]


def test_every_fault_is_told_with_its_line(repository: Repository, run):
    repository.write(FILE, "clusters:\n  test:\n    entri: x\n")
    repository.commit()
    _, said = run("build", "--cluster", "test", code=2)
    assert "kustodian.yaml:2: clusters.test has no entry" in said
    assert "kustodian.yaml:3: clusters.test has the key 'entri', which is not known" in said


def test_what_is_given_counts_more(repository: Repository, run, tmp_path: Path):
    """The file's kubeconfig has no such context; the one that is given does, and no server behind it."""
    other = tmp_path / "given"
    other.write_text(yaml.safe_dump(NOWHERE))
    repository.write("kube/config", {**NOWHERE, "contexts": [], "current-context": ""})
    cluster = {"entry": ENTRY, "kubeconfig": "kube/config", "context": "two"}
    repository.write(FILE, {"clusters": {"test": cluster}})
    repository.commit()
    _, said = run("plan", "--cluster", "test", code=2)
    assert "fleet/kube/config: no context two" in said
    _, said = run("plan", "--cluster", "test", "--kubeconfig", str(other), "--context", "one", code=4)
    assert "127.0.0.1:1" in said


# --- the action -------------------------------------------------------------------------------------------


@pytest.fixture
def preview(repository: Repository, tmp_path: Path):
    """A preview of whatever is on the branch `topic`, without a cluster; the log and the report."""

    def preview(code: int = 0, **inputs: str) -> tuple[str, dict]:
        base = repository.git("rev-parse", "main")
        head = repository.git("rev-parse", "topic")
        repository.git("checkout", "--quiet", "--detach", "main")
        repository.git("merge", "--quiet", "--no-ff", "-m", "merge", "topic")
        event = tmp_path / "event.json"
        pull = {"number": 5, "head": {"sha": head}, "base": {"sha": base, "ref": "main"}}
        event.write_text(
            json.dumps({"number": 5, "pull_request": pull, "repository": {"default_branch": "main"}})
        )
        given = workflow.inputs(**inputs)
        environment = {
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_WORKSPACE": str(repository.path),
            "RUNNER_TEMP": str(tmp_path),
        }
        log = io.StringIO()
        assert action.run({**environment, **given}, log, log) == code, log.getvalue()
        report = tmp_path / "kustodian/clusters-test/report.json"
        return log.getvalue(), json.loads(report.read_text()) if report.exists() else {}

    repository.git("checkout", "--quiet", "-b", "topic")
    repository.write("apps/app/a.yaml", config("a", text="2"))
    repository.commit()
    return preview


def test_the_input_stands_for_the_entry(preview):
    _, told = preview(cluster="test")
    assert told["entry"] == ENTRY
    assert [each["name"] for each in told["affected"]] == ["app"]


def test_a_pull_request_does_not_say_where_its_preview_looks(repository: Repository, preview):
    repository.write(FILE, {"clusters": {"test": {"entry": "apps", "kubeconfig": "apps/evil"}}})
    repository.commit()
    _, told = preview(cluster="test")
    assert told["entry"] == ENTRY


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"cluster": "qa"}, "::error::kustodian.yaml has no cluster 'qa'"),
        ({"cluster": "test", "entry": ENTRY}, "::error::input cluster: it says what the entry is"),
        ({}, "::error::input entry: neither it nor cluster is given"),
    ],
)
def test_inputs_that_make_no_sense(preview, inputs: dict[str, str], said: str):
    log, _ = preview(code=2, **inputs)
    assert said in log


def test_inputs_that_are_given_count_more(repository: Repository, tmp_path: Path):
    options = {"max-parallel": 4, "fail-fast": False, "prune-limit": "1,2%"}
    cluster = {"entry": ENTRY, "root": "fleet/root", "kubeconfig": "kube/config", "options": options}
    repository.write(FILE, {"clusters": {"test": cluster}})
    repository.commit()
    environment = {
        "GITHUB_WORKSPACE": str(repository.path),
        "INPUT_CLUSTER": "test",
        "INPUT_PRUNE-LIMIT": "10,20%",
    }

    def settled(**more: str) -> action.Inputs:
        return action.settled(
            action.Inputs({**environment, **more}), lambda checkout: checkout.resolve("HEAD")
        )

    chosen = action.options(settled(), kubeconfig="", dry_run=False)
    assert (chosen.entry, chosen.root, chosen.max_parallel) == (ENTRY, "fleet/root", 4)
    assert chosen.fail_fast is False
    assert (chosen.prune_limit.objects, chosen.prune_limit.percent) == (10, 20)
    assert settled().text("kubeconfig") == str(repository.path.resolve() / "kube/config")
    assert settled(INPUT_SERVER="https://127.0.0.1:1").text("kubeconfig") == ""
