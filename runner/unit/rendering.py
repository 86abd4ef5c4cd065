"""The final rendering of one Kustomization: what only the cluster knows is asked again, now."""

from __future__ import annotations

from dataclasses import replace

from runner import discover, plan
from runner.fleet import Unit, Variables
from runner.mirror import Reason
from runner.ports import Phase
from runner.unit.work import Failed, Work
from runner.waiting import nodes

_NO_ARTIFACT = {"missing_path", "source"}


def render(work: Work) -> None:
    """Make sure of the final rendering: what only the cluster knows is asked again, now."""
    if why := work.session.refused.get(work.unit.id):
        work.reason = Reason.DEPENDENCY
        raise Failed(why, hint="check the name and the namespace under spec.dependsOn.")
    rendering = work.unit.rendering
    if rendering is None or _may_change(rendering.variables):
        work.tell(Phase.RENDERING)
        variables = work.renderer.resolve(work.unit.kustomization, work.session.produced)
        _aim(work, variables)
        if rendering is None or variables != rendering.variables or not variables.known:
            rendering = work.renderer.render(work.unit.kustomization, variables, final=True)
            _rendered(work, replace(work.unit, rendering=rendering))
    if not rendering.ok:
        if any(problem.code in _NO_ARTIFACT for problem in rendering.problems):
            work.reason = Reason.ARTIFACT
        failed = discover.placed(work.unit, work.session.units.get(work.unit.parent)).rendering or rendering
        work.hopeless = rendering.variables.known and not rendering.variables.live
        raise Failed("; ".join(str(problem) for problem in failed.problems), hint=failed.hint)
    work.warnings += rendering.warnings


def _aim(work: Work, variables: Variables) -> None:
    """Know how its cluster is reached before anything about its objects is asked."""
    way = variables.remote
    work.session.aim(work.unit.kustomization.target, way)
    if way is not None and way.why:
        work.reason = Reason.APPLY
        raise Failed(way.why, hint="what makes that Secret has to be a dependency of this Kustomization.")


def _rendered(work: Work, unit: Unit) -> None:
    """Let the run know what was only found now: objects that are wanted, and further Kustomizations."""
    work.unit = unit
    work.session.want(unit.id, plan.scoped(unit.objects, work.session.reached(unit.id)))
    found = (discover.held(child, work.session.paused) for child in discover.children(unit))
    new = {child.id: child for child in found}
    added, dropped = work.session.replace_children(unit, new)
    waiting = nodes(work.session.units)
    work.turn.add({id_: waiting[id_] for id_ in added})
    work.warnings += [f"{id_} is not rendered any more and was left out" for id_ in dropped]


def _may_change(variables: Variables) -> bool:
    """Whether the cluster is to be asked again, now that what it depends on is ready."""
    way = variables.remote
    return bool(variables.live) or not variables.known or (way is not None and (way.live or bool(way.why)))
