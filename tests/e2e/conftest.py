"""Worlds for end-to-end tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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


@pytest.fixture
def alone(fresh_control_plane: Callable[..., ControlPlane], tmp_path: Path) -> Bench:
    """A world in a control plane of its own.

    For tests that change what the server does to objects on their way in: that voids the proofs of
    everybody on it, and the next run of each makes them anew, which is a write to its record.
    """
    return bench(fresh_control_plane(), tmp_path)
