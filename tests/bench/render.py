"""Rendering a fleet in a series: our warm workers beside a process per Kustomization."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.clients.kustomize import WorkerPool
from tests.bench import overlays, peers
from tests.bench.measure import DIRECTORY, BenchError, processor_time, resident, run
from tests.bench.table import SPREAD, mebibytes, note, number, spread, table, times
from tests.fidelity.compare import Case

AT_ONCE = (1, 2)
"""Workers of ours, and processes of a peer."""
SAMPLE = 100
"""Of a larger fleet, a peer renders only so many: it takes its time, and each takes as long as any other."""
BUILDS = 100
"""A small fleet is rendered again and again, until a repetition has at least so many builds."""
STARTS = 5


@dataclass(frozen=True)
class Laps:
    """Kustomizations rendered, a fleet or a sample of it, once or several times; seconds."""

    label: str
    each: tuple[float, ...]
    wall: float
    client: float
    """On the cores, in this process; it is not counted for a peer."""
    renderer: float
    """On the cores, in the workers or the peer's processes."""
    memory: tuple[int | None, ...] = ()

    @property
    def per_build(self) -> float:
        return self.wall / len(self.each)

    @property
    def cpu(self) -> float:
        return (self.client + self.renderer) / len(self.each)

    def row(self, ours: Laps) -> tuple[str, ...]:
        ratios = (times(ours.per_build, self.per_build), times(ours.cpu, self.cpu))
        return (
            self.label,
            f"{len(self.each):,}",
            *spread(self.each, 2, 1000),
            number(self.cpu * 1000),
            number(1 / self.per_build, 0),
            *(("", "") if self is ours else ratios),
        )


@dataclass(frozen=True)
class Peer:
    """What one other program took, and on which Kustomizations it came to other objects than we did."""

    laps: Sequence[Laps]
    different: Sequence[str]


def bench(units: int, repeats: int) -> None:
    """Print what rendering a fleet of this size takes."""
    renderers, absent = peers.renderers()
    with tempfile.TemporaryDirectory(prefix=DIRECTORY) as name:
        fleet = overlays.write(Path(name).resolve(), units)
        sample = overlays.sample(fleet, SAMPLE)
        starts = [_start_to_first_answer(fleet[0]) for _ in range(STARTS)]
        rounds = max(1, repeats * BUILDS // units)
        ours = [_ours(list(fleet) * rounds, workers) for workers in AT_ONCE]
        others = [_peer(renderer, sample) for renderer in renderers]
    pairs = [(laps, mine) for peer in others for laps, mine in zip(peer.laps, ours, strict=True)]
    table(
        f"render: a fleet of {units:,} Kustomizations; {overlays.MIXTURE}",
        ("", "builds", *(f"{each} ms" for each in SPREAD), "CPU ms", "builds/s", "× our time", "× our CPU"),
        [*(mine.row(mine) for mine in ours), *(laps.row(mine) for laps, mine in pairs)],
    )
    _notes(ours, starts)
    if others and len(sample) < units:
        note(f"a peer rendered {len(sample)} of {units:,}, sampled; ours all")
    for renderer, peer in zip(renderers, others, strict=True):
        note(_verdict(renderer.label, len(sample), peer.different))
    for text in absent:
        note(text)


def _notes(ours: Sequence[Laps], starts: Sequence[float]) -> None:
    one, two = ours
    least, median, most = spread(starts, 0, 1000)
    note(f"worker start to first answer, ms: min {least}, median {median}, max {most}")
    for laps in ours:
        workers, client = (number(share / len(laps.each) * 1000) for share in (laps.renderer, laps.client))
        memory = ", ".join(mebibytes(size) for size in laps.memory)
        note(f"{laps.label}: CPU ms {workers} in workers, {client} in the client; MiB at the end: {memory}")
    note(f"two workers beside one: {times(two.per_build, one.per_build)} the builds/s")


def _verdict(label: str, count: int, different: Sequence[str]) -> str:
    if different:
        return f"{label}: OTHER objects in {len(different)} of {count}, like {different[0]}"
    return f"{label}: the same objects in all {count}"


def _start_to_first_answer(case: Case) -> float:
    begun = time.perf_counter()
    with WorkerPool(1) as pool:
        _build(pool, case)
        return time.perf_counter() - begun


def _build(pool: WorkerPool, case: Case) -> None:
    built = pool.build(case.request)
    if not built.ok or len(built.resources) < overlays.LEAST:
        raise BenchError(f"{case.path} was not rendered: {'; '.join(map(str, built.problems))}")


def _ours(cases: Sequence[Case], workers: int) -> Laps:
    """A pool of that size, every worker of which has rendered before the clock starts."""
    with WorkerPool(workers) as pool, ThreadPoolExecutor(workers) as threads:

        def build(case: Case) -> None:
            _build(pool, case)

        _timed(threads, cases[: 2 * workers], build)
        client, renderer = time.process_time(), sum(map(processor_time, pool.pids))
        each, wall = _timed(threads, cases, build)
        return Laps(
            f"ours, {workers} warm worker{'s' if workers > 1 else ''}",
            each,
            wall,
            time.process_time() - client,
            sum(map(processor_time, pool.pids)) - renderer,
            tuple(resident(pid) for pid in pool.pids),
        )


def _peer(peer: peers.Renderer, sample: Sequence[Case]) -> Peer:
    """A process per Kustomization; its memory is not watched, so that watching takes no time."""
    spent: list[float] = []
    printed: dict[str, bytes] = {}

    def build(case: Case) -> None:
        usage = run(peer.argv(case), watch_memory=False, cwd=case.root)
        spent.append(usage.cpu)
        printed[case.path] = usage.stdout

    def laps(processes: int) -> Laps:
        with ThreadPoolExecutor(processes) as threads:
            spent.clear()
            each, wall = _timed(threads, sample, build)
        return Laps(f"{peer.label}, {processes} at once", each, wall, 0, sum(spent))

    build(sample[0])  # its program is in the page cache from now on
    found = [laps(processes) for processes in AT_ONCE]
    with WorkerPool(1) as pool:
        different = [
            case.path
            for case in sample
            if _sorted(peer.expected(pool, case)) != _sorted(_read(pool, printed[case.path]))
        ]
    return Peer(found, different)


def _timed(
    threads: ThreadPoolExecutor, cases: Sequence[Case], build: Callable[[Case], None]
) -> tuple[tuple[float, ...], float]:
    def timed(case: Case) -> float:
        begun = time.perf_counter()
        build(case)
        return time.perf_counter() - begun

    begun = time.perf_counter()
    return tuple(threads.map(timed, cases)), time.perf_counter() - begun


def _read(pool: WorkerPool, text: bytes) -> Iterable[Mapping[str, Any]]:
    return [found.object for found in pool.parse(text, "what a peer printed").objects]


def _sorted(objects: Iterable[Mapping[str, Any]]) -> list[str]:
    return sorted(json.dumps(each, sort_keys=True) for each in objects)
