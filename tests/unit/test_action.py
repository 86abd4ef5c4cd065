"""The action: in step with action.yml, strict about inputs and events, safe in what it publishes."""

from __future__ import annotations

import base64
import io
import json
import math
import os
import re
import tomllib
from dataclasses import fields, replace
from pathlib import Path

import pytest
import yaml

from runner import action, configuration, event
from runner.action import Ending, Inputs, meaning
from runner.errors import ExitCode, UsageError
from runner.event import Mode
from runner.forge import Annotation, Level
from runner.model import Action, Change, Held, Outcome, ResourceRef, Run, State
from runner.options import Options, PruneLimit
from runner.report import summary
from tests import workflow

ROOT = Path(__file__).parents[2]
METADATA = yaml.safe_load((ROOT / "action.yml").read_text())
KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: c
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
users: [{name: u, user: {token: very-secret-token}}]
"""
ENCODED = base64.encodebytes(KUBECONFIG.encode()).decode()
HOSTILE = (
    "x\x1b[31m\n::error::forged\n```\n#### ✓ all is well\n<!-- m --> </details> | a | @somebody "
    "[l](http://evil.example) `````` \u202e %0A::add-mask::y"
)


def ref(kind, name):
    return ResourceRef("grades", name, "apps", kind, "v1")


OUTCOMES = (
    Outcome(
        "flux-system/apps", State.FAILED, (Change(ref("Deployment", "api"), Action.CONFIGURED),),
        "Deployment/grades/api is not ready\nBackOff", "look at its log",
    ),
    Outcome("flux-system/late", State.BLOCKED, blocked_by=("flux-system/apps",)),
    Outcome(
        "flux-system/infra", State.READY,
        (
            Change(ref("Deployment", "new"), Action.CREATED), Change(ref("Deployment", "m"), Action.MOVED),
            Change(ref("Job", "old"), Action.DELETED), Change(ref("Job", "same"), Action.UNCHANGED),
        ),
    ),
)  # fmt: skip
HELD = Held("flux-system/infra", (ref("Job", "b"),), "more than 20 %", "9f86d081884c7d65")
RUN = Run("https://10.0.0.1:6443", "clusters/production", f"main@sha1:{'3f' * 20}", OUTCOMES, (HELD,))


@pytest.fixture
def environment(tmp_path):
    """A step of a job: workspace, temp directory, event and files for what it says."""
    for name in ("workspace", "temp", "elsewhere"):
        (tmp_path / name).mkdir()
    happened = tmp_path / "event.json"
    happened.write_text("{}")
    return {
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_EVENT_PATH": str(happened),
        "GITHUB_WORKSPACE": str(tmp_path / "workspace"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "RUNNER_TEMP": str(tmp_path / "temp"),
        "INPUT_ENTRY": "clusters/production",
    }


def given(environment, **inputs):
    named = workflow.inputs(**inputs)
    return Inputs({**environment, **named})


def options(environment, **inputs):
    return action.options(given(environment, **inputs), kubeconfig="", dry_run=False)


def ended(environment):
    stdout, progress = io.StringIO(), io.StringIO()
    code = action.run(environment, stdout, progress)
    written = dict(line.split("=", 1) for line in Path(environment["GITHUB_OUTPUT"]).read_text().splitlines())
    return code, stdout.getvalue(), progress.getvalue(), written


def unquoted(lines):
    """The lines of a log without the pair of commands around foreign text."""
    found = list(lines)
    begins = [number for number, line in enumerate(found) if line.startswith("::stop-commands::")]
    for begin in reversed(begins):
        end = found.index(f"::{found[begin].removeprefix('::stop-commands::')}::")
        found[begin : end + 1] = found[begin + 1 : end]
    return found


class TestMetadata:
    def test_inputs_and_their_defaults_are_the_codes(self):
        documented = {name: spec.get("default", "") for name, spec in METADATA["inputs"].items()}
        assert documented["token"] == "${{ github.token }}"
        documented["token"] = ""

        of_a_cluster = configuration.schema()["$defs"]["cluster"]["properties"]
        may_be_set = {*of_a_cluster, *of_a_cluster["options"]["properties"]}
        assert documented == {n: "" if n in may_be_set else each for n, each in action.INPUTS.items()}
        assert list(documented) == list(action.INPUTS)
        assert not any(spec.get("required") for spec in METADATA["inputs"].values())

    def test_outputs_are_the_codes(self):
        assert tuple(METADATA["outputs"]) == action.OUTPUTS
        assert tuple(action.outputs(Ending(0, RUN))) == action.OUTPUTS

    def test_everything_is_described_and_restates_its_default(self):
        for name, spec in (METADATA["inputs"] | METADATA["outputs"]).items():
            assert spec["description"].endswith("."), name
            if default := action.INPUTS.get(name):
                assert f"`{default}`" in spec["description"], name

    def test_the_marketplace_takes_it(self):
        assert len(METADATA["description"]) < 125
        assert METADATA["branding"].keys() == {"icon", "color"}

    def test_the_image_hands_over_to_the_action(self):
        assert METADATA["runs"] == {"using": "docker", "image": "Dockerfile", "args": ["action"]}
        assert 'ENTRYPOINT ["/opt/venv/bin/kustodian"]' in (ROOT / "Dockerfile").read_text()

    def test_the_image_installs_what_the_package_asks_for(self):
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        pinned = re.findall(r"^([^#\s]+==[^\s;]+) \\$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)

        assert {wanted.lower() for wanted in project["dependencies"]} <= set(pinned)


class TestInputs:
    def test_the_defaults_are_those_of_a_run(self, environment):
        chosen = options(environment)

        expected = Options(repo=Path(environment["GITHUB_WORKSPACE"]).resolve(), entry="clusters/production")
        assert chosen == expected

    @pytest.mark.parametrize(
        ("name", "value", "field", "expected"),
        [
            ("root", "fleet/root", "root", "fleet/root"),
            ("names", "apps,\n  team/web\n\n", "names", {"flux-system/apps", "team/web"}),
            ("context", "production", "context", "production"),
            ("substitute_precedence", "from", "substitute_precedence", "from"),
            ("prune_limit", "3, 5.5%", "prune_limit", PruneLimit(3, 5.5)),
            ("approve", "9f86d081\n0123456789abcdef", "approve", {"9f86d081", "0123456789abcdef"}),
            ("takeover", "true", "takeover", True),
            ("allow_older", "TRUE", "allow_older", True),
            ("install_flux", "True", "install_flux", True),
            ("all", "true", "all", True),
            ("takeover", " false ", "takeover", False),
            ("max_parallel", "4", "max_parallel", 4),
            ("lock_timeout", "1m30s", "lock_timeout", 90.0),
            ("max_parallel", "", "max_parallel", 16),
            ("fail_fast", "false", "fail_fast", False),
            ("fail_fast", "", "fail_fast", True),
            ("dependents", "verify", "dependents", "verify"), ("dependents", "", "dependents", "reconcile"),
            ("prune_order", "before-health", "prune_order", "before-health"),
            ("retries", "2", "retries", 2), ("retries", "", "retries", 0),
            ("timeout", "30m", "timeout", 1800.0), ("timeout", "", "timeout", math.inf),
        ],
    )  # fmt: skip
    def test_each_one_counts(self, environment, name, value, field, expected):
        assert getattr(options(environment, **{name: value}), field) == expected

    def test_the_checkout_may_be_below_the_workspace(self, environment):
        inside = Path(environment["GITHUB_WORKSPACE"]) / "fleet"
        inside.mkdir()

        assert options(environment, working_directory="fleet").repo == inside.resolve()

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("entry", ""), ("entry", "  "), ("root", "flux-system"), ("root", "a/b/c"), ("root", "../x"),
            ("names", "Apps"), ("names", "a b"), ("names", "a/b/c"), ("names", "--all"),
            ("substitute_precedence", "both"),
            ("prune_limit", "10"), ("prune_limit", "-1,20%"), ("approve", "yes"), ("approve", "9F86D081"),
            ("takeover", "yes"), ("takeover", "1"), ("allow_older", "on"), ("install_flux", "tRUE"),
            ("fail_fast", "no"), ("dependents", "all"), ("prune_order", "never"), ("retries", "-1"),
            ("retries", "101"), ("timeout", "30"),
            ("max_parallel", "0"), ("max_parallel", "1001"), ("max_parallel", "4.0"), ("max_parallel", "-1"),
            ("max_parallel", "1_0"), ("max_parallel", "٣"), ("lock_timeout", "10"), ("lock_timeout", "soon"),
            ("working_directory", ".."), ("working_directory", "/"), ("working_directory", "absent"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_named(self, environment, name, value):
        with pytest.raises(UsageError, match=f"^input {name.replace('_', '-')}: "):
            options(environment, **{name: value})

    def test_dry_run_is_as_strict(self, environment):
        assert given(environment, dry_run="true").flag("dry-run") is True
        with pytest.raises(UsageError, match=r"^input dry-run: 'ja' is neither true nor false"):
            given(environment, dry_run="ja").flag("dry-run")

    def test_every_option_of_a_run_has_an_input(self):
        """But for those that a workflow has no use for."""
        left_out = {"repo", "revision", "worktree", "namespace", "read_secrets", "lease_duration", "values"}
        left_out |= {"branch", "cache", "plan", "ref", "ref_commit", "default_branch", "rollback"}
        others = {"cluster", "mode", "server", "ca", "bearer_token", "token", "comment", "checks", "statuses"}
        others |= {
            "annotations",
            "fail_on",
            "values",
            "read_secrets",
            "plan",
            "cache_dir",
            "working_directory",
            "report",
            "policy",
            "heal",
            "due",
            "issue",
        }

        offered = {name.replace("-", "_") for name in action.INPUTS} - others
        assert offered == {field.name for field in fields(Options)} - left_out


class TestKubeconfig:
    @pytest.mark.parametrize(
        "value", [KUBECONFIG, ENCODED, "".join(ENCODED.split()), json.dumps({"clusters": []})]
    )
    def test_content_is_a_private_file_for_as_long_as_the_run(self, environment, value):
        with action.kubeconfig(given(environment, kubeconfig=value)) as path:
            found = Path(path)
            assert "clusters" in yaml.safe_load(found.read_text())
            assert found.stat().st_mode & 0o777 == 0o600
            assert found.parent.stat().st_mode & 0o777 == 0o700
            assert not found.is_relative_to(environment["GITHUB_WORKSPACE"])

        assert not found.parent.exists()

    @pytest.mark.parametrize("place", ["GITHUB_WORKSPACE", "RUNNER_TEMP"])
    def test_a_path_is_used_as_it_is(self, environment, place):
        path = Path(environment[place]) / "kubeconfig"
        path.write_text(KUBECONFIG)

        with action.kubeconfig(given(environment, kubeconfig=str(path))) as used:
            assert used == str(path.resolve())
        assert path.exists()

    def test_a_path_may_be_relative_to_the_workspace(self, environment):
        (Path(environment["GITHUB_WORKSPACE"]) / "kube").write_text(KUBECONFIG)

        with action.kubeconfig(given(environment, kubeconfig="kube")) as used:
            assert used.endswith("/workspace/kube")

    @pytest.mark.parametrize(
        "value",
        [
            "{elsewhere}", "../elsewhere/kubeconfig", "link", "absent", "directory", "/etc/hosts", "x" * 999,
            "very-secret-token", KUBECONFIG.replace("clusters", "cluster"), KUBECONFIG + "\n\t: [",
            base64.b64encode(b"very-secret-token").decode(), base64.b64encode(b"\xff\xfe" * 20).decode(),
        ],
    )  # fmt: skip
    def test_anything_else_is_refused_and_never_quoted(self, environment, value, tmp_path):
        outside = tmp_path / "elsewhere" / "kubeconfig"
        outside.write_text(KUBECONFIG)
        workspace = Path(environment["GITHUB_WORKSPACE"])
        (workspace / "link").symlink_to(outside)
        (workspace / "directory").mkdir()

        with (
            pytest.raises(UsageError, match=r"^input kubeconfig: ") as caught,
            action.kubeconfig(given(environment, kubeconfig=value.replace("{elsewhere}", str(outside)))),
        ):
            pass
        assert not re.search(rf"\b{re.escape(value[:20])}\b", f"{caught.value}")

    def test_without_one_the_jobs_own_counts(self, environment):
        with action.kubeconfig(given(environment | {"KUBECONFIG": "/github/workspace/kube"})) as used:
            assert used == ""

    def test_without_any_the_reason_may_be_a_fork(self, environment):
        with pytest.raises(UsageError, match="it is empty") as caught, action.kubeconfig(given(environment)):
            pass
        assert "fork" in caught.value.hint


class TestEvents:
    @pytest.mark.parametrize("content", ["", "[]", "{", "\udcff"])
    def test_an_event_that_cannot_be_read_deploys_nothing(self, environment, content):
        Path(environment["GITHUB_EVENT_PATH"]).write_text(content, errors="surrogateescape")

        code, stdout, _, _ = ended(environment)

        assert code == ExitCode.WRONG_INPUT
        assert "::error::GITHUB_EVENT_PATH" in stdout

    def test_a_deleted_branch_is_said_and_is_no_failure(self, environment):
        deleted = {"ref": "refs/heads/old\n::error::forged", "deleted": True}
        Path(environment["GITHUB_EVENT_PATH"]).write_text(json.dumps(deleted))

        code, stdout, progress, written = ended(environment)

        assert (code, stdout) == (0, "")
        assert re.fullmatch(r"refs/heads/old .*was deleted: nothing is deployed or pruned\n", progress)
        assert written["changed"] == "false"
        assert "was deleted" in Path(environment["GITHUB_STEP_SUMMARY"]).read_text()


class TestOutcome:
    def test_outputs_count_what_happened(self):
        assert action.outputs(Ending(1, RUN)) == {
            "changed": "true", "affected": "2", "applied": "3", "pruned": "1", "failed": "2",
            "drifted": "0", "corrected": "0",
            "revision": RUN.revision, "plan-path": "", "report-path": "", "comment-url": "", "issue-url": "",
        }  # fmt: skip

    def test_outputs_stay_on_their_lines(self):
        hostile = replace(RUN, revision=f"main\nchanged=true@{HOSTILE}")

        assert all("\n" not in value for value in action.outputs(Ending(0, hostile)).values())

    @pytest.mark.parametrize("variable", ["INPUT_ENTRY", "GITHUB_EVENT_NAME", "GITHUB_WORKSPACE"])
    def test_outputs_and_summary_are_there_on_failure(self, environment, variable):
        code, stdout, _, written = ended(environment | {variable: "", "INPUT_KUBECONFIG": KUBECONFIG})

        assert code == ExitCode.WRONG_INPUT
        counts = dict.fromkeys(("affected", "applied", "pruned", "failed", "drifted", "corrected"), "0")
        paths = dict.fromkeys(("revision", "plan-path", "report-path", "comment-url", "issue-url"), "")
        assert written == {"changed": "false", **counts, **paths}
        assert stdout.startswith("::error::")
        assert "✗" in Path(environment["GITHUB_STEP_SUMMARY"]).read_text()
        assert "very-secret-token" not in stdout

    def test_a_run_is_told_everywhere(self, environment, monkeypatch):
        monkeypatch.setattr(action, "_attempt", lambda *_: Ending(1, RUN))

        code, stdout, _, written = ended(environment)

        assert (code, written) == (1, action.outputs(Ending(1, RUN)))
        assert unquoted(stdout.splitlines()) == unquoted(action.log(Ending(1, RUN)))
        assert Path(environment["GITHUB_STEP_SUMMARY"]).read_text() == summary.reconcile(RUN)

    def test_files_that_cannot_be_written_change_nothing_but_are_told(self, environment, tmp_path):
        gone = environment | {"INPUT_ENTRY": "", "GITHUB_STEP_SUMMARY": str(tmp_path / "gone" / "summary")}

        code, stdout, _, _ = ended(gone | {"INPUT_KUBECONFIG": KUBECONFIG})

        assert code == ExitCode.WRONG_INPUT
        assert "::warning::GITHUB_STEP_SUMMARY cannot be written" in stdout
        assert "::error::input entry: neither it nor cluster is given" in stdout

    def test_a_bug_is_called_one(self, environment, monkeypatch):
        monkeypatch.setattr(event, "decide", lambda *_, **__: {}[HOSTILE])

        code, stdout, progress, _ = ended(environment)

        assert code == ExitCode.BUG
        assert "::error::this is a bug in kustodian" in stdout
        assert "Traceback" in progress
        assert not re.search(r"^\s*::", progress, re.MULTILINE)

    def test_children_see_no_inputs(self, environment, monkeypatch):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("INPUT_KUBECONFIG", "very-secret-token")

        assert action.main() == ExitCode.WRONG_INPUT
        assert not [name for name in os.environ if name.startswith("INPUT_")]


class TestLog:
    def test_the_error_is_one_line_that_says_why(self):
        (error,) = [line for line in unquoted(action.log(Ending(1, RUN))) if line.startswith("::")]

        assert error.startswith("::error::flux-system/apps: Deployment/grades/api is not ready BackOff")

    def test_the_error_of_a_guard_names_the_digest(self):
        held = replace(RUN, outcomes=OUTCOMES[2:])

        assert list(action.log(Ending(6, held)))[-1].endswith("run with approve: 9f86d081884c7d65")

    def test_success_needs_no_command(self):
        fine = replace(RUN, outcomes=OUTCOMES[2:], held=())

        assert not [line for line in action.log(Ending(0, fine)) if "::error" in line]

    def test_foreign_text_gives_no_commands(self):
        outcome = replace(OUTCOMES[0], error=HOSTILE, hint=HOSTILE, kustomization=HOSTILE)
        run = replace(RUN, outcomes=(outcome,), held=(), entry=HOSTILE, server=HOSTILE, warnings=(HOSTILE,))

        for ending in (Ending(1, run), Ending(2, error=HOSTILE, hint=HOSTILE)):
            lines = unquoted(action.log(ending))
            commands = [line for line in lines if line.lstrip().startswith("::")]
            assert len(commands) == 1
            assert "%250A" in commands[0]
            assert all(len(line.splitlines()) < 2 for line in lines)


def test_as_many_lines_are_marked_of_each_level_as_github_shows_beside_the_verdict():
    def marks(level):
        return [Annotation("a.yaml", line, level, f"{level} {line}") for line in range(1, 30)]

    ending = Ending(1, error="it failed", annotations=(*marks(Level.WARNING), *marks(Level.FAILURE)))
    lines = list(action.log(ending))
    for command, level in (("error", "failure"), ("warning", "warning")):
        told = [line for line in lines if line.startswith(f"::{command} ")]
        assert told == [f"::{command} file=a.yaml,line={n}::{level} {n}" for n in range(1, 10)]
    assert lines[-1] == "::error::it failed"


def test_of_every_input_it_is_known_where_it_means_something():
    assert meaning.MEANING.keys() == action.INPUTS.keys()


CLUSTER = {"KUBECONFIG": "/somewhere"}


@pytest.mark.parametrize(
    ("mode", "given", "named"),
    [
        (Mode.DEPLOY, {}, ""),
        (Mode.DEPLOY, {"fail-on": "error", "read-secrets": "False", "comment": "never"}, ""),
        (
            Mode.DEPLOY,
            {"fail-on": "drift", "read-secrets": "true", "cache-dir": "x", "policy": "correct"},
            "fail-on, policy, read-secrets, cache-dir",
        ),
        (Mode.DEPLOY, {"plan": "p", "branches": "main", "retries": "3", "names": "a"}, ""),
        (Mode.PREVIEW, CLUSTER | {"plan": "p", "retries": "3", "names": "a"}, "plan, retries"),
        (Mode.PREVIEW, {"names": "a", "all": "true", "prune-limit": "1,1%"}, "names, all"),
        (Mode.DRIFT, {"policy": "correct", "fail-on": "drift", "comment": "always"}, "comment"),
        (Mode.COMMENT, {"report": "r", "checks": "cluster", "context": "c"}, "context, checks"),
        (Mode.NOTHING, {"plan": "p"}, ""),
    ],
)
def test_an_input_that_was_set_in_vain_is_named(mode, given, named):
    given = {key if key in CLUSTER else f"INPUT_{key.upper()}": value for key, value in given.items()}
    told = meaning.in_vain(Inputs(given), mode)
    assert told.startswith(f"nothing comes of {named}: ") if named else told == "", told
