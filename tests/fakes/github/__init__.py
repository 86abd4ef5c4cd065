"""A GitHub to report to: it answers as GitHub describes itself, and fails what would not work there."""

from __future__ import annotations

from tests.fakes.github.repository import ROBOT, Repository
from tests.fakes.github.server import MOST_CALLS, TOKEN, Fault, Server

__all__ = ["MOST_CALLS", "ROBOT", "TOKEN", "Fault", "Repository", "Server"]
