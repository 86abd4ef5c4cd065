"""What is said of any change: nothing affected is left out, nothing else is named, every reason is true.

Random fleets and edits in a real repository. What is said is found the way that `kustodian diff` goes,
with a cache that all examples share; what is so, by rendering both sides in full and from nothing.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, event, given, settings

from runner import desired, difference
from runner.changes import Cause, Comparison, Why
from runner.clients.git import GitCheckout
from runner.clients.kustomize import WorkerPool
from runner.clients.kustomize.compile import build as compile_worker
from runner.desired import Clients, Desired
from runner.errors import RunnerError
from runner.fleet import Fleet, Unit
from runner.model import Action, ResourceRef
from runner.options import Options
from runner.ports import PathChange, PathChangeKind
from runner.render import Recall
from tests.integration.fleets import ENTRY, Files, changes


class Shelf(dict):
    """A memory that forgets nothing."""

    stamp = "the code of this test run"
    put = dict.__setitem__


class Bench:
    """One repository for all examples, and workers that stay warm."""

    def __init__(self, path: Path, clients: Clients) -> None:
        self.path, self.clients, self.recall = path, clients, Recall(Shelf())

    def commit(self, files: Files) -> str:
        lines = [b"commit refs/heads/main", b"committer x <x> 0 +0000", b"data 0", b"deleteall"]
        for path, (content, executable) in sorted(files.items()):
            name = b'"%s"' % path.encode().replace(b"\n", b"\\n")
            lines.append(b"M %s inline %s" % (b"100755" if executable else b"100644", name))
            lines.append(b"data %d\n%s" % (len(content), content))
        self.git("fast-import", "--quiet", "--force", data=b"\n".join(lines) + b"\n")
        return self.git("rev-parse", "main")

    def git(self, *arguments: str, data: bytes = b"") -> str:
        done = subprocess.run(["git", *arguments], cwd=self.path, input=data, capture_output=True, check=True)
        return done.stdout.decode().strip()

    def side(self, commit: str, directory: str, recall: Recall | None = None) -> Desired | None:
        Path(directory).mkdir()
        options = Options(repo=self.path, revision=commit, entry=ENTRY)
        try:
            return desired.at(options, replace(self.clients, directory=Path(directory)), recall)
        except desired.NoEntry:
            return None


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    compile_worker()
    path = tmp_path_factory.mktemp("random") / "fleet"
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", path], check=True)
    with WorkerPool() as builder, ThreadPoolExecutor(4) as pool:
        repository = GitCheckout.open(path)
        yield Bench(path, Clients(repository, builder, None, pool, lambda _: None, path.parent))


@dataclass(frozen=True)
class Told:
    """What is said of one change, and both sides as they are; an error where a side cannot be read."""

    told: Comparison | RunnerError | None
    base: Fleet | RunnerError | None
    head: Fleet | RunnerError | None
    paths: Sequence[PathChange]


def told(bench: Bench, before: Files, after: Files) -> Told:
    base, head = bench.commit(before), bench.commit(after)
    paths = bench.clients.repository.changed(base, head)
    with tempfile.TemporaryDirectory(dir=bench.path.parent) as scratch:
        sides = [bench.side(c, f"{scratch}/{c}", bench.recall) for c in dict.fromkeys((base, head))]
        revisions = difference.Revisions(sides[0], sides[-1], paths)
        said = caught(lambda: difference.compare(Options(entry=ENTRY), revisions))
        full = [bench.side(commit, f"{scratch}/{commit}-full") for commit in dict.fromkeys((base, head))]
        is_ = [caught(lambda side=side: side.fleet(cluster=None)) if side else None for side in full]
    return Told(said if any(sides) else None, is_[0], is_[-1], paths)


def caught(ask):
    try:
        return ask()
    except RunnerError as exc:
        return exc


@settings(
    max_examples=int(os.environ.get("EXAMPLES", "150")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(changes())
def test_what_is_said_of_any_change_is_so(bench: Bench, change: tuple[Files, Files]):
    found = told(bench, *change)
    if isinstance(found.told, RunnerError) or isinstance(found.head, RunnerError):
        event("the head cannot be read")
        assert str(found.told) == str(found.head)
    elif isinstance(found.base, RunnerError):
        event("the base cannot be read")
        assert [fault.side for fault in found.told.faults] == ["base"]
    elif found.told is not None:
        event("both sides can be read")
        Check(found).everything()


def data_of(objects: Sequence[object]) -> bytes:
    return orjson.dumps(list(objects), option=orjson.OPT_SORT_KEYS)


class Check:
    """One comparison, held against both sides."""

    def __init__(self, found: Told) -> None:
        self.told, self.paths = found.told, found.paths
        self.before = dict(found.base.units) if found.base else {}
        self.after = dict(found.head.units) if found.head else {}
        self.changed = {name for each in self.paths for name in (each.path, each.before) if name}
        self.reasons = {each.kustomization: each.reasons for each in self.told.affected}

    def everything(self) -> None:
        for id_ in {*self.before, *self.after}:
            reasons = self.reasons.get(id_, ())
            differs = self.differs(id_)
            if differs is not None:
                assert bool(reasons) == differs, (id_, reasons, self.paths)
            for why in reasons:
                self.is_true(why, id_)
        self.dependents()
        self.objects()
        named = {why.detail for reasons in self.reasons.values() for why in reasons}
        for id_ in (self.before.keys() ^ self.after.keys()) & self.reasons.keys():
            unit = self.before.get(id_) or self.after[id_]
            named |= {name for name in self.changed if self.seen(name, unit)}
        assert set(self.told.idle) == {c.path for c in self.paths if not named & {c.path, c.before}}

    def differs(self, id_: str) -> bool | None:
        """Whether spec or rendering do; None where that cannot be known."""
        old, new = self.before.get(id_), self.after.get(id_)
        if old is None or new is None:
            return self.could_be_there(old, new)
        if old.parent != new.parent or spec(old) != spec(new):
            return True
        if old.rendering is None or new.rendering is None:
            return old.rendering is not new.rendering
        if old.rendering.ok and new.rendering.ok:
            same = data_of(old.objects) == data_of(new.objects)
            return not same or old.rendering.unresolved != new.rendering.unresolved
        return True if old.rendering.ok != new.rendering.ok else None

    def could_be_there(self, old: Unit | None, new: Unit | None) -> bool:
        """Whether the side that lacks one can tell: the nearest parent that it has is rendered."""
        unit, here, there = (old, self.before, self.after) if old else (new, self.after, self.before)
        while unit.parent:
            if unit.parent in there:
                return there[unit.parent].rendered
            unit = here[unit.parent]
        return True

    def is_true(self, why: Why, id_: str) -> None:
        old, new = self.before.get(id_), self.after.get(id_)
        match why.cause:
            case Cause.NEW | Cause.REMOVED:
                assert (old is None, new is None) == (why.cause is Cause.NEW, why.cause is Cause.REMOVED)
            case Cause.MOVED:
                assert old.parent != new.parent
            case Cause.SPEC | Cause.PARENT:
                self.spec_changed(why, old, new)
            case Cause.FILES | Cause.SHARED:
                assert self.seen(why.detail, old, new), (why, old, new)
                own = new.kustomization.path.removeprefix("./")
                assert why.detail.startswith(f"{own}/") == (why.cause is Cause.FILES)
            case Cause.VARIABLES:
                variable_changed(why.detail, old, new)
            case Cause.SOURCE:
                assert why.detail in self.changed
                assert why.detail.endswith(".sourceignore")
            case Cause.RENDER:
                assert why.detail != "it renders differently"
                assert (why.detail == "base cannot be rendered") == (not old.rendering.ok)

    def spec_changed(self, why: Why, old: Unit, new: Unit) -> None:
        """A file names the spec only where whoever contains the Kustomization reads it; fields differ."""
        assert spec(old) != spec(new)
        if why.detail in self.changed:
            assert why.cause is Cause.SPEC
            assert why.detail in self.after[new.parent or new.id].rendering.closure.read
            return
        assert (why.cause is Cause.PARENT) == bool(new.parent)  # the root may lose its object altogether
        fields = why.detail.removeprefix(f"{new.parent} changes ").split(", ")
        assert all(part(old, field) != part(new, field) for field in fields)

    def seen(self, path: str, *units: Unit | None) -> bool:
        """Whether a build looked at a path that changed."""
        (change,) = [each for each in self.paths if path in {each.path, each.before}]
        if change.kind is PathChangeKind.MODE:
            return False
        for closure in [unit.rendering.closure for unit in units if unit and unit.rendering]:
            above = [str(each) for each in Path(path).parents]
            if path in {*closure.read, *closure.missing} or {*above} & {*closure.missing}:
                return True
            if change.kind is not PathChangeKind.MODIFIED and (
                above[0] in closure.listed or path in closure.stat
            ):
                return True
        return False

    def dependents(self) -> None:
        """Whoever waits for an affected one, however far away, and nobody else; the way is one."""
        needs = {id_: needed(unit) for id_, unit in self.after.items()}
        reached = {id_ for id_, reasons in self.reasons.items() if reasons}
        while more := {id_ for id_, on in needs.items() if on & reached} - reached:
            reached |= more
        assert reached == set(self.reasons)
        for each in self.told.affected:
            for user, need in zip((each.kustomization, *each.via), each.via, strict=False):
                assert need in needs[user]

    def objects(self) -> None:
        """Every object that one side has and the other has not, or has otherwise, is told; no other is."""
        if self.told.faults or not all(u.rendered for u in (*self.before.values(), *self.after.values())):
            return
        old, new = wanted(self.before), wanted(self.after)
        expected = {ref for ref in {*old, *new} if old.get(ref) != new.get(ref)}
        said = {ref for each in self.told.changes for ref in (each.ref, each.was) if ref is not None}
        assert said == expected
        gone = {each.ref for each in self.told.changes if each.action is Action.DELETED}
        assert gone <= old.keys() - new.keys()


def spec(unit: Unit) -> bytes:
    return data_of([unit.kustomization.manifest["spec"]])


def part(unit: Unit, field: str) -> object:
    return unit.kustomization.manifest["spec"].get(field.removeprefix("spec."))


def value(unit: Unit, name: str) -> str | None:
    return unit.rendering.variables.values.get(name)


def variable_changed(detail: str, old: Unit, new: Unit) -> None:
    """Another value, by the origin that is named; or another source without an answer."""
    name = detail.partition(" ")[0]
    if "/" in name:
        assert (name in unanswered(old)) != (name in unanswered(new))
    else:
        assert value(old, name) != value(new, name)
        assert detail == name or name in sources(old, new, detail)


def sources(old: Unit, new: Unit, detail: str) -> set[str]:
    """The variables whose origin is the one in brackets."""
    origins = [unit.rendering.variables.origins for unit in (old, new)]
    return {name for each in origins for name, found in each.items() if f"({found[-1]})" in detail}


def unanswered(unit: Unit) -> set[str]:
    variables = unit.rendering.variables
    return {str(source) for source in (*variables.unread, *variables.missing)}


def needed(unit: Unit) -> set[str]:
    producers = unit.rendering.variables.producers if unit.rendering else frozenset()
    return {*unit.kustomization.depends_on, *producers} - {unit.id}


def wanted(units: dict[str, Unit]) -> dict[ResourceRef, object]:
    return {ResourceRef.of(o): (unit.id, data_of([o])) for unit in units.values() for o in unit.objects}
