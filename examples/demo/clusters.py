"""Where the demo runs: on a control plane of its own, or on the reader's cluster."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from examples.demo.repository import Repository
from examples.demo.terminal import say
from tests.cluster import ControlPlane, wait_until

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True)
class Target:
    """A cluster, and what is different there."""

    environment: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    patience: str = "10s"
    """How long the broken release is waited for."""
    adapt: Callable[[Repository], None] = lambda _: None
    writes: Callable[[], int] | None = None
    """How many requests changed something so far, as the API server's audit log has it."""


@contextlib.contextmanager
def own() -> Iterator[Target]:
    """A control plane on this machine, gone afterwards."""
    say("Starting a control plane: etcd, kube-apiserver, the controllers, and kwok in the place of a node.")
    begun = time.monotonic()
    with ControlPlane.start() as plane:
        say(f"It answers at {plane.server} after {time.monotonic() - begun:.0f}s.")
        direct = ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"]))
        environment = {"KUBECONFIG": str(plane.kubeconfig), "NO_PROXY": direct, "no_proxy": direct}
        yield Target(environment, writes=_auditor(plane))


def _auditor(plane: ControlPlane) -> Callable[[], int]:
    turns = itertools.count()

    def writes() -> int:
        # Events are written just after the answer: what came before this request is there once it is.
        mark = f"turn={next(turns)}"
        plane.api().get(f"/version?{mark}")
        wait_until(lambda: any(e["requestURI"].endswith(mark) for e in plane.audit_events()), "the audit log")
        events = plane.audit_events("kustodian-test-admin")
        return sum(1 for e in events if e["verb"] in WRITES and "dryRun=All" not in e["requestURI"])

    return writes
