"""When a request to GitHub is sent, when it is sent again, and when it is given up.

Reads and edits are repeated freely. What creates something is never repeated blindly: when its answer
was lost, GitHub is asked first whether it was done. PyGithub's own retries are off: they repeat a POST
but not a PATCH, without a pause, and wait for as long as GitHub says, be it an hour.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from runner.clients.github.failures import UNAUTHORIZED, Failure, denied, not_accessible
from runner.ports import Clock

TRIES = 4
PATIENCE = 120.0
"""Seconds that a run waits for GitHub in all, not counting the pauses between writes."""

BETWEEN_WRITES = 1.0
"""Seconds from one write to the next: GitHub asks for that, whatever the limits."""

FIRST_PAUSE = 1.0
"""Seconds before a request is repeated; doubled each time."""

LIMITED_PAUSE = 60.0
"""The same, when GitHub wants fewer requests and does not say from when on."""

T = TypeVar("T")
Pause = Callable[[float], bool]
"""Lets seconds pass; whether the run is being interrupted."""


@dataclass(slots=True)
class Calls:
    """Makes requests, one after the other."""

    clock: Clock
    pause: Pause
    patience: float = PATIENCE
    hopeless: dict[str, Failure] = field(default_factory=dict)  # by permission; "" is everything
    opens_at: float = 0.0  # nothing is sent before
    writable_at: float = 0.0

    def make(
        self,
        send: Callable[[], T],
        *,
        permission: str,
        write: bool = False,
        done: Callable[[], T | None] | None = None,
    ) -> T:
        """What a request brings. Raises Failure.

        `done` finds what a request did whose answer was lost, None when it did nothing.
        """
        last: Failure | None = None
        for tried in range(TRIES):
            self._enter(permission, last, write=write)
            try:
                return send()
            except Failure as failure:
                last = self._remembered(failure, permission)
            finally:
                if write:
                    self.writable_at = self.clock.monotonic() + BETWEEN_WRITES
            if not last.again:
                break
            self._hold(last, tried)
            if last.lost and done and (found := done()) is not None:
                return found
        raise last or Failure("nothing was tried")

    def _remembered(self, failure: Failure, permission: str) -> Failure:
        """What fails for good is not tried a second time with another comment or check."""
        if failure.status == UNAUTHORIZED:
            self.hopeless[""] = failure
        elif not_accessible(failure):
            failure = self.hopeless[permission] = denied(permission)
        return failure

    def _hold(self, failure: Failure, tried: int) -> None:
        """Keep all requests from being sent for a while: GitHub counts them together."""
        seconds = failure.wait
        if seconds is None:
            seconds = (LIMITED_PAUSE if failure.limited else FIRST_PAUSE) * 2**tried
        jitter = random.uniform(0.0, 0.5)  # noqa: S311 - no secret in it
        self.opens_at = self.clock.monotonic() + seconds + jitter

    def _enter(self, permission: str, last: Failure | None, *, write: bool) -> None:
        """Wait until a request may be sent. Raises Failure when that is too long."""
        for key in ("", permission):
            if key in self.hopeless:
                raise self.hopeless[key]
        now = self.clock.monotonic()
        if (held := self.opens_at - now) > 0:
            if held > self.patience:
                raise last or Failure(f"GitHub wants to be left alone for {held:.0f} s")
            self.patience -= held
            if self.pause(held):
                raise last or Failure("the run was interrupted")
        if write and (held := self.writable_at - self.clock.monotonic()) > 0:
            self.pause(held)
