"""Health: what an object's own status says about it, and waiting until a set of objects is healthy."""

from __future__ import annotations

from runner.health.judging import STATUS_GRACE, Judge
from runner.health.rules import compute
from runner.health.waiting import Verdict, check, wait

__all__ = ["STATUS_GRACE", "Judge", "Verdict", "check", "compute", "wait"]
