"""What a Kustomization failed for, each at the line of the repository where it is written.

Pure, but that `Rendering.origins` takes a build to find those lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from runner import discover
from runner.errors import RunnerError
from runner.fleet import Unit
from runner.model import Outcome, ResourceRef, State
from runner.rendered import Place, Problem, Subject


def of(outcome: Outcome, units: Mapping[str, Unit]) -> tuple[Problem, ...]:
    """The causes of a failure, as far as they can be told apart; none for whatever did not fail.

    What is not known to be of an object is placed where the Kustomization itself is written.
    """
    unit = units.get(outcome.kustomization)
    if unit is None or outcome.state is not State.FAILED:
        return ()
    placed = discover.placed(unit, units.get(unit.parent))
    if placed.rendering is not None and not placed.rendering.ok:
        return placed.rendering.problems
    home = discover.homes([unit.id], units).get(unit.id, Place())
    told = list(_told(outcome))
    if not told:
        return (Problem("failed", outcome.error, file=home.file, line=home.line, hint=outcome.hint),)
    places = written(unit)
    found = []
    for ref, problem in told:
        place = places.get(ref) or places.get(replace(ref, namespace="")) or home
        found.append(replace(problem, file=place.file, line=place.line))
    return tuple(found)


def written(unit: Unit) -> dict[ResourceRef, Place]:
    """Where the objects of a Kustomization are written; of this repository's files alone.

    An object counts without its namespace, too: a kind may turn out to have none.
    """
    if unit.rendering is None or unit.rendering.foreign:
        return {}
    found: dict[ResourceRef, Place] = {}
    with suppress(RunnerError):  # it takes a build: that this fails changes nothing in what went wrong
        for manifest, place in zip(unit.objects, unit.rendering.origins(), strict=False):
            if place.file and place.line:
                ref = ResourceRef.of(manifest)
                found[ref] = place
                found.setdefault(replace(ref, namespace=""), place)
    return found


def _told(outcome: Outcome) -> Iterator[tuple[ResourceRef, Problem]]:
    for ref, message in sorted(outcome.errors.items()):
        yield ref, Problem("refused", message, subject=_subject(ref))
    for each in outcome.unhealthy:
        if each.ref in outcome.errors:
            continue
        why = [finding for finding in outcome.diagnosis if finding.ref == each.ref]
        message = "; ".join(dict.fromkeys(map(str, why))) or str(each)
        hint = " ".join(dict.fromkeys(finding.hint for finding in why if finding.hint))
        yield each.ref, Problem("unhealthy", message, subject=_subject(each.ref), hint=hint)


def _subject(ref: ResourceRef) -> Subject:
    return Subject(ref.group, ref.version, ref.kind, ref.namespace, ref.name)
