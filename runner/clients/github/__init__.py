"""GitHub, where a run is reported; the only code that knows PyGithub."""

from __future__ import annotations

from runner.clients.github.client import GitHub

__all__ = ["GitHub"]
