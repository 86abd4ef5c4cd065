"""Time that passes when somebody waits for it."""

from __future__ import annotations

from datetime import UTC, datetime


class ManualClock:
    def __init__(self):
        self.passed = 0.0
        self.pauses = []
        self.start = datetime(2026, 1, 2, tzinfo=UTC).timestamp()

    def now(self):
        return self.start + self.passed

    def monotonic(self):
        return self.passed

    def pause(self, seconds):
        """Instead of waiting; whether the run is being interrupted."""
        self.pauses.append(seconds)
        self.passed += seconds
        return False
