"""When a request is sent again, and how long is waited before that."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import TypeVar

from runner.errors import SourceError

ATTEMPTS = 4
LONGEST_WAIT = 30.0
"""Seconds that a `Retry-After` can ask for."""
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})

T = TypeVar("T")


class Passing(SourceError):
    """A failure that may be over soon; `after` is what the server asks for, in seconds.

    `code` is the status that it answered with, 0 where there was no answer.
    """

    def __init__(self, message: str, *, after: float | None = None, code: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.after = after
        self.code = code


def retried(attempt: Callable[[], T], deadline: float, cancelled: threading.Event) -> T:
    """What an attempt gives, made again while its failures pass; the last of them is raised.

    `deadline` is on the monotonic clock: no wait goes beyond it.
    """
    from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

    backoff = wait_random_exponential(multiplier=0.2, max=5.0, min=0.1)

    def pause(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.after if isinstance(error, Passing) else None
        return backoff(state) if asked is None else min(asked, LONGEST_WAIT)

    def over(state: RetryCallState) -> bool:
        late = time.monotonic() + state.upcoming_sleep >= deadline
        return late or state.attempt_number >= ATTEMPTS or cancelled.is_set()

    def sleep(seconds: float) -> None:
        if cancelled.wait(seconds):
            raise SourceError("fetching was cancelled")

    again = retry_if_exception_type(Passing)
    return Retrying(retry=again, wait=pause, stop=over, sleep=sleep, reraise=True)(attempt)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a server asks to wait; `now` is the time of day. None when it does not say."""
    given = headers.get("retry-after", "").strip()
    if given.isdecimal() and len(given) < 7:  # noqa: PLR2004 -- eleven days are long enough
        return float(given)
    try:
        return max(parsedate_to_datetime(given).timestamp() - now, 0.0)
    except (ValueError, TypeError, OverflowError, OSError):
        return None
