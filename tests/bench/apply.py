"""A whole fleet: a first apply, a run without changes and one change, by us and by others."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from runner.model import FLUX
from tests.bench import flux, manifests, peers, wire
from tests.bench.counted import counted
from tests.bench.manifests import Manifest
from tests.bench.measure import BenchError, Usage, run
from tests.bench.table import mebibytes, note, number, table, times
from tests.bench.world import World, fresh
from tests.cluster.control_plane import ADMIN

THREADS = 32
"""As many as our requests have."""
ROUNDS = ("first apply", "no change")
"""Of the controller; another one with a change looks at every object just the same."""
_OURS, _LOOP = "kustodian", f"bare loop, {THREADS} threads: dry-run, apply"


@dataclass(frozen=True)
class Row:
    """One thing that was measured: who did what."""

    who: str
    what: str
    wall: float
    requests: int
    cpu: float | None = None
    memory: int | None = None
    worker: int | None = None
    """Of `memory` not a part: the processes that it started."""

    def cells(self, objects: int) -> tuple[str, ...]:
        return (
            self.who,
            self.what,
            number(self.wall),
            number(self.cpu),
            f"{self.requests:,}",
            number(self.requests / objects),
            number(self.requests / self.wall, 0),
            number(objects / self.wall, 0),
            mebibytes(self.memory),
            mebibytes(self.worker),
        )


def bench(units: int, _repeats: int) -> None:
    """Print what deploying a fleet takes: once, as a first apply can't be had twice on a server as empty."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is compiled; so is what is measured
    objects = len(manifests.applications("", units))
    rows = []
    absent: list[str] = []
    with fresh() as world:
        _warm_up(world)
        for row in _everything(world, units, absent):
            rows.append(row)
            note(f"{row.who}, {row.what}: {number(row.wall)} s, {row.requests:,} requests")
    table(
        f"apply: {units:,} Kustomizations with wait, {objects:,} objects, on a fresh control plane",
        ("", "", "s", "CPU s", "requests", "per object", "requests/s", "objects/s", "MiB", "children MiB"),
        [row.cells(objects) for row in rows],
        words=2,
    )
    _pairs(rows, objects)
    note("requests are those in the API server's audit log; MiB are high-water marks")
    flags = " ".join((f"--concurrent={flux.CONCURRENT}", *flux.RAISED))
    note(f"the controller runs with {flags}, each round from the new artifact on")
    for each in absent:
        note(f"{peers.NOT_HERE}{each}")


def _everything(world: World, units: int, absent: list[str]) -> Iterator[Row]:
    yield _loop(world, "loop-before", units)
    yield from _ours(world, units)
    yield _loop(world, "loop-after", units)
    if peers.kubectl():
        yield from _kubectl(world, units)
    else:
        absent.append("kubectl (on PATH)")
    if program := flux.found():
        yield from _controller(world, program, units)
    else:
        absent.append(flux.NOT_HERE)


def _pairs(rows: Sequence[Row], objects: int) -> None:
    """Ours beside each other; in the last column more is better for us."""
    ours = {row.what: row for row in rows if row.who == _OURS}
    first = ours["first apply"]
    cells = []
    for row in rows:
        if row.who == _LOOP:
            for unit, mine, theirs in (
                ("requests/s", first.requests / first.wall, row.requests / row.wall),
                ("objects/s", objects / first.wall, objects / row.wall),
            ):
                label = f"{row.who}, {row.what}"
                cells.append(
                    (f"first apply, {unit}", label, number(mine, 0), number(theirs, 0), times(theirs, mine))
                )
        elif row.who != _OURS and row.what in ours:
            mine = ours[row.what].wall
            cells.append((f"{row.what}, s", row.who, number(mine), number(row.wall), times(mine, row.wall)))
    table("paired", ("", "beside", "ours", "theirs", "× as fast"), cells, words=2)


def _warm_up(world: World) -> None:
    """Connections, and what the server makes at the first request of a kind."""
    _loop(world, "warm-up", 25)


def _loop(world: World, namespace: str, units: int) -> Row:
    """The same requests for the same objects, and nothing else."""
    world.make_namespace(namespace)
    objects = [wire.sendable(_owned(each)) for each in manifests.applications(namespace, units)]
    world.settle()
    wall = wire.dry_runs_and_applies(world.plane, objects, THREADS)
    return Row(_LOOP, namespace.partition("-")[2] + " ours", wall, 2 * len(objects))


def _owned(manifest: Manifest) -> Manifest:
    """With the labels that Flux and we put on everything."""
    meta = manifest["metadata"]
    labels = {f"{FLUX}/name": meta["name"], f"{FLUX}/namespace": "bare-loop"}  # not ours: it would be drift
    return {**manifest, "metadata": {**meta, "labels": labels}}


def _ours(world: World, units: int) -> Iterator[Row]:
    repository = world.repository("fleet")
    manifests.fleet(repository, "fleet", units)
    yield _run(world, "first apply", lambda: world.reconcile(repository).usage)
    yield _run(world, "no change", lambda: world.reconcile(repository).usage)
    name = manifests.names(1)[0]
    repository.write(f"apps/{name}/app.yaml", *manifests.application("fleet", name, "registry.example/app:2"))
    repository.commit()
    yield _run(world, "one object changed", lambda: world.reconcile(repository).usage)


def _run(world: World, what: str, once: Callable[[], Usage], who: str = _OURS) -> Row:
    """A process that is the only administrator meanwhile."""
    world.settle()
    with counted(world.plane, ADMIN) as requests:
        usage = once()
    rest = usage.memory - usage.own if usage.memory and usage.own else None
    return Row(who, what, usage.wall, requests.all, usage.cpu, usage.own, rest or None)


def _kubectl(world: World, units: int) -> Iterator[Row]:
    """The same objects, rendered beforehand, without waiting for health."""
    world.make_namespace("by-kubectl")
    file = world.directory / "rendered.yaml"
    objects = manifests.applications("by-kubectl", units)
    flags = ["--kubeconfig", str(world.plane.kubeconfig), "--server-side", "--force-conflicts"]
    file.write_text(yaml.dump_all(objects, Dumper=yaml.CSafeDumper, sort_keys=False))
    for what in ROUNDS:
        once = functools.partial(run, [peers.kubectl(), "apply", *flags, "--filename", file])
        yield _run(world, what, once, "kubectl apply --server-side")


def _controller(world: World, program: Path, units: int) -> Iterator[Row]:
    with flux.at_work(program, world, units) as controller:
        repository = controller.bench.repository
        for what in ROUNDS:
            world.settle()
            done = controller.round()
            yield Row(flux.LABEL, what, done.wall, done.requests.all, done.cpu, done.memory)
            repository.commit()
        found = len(world.cluster.list("apps", "Deployment", namespace=flux.TARGET, metadata_only=True).items)
        if found != units:
            raise BenchError(f"the controller made {found} Deployments of {units}")
