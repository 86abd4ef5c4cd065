"""`python -m tests.bench [NAME...]`: print paired figures; no figure fails it."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import NamedTuple

from runner.clients.kustomize import WorkerPool
from runner.errors import RunnerError
from tests.bench import action, apply, diff, drift, peers, reconcile, render, wait
from tests.bench.measure import BenchError
from tests.bench.table import say
from tests.bench.world import isolate


class Benchmark(NamedTuple):
    """What to run, and at which sizes: units of a whole and of a quick run."""

    run: Callable[[int, int], None]
    sizes: tuple[int, ...]
    quick: tuple[int, ...]


BENCHMARKS = {
    "render": Benchmark(render.bench, (10, 100, 1000), (10,)),
    "diff": Benchmark(diff.bench, (500,), (20,)),
    "reconcile": Benchmark(reconcile.bench, (100,), (20,)),
    "wait": Benchmark(wait.bench, (10,), (4,)),
    "apply": Benchmark(apply.bench, (1000,), (20,)),
    "drift": Benchmark(drift.bench, (1000,), (20,)),
    "action": Benchmark(action.bench, (10,), (2,)),
}
REPEATS = 3


def main() -> int:
    """Run what was asked for; 1 when something could not be measured."""
    options = _options()
    signal.signal(signal.SIGTERM, _end)
    isolate()
    begun = time.monotonic()
    try:
        say(_machine())
        for name in [each for each in BENCHMARKS if each in options.names or not options.names]:
            chosen = BENCHMARKS[name]
            for units in options.units or (chosen.quick if options.quick else chosen.sizes):
                chosen.run(units, 1 if options.quick else REPEATS)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except (BenchError, RunnerError, RuntimeError, TimeoutError, OSError) as error:
        say(f"bench: {error}")
        return 1
    say(f"\n{time.monotonic() - begun:.0f} s in all; load {os.getloadavg()[0]:.1f} at the end")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Speed, ours and a peer's (or a ceiling) in one run. Nothing is judged.",
    )
    parser.add_argument("names", nargs="*", metavar="|".join(BENCHMARKS), help="which; default: all")
    parser.add_argument(
        "--units", type=_sizes, metavar="N,...", help="Kustomizations, instead of each one's default"
    )
    parser.add_argument("--quick", action="store_true", help="small and once")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - BENCHMARKS.keys()):
        parser.error(f"there is no benchmark {', '.join(unknown)}; choose from {', '.join(BENCHMARKS)}")
    return options


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(int(each) for each in text.split(","))
    if min(sizes) < 2:
        raise argparse.ArgumentTypeError("at least 2")
    return sizes


def _machine() -> str:
    with WorkerPool(1) as pool:
        worker = pool.version()
    kubectl = peers.kubectl_version("gitVersion") if peers.kubectl() else "not on PATH"
    system = f"{platform.system()} {platform.machine()}"
    return "; ".join(
        (
            f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {system}",
            f"Python {platform.python_version()}",
            f"worker: Flux {worker.flux}, kustomize {worker.kustomize}, {worker.go}",
            f"kubectl {kubectl}",
        )
    )


def _end(number: int, _frame: FrameType | None) -> None:
    """Leave through every `with`, so that nothing is left."""
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
