"""Worlds for end-to-end tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster import ControlPlane
from tests.e2e.harness import Bench, bench


@pytest.fixture
def world(control_plane: ControlPlane, tmp_path: Path) -> Bench:
    """A repository and a namespace of the test's own in the shared control plane."""
    return bench(control_plane, tmp_path)
