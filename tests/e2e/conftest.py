"""Worlds for end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import ControlPlane
from tests.e2e.harness import Bench, bench


@pytest.fixture
def world(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Bench]:
    """A repository and a namespace of the test's own in the shared control plane."""
    made = bench(control_plane, tmp_path)
    yield made
    made.forget()
