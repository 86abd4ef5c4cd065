"""A chain: how soon a Kustomization starts after the one that it depends on is ready."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import yaml

from runner.health.rules import compute
from runner.model import Status
from tests.bench import manifests, peers
from tests.bench.measure import BenchError, run
from tests.bench.table import SPREAD, note, spread, table, times
from tests.bench.world import Run, World, fresh


@dataclass(frozen=True)
class Chain:
    """Seconds from the ready one to the start of the next, and from the start of each to its being ready."""

    hops: tuple[float, ...]
    links: tuple[float, ...]


def bench(units: int, repeats: int) -> None:
    """Print what waiting takes."""
    with fresh() as world:
        _warm_up(world)
        loop = [s for number in range(repeats) for s in _bare(world, f"bare-{number}", units)]
        runs = [_reconcile(world, f"chain-{number}", units) for number in range(repeats)]
        theirs = [
            s
            for number in range(repeats if peers.kubectl() else 0)
            for s in _kubectl(world, f"peer-{number}", units)
        ]
    chains = [_measured(each, units) for each in runs]
    hops = [hop for each in chains for hop in each.hops]
    links = [link for each in chains for link in each.links]
    middle = statistics.median(links)
    rows = [
        ("kustodian: hop, ready to next start", str(len(hops)), *spread(hops, 0, 1000), ""),
        ("kustodian: link, start to ready", str(len(links)), *spread(links, 0, 1000), ""),
        _row("bare loop: apply and watch", loop, middle),
    ]
    if theirs:
        rows.append(_row("kubectl: apply, rollout status", theirs, middle))
    table(
        f"wait: a chain of {units} Kustomizations with a Deployment of one replica, {len(runs)} runs",
        ("", "samples", *(f"{each} ms" for each in SPREAD), "× our link"),
        rows,
    )
    whole = [each.usage.wall for each in runs]
    note("whole run, s: min {}, median {}, max {}".format(*spread(whole)))
    if not theirs:
        note("no peer on PATH (kubectl)")


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


def _reconcile(world: World, name: str, units: int) -> Run:
    repository = world.repository(name)
    manifests.chain(repository, name, units)
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
