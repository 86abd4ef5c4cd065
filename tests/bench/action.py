"""The action's container: how soon its log begins, and how soon a push without a change is done."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.bench import manifests
from tests.bench.manifests import FLUX_NAMESPACE
from tests.bench.measure import BenchError
from tests.bench.table import SPREAD, note, spread, table
from tests.bench.world import World, fresh
from tests.e2e.act import events, image
from tests.e2e.act.runner import Runner
from tests.e2e.harness import ENTRY
from tests.e2e.image.daemon import Docker, Missing, docker
from tests.integration.relay import Relay


@dataclass(frozen=True)
class Lap:
    """Seconds from `docker run` on."""

    first: float
    whole: float


def bench(units: int, repeats: int) -> None:
    """Print what a start takes; a machine without Docker is told of."""
    try:
        with docker() as found, fresh() as world:
            _bench(found, world, units, repeats)
    except Missing as missing:
        note(f"action: not measured; it needs {missing}")


def _bench(found: Docker, world: World, units: int, repeats: int) -> None:
    repository = world.repository("fleet")
    manifests.fleet(repository, "fleet", units)
    payload = events.push(events.NOTHING, repository.commit())
    directory = world.directory / "action"
    with image.build(found, directory) as action, Relay(world.plane.server, found.gateway) as relay:
        kubeconfig = relay.kubeconfig(world.plane.kubeconfig)
        inputs = {"entry": ENTRY, "root": f"{FLUX_NAMESPACE}/fleet", "kubeconfig": kubeconfig}

        def start(number: int) -> Lap:
            step = Runner(
                action, repository.path, "somebody/fleet", world.directory / f"run-{number}", inputs
            )
            return _timed(lambda: step.start("push", payload, subprocess.PIPE))

        start(0)  # deploys
        laps = [start(number + 1) for number in range(repeats)]
        floor = [_floor(found, action.image) for _ in range(repeats)]
    rows = [
        ("to the first line of the log", *spread([lap.first for lap in laps])),
        ("to the end", *spread([lap.whole for lap in laps])),
        ("a container that does nothing", *spread(floor)),
    ]
    title = f"action: `docker run` for a push that changes nothing of {units} Kustomizations"
    table(title, ("", *(f"{each} s" for each in SPREAD)), rows)


def _timed(start: Callable[[], subprocess.Popen[bytes]]) -> Lap:
    begun = time.perf_counter()
    with start() as process:
        if process.stdout is None:
            raise BenchError("the action's log is no pipe")
        line = process.stdout.readline()
        first = time.perf_counter() - begun
        rest = process.stdout.read()
    if process.returncode:
        raise BenchError(f"the action ended with {process.returncode}: {(line + rest).decode()[-1000:]}")
    return Lap(first, time.perf_counter() - begun)


def _floor(found: Docker, name: str) -> float:
    begun = time.perf_counter()
    found.run("run", "--rm", "--entrypoint", "true", name)
    return time.perf_counter() - begun
