"""One face, written down in several places: the code, the two actions, their types, the workflows."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner import action
from runner.action.inputs import FINDINGS, MODES, SCOPES, WHEN
from runner.options import Precedence
from tests.interface import ROOT
from tests.interface import action as read

CONTAINER, CLI, TYPES = (read(path) for path in ("action.yml", "cli/action.yml", "action-types.yml"))
RELEASE = read(".github/workflows/release.yml")
WORKFLOWS = sorted((*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob("examples/workflows/*.yml")))
CHOICES = {
    "mode": MODES,
    "comment": WHEN,
    "checks": SCOPES,
    "statuses": SCOPES,
    "substitute-precedence": tuple(Precedence),
}


def script(step: dict[str, Any], environment: dict[str, str], directory: Path) -> str:
    """Run a step as the runner runs bash; what it prints."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=directory,
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


class TestCommandLineFlavour:
    def test_inputs_are_those_of_the_container(self):
        assert CLI["inputs"] == CONTAINER["inputs"]
        assert list(CLI["inputs"]) == list(CONTAINER["inputs"])

    def test_outputs_are_those_of_the_container(self):
        handed_on = {
            name: spec | {"value": f"${{{{ steps.run.outputs.{name} }}}}"}
            for name, spec in CONTAINER["outputs"].items()
        }
        assert CLI["outputs"] == handed_on

    def test_every_input_reaches_the_same_front_door(self, tmp_path):
        *_, run = CLI["runs"]["steps"]
        assert run["env"] == {f"INPUT_{name.upper()}": f"${{{{ inputs.{name} }}}}" for name in action.INPUTS}

        python = tmp_path / "kustodian-cli" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text('#!/usr/bin/env bash\necho "$@"\nexec env\n')
        python.chmod(0o755)
        given = {name: name.lower() for name in run["env"]}

        arguments, *seen = script(run, given | {"RUNNER_TEMP": str(tmp_path)}, tmp_path).splitlines()

        assert arguments == "-I -u -m runner.cli action"
        assert {f"{name}={value}" for name, value in given.items()} <= set(seen)

    def test_it_installs_for_the_python_of_the_image(self):
        python, install, _ = CLI["runs"]["steps"]

        assert f"FROM python:{python['with']['python-version']}-slim" in (ROOT / "Dockerfile").read_text()
        assert "--require-hashes" in install["run"]
        assert "--no-deps" in install["run"]


class TestTypes:
    @pytest.mark.parametrize("kind", ["inputs", "outputs"])
    def test_everything_has_one(self, kind):
        assert list(TYPES[kind]) == list(CONTAINER[kind])

    def test_choices_are_the_codes(self):
        typed = {
            name: spec["allowed-values"] for name, spec in TYPES["inputs"].items() if spec["type"] == "enum"
        }
        assert typed == {name: list(values) for name, values in CHOICES.items()}
        assert TYPES["inputs"]["fail-on"]["list-item"]["allowed-values"] == ["none", *FINDINGS]

    def test_flags_and_numbers_are_the_codes(self):
        def typed(kind: str) -> set[str]:
            return {name for name, spec in TYPES["inputs"].items() if spec["type"] == kind}

        assert typed("boolean") == {
            name for name, value in action.INPUTS.items() if value in {"true", "false"}
        }
        assert typed("integer") == {name for name, value in action.INPUTS.items() if value.isdigit()}

    def test_choices_are_told(self):
        for name, values in (*CHOICES.items(), ("fail-on", FINDINGS)):
            described = CONTAINER["inputs"][name]["description"]
            assert [value for value in values if f"`{value}`" not in described] == []


class TestWorkflows:
    @pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
    def test_rights_are_given_to_jobs_alone(self, path):
        workflow = yaml.safe_load(path.read_text())

        assert workflow["permissions"] == {}
        for job in workflow["jobs"].values():
            assert "permissions" in job
            assert "concurrency" in workflow or "concurrency" in job

    def test_an_action_is_the_same_commit_everywhere(self):
        files = [*WORKFLOWS, ROOT / "cli" / "action.yml"]
        used = {found for path in files for found in re.findall(r"uses: (\w\S+)@(\S+)(.*)", path.read_text())}

        assert len({name for name, *_ in used}) == len(used)
        for name, commit, told in used:
            assert re.fullmatch(r"[0-9a-f]{40} # v[\d.]+", commit + told), name

    @pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
    def test_nothing_but_our_own_directory_becomes_an_artifact(self, path):
        """`runner.temp` itself holds tokens; with an output that may be empty behind it, it is that."""
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            for step in job.get("steps", ()):
                if step.get("uses", "").startswith("actions/upload-artifact@"):
                    assert re.fullmatch(r"\$\{\{ runner\.temp \}\}/[a-z]+(/\*)?", step["with"]["path"])


class TestRelease:
    def test_the_image_is_in_lower_case_wherever_it_is_named(self, tmp_path):
        jobs = RELEASE["jobs"]
        name = next(step for step in jobs["build"]["steps"] if step.get("id") == "image")
        output = tmp_path / "output"

        script(name, {"GITHUB_REPOSITORY": "Acme/Kustodian", "GITHUB_OUTPUT": str(output)}, tmp_path)

        assert output.read_text() == "name=ghcr.io/acme/kustodian\n"
        assert jobs["build"]["outputs"] == {"image": "${{ steps.image.outputs.name }}"}
        for job in ("attest", "tag"):
            assert jobs[job]["env"]["IMAGE"] == "${{ needs.build.outputs.image }}"
            assert "build" in jobs[job]["needs"]
        text = (ROOT / ".github/workflows/release.yml").read_text()
        assert text.count("ghcr.io/") == 1, "nothing else makes up the name"

    def test_the_digest_is_written_into_the_action(self, tmp_path):
        (tmp_path / "action.yml").write_text((ROOT / "action.yml").read_text())
        write = next(step for step in RELEASE["jobs"]["tag"]["steps"] if "sed " in step.get("run", ""))
        digest = f"sha256:{'3f' * 32}"

        script(write, {"IMAGE": "ghcr.io/acme/kustodian", "DIGEST": digest}, tmp_path)

        written = yaml.safe_load((tmp_path / "action.yml").read_text())
        runs = {"using": "docker", "image": f"docker://ghcr.io/acme/kustodian@{digest}", "args": ["action"]}
        assert written == CONTAINER | {"runs": runs}

    def test_the_version_is_where_it_is_looked_for(self, tmp_path):
        version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
        check = next(step for step in RELEASE["jobs"]["build"]["steps"] if "grep " in step.get("run", ""))

        script(check, {"VERSION": version}, ROOT)
        with pytest.raises(subprocess.CalledProcessError):
            script(check, {"VERSION": f"{version}1"}, ROOT)
