"""What decides how healthy an object is: `healthCheckExprs`, kstatus, or that nobody looked at it yet."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from runner import cel
from runner.health.fields import maybe_number
from runner.health.rules import JOB, NOTHING_SAID, age, compute, group_kind, seconds_until_stuck
from runner.health.workloads import Judgement
from runner.model import HealthCheckExpr, Manifest, ResourceRef, Status

STATUS_GRACE = 10.0
"""Seconds that a new object is given to get the status that its kind has."""

_KUBERNETES = frozenset(
    f"{name}.k8s.io"
    for name in [
        "admissionregistration",
        "apiextensions",
        "apiregistration",
        "authentication",
        "authorization",
        "certificates",
        "coordination",
        "discovery",
        "events",
        "flowcontrol.apiserver",
        "internal.apiserver",
        "networking",
        "node",
        "rbac.authorization",
        "resource",
        "scheduling",
        "storage",
        "storagemigration",
    ]
)


@dataclass(slots=True)
class Judge:
    """The rules for the objects of one Kustomization."""

    expressions: Collection[HealthCheckExpr] = ()
    reports: Callable[[ResourceRef], bool] = lambda _: False  # whether a controller writes its status
    _known: dict[ResourceRef, tuple[Manifest, Judgement]] = field(default_factory=dict)

    def judge(
        self, ref: ResourceRef, manifest: Manifest, *, now: float | None = None, waited: float = math.inf
    ) -> Judgement:
        """How far an object is from its spec, and why; never raises.

        `waited` is for how many seconds it has been looked at. See `compute` for `now`.
        """
        if expression := self._expression(manifest):
            known = self._known.get(ref)
            if known is None or known[0] is not manifest:  # asked again only about another state of it
                known = self._known[ref] = manifest, _by(expression, manifest)
            return known[1]
        judged = compute(manifest, now=now)
        if judged == NOTHING_SAID and self._grace(ref, manifest, now, waited) > 0:
            return Status.IN_PROGRESS, "no controller has written a status yet"
        return judged

    def good_for(self, ref: ResourceRef, manifest: Manifest, *, now: float, waited: float) -> float:
        """How many seconds its status stays while nothing happens to it; infinite for most."""
        if self._expression(manifest):
            return math.inf
        if compute(manifest, now=now) != NOTHING_SAID:
            return seconds_until_stuck(manifest, now=now)
        grace = self._grace(ref, manifest, now, waited)
        return grace if grace > 0 else math.inf

    def _grace(self, ref: ResourceRef, manifest: Manifest, now: float | None, waited: float) -> float:
        """How many seconds an object without the status of its kind may still take to get one."""
        if manifest.get("status") or _built_in(ref.group) or not self.reports(ref):
            return 0.0
        # Its age counts, so that it is waited for only once, and our own time, as clocks may differ.
        old = math.inf if now is None else age(manifest, now)
        return STATUS_GRACE - max(old, waited)

    def _expression(self, manifest: Manifest) -> HealthCheckExpr | None:
        """The entry for its kind, else the one for its group; Flux judges a Job by its own rule first."""
        group, kind = group_kind(manifest)
        if not self.expressions or (group, kind) == JOB:
            return None
        entries = {(entry.group, entry.kind): entry for entry in self.expressions}
        return entries.get((group, kind)) or entries.get((group, ""))


def _built_in(group: str) -> bool:
    """Whether the kinds of a group are Kubernetes' own, of which some never have a status."""
    return "." not in group or group in _KUBERNETES


def _by(entry: HealthCheckExpr, manifest: Manifest) -> Judgement:
    """fluxcd/pkg, runtime/cel (StatusEvaluator): the first that is true decides, in Flux's order."""
    generation = maybe_number(manifest, "metadata.generation")
    observed = maybe_number(manifest, "status.observedGeneration")
    if generation is not None and observed not in {None, generation}:
        kind = manifest.get("kind")
        return (
            Status.IN_PROGRESS,
            f"{kind} generation is {generation}, but latest observed generation is {observed}",
        )
    for name, text, status in (
        ("inProgress", entry.in_progress, Status.IN_PROGRESS),
        ("failed", entry.failed, Status.FAILED),
        ("current", entry.current, Status.CURRENT),
    ):
        try:
            if text and cel.parse(text).holds(manifest):
                return status, f"{name} is true: {text}"
        except cel.ExpressionError as exc:
            return Status.UNKNOWN, str(exc)
    return Status.IN_PROGRESS, f"current is false: {entry.current}"
