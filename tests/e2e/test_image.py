"""The container image, built for real: it starts, it knows its version, it renders like the tool outside."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.image.daemon import Docker, Missing, alone, docker

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]

ROOT = Path(__file__).parents[2]
IMAGE = "kustodian:test"
AUTHOR = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")


@pytest.fixture(scope="module")
def image() -> Iterator[Docker]:
    """Docker, with the image of the present sources."""
    try:
        with docker() as found:
            with alone():
                found.run("build", "--tag", IMAGE, str(ROOT))
            yield found
    except Missing as exc:
        pytest.skip(f"needs docker: {exc}")


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """The example as a repository of its own; in the container it belongs to somebody else."""
    target = tmp_path / "fleet"
    shutil.copytree(ROOT / "examples" / "fleet", target)
    for command in (["init", "--quiet"], ["add", "."], [*AUTHOR, "commit", "--quiet", "-m", "fleet"]):
        subprocess.run(["git", "-C", str(target), *command], check=True)
    subprocess.run(["chown", "-R", "1001:1001", str(target)], check=False)  # works for root alone
    return target


def kustodian(image: Docker, *arguments: str, options: tuple[str, ...] = ()) -> str:
    return image.run("run", "--rm", *options, IMAGE, *arguments).stdout


@pytest.mark.parametrize("arguments", [["--help"], []])
def test_it_shows_its_help(image: Docker, arguments: list[str]) -> None:
    shown = kustodian(image, *arguments)

    assert shown.startswith("Usage: kustodian")
    assert "reconcile" in shown


def test_what_a_run_loads_is_compiled(image: Docker) -> None:
    """A container writes none of it down: without this, each run would compile everything anew."""
    script = "from runner import action, cli; print(*(m.__cached__ for m in (action, cli)))"
    listed = ("sh", IMAGE, "-c", f"ls $(/opt/venv/bin/python -c '{script}')")
    assert len(image.run("run", "--rm", "--entrypoint", *listed).stdout.split()) == 2


def test_its_worker_runs(image: Docker) -> None:
    assert "renders like Flux 2.9.5" in kustodian(image, "version")


def test_it_builds_the_example_as_the_tool_outside_does(image: Docker, fleet: Path) -> None:
    arguments = ("build", "--repo", str(fleet), "--entry", "clusters/staging")
    mounted = ("--volume", f"{fleet}:{fleet}:ro", "--env", "HOME=/nowhere")

    inside = kustodian(image, *arguments, options=mounted)

    outside = subprocess.run(
        [sys.executable, "-m", "runner.cli", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "kind: Deployment" in inside
    assert inside == outside.stdout


@pytest.mark.parametrize(
    "search",
    [
        "find /root /tmp -mindepth 1 -not -name .bashrc -not -name .profile",
        "for tool in go gcc cc make; do command -v $tool; done",
        "ls -d /build /opt/venv/bin/pip /opt/venv/lib/*/site-packages/pip",
    ],
)
def test_it_holds_no_tools_and_no_leftovers(image: Docker, search: str) -> None:
    script = f"command -v git && {{ {search} 2>/dev/null || true; }}"

    seen = image.run("run", "--rm", "--entrypoint", "sh", IMAGE, "-c", script)

    assert seen.stdout.split() == ["/usr/bin/git"]
