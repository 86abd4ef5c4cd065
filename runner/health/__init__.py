"""Health: what an object's own status says about it, waiting until all are healthy, and why one is not."""

from __future__ import annotations

from runner.health.diagnosis import diagnose, tail
from runner.health.evidence import (
    Evidence,
    claims,
    crashed,
    happened_at,
    newest,
    owned_by,
    selector,
    troubled,
    uid,
)
from runner.health.judging import STATUS_GRACE, Judge
from runner.health.rules import compute
from runner.health.waiting import Verdict, check, wait

__all__ = [
    "STATUS_GRACE",
    "Evidence",
    "Judge",
    "Verdict",
    "check",
    "claims",
    "compute",
    "crashed",
    "diagnose",
    "happened_at",
    "newest",
    "owned_by",
    "selector",
    "tail",
    "troubled",
    "uid",
    "wait",
]
