"""Two sides of an entry → the Kustomizations that differ, with reasons, and those that depend on them.

That something differs is read off the two renderings, which is exact; what of the change made it differ is
read off the closures of the builds, for people. Where a side cannot be rendered, the other one's silence
proves nothing: such a Kustomization counts as affected unless everything that goes into it is the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from runner import diff
from runner.changes import Affected, Cause, Why
from runner.fleet import Fleet, Rendering, Unit, Variables
from runner.model import Manifest
from runner.origins import draws
from runner.ports import PathChange, PathChangeKind
from runner.rendered import Closure, Problem

DefinedIn = Callable[[Unit, Sequence[str]], str]

IGNORE_FILE = ".sourceignore"


@dataclass(frozen=True, slots=True)
class Sides:
    """An entry before and after; None where it does not exist."""

    base: Fleet | None
    head: Fleet | None

    def before(self, id_: str) -> Unit | None:
        return self.base.units.get(id_) if self.base else None

    def after(self, id_: str) -> Unit | None:
        return self.head.units.get(id_) if self.head else None

    @property
    def ids(self) -> list[str]:
        return sorted({*(self.base.units if self.base else ()), *(self.head.units if self.head else ())})


def affected(
    sides: Sides, paths: Sequence[PathChange], defined_in: DefinedIn = lambda _unit, _files: ""
) -> tuple[Affected, ...]:
    """The affected by name, each with every reason that was found; then their dependents.

    `defined_in` says which of some files holds a Kustomization's own object, "" when none does.
    """
    found = {id_: why for id_ in sides.ids if (why := _reasons(sides, id_, paths, defined_in))}
    direct = tuple(Affected(id_, reasons) for id_, reasons in found.items())
    return direct + _dependents(sides, found)


def idle(sides: Sides, found: Iterable[Affected], paths: Sequence[PathChange]) -> tuple[str, ...]:
    """The changed files that made no difference to any Kustomization."""
    named = {why.detail for each in found for why in each.reasons}
    for each in found:
        unit = sides.after(each.kustomization) or sides.before(each.kustomization)
        if unit is not None and any(why.cause in {Cause.NEW, Cause.REMOVED} for why in each.reasons):
            named |= {
                why.detail for why in _files(unit, unit, paths)
            }  # its files are no reasons of their own
    return tuple(sorted(each.path for each in paths if not named & {each.path, each.before}))


def known_child(sides: Sides, unit: Unit, *, of_base: bool) -> bool:
    """Whether the other side could have contained a Kustomization that only this side has.

    Where its parent cannot be rendered, stands aside, or goes to another cluster, nothing is known about it
    there; nor is it where the parent itself is missing for that reason.
    """
    here, there = (sides.before, sides.after) if of_base else (sides.after, sides.before)
    parent: Unit | None = unit
    while parent is not None and parent.parent:
        if other := there(parent.parent):
            return other.rendered and not other.kustomization.target
        parent = here(parent.parent)
    return True


def _reasons(sides: Sides, id_: str, paths: Sequence[PathChange], defined_in: DefinedIn) -> tuple[Why, ...]:
    before, after = sides.before(id_), sides.after(id_)
    if before is None or after is None:
        return _one_sided(sides, before, after)
    why = set(_own(sides, before, after, paths, defined_in))
    if _rendered_alike(before, after, paths):
        return tuple(sorted(why))
    why |= set(_inputs(before, after, paths))
    why |= {Why(Cause.SOURCE, path) for path in _ignoring(before, after, paths)}
    return tuple(sorted(why or {Why(Cause.RENDER, "it renders differently")}))


def _one_sided(sides: Sides, before: Unit | None, after: Unit | None) -> tuple[Why, ...]:
    if after is not None:
        known = known_child(sides, after, of_base=False)
        return (Why(Cause.NEW, after.kustomization.path),) if known else ()
    if before is not None and known_child(sides, before, of_base=True):
        return (Why(Cause.REMOVED, before.kustomization.path),)
    return ()


def _own(
    sides: Sides, before: Unit, after: Unit, paths: Sequence[PathChange], defined_in: DefinedIn
) -> Iterator[Why]:
    """What changed about the Kustomization's own object."""
    if before.parent != after.parent:
        yield Why(Cause.MOVED, f"from {before.parent or 'nobody'} to {after.parent or 'nobody'}")
    if before.kustomization.manifest.get("spec") == after.kustomization.manifest.get("spec"):
        return
    home = sides.after(after.parent or after.id)  # the root contains itself
    fields = _fields(before, after)
    if home is not None and (own := defined_in(after, _read_by(home, paths))):
        yield Why(Cause.SPEC, own)
    elif home is None or home.id == after.id:
        yield Why(Cause.SPEC, fields)
    else:
        yield Why(Cause.PARENT, f"{home.id} changes {fields}")


def _read_by(home: Unit, paths: Iterable[PathChange]) -> tuple[str, ...]:
    """The changed files that whoever contains a Kustomization reads, and that still are there."""
    read = frozenset(home.rendering.closure.read) if home.rendering else frozenset[str]()
    return tuple(each.path for each in paths if each.path in read)


def _fields(before: Unit, after: Unit) -> str:
    old, new = before.kustomization.manifest.get("spec") or {}, after.kustomization.manifest.get("spec") or {}
    return ", ".join(f"spec.{key}" for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key))


def _rendered_alike(before: Unit, after: Unit, paths: Sequence[PathChange]) -> bool:
    """Whether both sides give the same objects; of a side without any, whether it had the same input."""
    old, new = before.rendering, after.rendering
    if old is None or new is None:
        return old is new  # a suspended one wants what it wanted
    if old.ok and new.ok:
        return old is new or (
            _same(old.objects, new.objects) and old.unresolved == new.unresolved and not undecided(old, new)
        )
    return (
        _told(old) == _told(new)
        and old.variables == new.variables
        and not any(True for _ in _files(before, after, paths))
    )


def _same(old: Sequence[Manifest], new: Sequence[Manifest]) -> bool:
    return old is new or (len(old) == len(new) and all(map(diff.same, old, new)))


def _told(rendering: Rendering) -> list[Problem]:
    """What is wrong, wherever that is written: a comment above it moves it to another line."""
    return [replace(each, file="", line=0) for each in rendering.problems]


def undecided(old: Rendering, new: Rendering) -> frozenset[str]:
    """Variables that changed while the cluster may have a value over them: their expressions are verbatim."""
    left = {name for names in (*old.unresolved.values(), *new.unresolved.values()) for name in names}
    values = old.variables.values, new.variables.values
    return frozenset(name for name in left if values[0].get(name) != values[1].get(name))


def _inputs(before: Unit, after: Unit, paths: Sequence[PathChange]) -> Iterator[Why]:
    yield from _files(before, after, paths)
    old, new = before.rendering, after.rendering
    if old is None or new is None:
        return
    yield from _variables(old.variables, new.variables)
    if old.variables.sources != new.variables.sources:
        yield Why(Cause.SOURCE, str(after.kustomization.source))
    for name in sorted(old.pins.keys() | new.pins.keys()):
        if old.pins.get(name) != new.pins.get(name):
            yield Why(Cause.SOURCE, name)
    if old.ok != new.ok:
        yield Why(Cause.RENDER, f"{'head' if old.ok else 'base'} cannot be rendered")


def _files(before: Unit, after: Unit, paths: Sequence[PathChange]) -> Iterator[Why]:
    rendered = [
        (each.kustomization.source, made) for each in (before, after) if (made := each.rendering) is not None
    ]
    # What is composed or fetched has paths of its own, which say nothing about those of the repository.
    closures = [_Reads(made) for _, made in rendered if not made.foreign]
    own = after.kustomization.path.removeprefix("./").strip("/")
    for change in paths:
        if change.kind is PathChangeKind.MODE:
            continue  # no build asks whether a file is executable
        for name in filter(None, (change.path, change.before)):
            if any(each.meets(name, change.kind) for each in closures):
                inside = not own or name == own or name.startswith(f"{own}/")
                yield Why(Cause.FILES if inside else Cause.SHARED, name)
            elif any(draws(source, made.variables.sources, name) for source, made in rendered):
                yield Why(Cause.SOURCE, name)


def _ignoring(before: Unit, after: Unit, paths: Sequence[PathChange]) -> Iterator[str]:
    """The changed ignore files above a file that one build read and the other did not find."""
    ignoring = {
        name for each in paths for name in (each.path, each.before) if name.rpartition("/")[2] == IGNORE_FILE
    }
    if not ignoring or before.rendering is None or after.rendering is None:
        return
    old, new = before.rendering.closure, after.rendering.closure
    hidden = {*_only_read(old, new), *_only_read(new, old)} - {each.path for each in paths}
    for name in ignoring:
        above = name.removesuffix(IGNORE_FILE)
        if any(path.startswith(above) for path in hidden):
            yield name


def _only_read(one: Closure, other: Closure) -> Iterator[str]:
    """What one build read where the other looked for it, or at the list that would have it, in vain."""
    read, missing, listed = frozenset(other.read), frozenset(other.missing), frozenset(other.listed)
    for path in one.read:
        if path not in read and (path in missing or path.rpartition("/")[0] in listed):
            yield path


def _variables(old: Variables, new: Variables) -> Iterator[Why]:
    for name in sorted(old.values.keys() | new.values.keys()):
        if old.values.get(name) != new.values.get(name):
            origin = (new.origins.get(name) or old.origins.get(name) or ("",))[-1]
            yield Why(Cause.VARIABLES, f"{name} ({origin})" if str(origin) else name)
    for source in sorted({*old.missing, *old.unread} ^ {*new.missing, *new.unread}, key=str):
        yield Why(Cause.VARIABLES, str(source))


@dataclass(slots=True)
class _Reads:
    """What one build looked at, to be asked about changed paths."""

    content: frozenset[str]
    listed: frozenset[str]
    missing: frozenset[str]

    def __init__(self, rendering: Rendering) -> None:
        closure: Closure = rendering.closure
        self.content = frozenset((*closure.read, *closure.links))
        self.listed = frozenset(closure.listed)
        self.missing = frozenset((*closure.missing, *closure.stat))

    def meets(self, path: str, kind: PathChangeKind) -> bool:
        """Whether a change at a path is one that this build could have seen."""
        if path in self.content:
            return True
        if kind is PathChangeKind.MODIFIED:  # no list of a directory shows that
            return False
        parent = path.rpartition("/")[0]
        return path in self.missing or parent in self.listed or any(up in self.missing for up in _above(path))


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _dependents(sides: Sides, found: Mapping[str, object]) -> tuple[Affected, ...]:
    """Whoever depends on an affected Kustomization, with the shortest way to one."""
    users: dict[str, list[str]] = {}
    for unit in sides.head or ():
        for need in _needs(unit):
            users.setdefault(need, []).append(unit.id)
    via: dict[str, tuple[str, ...]] = dict.fromkeys(sorted(found), ())
    front = deque(via)
    while front:
        id_ = front.popleft()
        for user in sorted(users.get(id_, ())):
            if user not in via:
                via[user] = (id_, *via[id_])
                front.append(user)
    return tuple(Affected(id_, via=way) for id_, way in sorted(via.items()) if way)


def _needs(unit: Unit) -> set[str]:
    producers = unit.rendering.variables.producers if unit.rendering else frozenset()
    return ({*unit.kustomization.depends_on} | producers) - {unit.id}
