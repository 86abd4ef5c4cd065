"""The real kustomize-controller on the same API server, in namespaces of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import manifests
from tests.bench.counted import Requests, counted
from tests.bench.measure import BenchError, high_water, processor_time
from tests.bench.world import World
from tests.cluster import wait_until
from tests.cluster.api import APPLY
from tests.e2e import fluxed, harness
from tests.e2e.harness import ENTRY
from tests.fidelity import controller
from tests.fidelity.controller import artifacts, running
from tests.fidelity.controller.artifacts import Artifacts

CONCURRENT = 20
TARGET = "by-controller"
LIMIT_SECONDS = 3600.0
POLL_SECONDS = 1.0
"""How exactly the end is known: a list of every Kustomization is no small request."""
RAISED = ("--kube-api-qps=1000", "--kube-api-burst=2000")
"""By default its client sends 50 requests a second, which makes minutes of what is to be measured."""
LABEL = f"kustomize-controller {controller.VERSION}"
NOT_HERE = f"kustomize-controller {controller.VERSION} (`python -m tests.fidelity.controller` builds it)"


@dataclass(frozen=True)
class Round:
    """Every Kustomization reconciled once."""

    wall: float
    cpu: float
    requests: Requests
    memory: int | None


@dataclass
class Flux:
    """The controller at work on a fleet of its own."""

    bench: harness.Bench
    served: Artifacts
    pid: int
    units: int

    def round(self) -> Round:
        """Publish what is committed, and wait until every Kustomization is ready at that revision."""
        cpu = processor_time(self.pid)
        with counted(self.bench.plane, running.USER) as requests:
            begun = time.perf_counter()
            revision = self.served.publish(self.bench, "fleet")
            wait_until(
                lambda: self._all_ready(revision), "every Kustomization is ready", LIMIT_SECONDS, POLL_SECONDS
            )
            wall = time.perf_counter() - begun
        return Round(wall, processor_time(self.pid) - cpu, requests, high_water(self.pid))

    def _all_ready(self, revision: str) -> bool:
        items = self.bench.get(fluxed.path(self.bench))["items"]
        if len(items) <= self.units:  # the root is one more
            return False
        return all(running.is_done(each, revision, {}) for each in items)


@contextmanager
def at_work(program: Path, world: World, units: int) -> Iterator[Flux]:
    """A controller that has everything but the artifact: the first round is its first apply."""
    bench = harness.bench(world.plane, world.directory, "controller")
    manifests.fleet(bench.repository, TARGET, units, home=bench.namespace)
    running.serve(bench)
    for each in _seeds(bench.namespace):
        plural = {"GitRepository": "gitrepositories", "Kustomization": "kustomizations"}[each["kind"]]
        path = f"/apis/{each['apiVersion']}/namespaces/{bench.namespace}/{plural}/fleet"
        answer = bench.api.request("PATCH", f"{path}?fieldManager=flux", each, APPLY)
        if answer.status != 201:
            raise BenchError(f"{path}: {answer.body}")
    more = (f"--concurrent={CONCURRENT}", *RAISED)
    with artifacts.serving() as served, running.running(program, bench, world.directory, *more) as process:
        wait_until(
            lambda: fluxed.status(bench, "fleet").get("conditions"),
            "the controller waits for its artifact",
            60,
        )
        yield Flux(bench, served, process.pid, units)


def _seeds(namespace: str) -> list[dict[str, Any]]:
    """What bootstrap applies."""
    source = {
        "apiVersion": f"{fluxed.SOURCES}/v1",
        "kind": "GitRepository",
        "metadata": {"name": "fleet", "namespace": namespace},
        "spec": {"interval": "1h", "url": "https://git.example.org/fleet", "ref": {"branch": "main"}},
    }
    return [source, manifests.kustomization(namespace, "fleet", ENTRY)]


def found() -> Path | None:
    """The controller's program, None when nobody has built it here."""
    return controller.found()
