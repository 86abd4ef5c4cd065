"""Comparing two commits of a fleet: our command line, and what else tells the same or less."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.bench import compared, peers
from tests.bench.compared import ALL, BASE, ONE, Fleet
from tests.bench.measure import DIRECTORY, BenchError, Usage, run
from tests.bench.table import SPREAD, mebibytes, note, number, spread, table, times
from tests.fidelity import oracle

FILES = 10_000
_ONE, _ALL = "one overlay, base in cache", "the base of all, no cache"
LARGE = 100
"""Kustomizations from which on a repository with so many files is measured too."""
SAMPLE = 10
"""Of many affected ones, the real flux renders only so many: each takes as long as any other."""


@dataclass
class Row:
    """One thing that is measured again and again; `scale` is what a sample stands for."""

    label: str
    once: Callable[[], Usage]
    of: str = ""  # the row of ours that it is to be held against
    scale: float = 1.0
    usages: list[Usage] = field(default_factory=list)

    def measure(self) -> None:
        self.usages.append(self.once())

    @property
    def walls(self) -> list[float]:
        return [each.wall * self.scale for each in self.usages]

    def cells(self, ours: Row | None) -> tuple[str, ...]:
        cpu = statistics.median(each.cpu for each in self.usages) * self.scale
        marks = [each.memory for each in self.usages if each.memory]
        ratio = times(statistics.median(ours.walls), statistics.median(self.walls)) if ours else ""
        return (
            self.label,
            str(len(self.usages)),
            *spread(self.walls),
            number(cpu),
            mebibytes(max(marks) if marks else None),
            ratio,
        )


def bench(units: int, repeats: int) -> None:
    """Print what comparing two commits of a fleet of this size takes."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is compiled; so is what is measured
    with tempfile.TemporaryDirectory(prefix=DIRECTORY) as name:
        directory = Path(name).resolve()
        fleet = compared.write(directory / "fleet", units)
        rows, absent = _ours(fleet, directory), list[str]()
        if units >= LARGE:
            wide = compared.write(directory / "wide", units, FILES)
            rows += _cached(wide, directory / "wide-cache", f"of {FILES:,} files, one overlay", "-o", "name")
        rows += [Row("git diff, one overlay", partial(_git_diff, fleet), _ONE)]
        rows += [*_flux(fleet, absent), *_flate(fleet, absent)]
        failed = _measured(rows, repeats)
    by_label = {row.label: row for row in rows}
    table(
        f"diff: a fleet of {units:,} Kustomizations of {compared.OBJECTS} objects, one base; processes, cold",
        ("", "runs", *(f"{each} s" for each in SPREAD), "CPU s", "MiB", "× our time"),
        [row.cells(by_label.get(row.of)) for row in rows if row.usages],
    )
    note("CPU: ours, git's and the workers' together; MiB: the sum of the high-water marks of all of these")
    for text in (*failed, *absent):
        note(text)


def _measured(rows: Sequence[Row], repeats: int) -> list[str]:
    """By turns, so that what else the machine does hits all alike; what a peer fails at is told."""
    failed: dict[str, str] = {}
    for _ in range(repeats):
        for row in rows:
            try:
                row.measure()
            except BenchError as exc:
                if not row.of:
                    raise
                failed[row.label] = f"{row.label}: {exc}"
    return list(failed.values())


def _ours(fleet: Fleet, directory: Path) -> list[Row]:
    return [
        *_cached(fleet, directory / "cache", "one overlay"),
        Row("one overlay, no cache", partial(_diff, fleet, ONE, "--no-cache")),
        Row(_ALL, partial(_diff, fleet, ALL, "--no-cache")),
        Row("--help", lambda: run([*_COMMAND, "--help"])),
    ]


def _cached(fleet: Fleet, cache: Path, label: str, *flags: str) -> list[Row]:
    """With what a run on the base branch kept, and with what the same comparison kept."""
    _diff(fleet, BASE, "--cache-dir", str(cache))

    def base_only() -> Usage:
        with _copied(cache) as copy:
            return _diff(fleet, ONE, "--cache-dir", str(copy), *flags)

    both = cache.with_name(f"{cache.name}-both")
    shutil.copytree(cache, both)
    _diff(fleet, ONE, "--cache-dir", str(both))
    return [
        Row(f"{label}, base in cache", base_only),
        Row(f"{label}, both in cache", lambda: _diff(fleet, ONE, "--cache-dir", str(both), *flags)),
    ]


@contextmanager
def _copied(cache: Path) -> Iterator[Path]:
    copy = cache.with_name(f"{cache.name}-copy")
    shutil.copytree(cache, copy)
    try:
        yield copy
    finally:
        shutil.rmtree(copy)


_COMMAND = (sys.executable, "-m", "runner.cli")


def _diff(fleet: Fleet, head: str, *flags: str) -> Usage:
    where = ("--repo", str(fleet.path), "--entry", compared.ENTRY, "--root", compared.ROOT)
    usage = run([*_COMMAND, "diff", *where, "--base", BASE, "--head", head, *flags])
    expected = {BASE: 0, ONE: 1, ALL: fleet.units}[head]
    if "-o" not in flags and expected and f"{expected} configured".encode() not in usage.stdout:
        raise BenchError(f"diff {head}: not {expected} changes: {usage.stdout[:200]!r}")
    return usage


def _git_diff(fleet: Fleet) -> Usage:
    return run(["git", "-C", str(fleet.path), "diff", BASE, ONE])


def _flux(fleet: Fleet, absent: list[str]) -> list[Row]:
    """Both sides of every affected one, a process each, by somebody who knows which those are."""
    program = oracle.found()
    if program is None:
        absent.append(peers.NO_FLUX)
        return []
    flux = peers.Flux(f"flux {oracle.VERSION} build", program)
    middle = fleet.units // 2
    some = range(min(SAMPLE, fleet.units))

    def loop(branches: Sequence[Path], numbers: Sequence[int]) -> Usage:
        cases = [fleet.cases(tree)[number] for tree in branches for number in numbers]
        return _sum([run(flux.argv(case), cwd=case.root) for case in cases])

    base, one, everything = (fleet.worktree(branch) for branch in (BASE, ONE, ALL))
    scale = fleet.units / len(some)
    sampled = f", {len(some)} of {fleet.units:,}" if scale > 1 else ""
    return [
        Row(f"{flux.label}, one overlay", partial(loop, (base, one), (middle,)), _ONE),
        Row(
            f"{flux.label}, the base of all{sampled}",
            partial(loop, (base, everything), some),
            _ALL,
            scale,
        ),
    ]


def _sum(usages: Sequence[Usage]) -> Usage:
    marks = [each.memory for each in usages if each.memory]
    wall, cpu = sum(each.wall for each in usages), sum(each.cpu for each in usages)
    return Usage(wall, cpu, max(marks, default=None), b"")


def _flate(fleet: Fleet, absent: list[str]) -> list[Row]:
    """It compares the work tree with a commit, and renders only what the changed files belong to."""
    program = shutil.which("flate")
    if program is None:
        absent.append(f"{peers.NOT_HERE}flate diff (flate on PATH)")
        return []
    trees = {branch: fleet.path.with_name(f"{fleet.path.name}-flate-{branch}") for branch in (ONE, ALL)}
    for branch, tree in trees.items():
        fleet.repository.git("worktree", "add", "--quiet", "--detach", str(tree), branch)

    def diff(tree: Path) -> Usage:
        return run([program, "diff", "ks", "--path", compared.ENTRY, "--base", BASE], cwd=tree)

    return [
        Row("flate diff, one overlay", partial(diff, trees[ONE]), _ONE),
        Row("flate diff, the base of all", partial(diff, trees[ALL]), _ALL),
    ]
