"""What merging would do: one entry at two revisions, both rendered, compared, and told as one value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from runner import affected, discover, effects, graph, prune, signals
from runner.affected import Sides
from runner.changes import Affected, Comparison, Fault, ObjectChange, Severity, Signal
from runner.desired import Desired
from runner.errors import RunnerError
from runner.fleet import Fleet, Unit
from runner.inventory import Entry
from runner.model import Action, Held, Kustomization, SourceRevision, kustomization_ref
from runner.options import Options
from runner.ports import Cluster, PathChange
from runner.rendered import Problem
from runner.waiting import nodes

_RANK = list(Severity)
Waves = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Revisions:
    """The two sides as they are read; None is a side on which the entry does not exist."""

    base: Desired | None
    head: Desired | None
    paths: Sequence[PathChange]  # that differ between them


def compare(options: Options, revisions: Revisions) -> Comparison:
    """Render both sides, asking no cluster, and say what differs.

    A base that cannot be read at all is a fault in the result, and then nothing more is told.

    Raises:
        RenderError, UsageError: the head cannot be read at all.
    """
    after = revisions.head.fleet(cluster=None) if revisions.head else None
    return between(options, revisions, base_fleet(options, revisions.base, None), after)


def base_fleet(options: Options, base: Desired | None, cluster: Cluster | None) -> Fleet | Fault | None:
    """The base rendered, or why it cannot be; None where the entry does not exist."""
    try:
        return base.fleet(cluster=cluster) if base else None
    except RunnerError as exc:
        return Fault(options.root, "base", (Problem("base", exc.message, "build"),))


def between(
    options: Options, revisions: Revisions, before: Fleet | Fault | None, after: Fleet | None
) -> Comparison:
    """The same of two sides that are rendered already."""
    if isinstance(before, Fault):
        return replace(_bare(options, revisions, after), faults=(before,))
    sides = Sides(before, after)
    found = affected.affected(sides, revisions.paths, _definitions(sides))
    waves = graph.waves(nodes(after.units)) if after else ()
    ordered = _in_run_order(waves, [each for each in found if options.selects(each.kustomization)])
    changes = effects.effects(sides, [each.kustomization for each in ordered if not each.dependent])
    faults, held = _faults(options, sides), _held(options, sides, changes)
    seen = signals.signals(changes, _kustomizations(sides.base), _kustomizations(sides.head))
    return replace(
        _bare(options, revisions, after),
        affected=ordered,
        changes=changes,
        faults=faults,
        signals=tuple(sorted((*seen, *_guarded(held)), key=_worst_first)),
        images=signals.images(changes),
        waves=_waves(waves, ordered),
        idle=affected.idle(sides, found, revisions.paths),
        held=held,
        homes=discover.homes((each.kustomization for each in held), after.units if after else {}),
        warnings=_new_warnings(sides, ordered),
        routine=signals.routine(changes, seen) and not (faults or held),
    )


def _bare(options: Options, revisions: Revisions, after: Fleet | None) -> Comparison:
    base, head = revisions.base, revisions.head
    either = head or base
    entry = either.root.path.removeprefix("./") if either else options.entry
    return Comparison(
        "",
        entry,
        base.revision if base else "",
        head.revision if head else "",
        kustomizations=len(after) if after else 0,
        sources=_sources(head),
    )


def _sources(head: Desired | None) -> tuple[SourceRevision, ...]:
    fetched = head.checkout.fetched if head else {}
    return tuple(SourceRevision(source, found) for source, found in sorted(fetched.items()) if found)


def _kustomizations(fleet: Fleet | None) -> dict[str, Kustomization]:
    return {unit.id: unit.kustomization for unit in fleet or ()}


def _definitions(sides: Sides) -> affected.DefinedIn:
    def defined_in(unit: Unit, files: Sequence[str]) -> str:
        home = sides.after(unit.parent or unit.id)
        if home is None or not files:
            return ""
        file = discover.written(kustomization_ref(unit.id), home).file
        return file if file in files else ""

    return defined_in


def _in_run_order(waves: Waves, found: Sequence[Affected]) -> tuple[Affected, ...]:
    """As a run would take them; those that go come last."""
    order = {id_: place for place, id_ in enumerate(chain.from_iterable(waves))}
    return tuple(
        sorted(found, key=lambda each: (order.get(each.kustomization, len(order)), each.kustomization))
    )


def _waves(waves: Waves, ordered: Iterable[Affected]) -> Waves:
    chosen = {each.kustomization for each in ordered}
    kept = (tuple(id_ for id_ in wave if id_ in chosen) for wave in waves)
    return tuple(wave for wave in kept if wave)


def _faults(options: Options, sides: Sides) -> tuple[Fault, ...]:
    """What cannot be rendered. What neither side can is not this change's doing, and told all the same."""
    found = []
    for id_ in sides.ids:
        if not options.selects(id_):
            continue
        before, after = _problems(sides.before(id_)), _problems(sides.after(id_))
        side = "both" if before and after else "head" if after else "base"
        if before or after:
            found.append(Fault(id_, side, after or before))
    return tuple(found)


def _problems(unit: Unit | None) -> tuple[Problem, ...]:
    return unit.rendering.problems if unit is not None and unit.rendering is not None else ()


def _held(options: Options, sides: Sides, changes: Iterable[ObjectChange]) -> tuple[Held, ...]:
    """Deletions that the guards of a deploy would hold back, as far as Git alone can tell."""
    stale: dict[str, list[Entry]] = {}
    for change in changes:
        if change.action is Action.DELETED:
            stale.setdefault(change.kustomization, []).append(Entry(change.ref))
    emptied = [
        id_
        for id_ in stale
        if (after := sides.after(id_)) is not None and after.rendered and not after.objects
    ]
    return prune.guard(
        stale,
        emptied=emptied,
        owned=sum(len(unit.objects) for unit in sides.base or ()),
        limit=options.prune_limit,
        approved=options.approve,
    )


def _guarded(held: Iterable[Held]) -> Iterable[Signal]:
    for each in held:
        text = f"{each.reason}; the deploy will hold it back until it is approved"
        yield Signal("prune-guard", Severity.BLOCKER, text, each.kustomization)


def _worst_first(signal: Signal) -> tuple[int, str, str, str]:
    return _RANK.index(signal.severity), signal.kustomization, signal.code, str(signal.ref or "")


def _new_warnings(sides: Sides, ordered: Iterable[Affected]) -> tuple[str, ...]:
    """What is odd about the affected ones and was not so before."""
    ids = [each.kustomization for each in ordered]
    before = set(_warnings(unit for id_ in ids if (unit := sides.before(id_)) is not None))
    after = _warnings(unit for id_ in ids if (unit := sides.after(id_)) is not None)
    return tuple(text for text in after if text not in before)


def _warnings(units: Iterable[Unit]) -> list[str]:
    chosen = list(units)
    rendered = [f"{unit.id}: {text}" for unit in chosen if unit.rendering for text in unit.rendering.warnings]
    return [*discover.warnings(chosen), *rendered]
