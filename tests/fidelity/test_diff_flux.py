"""`build --diff-flux`: the user's own look at what the other tests here prove."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fidelity.cli import Flux

FLEET = Path(__file__).parents[2] / "examples" / "fleet"
pytestmark = pytest.mark.fidelity


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    target = tmp_path / "fleet"
    subprocess.run(["cp", "-r", FLEET, target], check=True)
    for command in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "."],
        ["commit", "--quiet", "-m", "x"],
    ):
        subprocess.run(["git", *command], cwd=target, check=True)
    return target


def run(fleet: Path, program: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
    command = ["build", "--repo", str(fleet), "--entry", "clusters/staging", "--diff-flux"]
    return subprocess.run(
        [sys.executable, "-m", "runner.cli", *command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_example_is_equal(fleet: Path, flux: Flux):
    done = run(fleet, flux.program)
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout.splitlines()
    assert told[0].startswith("compared with flux ")
    assert [line.rpartition(",")[0] for line in told[1:]] == [
        f"flux-system/{name}: equal"
        for name in ("flux-system", "grade-api", "grade-web", "infra-controllers", "infra-crds")
    ]


def test_a_difference_is_shown(fleet: Path, flux: Flux, tmp_path: Path):
    """Another flux: one that renders the replicas differently."""
    other = tmp_path / "bin" / "flux"
    other.parent.mkdir()
    other.write_text(f'#!/bin/sh\n{flux.program} "$@" | sed "s/replicas: 1/replicas: 7/"\n')
    other.chmod(0o755)
    done = run(fleet, other)
    assert done.returncode == 5, done.stdout + done.stderr
    assert "--- flux build flux-system/grade-api" in done.stdout
    assert "-  replicas: 7" in done.stdout
    assert "+  replicas: 1" in done.stdout


def test_without_flux_it_says_so(fleet: Path, tmp_path: Path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("git", "env"):
        found = subprocess.run(["which", name], capture_output=True, text=True, check=True).stdout.strip()
        (bare / name).symlink_to(found)
    environment = {**os.environ, "PATH": str(bare)}
    command = ["build", "--repo", str(fleet), "--entry", "clusters/staging", "--diff-flux"]
    done = subprocess.run(
        [sys.executable, "-m", "runner.cli", *command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "there is no flux on PATH" in done.stderr
