"""The checkout, asked through the `git` on PATH."""

from __future__ import annotations

from runner.clients.git.checkout import GitCheckout
from runner.clients.git.identity import repository_id

__all__ = ["GitCheckout", "repository_id"]
