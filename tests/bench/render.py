"""Rendering: our warm workers beside a process per overlay."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import yaml

from runner.clients.kustomize import WorkerPool
from runner.rendered import BuildRequest
from tests.bench import manifests, peers
from tests.bench.measure import BenchError, processor_time, resident, run
from tests.bench.table import SPREAD, mebibytes, note, number, spread, table, times

Item = TypeVar("Item")

OBJECTS = 4
SITE = {"site": "north"}


@dataclass(frozen=True)
class Laps:
    """All overlays rendered, once or several times; seconds."""

    label: str
    each: tuple[float, ...]
    wall: float
    cpu: float

    def row(self, ours: Laps) -> tuple[str, ...]:
        count = len(self.each)
        ratio = "" if self is ours else times(ours.wall / len(ours.each), self.wall / count)
        cpu, rate = number(self.cpu / count * 1000), number(count / self.wall, 0)
        return (self.label, *spread(self.each, 2, 1000), cpu, rate, ratio)


def bench(units: int, repeats: int) -> None:
    """Print what rendering takes."""
    cores = os.cpu_count() or 1
    peer = peers.renderer()
    with tempfile.TemporaryDirectory(prefix="kustodian-bench-") as name:
        directory = Path(name).resolve()
        paths = manifests.overlays(directory, units)
        requests = [_request(directory, path) for path in paths]
        starts = [_start_to_first_answer(requests[0]) for _ in range(repeats)]
        memory, ours = _ours(requests, repeats, cores)
        others = _peer(peer, directory, paths, cores) if peer else []
        same = _same_objects(peer, directory, requests[0]) if peer else None
    rows = [mine.row(mine) for mine in ours]
    rows += [other.row(mine) for other, mine in zip(others, ours, strict=False)]
    table(
        f"render: {units} overlays (base, patch, namespace) of {OBJECTS} objects, ours with substitution",
        ("per build", *(f"{each} ms" for each in SPREAD), "CPU ms", "builds/s", "× ours' time"),
        rows,
    )
    least, median, most = spread(starts, 0, 1000)
    note(f"worker start to first answer, ms: min {least}, median {median}, max {most}")
    note(f"worker memory after {units * repeats * 2} builds, MiB each: {memory}")
    if same is None:
        note("no peer on PATH (kustomize, kubectl)")
    else:
        note(f"the peer renders the same objects: {'yes' if same else 'NO'}")


def _request(directory: Path, path: str) -> BuildRequest:
    spec = {"postBuild": {"substitute": SITE}}
    kustomization = manifests.kustomization("flux-system", Path(path).name, path, **spec)
    return BuildRequest(directory, path, kustomization, SITE)


def _start_to_first_answer(request: BuildRequest) -> float:
    begun = time.perf_counter()
    with WorkerPool(1) as pool:
        _build(pool, request)
        return time.perf_counter() - begun


def _build(pool: WorkerPool, request: BuildRequest) -> None:
    built = pool.build(request)
    if not built.ok or len(built.resources) != OBJECTS:
        raise BenchError(f"{request.path} was not rendered: {'; '.join(map(str, built.problems))}")


def _ours(requests: Sequence[BuildRequest], repeats: int, cores: int) -> tuple[str, list[Laps]]:
    """One at a time, then as many at once as there are cores; the workers' memory before those."""
    with WorkerPool(cores) as pool:

        def build(request: BuildRequest) -> None:
            _build(pool, request)

        def used() -> float:
            return time.process_time() + sum(processor_time(pid) for pid in pool.pids)

        _laps("", requests[: 2 * cores], build, used, cores)  # every worker runs and has rendered
        many = list(requests) * repeats
        laps = [
            _laps("ours, warm, one at a time", many, build, used, 1),
            _laps(f"ours, warm, {cores} at once", many, build, used, cores),
        ]
        memory = ", ".join(mebibytes(resident(pid)) for pid in pool.pids)
    return memory, laps


def _peer(peer: peers.Renderer, directory: Path, paths: Sequence[str], cores: int) -> list[Laps]:
    """A process per overlay; its memory is not watched, so that watching takes no time."""
    spent: list[float] = []

    def build(path: str) -> None:
        spent.append(run(peer.argv(directory / path), watch_memory=False).cpu)

    def used() -> float:
        return sum(spent)

    build(paths[0])  # its program and the overlays are in the page cache from now on
    return [
        _laps(f"{peer.label}, one at a time", paths, build, used, 1),
        _laps(f"{peer.label}, {cores} at once", paths, build, used, cores),
    ]


def _laps(
    label: str, items: Sequence[Item], build: Callable[[Item], None], used: Callable[[], float], threads: int
) -> Laps:
    def timed(item: Item) -> float:
        begun = time.perf_counter()
        build(item)
        return time.perf_counter() - begun

    with ThreadPoolExecutor(threads) as pool:
        before, begun = used(), time.perf_counter()
        each = tuple(pool.map(timed, items))
        return Laps(label, each, time.perf_counter() - begun, used() - before)


def _same_objects(peer: peers.Renderer, directory: Path, request: BuildRequest) -> bool:
    """Whether both render the same objects, apart from what only ours substitutes."""
    theirs = run(peer.argv(directory / request.path)).stdout.decode()
    for name, value in SITE.items():
        theirs = theirs.replace(f"${{{name}}}", value)
    with WorkerPool(1) as pool:
        ours = [dict(resource.object) for resource in pool.build(request).resources]
    return sorted(map(yaml.safe_dump, ours)) == sorted(map(yaml.safe_dump, yaml.safe_load_all(theirs)))
