"""A wide fleet: our runs beside kubectl, and beside what the server takes from a bare loop."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.bench import manifests, peers
from tests.bench.measure import Usage, run
from tests.bench.table import SPREAD, mebibytes, note, number, spread, table, times
from tests.bench.world import Run, World, fresh
from tests.e2e.harness import Repository

THREADS = 32
TARGET, PEER = "fleet", "peer"


@dataclass(frozen=True)
class Ours:
    """The runs of one kind, of which the last one's requests are shown."""

    label: str
    runs: Sequence[Run]

    @property
    def wall(self) -> float:
        return _median([each.usage for each in self.runs])

    @property
    def requests(self) -> int:
        return sum(self.runs[-1].requests.values())


@dataclass(frozen=True)
class Loop:
    """Requests with nothing around them."""

    label: str
    requests: int
    usages: Sequence[Usage]

    @property
    def wall(self) -> float:
        return _median(self.usages)

    @property
    def rate(self) -> float:
        return self.requests / self.wall


def bench(units: int, repeats: int) -> None:
    """Print what reconciling takes."""
    objects = len(manifests.applications(TARGET, units))
    with fresh() as world:
        loops = _ceiling(world, units, repeats)
        ours = _ours(world, units, repeats)
        theirs = _kubectl(world, units, repeats) if peers.kubectl() else []
    table(
        f"reconcile: {units} Kustomizations with wait, {objects} objects, on a fresh control plane",
        ("whole process", "runs", *(f"{each} s" for each in SPREAD), "CPU s", "memory MiB"),
        [
            *(_row(each.label, [run.usage for run in each.runs]) for each in ours),
            *(_row(label, usages) for label, usages in theirs),
            *(_row(loop.label, loop.usages) for loop in loops),
        ],
    )
    verbs = list(ours[0].runs[0].requests)
    table(
        "requests by verb, last run of each",
        ("", *verbs, "all"),
        [
            (o.label, *(f"{o.runs[-1].requests.get(verb, 0):,}" for verb in verbs), f"{o.requests:,}")
            for o in ours
        ],
    )
    _pairs(ours, theirs, loops, objects)
    note("memory: the high-water marks of the process and its workers, added up; a loop runs in this process")
    if not theirs:
        note("no peer on PATH (kubectl)")


def _row(label: str, usages: Sequence[Usage]) -> tuple[str, ...]:
    cpu = statistics.median(each.cpu for each in usages)
    memory = max((each.memory for each in usages if each.memory), default=None)
    walls = [each.wall for each in usages]
    return (label, str(len(usages)), *spread(walls), number(cpu), mebibytes(memory))


def _median(usages: Sequence[Usage]) -> float:
    return statistics.median(each.wall for each in usages)


def _pairs(
    ours: Sequence[Ours], theirs: Sequence[tuple[str, Sequence[Usage]]], loops: Sequence[Loop], objects: int
) -> None:
    """One figure of ours and one of theirs per line; in the last column more is better for us."""
    first = ours[0]
    rows = []
    for loop in loops:
        pairs = {"requests/s": (first.requests / first.wall, loop.rate)}
        pairs["objects/s"] = (objects / first.wall, objects / loop.wall)
        for unit, (mine, rate) in pairs.items():
            rows.append(
                (f"first apply, {unit}", loop.label, number(mine, 0), number(rate, 0), times(rate, mine))
            )
    for run_, (label, usages) in zip(ours, theirs, strict=False):
        mine, wall = run_.wall, _median(usages)
        what = run_.label.partition(", ")[2]
        rows.append((f"{what}, s", label.partition(", ")[0], number(mine), number(wall), times(mine, wall)))
    table("paired, medians", ("", "beside", "ours", "theirs", "× as fast"), rows, words=2)


def _ours(world: World, units: int, repeats: int) -> list[Ours]:
    repository = world.repository("fleet")
    manifests.fleet(repository, TARGET, units)

    def again(*more: str) -> Run:
        world.settle()
        return world.reconcile(repository, *more)

    def changed(number: int) -> Run:
        _change(repository, number)
        return again()

    return [
        Ours("kustodian, first apply", [again()]),
        Ours("kustodian, no change", [again() for _ in range(repeats)]),
        Ours("kustodian, one object changed", [changed(number) for number in range(repeats)]),
        Ours("kustodian, no change, --all", [again("--all") for _ in range(repeats)]),
    ]


def _change(repository: Repository, number: int) -> None:
    name = manifests.names(1)[0]
    repository.write(f"apps/{name}/app.yaml", *_changed(TARGET, number))
    repository.commit()


def _changed(namespace: str, number: int) -> list[manifests.Manifest]:
    """The first application with another image."""
    return manifests.application(namespace, manifests.names(1)[0], f"registry.example/app:changed-{number}")


def _ceiling(world: World, units: int, repeats: int) -> list[Loop]:
    """Server-side applies as fast as threads can send them, new objects each time."""

    def applies(namespace: str, *, dry_run: bool) -> None:
        def apply(manifest: manifests.Manifest) -> None:
            world.cluster.apply(manifest, dry_run=dry_run)

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(apply, manifests.applications(namespace, units)))

    def once(namespace: str, *, dry_run: bool) -> Usage:
        world.make_namespace(namespace)
        world.settle()
        cpu, begun = time.process_time(), time.perf_counter()
        if dry_run:
            applies(namespace, dry_run=True)
        applies(namespace, dry_run=False)
        return Usage(time.perf_counter() - begun, time.process_time() - cpu, None, b"")

    once("warm-up", dry_run=True)  # connections, and what the server compiles at the first request of a kind
    count = len(manifests.applications("", units))
    plain = [once(f"loop-{number}", dry_run=False) for number in range(repeats)]
    both = [once(f"loop-both-{number}", dry_run=True) for number in range(repeats)]
    return [
        Loop(f"bare loop, {THREADS} threads: apply", count, plain),
        Loop(f"bare loop, {THREADS} threads: dry-run, apply", 2 * count, both),
    ]


def _kubectl(world: World, units: int, repeats: int) -> list[tuple[str, list[Usage]]]:
    """The same objects, rendered beforehand, without waiting for health."""
    label = "kubectl apply --server-side"
    world.make_namespace(PEER)
    file = world.directory / "rendered.yaml"
    objects = manifests.applications(PEER, units)

    def apply(wanted: Sequence[manifests.Manifest]) -> Usage:
        file.write_text(yaml.safe_dump_all(wanted, sort_keys=False))
        world.settle()
        return _apply(world, file)

    def changed(number: int) -> Usage:
        fresh = _changed(PEER, number)
        return apply([*fresh, *objects[len(fresh) :]])

    return [
        (f"{label}, first apply", [apply(objects)]),
        (f"{label}, no change", [apply(objects) for _ in range(repeats)]),
        (f"{label}, one object changed", [changed(number) for number in range(repeats)]),
    ]


def _apply(world: World, file: Path) -> Usage:
    flags = ["--kubeconfig", str(world.plane.kubeconfig), "--server-side", "--force-conflicts"]
    return run([peers.kubectl(), "apply", *flags, "--filename", str(file)])
