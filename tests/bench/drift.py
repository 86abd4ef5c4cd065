"""A clean cluster, looked at again and again, and what a controller asks for the same."""

from __future__ import annotations

import json
import os
import statistics
import sys
from pathlib import Path

from tests.bench import flux, manifests, peers
from tests.bench.counted import Requests, counted
from tests.bench.manifests import FLUX_NAMESPACE
from tests.bench.measure import Usage, run
from tests.bench.table import SPREAD, mebibytes, note, number, spread, table
from tests.bench.world import World, fresh
from tests.cluster.control_plane import ADMIN
from tests.e2e.harness import ENTRY, Repository

RUNS = 10


def bench(units: int, _repeats: int) -> None:
    """Print ten looks at a fleet that nobody touched, and one round of the controller over its like."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is compiled; so is what is measured
    with fresh() as world:
        repository = world.repository("fleet")
        manifests.fleet(repository, "fleet", units)
        world.reconcile(repository)
        world.settle()
        looks = [_look(world, repository) for _ in range(RUNS)]
        program = flux.found()
        theirs = _controller(world, program, units) if program else None
    usages = [usage for usage, _, _ in looks]
    walls, asked = [each.wall for each in usages], [requests.all for _, requests, _ in looks]
    table(
        f"drift: {units:,} Kustomizations that nobody touched, {RUNS} runs in a row",
        ("", *(f"{each} s" for each in SPREAD), "CPU s", "requests", "MiB"),
        [
            (
                "kustodian drift",
                *spread(walls),
                number(statistics.median(each.cpu for each in usages)),
                " ".join(f"{count:,}" for count in sorted(set(asked))),
                mebibytes(max(each.memory or 0 for each in usages)),
            ),
            *([_theirs(theirs)] if theirs else []),
        ],
    )
    note(f"each run, s: {' '.join(number(each) for each in walls)}; requests: {' '.join(map(str, asked))}")
    note(f"objects that were told to have drifted, in all {RUNS} runs: {sum(found for _, _, found in looks)}")
    if theirs:
        ratio = theirs.requests.all / statistics.median(asked)
        note(f"the controller asks {ratio:,.0f} times as much to see the same: {dict(theirs.requests.verbs)}")
    else:
        note(f"{peers.NOT_HERE}{flux.NOT_HERE}")


def _look(world: World, repository: Repository) -> tuple[Usage, Requests, int]:
    where = ["--repo", str(repository.path), "--entry", ENTRY, "--root", f"{FLUX_NAMESPACE}/fleet"]
    argv = [sys.executable, "-m", "runner.cli", "drift", "-o", "json", *where]
    with counted(world.plane, ADMIN) as requests:
        usage = run([*argv, "--kubeconfig", str(world.plane.kubeconfig)])
    drifted = json.loads(usage.stdout)["drifted"]
    return usage, requests, sum(len(each["objects"]) for each in drifted)


def _theirs(done: flux.Round) -> tuple[str, ...]:
    wall = spread([done.wall])
    requests = f"{done.requests.all:,}"
    return f"{flux.LABEL}, one round", *wall, number(done.cpu), requests, mebibytes(done.memory)


def _controller(world: World, program: Path, units: int) -> flux.Round:
    """One reconcile of everything, once it is deployed."""
    with flux.at_work(program, world, units) as controller:
        controller.round()
        controller.bench.repository.commit()
        world.settle()
        return controller.round()
