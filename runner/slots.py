"""How many may be at work at once, and who of those that wait goes first."""

from __future__ import annotations

import heapq
import itertools
import threading


class Slots:
    """So many slots; a free one goes to whoever waits with the highest weight, then to the first."""

    def __init__(self, number: int) -> None:
        self.free = number  # slots that nobody has
        self._waiting: list[tuple[float, int]] = []
        self._tickets = itertools.count()
        self._changed = threading.Condition()

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return len(self._waiting)

    def acquire(self, weight: float) -> None:
        """Wait for a slot."""
        with self._changed:
            mine = (-weight, next(self._tickets))
            heapq.heappush(self._waiting, mine)
            while not self.free or self._waiting[0] != mine:
                self._changed.wait()
            heapq.heappop(self._waiting)
            self.free -= 1
            if self.free:
                self._changed.notify_all()

    def release(self) -> None:
        """Give a slot back."""
        with self._changed:
            self.free += 1
            self._changed.notify_all()
