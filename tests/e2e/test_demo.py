"""`make demo`: it checks itself what it promises its reader; here: that it does so, and leaves nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runner.clients.kubernetes import connect
from tests.cluster import ControlPlane, wait_until

pytestmark = pytest.mark.cluster
pytest_plugins = ["tests.cluster.fixture"]

ROOT = Path(__file__).parents[2]
MARK = "KUSTODIAN_TEST_RUN"


class Demo:
    """Runs the demo without a terminal, and knows what it has left behind."""

    def __init__(self, directory: Path) -> None:
        self.mark = uuid.uuid4().hex
        self.temporary = directory / "tmp"
        self.temporary.mkdir()
        self.log = directory / "log"

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        """Start it; its output goes to the log."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("DEMO_")}
        with self.log.open("w") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "examples.demo"],
                cwd=ROOT,
                env={**kept, MARK: self.mark, "TMPDIR": str(self.temporary), **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def run(self, **environment: str) -> int:
        """Run it to its end."""
        with self.start(**environment) as process:
            return process.wait(240)

    @property
    def output(self) -> str:
        return self.log.read_text()

    def left(self) -> list[str]:
        """Files and processes of the demo that are still there."""
        mark = f"{MARK}={self.mark}".encode()
        files = [path.name for path in self.temporary.iterdir()]
        return files + [str(p) for p in Path("/proc").glob("[0-9]*") if mark in _environment(p)]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path)
    yield demo
    assert demo.left() == []


@pytest.fixture
def other(fresh_control_plane: Callable[[], ControlPlane]) -> ControlPlane:
    """The cluster of somebody who has one already."""
    return fresh_control_plane()


def test_it_tells_its_story(demo: Demo) -> None:
    code = demo.run()

    assert code == 0, demo.output
    said = demo.output.splitlines()
    assert [line[0] for line in said if line[:1].isdigit() and line[1:3] == ". "] == list("12345")
    assert "  +      - PAGE_SIZE=100" in said
    assert sum("blocked by flux-system/infra-controllers" in line for line in said) == 2
    assert "$ git revert --no-edit HEAD" in said
    assert "The API server's own audit log agrees: 0 writes." in said
    assert "Seen: 5 Kustomizations made ready" in demo.output
    assert len(said) < 250


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_soon_when_told_to(demo: Demo, number: signal.Signals) -> None:
    process = demo.start()
    wait_until(lambda: "infra-crds" in demo.output or process.poll() is not None, "its first reconcile", 120)

    process.send_signal(number)

    assert process.wait(30) == 128 + number, demo.output
    assert "Traceback" not in demo.output


def test_a_cluster_of_ones_own_is_used_and_left_as_it_was(demo: Demo, other: ControlPlane) -> None:
    before = _namespaces(other)

    code = demo.run(DEMO_CLUSTER="mine", DEMO_YES="1", KUBECONFIG=str(other.kubeconfig))

    assert code == 0, demo.output
    assert other.server in demo.output.partition("1. ")[0]
    assert "Seen: 5 Kustomizations made ready" in demo.output
    assert _namespaces(other) == before
    crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gradebooks.school.example"
    assert other.api().get(crd).status == 404


def test_a_cluster_of_ones_own_is_not_touched_unasked(demo: Demo, control_plane: ControlPlane) -> None:
    code = demo.run(DEMO_CLUSTER="mine", KUBECONFIG=str(control_plane.kubeconfig))

    assert code == 1
    assert "set DEMO_YES=1" in demo.output or "has Namespace/" in demo.output


def test_a_cluster_with_a_flux_system_namespace_is_refused(demo: Demo, other: ControlPlane) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}}
    assert other.api().request("POST", "/api/v1/namespaces", namespace).status == 201

    code = demo.run(DEMO_CLUSTER="mine", DEMO_YES="1", KUBECONFIG=str(other.kubeconfig))

    assert code == 1
    assert "has Namespace/flux-system already" in demo.output
    assert "flux-system" in _namespaces(other)


def _namespaces(plane: ControlPlane) -> set[str]:
    with contextlib.closing(connect(kubeconfig=str(plane.kubeconfig), context=None)) as cluster:
        return {item["metadata"]["name"] for item in cluster.list("", "Namespace").items}


def _environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""
