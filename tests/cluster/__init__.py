"""A real Kubernetes control plane for tests and for trying things out."""

from __future__ import annotations

from tests.cluster.api import Answer, Api
from tests.cluster.control_plane import ControlPlane, ControlPlaneError
from tests.cluster.waiting import wait_until

__all__ = ["Answer", "Api", "ControlPlane", "ControlPlaneError", "wait_until"]
