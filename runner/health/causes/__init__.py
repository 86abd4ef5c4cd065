"""What keeps objects from becoming healthy, as data: how it shows, how to say it, and whether it can pass.

The shapes are those of Kubernetes 1.37; above each group stand the source files that write them.
"""

from __future__ import annotations

from runner.health.causes.objects import OBJECTS
from runner.health.causes.pods import PODS
from runner.health.causes.row import AT_ONCE, PATIENT, SETTLED, Cause, Place
from runner.health.causes.workloads import WORKLOADS

__all__ = ["AT_ONCE", "CAUSES", "PATIENT", "SETTLED", "Cause", "Place"]

CAUSES = (*PODS, *WORKLOADS, *OBJECTS)
"""The first that fits a sign explains it."""
