"""`kustodian lint`: what can be told to be wrong with a repository without a cluster or a network."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from runner import discover, graph, waiting
from runner.assembly import clients
from runner.clients.unfetched import UnfetchedArtifacts, UnfetchedPages, UnfetchedRepositories
from runner.configuration import FILE, Cluster, Configuration, Misconfigured
from runner.desired import Clients, Desired, NoEntry, RootNotRendered, at, configured
from runner.errors import CycleError, UsageError
from runner.fleet import Fleet, Unit, twice, two_owners
from runner.options import ROOT, Options, Precedence
from runner.remarks import Level, Remark, Remarks, merged
from runner.rendered import Place, Problem

_TOLD = re.compile(r"(?P<file>[^\s:]+):(?P<line>[1-9][0-9]*): (?P<message>.+)", re.DOTALL)
_MOST_NAMES = 6


@dataclass(frozen=True, slots=True)
class Target:
    """One entry to look at; `line` is where kustodian.yaml names it, 0 when a flag does."""

    entry: str
    root: str
    precedence: Precedence = Precedence.INLINE
    line: int = 0


def lint(chosen: Options, cluster: str) -> Remarks:
    """What is wrong with the configuration, and with one entry or every one that it names.

    Nothing is fetched. Raises UsageError when there is nothing to look at, or no such thing.
    """
    if chosen.worktree and chosen.revision != "HEAD":
        raise UsageError(f"--worktree and --revision {chosen.revision} exclude each other")
    with clients(chosen, sys.stderr, with_cluster=False) as world:
        offline = replace(
            world, fetch=UnfetchedArtifacts, clone=UnfetchedRepositories, download=UnfetchedPages
        )
        commit = "" if chosen.worktree else world.repository.resolve(chosen.revision)
        revision = world.repository.revision(commit or world.repository.resolve("HEAD"))
        try:
            known = configured(world.repository, commit)
        except Misconfigured as exc:
            wrong = (Remark(Level.ERROR, "config", f.message, FILE, f.line, hint=f.hint) for f in exc.faults)
            return Remarks(revision, (), merged((*wrong, _nothing_else())))
        targets = _targets(chosen, known, cluster)
        found: list[Remark] = []
        for number, target in enumerate(targets):
            directory = world.directory / f"entry-{number}"
            directory.mkdir()
            told = _entry(chosen, replace(offline, directory=directory), target)
            found += (replace(each, entries=(target.entry,)) for each in told)
        return Remarks(revision, tuple(target.entry for target in targets), merged(found))


def _nothing_else() -> Remark:
    return Remark(Level.NOTE, "config", f"nothing else is looked at before {FILE} can be read")


def _targets(chosen: Options, known: Configuration, cluster: str) -> list[Target]:
    if chosen.entry:
        return [Target(chosen.entry, chosen.root or ROOT)]
    named: Sequence[Cluster] = [known.cluster(cluster)] if cluster else [*known.clusters.values()]
    if not named:
        raise UsageError(
            f"no entry is given, and {FILE} names no cluster",
            hint="--entry clusters/production, for example.",
        )
    return [
        Target(
            each.entry,
            chosen.root or each.root or ROOT,
            Precedence(str(each.settings.get("substitute-precedence", Precedence.INLINE))),
            each.line,
        )
        for each in named
    ]


def _entry(chosen: Options, world: Clients, target: Target) -> Iterator[Remark]:
    """What is wrong with one entry."""
    try:
        scoped = replace(
            chosen, entry=target.entry, root=target.root, substitute_precedence=target.precedence
        )
        source = at(scoped, world)
    except NoEntry as exc:
        if not target.line:
            raise
        yield Remark(Level.ERROR, "no_entry", exc.message, FILE, target.line, hint=exc.hint)
        return
    fleet, problems = _walked(source)
    yield from (Remark(Level.ERROR, p.code, _bare(p), p.file, p.line, hint=p.hint) for p in problems)
    if fleet is None:
        return
    for unit in fleet:
        yield from _unit(unit, fleet)
    yield from _circle(fleet)
    yield from _twice(fleet)


def _walked(source: Desired) -> tuple[Fleet | None, Sequence[Problem]]:
    """Every Kustomization that can be read, and what is wrong with the others."""
    try:
        return source.fleet(cluster=None), ()
    except discover.Malformed as exc:
        return exc.fleet, exc.problems
    except RootNotRendered as exc:
        return exc.fleet, ()
    except CycleError as exc:
        return None, (Problem("cycle", exc.message, hint=exc.hint),)


def _unit(unit: Unit, fleet: Fleet) -> Iterator[Remark]:
    """What is to be said of one Kustomization."""

    def remark(level: Level, code: str, message: str) -> Remark:
        return Remark(level, code, message, *_home(unit.id, fleet), unit.id)

    for text in unit.kustomization.warnings:
        yield remark(Level.WARNING, "kustomization", text)
    for id_ in dict.fromkeys(unit.kustomization.depends_on):
        if id_ not in fleet.units:
            why = f"it depends on {id_}, which this entry does not have: only the cluster can"
            yield remark(Level.WARNING, "dependency", why)
    if unit.rendering is None:
        yield remark(Level.NOTE, "suspended", "it is suspended, so what it renders is not looked at")
        return
    yield from (_problem(each, unit, fleet) for each in unit.rendering.problems)
    yield from (_warning(text, unit, fleet) for text in unit.rendering.warnings)
    variables = unit.rendering.variables
    if unread := (*variables.unread, *variables.missing):
        names = sorted({name for left in unit.rendering.unresolved.values() for name in left})
        left = f": {_listed(names)} cannot be told from here" if names else ""
        told = f"{', '.join(map(str, unread))} is only in the cluster{left}"
        yield remark(Level.NOTE, "only_in_cluster", told)


def _problem(problem: Problem, unit: Unit, fleet: Fleet, place: Place | None = None) -> Remark:
    """At its place, else where its Kustomization is written."""
    level = Level.NOTE if problem.code == "not_fetched" else Level.ERROR
    if place is None and problem.file:
        place = Place(problem.file, problem.line)
    found = place or _home(unit.id, fleet)
    return Remark(level, problem.code, _bare(problem), *found, unit.id, problem.hint)


def _warning(text: str, unit: Unit, fleet: Fleet) -> Remark:
    told = None if _foreign(unit) else _TOLD.fullmatch(text)
    place = Place(told["file"], int(told["line"])) if told else _home(unit.id, fleet)
    return Remark(Level.WARNING, "render", told["message"] if told else text, *place, unit.id)


def _bare(problem: Problem) -> str:
    return str(replace(problem, file="", line=0))


def _foreign(unit: Unit) -> bool:
    return unit.rendering is not None and unit.rendering.foreign


def _home(id_: str, fleet: Fleet) -> Place:
    """Where a Kustomization is written; found out late, as that takes as long as a build of its parent."""
    return discover.homes([id_], fleet.units).get(id_, Place())


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    shown = ", ".join(f"${{{name}}}" for name in names[:_MOST_NAMES])
    return f"{shown} and {more} more" if more > 0 else shown


def _circle(fleet: Fleet) -> Iterator[Remark]:
    try:
        graph.check(waiting.nodes(fleet.units))
    except CycleError as exc:
        first = exc.cycle[0]
        yield Remark(Level.ERROR, "cycle", exc.message, *_home(first, fleet), first, exc.hint)


def _twice(fleet: Fleet) -> Iterator[Remark]:
    """Each object that two want, told where each of them has it."""
    for ref, ids in twice((unit.id, unit.kustomization.target, unit.objects) for unit in fleet):
        for id_ in dict.fromkeys(ids):
            unit = fleet.units[id_]
            place = discover.written(ref, unit)
            yield _problem(two_owners(ref, ids), unit, fleet, place if place.file else None)
