"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

POLL_SECONDS = 0.05

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T], what: str, seconds: float = 120.0, poll: float = POLL_SECONDS
) -> T:
    """The first true answer of `condition`, asked again every `poll` seconds.

    Raises:
        TimeoutError: there was none within `seconds`; `what` says what was waited for.
    """
    deadline = time.monotonic() + seconds
    never = threading.Event()
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: did not happen within {seconds:g} s; the last answer was {answer!r}")
        never.wait(poll)
    return answer
