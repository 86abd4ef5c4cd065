"""A chain: how soon a Kustomization starts after the one that it depends on is ready."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import yaml

from runner.health.rules import compute
from runner.model import Status
from tests.bench import manifests, peers
from tests.bench.measure import BenchError, run
from tests.bench.table import SPREAD, note, spread, table, times
from tests.bench.world import Run, World, fresh

OTHERS = 5
"""Kustomizations beside the chain, for each of its links."""


@dataclass(frozen=True)
class Chain:
    """Seconds from the ready one to the start of the next, and from the start of each to its being ready."""

    hops: tuple[float, ...]
    links: tuple[float, ...]


def bench(units: int, repeats: int) -> None:
    """Print what waiting takes."""
    others = OTHERS * units
    peer_runs = repeats if peers.kubectl() else 0
    with fresh() as world:
        _warm_up(world)
        loop = _flat(_bare(world, f"bare-{number}", units) for number in range(repeats))
        alone = [_reconcile(world, f"chain-{number}", units, 0) for number in range(repeats)]
        theirs = _flat(_kubectl(world, f"peer-{number}", units) for number in range(peer_runs))
        beside = [_reconcile(world, f"beside-{number}", units, others) for number in range(repeats)]
    among = f"among {others} others"
    rows = [*_rows("alone", alone, units), *_rows(among, beside, units)]
    middle = statistics.median(_flat(_measured(run, units).links for run in alone))
    rows.append(_row("bare loop: apply and watch", loop, middle))
    if theirs:
        rows.append(_row("kubectl: apply, rollout status", theirs, middle))
    table(
        f"wait: a chain of {units} Kustomizations with a Deployment of one replica, {repeats} runs of each",
        ("", "samples", *(f"{each} ms" for each in SPREAD), "× our link"),
        rows,
    )
    for what, runs in (("alone", alone), (among, beside)):
        least, median, most = spread([each.usage.wall for each in runs])
        note(f"whole run, {what}, s: min {least}, median {median}, max {most}")
    if not theirs:
        note("no peer on PATH (kubectl)")


def _flat(groups: Iterable[Iterable[float]]) -> list[float]:
    return [each for group in groups for each in group]


def _rows(what: str, runs: Sequence[Run], units: int) -> list[tuple[str, ...]]:
    chains = [_measured(each, units) for each in runs]
    hops, links = _flat(each.hops for each in chains), _flat(each.links for each in chains)
    return [
        (f"kustodian {what}: hop, ready to next start", str(len(hops)), *spread(hops, 0, 1000), ""),
        (f"kustodian {what}: link, start to ready", str(len(links)), *spread(links, 0, 1000), ""),
    ]


def _row(label: str, samples: Sequence[float], ours: float) -> tuple[str, ...]:
    ratio = times(ours, statistics.median(samples))
    return (label, str(len(samples)), *spread(samples, 0, 1000), ratio)


def _measured(run: Run, units: int) -> Chain:
    """Read the chain's moments in the result."""
    found = {each["name"]: each for each in run.result["kustomizations"]}
    chain = [found[name] for name in manifests.names(units)]
    started, ready = ([_moment(each[key]) for each in chain] for key in ("startedAt", "readyAt"))
    return Chain(
        hops=tuple(start - before for before, start in zip(ready, started[1:], strict=False)),
        links=tuple(end - start for start, end in zip(started, ready, strict=True)),
    )


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _reconcile(world: World, name: str, units: int, others: int) -> Run:
    repository = world.repository(name)
    manifests.chain(repository, name, units, others)
    world.settle()
    return world.reconcile(repository, home=name)


def _bare(world: World, name: str, units: int) -> list[float]:
    """The same Deployments with nothing around them; seconds until each is healthy."""
    world.make_namespace(name)
    return [_until_healthy(world, manifests.deployment(name, each, 1)) for each in manifests.names(units)]


def _warm_up(world: World) -> None:
    """The first pod of a control plane takes longer than any other."""
    _bare(world, "warm-up", 1)


def _until_healthy(world: World, manifest: manifests.Manifest) -> float:
    begun = time.perf_counter()
    meta = world.cluster.apply(manifest).manifest["metadata"]
    stream = world.cluster.watch(
        "apps", "Deployment", resource_version=meta["resourceVersion"], namespace=meta["namespace"]
    )
    with stream as events:
        for event in events:
            seen = event.manifest
            if seen["metadata"].get("name") == meta["name"] and compute(seen)[0] is Status.CURRENT:
                return time.perf_counter() - begun
    raise BenchError(f"Deployment {meta['name']}: the watch ended before it was healthy")


def _kubectl(world: World, name: str, units: int) -> list[float]:
    """The same with two processes per link."""
    world.make_namespace(name)
    where = ("--kubeconfig", world.plane.kubeconfig, "--namespace", name)
    file = world.directory / f"{name}.yaml"
    links = []
    for each in manifests.names(units):
        file.write_text(yaml.safe_dump(manifests.deployment(name, each, 1)))
        applied = run([peers.kubectl(), "apply", *where, "--server-side", "--filename", file])
        waited = run([peers.kubectl(), "rollout", "status", *where, f"deployment/{each}"])
        links.append(applied.wall + waited.wall)
    return links
