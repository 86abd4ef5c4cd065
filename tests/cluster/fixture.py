"""Fixtures: the control plane that all tests share, and control planes of one test's own."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster import build
from tests.cluster.control_plane import ControlPlane
from tests.cluster.holder import Place


@pytest.fixture(scope="session")
def control_plane(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[ControlPlane]:
    """One control plane for the whole test run, all xdist workers included: use a namespace of your own."""
    base = tmp_path_factory.getbasetemp()
    # Each worker has its own directory below the run's.
    place = Place((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "control-plane")
    _build(pytestconfig)
    with place.locked("users", fcntl.LOCK_SH):
        place.start(shared=True)
        plane = place.attach()
        yield plane
        plane.stop()


@pytest.fixture
def fresh_control_plane(pytestconfig: pytest.Config) -> Iterator[Callable[..., ControlPlane]]:
    """Gives the test `ControlPlane.start`; what it starts is stopped after the test."""
    _build(pytestconfig)
    with contextlib.ExitStack() as started:

        def start(data_dir: Path | None = None, *, controllers: bool = True) -> ControlPlane:
            return started.enter_context(ControlPlane.start(data_dir, controllers=controllers))

        yield start


def _build(config: pytest.Config) -> None:
    """Build what is missing where its progress can be seen: it may take many minutes."""
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        build.ensure()
