"""What is wrong with a Kustomization's own spec is at its object, in a file that its parent renders.

So is what is wrong with files of other repositories: they can only be named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from runner.fleet import Unit
from runner.model import ResourceRef, kustomization_ref
from runner.rendered import Place, Problem

_OF_THE_SPEC = frozenset(
    {"missing_path", "missing_file", "source", "not_fetched", "variable_source", "invalid_variable_name"}
)


def placed(unit: Unit, parent: Unit | None) -> Unit:
    """The same; problems of its spec have the file and line where the Kustomization is written."""
    rendering = unit.rendering
    if rendering is None or parent is None:
        return unit
    lacking = [each for each in rendering.problems if _lacks_a_place(each, foreign=rendering.foreign)]
    if not lacking:
        return unit
    place = written(kustomization_ref(unit.id), parent)
    problems = tuple(
        replace(each, file=place.file, line=place.line) if each in lacking else each
        for each in rendering.problems
    )
    return replace(unit, rendering=replace(rendering, problems=problems))


def _lacks_a_place(problem: Problem, *, foreign: bool) -> bool:
    """A path that the spec names and nothing in the files does counts as well."""
    if problem.file:
        return False
    of_the_spec = problem.code in _OF_THE_SPEC or problem.message.startswith("component path '")
    return foreign or (of_the_spec and not problem.subject)


def homes(ids: Iterable[str], units: Mapping[str, Unit]) -> dict[str, Place]:
    """Where the objects of some Kustomizations are written; of those alone that the repository contains."""
    found: dict[str, Place] = {}
    for id_ in sorted(set(ids) & units.keys()):
        parent = units.get(units[id_].parent)
        place = written(kustomization_ref(id_), parent) if parent is not None else Place()
        if place.file and place.line:
            found[id_] = place
    return found


def written(ref: ResourceRef, parent: Unit) -> Place:
    """Where an object is written that a parent renders, in a file of this repository."""
    if parent.rendering is None or parent.rendering.foreign:
        return Place()
    places = parent.rendering.origins()
    pairs = zip(parent.objects, places, strict=False)
    return next((place for each, place in pairs if ResourceRef.of(each) == ref), Place())
