"""Entry → every Kustomization, recursively, each with its parent."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Protocol

from runner import redact
from runner.discover.places import homes, placed, written
from runner.discover.spec import is_kustomization, parse, root
from runner.errors import CycleError, UsageError
from runner.fleet import Fleet, Produced, Rendering, Unit, Variables
from runner.model import Kustomization, Manifest, ResourceRef
from runner.origins import is_origin
from runner.rendered import Problem

__all__ = [
    "Malformed",
    "Renderer",
    "children",
    "held",
    "homes",
    "is_kustomization",
    "parse",
    "placed",
    "root",
    "walk",
    "warnings",
    "written",
]

Objects = Mapping[ResourceRef, Produced]
_MOST_NAMES = 3  # after a warning
_FEW = 8  # so many builds take less time than writing all files of a large repository


class Malformed(UsageError):
    """Kustomizations that are not what Flux takes, or that two render; `fleet` has all the others."""

    def __init__(self, problems: Sequence[Problem], fleet: Fleet) -> None:
        super().__init__("\n".join(dict.fromkeys(map(str, problems))), hint=problems[0].hint)
        self.problems = tuple(dict.fromkeys(problems))
        self.fleet = fleet


class Renderer(Protocol):
    """Turns a Kustomization into objects; see the render stage."""

    def resolve(self, k: Kustomization, desired: Mapping[ResourceRef, Produced]) -> Variables: ...

    def render(self, k: Kustomization, variables: Variables, *, alone: bool = False) -> Rendering: ...

    def recalled(self, k: Kustomization, variables: Variables) -> Rendering | None: ...

    def offline(self) -> Renderer: ...


Parsed = dict[int, tuple[Manifest, Kustomization]]
"""What was read already, by the identity of the object."""


def walk(
    start: Kustomization,
    renderer: Renderer,
    pool: Executor,
    adopted: Sequence[Unit] = (),
    parsed: Parsed | None = None,
    paused: Collection[str] = (),
) -> Fleet:
    """Render the root, then the Kustomizations found in the output, until nothing new appears.

    What one renders may be the variables of another, so all are rendered again until no input changes:
    first from the desired state alone, then with what the cluster has. `adopted` are Kustomizations that
    nobody renders now but that go on with the spec they had; `parsed` is kept from one walk to the next.
    What is `paused` is treated as if its spec suspended it.

    Raises:
        Malformed: a Kustomization is, or two render it.
        CycleError: Kustomizations render each other's variables in a circle.
    """
    search = _Search(start, adopted, {} if parsed is None else parsed, frozenset(paused))
    offline = renderer.offline()
    search.settle(offline, pool)
    if offline is not renderer:
        search.settle(renderer, pool)
    units = {id_: placed(unit, search.units.get(unit.parent)) for id_, unit in search.units.items()}
    fleet = Fleet(start.id, dict(sorted(units.items())))
    if search.invalid:
        raise Malformed(search.invalid, fleet)
    return fleet


def children(unit: Unit, parsed: Parsed | None = None) -> tuple[Unit, ...]:
    """The Kustomizations that a rendered one contains, itself left out, not rendered themselves yet.

    What goes to another cluster is not followed: there it is an object like any other.

    Raises:
        UsageError: one of them is malformed.
    """
    if unit.rendering is None or unit.kustomization.target:
        return ()
    known = {} if parsed is None else parsed
    return tuple(
        Unit(child, unit.id, None, view)
        for manifest, view in zip(unit.rendering.objects, unit.rendering.shown, strict=True)
        if is_kustomization(manifest) and (child := _once(manifest, known)).id != unit.id
    )


def held(unit: Unit, paused: Collection[str]) -> Unit:
    """The unit, suspended when it is paused."""
    if unit.id not in paused:
        return unit
    return replace(unit, kustomization=replace(unit.kustomization, suspend=True))


def _once(manifest: Manifest, parsed: Parsed) -> Kustomization:
    if id(manifest) not in parsed:
        parsed[id(manifest)] = (manifest, parse(manifest))  # held, so that nothing else gets its identity
    return parsed[id(manifest)][1]


def warnings(units: Iterable[Unit]) -> tuple[str, ...]:
    """What is odd about the objects of an entry, each thing said once, with those that it is said of."""
    said: dict[str, list[str]] = {}
    for unit in units:
        for text in unit.kustomization.warnings:
            said.setdefault(text, []).append(unit.id)
    return tuple(f"{text} ({_some(sorted(ids))})" for text, ids in sorted(said.items()))


@dataclass(slots=True)
class _Search:
    """The units found so far."""

    start: Kustomization
    adopted: Sequence[Unit]
    parsed: Parsed
    paused: frozenset[str] = frozenset()
    units: dict[str, Unit] = field(default_factory=dict)
    invalid: list[Problem] = field(default_factory=list)
    _read: dict[str, tuple[Rendering | None, tuple[Unit, ...]]] = field(default_factory=dict)
    _made: dict[str, tuple[Rendering | None, Objects]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for unit in (Unit(self.start, shown=self.start.manifest), *self.adopted):
            self.units[unit.id] = held(unit, self.paused)

    def settle(self, renderer: Renderer, pool: Executor) -> None:
        """Render whatever has other inputs than last time, until nothing has."""
        rounds = 0
        while todo := self._outdated(renderer):
            self._render(renderer, pool, todo)
            self._find()
            rounds += 1
            if rounds > 2 * len(self.units) + 2:
                names = tuple(sorted(unit.id for unit, _ in todo))
                raise CycleError(
                    names,
                    f"{', '.join(names)} render each other's variables in a circle",
                    hint="a ConfigMap or Secret that substitutes a Kustomization must not depend on it.",
                )

    def _render(self, renderer: Renderer, pool: Executor, todo: Sequence[tuple[Unit, Variables]]) -> None:
        """Render each; what is remembered is not worth a thread."""
        new = []
        for unit, variables in todo:
            known = renderer.recalled(unit.kustomization, variables)
            if known is None:
                new.append((unit, variables))
            else:
                self.units[unit.id] = replace(unit, rendering=known)
        alone = len(new) <= _FEW
        rendered = pool.map(lambda item: renderer.render(item[0].kustomization, item[1], alone=alone), new)
        for (unit, _), rendering in zip(new, rendered, strict=True):
            self.units[unit.id] = replace(unit, rendering=rendering)

    def _outdated(self, renderer: Renderer) -> list[tuple[Unit, Variables]]:
        desired = self._produced()
        todo = []
        for unit in self.units.values():
            if unit.kustomization.suspend:
                continue
            variables = renderer.resolve(unit.kustomization, desired)
            known = unit.rendering.variables if unit.rendering is not None else None
            if known is not variables and known != variables:
                todo.append((unit, variables))
        return todo

    def _produced(self) -> dict[ResourceRef, Produced]:
        """Of every unit; looked for again only in those that render something else."""
        found: dict[ResourceRef, Produced] = {}
        for id_, unit in self.units.items():
            rendering, made = self._made.get(id_, (None, {}))
            if rendering is None or rendering is not unit.rendering:
                made = _produced(unit)
                self._made[id_] = (unit.rendering, made)
            found.update(made)
        return found

    def _find(self) -> None:
        """Follow the children from the root; a unit whose object is the same keeps its rendering."""
        self.invalid = []
        own = self._own_spec()
        found: dict[str, Unit] = {own.id: own}
        front = [own]
        for unit in self.adopted:
            found[unit.id] = self._known(unit)
            front.append(found[unit.id])
        while front:
            parent = front.pop(0)
            for child in self._children(parent):
                if child.id == self.start.id:
                    continue
                other = found.get(child.id)
                if other is not None and other.parent != parent.id:
                    self.invalid.append(
                        Problem(
                            "two_parents",
                            f"Kustomization {child.id} is rendered by {other.parent} and by {parent.id}",
                            "validate",
                            hint="keep it in one of them: each would take it from the other, and prune it.",
                        )
                    )
                elif other is None:
                    found[child.id] = self._known(child)
                    front.append(found[child.id])
        self.units = found

    def _own_spec(self) -> Unit:
        """The root; where its own render contains it, that spec counts."""
        unit = self.units[self.start.id]
        rendering = unit.rendering
        pairs = zip(rendering.objects, rendering.shown, strict=True) if rendering else ()
        for manifest, view in pairs:
            if not is_kustomization(manifest) or manifest["metadata"].get("name") != self.start.name:
                continue
            mine = self._parse(manifest, unit)
            if mine is not None and mine.id == self.start.id:
                if problem := self._not_the_root(mine):
                    self.invalid.append(problem)
                    return unit
                same = mine.manifest.get("spec") == unit.kustomization.manifest.get("spec")
                return unit if same else held(Unit(mine, shown=view), self.paused)
        return unit

    def _not_the_root(self, mine: Kustomization) -> Problem | None:
        """What of its own spec does not fit what the run started from."""
        if _clean(mine.path) != _clean(self.start.path):
            what = f"in {self.start.path} has spec.path {mine.path}"
            hint = "name the directory that the root names as the entry; one entry is one cluster."
        elif mine.target:
            what, hint = "has spec.kubeConfig", "run with a kubeconfig of that cluster instead."
        else:
            return None
        return Problem("malformed", f"the root {mine.id} {what}", "validate", hint=hint)

    def _children(self, parent: Unit) -> Iterable[Unit]:
        """What a unit contains; read again only when it renders something else."""
        rendering, known = self._read.get(parent.id, (None, ()))
        if rendering is not None and rendering is parent.rendering:
            return known
        try:
            known = children(parent, self.parsed)
        except UsageError:
            return self._one_by_one(parent)
        self._read[parent.id] = (parent.rendering, known)
        return known

    def _one_by_one(self, parent: Unit) -> Iterable[Unit]:
        """At least one is malformed: keep what is wrong with each."""
        found = []
        for manifest in parent.objects:
            if is_kustomization(manifest):
                child = self._parse(manifest, parent)
                if child is not None and child.id != parent.id:
                    found.append(Unit(child, parent.id, None, manifest))
        return found

    def _parse(self, manifest: Manifest, parent: Unit) -> Kustomization | None:
        """One that `parent` renders; what is wrong with it may quote a value that was substituted."""
        try:
            return parse(manifest)
        except UsageError as exc:
            place = written(ResourceRef.of(manifest), parent)
            told = redact.scrub(exc.message, redact.of(parent))
            self.invalid.append(
                Problem("malformed", told, "validate", file=place.file, line=place.line, hint=exc.hint)
            )
            return None

    def _known(self, unit: Unit) -> Unit:
        before = self.units.get(unit.id)
        if before is not None and before.kustomization.manifest == unit.kustomization.manifest:
            return replace(before, parent=unit.parent)
        return held(unit, self.paused)


def _produced(unit: Unit) -> Objects:
    """Every ConfigMap, Secret and source that a unit renders for this cluster, and what makes sources."""
    if unit.kustomization.target:
        return {}
    return {
        ResourceRef.of(manifest): Produced(unit.id, manifest)
        for manifest in unit.objects
        if (manifest["kind"] in {"ConfigMap", "Secret"} and manifest["apiVersion"] == "v1")
        or is_origin(manifest)
    }


def _some(ids: Sequence[str]) -> str:
    rest = len(ids) - _MOST_NAMES
    return ", ".join(ids[:_MOST_NAMES]) + (f" and {rest} more" if rest > 0 else "")


def _clean(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in {"", "."})
