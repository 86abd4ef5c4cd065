"""How many may be at work at once, and who of those that wait goes first."""

from __future__ import annotations

import heapq
import itertools
import threading


class Slots:
    """So many slots; a free one goes to whoever waits with the highest weight, then to the first.

    It is handed to that one alone: with a thousand that wait, waking all each time is most of the work.
    """

    def __init__(self, number: int) -> None:
        self.free = number  # slots that nobody has; while anybody waits there is none
        self._waiting: list[tuple[float, int, threading.Event]] = []
        self._tickets = itertools.count()
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return len(self._waiting)

    def acquire(self, weight: float) -> None:
        """Wait for a slot."""
        with self._lock:
            if self.free:
                self.free -= 1
                return
            mine = threading.Event()
            heapq.heappush(self._waiting, (-weight, next(self._tickets), mine))
        mine.wait()

    def release(self) -> None:
        """Give a slot back."""
        with self._lock:
            if self._waiting:
                heapq.heappop(self._waiting)[-1].set()
            else:
                self.free += 1
