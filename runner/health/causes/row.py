"""A row of the table: how a cause shows, how to say it, and whether it can pass."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

AT_ONCE = 0.0
"""Seconds: for what the object itself rules out for ever."""

SETTLED = 10.0
"""Seconds: for a refusal that another manifest must lift, once caches had time to hear of the latest one."""

PATIENT = 120.0
"""Seconds: for what often passes by itself, such as a registry's hiccup or a database that starts later.

The kubelet has tried five times by then (after 10, 20, 40 and 80 seconds).
"""


class Place(StrEnum):
    """Where a sign is found."""

    WAITING = "a container that is waiting"
    CRASH = "a container that ended and is started again"
    ENDED = "a container that ended for good"
    CONDITION = "a condition"
    EVENT = "an event"
    OBJECT = "the object itself"
    FINALIZER = "a finalizer of an object that is being deleted"


@dataclass(frozen=True, slots=True)
class Cause:
    """One row: the first whose place, kind, reason and message fit a sign explains it."""

    code: str
    place: Place
    reason: str  # a pattern for the whole reason
    text: str  # for str.format, with the sign's words and the message's named groups
    hint: str = ""
    message: str = ""  # a pattern somewhere in the message
    kind: str = ""  # a pattern for the subject's kind; "" is any
    grace: float | None = None  # seconds of it after which nothing will help; None: it may always pass
    fallback: bool = False  # says nothing where anything else is said of the same object

    def fits(self, place: Place, kind: str, reason: str, message: str) -> re.Match[str] | None:
        if place is not self.place or not re.fullmatch(self.kind or ".*", kind):
            return None
        if not re.fullmatch(self.reason, reason):
            return None
        return re.search(self.message, message, re.DOTALL)
