"""The API server's audit log, which grows all the time: what was read once is not read again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any


@dataclasses.dataclass
class AuditLog:
    """The events of one user, or of all."""

    path: Path
    user: str | None = None
    events: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    _offset: int = 0

    def read(self) -> list[dict[str, Any]]:
        """All events so far, oldest first."""
        if not self.path.exists():
            return self.events
        with self.path.open("rb") as file:
            file.seek(self._offset)
            # The last line may be half written; a whole one ends with a line feed.
            whole, end, _ = file.read().rpartition(b"\n")
        self._offset += len(whole + end)
        name = json.dumps(self.user).encode()
        lines = [line for line in whole.splitlines() if self.user is None or name in line]
        events = [json.loads(line) for line in lines]
        self.events += [e for e in events if self.user in {None, e["user"].get("username")}]
        return self.events
