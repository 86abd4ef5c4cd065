"""Hold what `kustodian diff` calls affected to what the real flux renders, commit by commit.

    python -m tests.fidelity.replay REPOSITORY ENTRY COMMITS

For each of the last commits (along first parents) both sides are rendered by the real flux; see `history`
for how Kustomizations are found in that. One is affected when its object's spec or what flux prints for it
differs, or when only one side has it. Where neither side can be rendered, or its parent cannot be on the side
that lacks it, or its files are elsewhere and its source is the same, flux does not know either: uncertain.
Exits with 1 when anything affected was missed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from runner import review
from runner.errors import RunnerError
from runner.options import Options
from tests.fidelity import oracle
from tests.fidelity.cli import Flux
from tests.fidelity.history import Commit, Seen, export

Side = Mapping[str, Seen]
Ours = Callable[[str, str], set[str]]


@dataclass(frozen=True)
class Row:
    """One commit: what flux finds affected, what we say; `refused` is why we say nothing."""

    commit: str
    theirs: frozenset[str] = frozenset()
    ours: frozenset[str] = frozenset()
    uncertain: frozenset[str] = frozenset()
    refused: str = ""

    @property
    def missed(self) -> list[str]:
        return [] if self.refused else sorted(self.theirs - self.ours)

    @property
    def extra(self) -> list[str]:
        return sorted(self.ours - self.theirs - self.uncertain)


def replay(repository: Path, entry: str, commits: int, flux: Flux, ours: Ours | None = None) -> list[Row]:
    """The newest commit last."""
    listing = [
        "git",
        "-C",
        str(repository),
        "rev-list",
        "--first-parent",
        "--reverse",
        f"-n{commits + 1}",
        "HEAD",
    ]
    found = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor() as threads:
        asked = ours or _ours(repository, entry, Path(scratch, "cache"))
        sides: list[Side] = []
        for commit in found:
            files = Path(scratch, commit)
            export(repository, commit, files)
            sides.append(Commit(flux, files, entry, threads).units())
            if len(sides) > 1:
                rows.append(_row(found[len(sides) - 2], commit, sides[-2], sides[-1], asked))
    return rows


def _row(base: str, head: str, before: Side, after: Side, ours: Ours) -> Row:
    try:
        said = ours(base, head)
    except RunnerError as exc:
        return Row(head, refused=exc.message)
    theirs, uncertain = set(), set()
    for id_ in {*before, *after}:
        differs = _differs(id_, before, after)
        if differs is None:
            uncertain.add(id_)
        elif differs:
            theirs.add(id_)
    return Row(head, frozenset(theirs), frozenset(said), frozenset(uncertain))


def _differs(id_: str, before: Side, after: Side) -> bool | None:
    old, new = before.get(id_), after.get(id_)
    if old is None or new is None:
        there, here = (before, after) if old is None else (after, before)
        parent = here[id_].parent
        while parent and parent not in there and parent in here:
            parent = here[parent].parent
        nearest = there.get(parent)
        return True if nearest is None or nearest.rendered else None
    if (old.spec, old.parent) != (new.spec, new.parent):
        return True
    if not (old.known and new.known):
        return True if old.output != new.output else None
    if old.output is None or new.output is None or old.rendered != new.rendered:
        return old.output is not new.output
    return old.output != new.output if old.rendered else None


def _ours(repository: Path, entry: str, cache: Path) -> Ours:
    def ours(base: str, head: str) -> set[str]:
        told = review.diff(Options(repo=repository, entry=entry, revision=head, cache=cache), base)
        if told.faults and told.faults[0].problems[0].code == "base":  # then nothing more is told
            raise RunnerError(f"the base cannot be read: {told.faults[0].problems[0]}")
        return {each.kustomization for each in told.affected if not each.dependent}

    return ours


def table(rows: Sequence[Row]) -> str:
    """One line for each commit, what was missed or extra named below it, and the totals."""
    lines = [f"{'commit':<10}{'affected':>10}{'ours':>7}{'missed':>8}{'extra':>7}{'uncertain':>11}"]
    for row in rows:
        numbers = (len(row.theirs), len(row.ours), len(row.missed), len(row.extra), len(row.uncertain))
        lines.append(f"{row.commit[:8]:<10}" + _numbers(numbers))
        lines += [f"  refused: {row.refused.splitlines()[0]}"] if row.refused else []
        lines += [f"  missed: {id_}" for id_ in row.missed] + [f"  extra: {id_}" for id_ in row.extra]
    totals = [[len(each) for each in (r.theirs, r.ours, r.missed, r.extra, r.uncertain)] for r in rows]
    lines.append(
        f"{'total':<10}" + _numbers([sum(column) for column in zip(*totals, strict=True)] or [0] * 5)
    )
    return "\n".join(lines)


def _numbers(numbers: Sequence[int]) -> str:
    return "".join(f"{number:>{width}}" for number, width in zip(numbers, (10, 7, 8, 7, 11), strict=True))


def exit_code(rows: Sequence[Row]) -> int:
    return int(any(row.missed for row in rows))


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 3:
        sys.stderr.write(__doc__ or "")
        return 2
    repository, entry, commits = arguments
    with tempfile.TemporaryDirectory() as scratch:
        rows = replay(Path(repository), entry, int(commits), Flux(oracle.flux(), Path(scratch)))
    sys.stdout.write(table(rows) + "\n")
    return exit_code(rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
