"""What was asked of the API server and by whom, from its own audit log."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.bench.measure import BenchError
from tests.cluster import ControlPlane, wait_until

WORDS = {"get": "GET", "list": "LIST", "watch": "WATCH", "create": "POST", "update": "PUT", "patch": "PATCH"}
MASTERS = "system:masters"


@dataclass(slots=True)
class Requests:
    """The requests of one user, by verb; complete once the `counted` that made it is over."""

    verbs: Counter[str] = field(default_factory=Counter)

    @property
    def all(self) -> int:
        return self.verbs.total()


@contextmanager
def counted(plane: ControlPlane, user: str) -> Iterator[Requests]:
    """Count what a user asks meanwhile. A watch is counted when it ends, as the log has it then."""
    found = Requests()
    _marked(plane)
    begin = plane.audit_log.stat().st_size
    yield found
    _marked(plane)
    with plane.audit_log.open("rb") as log:
        log.seek(begin)
        for line in log:
            event = json.loads(line) if line.endswith(b"\n") else {}
            if event.get("user", {}).get("username") == user:
                found.verbs[_word(event)] += 1
    if not found.all:
        raise BenchError(f"the audit log has no request of {user}")


def _word(event: dict[str, str]) -> str:
    return "DRYRUN" if "dryRun=All" in event["requestURI"] else WORDS.get(event["verb"], "other")


def _marked(plane: ControlPlane) -> None:
    """Wait until the log, which comes after the answers, has a request that is sent now."""
    probe = f"/api/v1/namespaces/default/configmaps/probe-{uuid.uuid4().hex[:8]}"
    before = plane.audit_log.stat().st_size
    plane.api().get(probe)

    def seen() -> bool:
        with plane.audit_log.open("rb") as log:
            log.seek(before)
            return probe.encode() in log.read()

    wait_until(seen, f"the audit log shows {probe}")
