"""What the commands beside `reconcile` do; the command line only reads flags and prints."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner import correction, desired, discover, pipeline, policy, redact, release, rollback
from runner.assembly import clients
from runner.correction import Watch
from runner.drift import Drift
from runner.durations import seconds
from runner.errors import ExitCode, UsageError
from runner.fleet import Fleet, Provenance, Unit
from runner.handover import Origin
from runner.model import ResourceRef, Run
from runner.options import ROOT, Dependents, Options, Precedence, PruneLimit, PruneOrder
from runner.policy import Heal
from runner.render.explain import provenance
from runner.report import handover, json, text
from runner.report.views import BuildView, Scope
from runner.store import Store

_LIMIT = re.compile(r"(\d+),(\d+(?:\.\d+)?)%")


def options(  # noqa: PLR0913 -- one argument for each flag
    *,
    names: Sequence[str],
    namespace: str,
    all_namespaces: bool,
    repo: Path = Path(),
    root: str = ROOT,
    approve: Sequence[str] = (),
    prune_limit: str = "10,20%",
    lock_timeout: str = "10m",
    lease_duration: str = "30s",
    substitute_precedence: str = Precedence.INLINE,
    dependents: str = Dependents.RECONCILE,
    prune_order: str = PruneOrder.AFTER_HEALTH,
    timeout: str = "",
    values: Sequence[Path] = (),
    **rest: Any,  # noqa: ANN401 -- flags that are options as they are
) -> Options:
    """Options from flags. Raises UsageError."""
    if all_namespaces and namespace:
        raise UsageError("-n and -A exclude each other", hint="-A, all namespaces, is the default.")
    if rest.get("worktree") and rest.get("revision", "HEAD") != "HEAD":
        raise UsageError(
            f"--worktree is what the files are now, not what they are in {rest['revision']}",
            hint="leave one of the two out.",
        )
    if values and rest.get("dry_run") is False:
        raise UsageError("--values is for dry runs", hint="a deploy takes its values from the cluster.")
    own = namespace or root.partition("/")[0]
    return Options(
        repo=repo,
        root=root,
        names=frozenset(name if "/" in name else f"{own}/{name}" for name in names),
        namespace=namespace,
        approve=frozenset(approve),
        prune_limit=parse_prune_limit(prune_limit),
        lock_timeout=_seconds("--lock-timeout", lock_timeout),
        lease_duration=_seconds("--lease-duration", lease_duration),
        substitute_precedence=Precedence(substitute_precedence),
        dependents=Dependents(dependents),
        prune_order=PruneOrder(prune_order),
        timeout=_seconds("--timeout", timeout) if timeout else math.inf,
        values=tuple(values),
        **rest,
    )


def parse_prune_limit(given: str) -> PruneLimit:
    """`10,20%`: more than 10 objects and more than 20 % of the inventory. Raises UsageError."""
    match = _LIMIT.fullmatch(given.replace(" ", ""))
    if match is None:
        raise UsageError(f"prune limit {given!r} is not OBJECTS,PERCENT%", hint="10,20% is the default.")
    return PruneLimit(int(match[1]), float(match[2]))


def exit_code(result: Run, *, differences: bool = False) -> int:
    """What the process says about a run that came to its end."""
    if result.interrupted:
        return 128 + result.interrupted
    if result.superseded:
        return ExitCode.LOCKED
    if result.failed or result.timed_out:
        return ExitCode.FAILED
    if any(held.digest for held in result.held):
        return ExitCode.GUARD
    if differences and any(outcome.changed for outcome in result.outcomes):
        return ExitCode.DIFFERENCES
    return ExitCode.DONE


def build(
    chosen: Options, output: str, *, show_secrets: bool, explained: bool = False
) -> tuple[str, list[str], int]:
    """The rendered objects or their variables, what could not be rendered, and the exit code."""
    if explained and output == "name":
        raise UsageError("--explain has no -o name", hint="-o text and -o json show variables.")
    with clients(chosen, sys.stderr, with_cluster=False) as world:
        source = desired.at(chosen, world)
        fleet = source.fleet(cluster=None)
        units = selected(chosen, fleet)
        views = [_view(unit, show_secrets=show_secrets) for unit in units]
        if explained:
            views = _explained(source, fleet, units, views)
        code = int(ExitCode.FAILED if any(view.errors for view in views) else ExitCode.DONE)
        problems = [
            f"{view.namespace}/{view.name}: {line}" for view in views for line in text.problems(view.errors)
        ]
        problems += [
            f"{unit.id}: warning: {w}" for unit in units if unit.rendering for w in unit.rendering.warnings
        ]
        problems += [f"{unit.id}: {line}" for unit in units for line in _unknown(unit)]
        problems += [f"warning: {line}" for line in discover.warnings(units)]
        if output == "json":
            scope = Scope("", source.root.path.removeprefix("./"), source.revision)
            views = list(world.pool.map(_with_origins, views, units))
            return json.build(scope, views, code), problems, code
        if explained:
            return text.variables(views), problems, code
        everything = [manifest for view in views for manifest in view.resources]
        if output == "name":
            return "".join(f"{ResourceRef.of(manifest)}\n" for manifest in everything), problems, code
        return world.builder.encode(everything) if everything else "", problems, code


def diff_flux(chosen: Options) -> tuple[str, int]:
    """What the real flux makes of the same Kustomizations, where that differs from ours."""
    from runner.clients.flux import FluxCommand
    from runner.comparison import against

    flux = FluxCommand.on_path()
    with clients(chosen, sys.stderr, with_cluster=False) as world:
        source = desired.at(chosen, world)
        units = selected(chosen, source.fleet(cluster=None))
        told, different = against(flux, source, units)
    return told, int(ExitCode.DIFFERENCES if different else ExitCode.DONE)


def rolled_back(chosen: Options, to: str, *, live: bool) -> Run:
    """Deploy a revision that the cluster has on record, by the way of every deploy."""
    with clients(chosen, sys.stderr, with_cluster=True, live=live) as world:
        records = Store(world.reachable()).load()
        target = rollback.choose(records, chosen.root, next(iter(chosen.names), ""), to)
        commit = world.repository.ensure(target.commit)
        back = replace(chosen, revision=commit, allow_older=True, rollback=target.replaced)
        return pipeline.reconcile(back, world)


def watch(given: str, heal: str, *, due: bool) -> Watch:
    """What a look at drift may do. Raises UsageError."""
    try:
        default = policy.parse(given)
    except ValueError as exc:
        raise UsageError(f"--policy: {exc}") from exc
    return Watch(default, parse_heal(heal), due)


def parse_heal(given: str) -> frozenset[Heal]:
    """`drift,failed`; `none` is nothing. Raises UsageError."""
    parts = {part for raw in given.split(",") if (part := raw.strip())} - {"none"}
    if unknown := sorted(parts - set(Heal)):
        raise UsageError(f"heal: {unknown[0]!r} is none of {', '.join(Heal)}", hint="none mends nothing.")
    return frozenset(map(Heal, parts))


def drift(chosen: Options, asked: Watch, output: str, *, differences: bool) -> tuple[str, int]:
    """What is not as it was deployed, and the exit code."""
    from runner.report import issue

    if chosen.worktree:
        raise UsageError(
            "--worktree: drift is told from what was deployed, which is a commit",
            hint="`kustodian plan --worktree` shows what these files would change.",
        )
    with clients(chosen, sys.stderr, with_cluster=True) as world:
        told = correction.run(chosen, world, asked)
    code = drift_code(told, differences=differences)
    match output:
        case "json":
            return json.drift(told, code), code
        case "markdown":
            return issue.markdown(told), code
        case _:
            run = f"\n{text.reconcile(told.run)}" if told.run is not None else ""
            return text.drift(told) + run, code


def drift_code(told: Drift, *, differences: bool = False) -> int:
    """What the process says about drift: a correction counts like a deploy."""
    if told.run is not None and (code := exit_code(told.run)):
        return code
    if told.not_run:
        return ExitCode.LOCKED
    if told.unknown:
        return ExitCode.FAILED
    return ExitCode.DIFFERENCES if differences and told.left else ExitCode.DONE


def adopted(chosen: Options, origins: Sequence[str], output: str, *, write: bool) -> tuple[str, int]:
    """What is taken over from others, and the exit code: what is left alone is no success."""
    wanted = frozenset(Origin(each) for each in origins) or frozenset(Origin)
    with clients(chosen, sys.stderr, with_cluster=True) as world:
        told = pipeline.taken_over(chosen, world, wanted, write=write)
    code = int(ExitCode.GUARD if told.refused else ExitCode.DONE)
    return json.dump(handover.adopt_facts(told, code)) if output == "json" else handover.adopt(told), code


def released(chosen: Options, output: str, *, resume: bool, write: bool) -> tuple[str, int]:
    """What is given back to Flux, and the exit code."""
    from runner.assembly import reach
    from runner.clients.clock import SystemClock

    with reach(chosen) as (cluster, observer):
        told = release.run(chosen, cluster, observer, SystemClock(), resume=resume, write=write)
    code = int(ExitCode.DONE)
    return json.dump(handover.release_facts(told, code)) if output == "json" else handover.release(told), code


def selected(chosen: Options, fleet: Fleet) -> list[Unit]:
    """The Kustomizations that were asked for. Raises UsageError for a name that is none of them."""
    units = [unit for unit in fleet if chosen.selects(unit.id)]
    if missing := sorted(chosen.names - fleet.units.keys()):
        raise UsageError(
            f"there is no Kustomization {', '.join(missing)} in {chosen.entry}",
            hint="`kustodian tree -o name` lists them.",
        )
    return units


def _view(unit: Unit, *, show_secrets: bool) -> BuildView:
    k, rendering = unit.kustomization, unit.rendering
    if rendering is None:
        return BuildView(k.namespace, k.name, k.path)
    resources = rendering.objects if show_secrets else rendering.shown
    return BuildView(k.namespace, k.name, k.path, resources, rendering.problems)


def _with_origins(view: BuildView, unit: Unit) -> BuildView:
    return replace(view, origins=unit.rendering.origins()) if unit.rendering else view


def _explained(
    source: desired.Desired, fleet: Fleet, units: Sequence[Unit], views: Sequence[BuildView]
) -> list[BuildView]:
    """The views with their variables; a value that holds any secret of the entry is left out."""
    secrets = [value for unit in fleet for value in redact.of(unit)]
    renderer = source.offline()
    explained = []
    for unit, view in zip(units, views, strict=True):
        rows: tuple[Provenance, ...] = ()
        if unit.rendering is not None:
            k, found = unit.kustomization, unit.rendering.variables
            rows = provenance(k, found, renderer.mentioned(k, found), secrets)
        explained.append(replace(view, variables=rows))
    return explained


def _unknown(unit: Unit) -> list[str]:
    variables = unit.rendering.variables if unit.rendering else None
    if variables is None or variables.known:
        return []
    names = ", ".join(str(source) for source in (*variables.unread, *variables.missing))
    return [f"not fully known: {names} is only in the cluster; its expressions are left as they are"]


def _seconds(flag: str, given: str) -> float:
    try:
        return seconds(given)
    except ValueError as exc:
        raise UsageError(f"{flag}: {exc}") from exc
