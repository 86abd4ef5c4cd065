"""What is known of one Kustomization while it is worked on, and what came of it so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from runner import checking, health
from runner.errors import LockError, RunnerError
from runner.fleet import Unit
from runner.inventory import Entry
from runner.mirror import Reason
from runner.model import Change, Finding, Health, Manifest, ResourceRef
from runner.ports import Phase, Progress
from runner.render import Renderer
from runner.schedule import Turn
from runner.session import Moved, Session

PLAN_AGAIN = "plan again, and have the new plan looked at."
ENDS_THE_RUN = (LockError, Moved)


class Failed(RunnerError):
    """This Kustomization did not make it; the others go on. `errors` are those of single objects."""

    errors: Mapping[ResourceRef, str] = MappingProxyType({})


def of_objects(errors: Mapping[ResourceRef, str], hint: str) -> Failed:
    """The failure of a Kustomization for its objects."""
    failed = Failed("\n".join(dict.fromkeys(errors.values())), hint=hint)
    failed.errors = errors
    return failed


@dataclass(slots=True)
class Work:
    """The work on one Kustomization, and what came of it so far."""

    session: Session
    renderer: Renderer
    turn: Turn
    unit: Unit
    changes: list[Change] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unhealthy: tuple[Health, ...] = ()
    diagnosis: tuple[Finding, ...] = ()
    entries: dict[ResourceRef, Entry] = field(default_factory=dict)  # what is owned, with uids and proofs
    versions: dict[ResourceRef, str] = field(default_factory=dict)  # that objects were applied at
    recorded_ahead: bool = False
    started_at: float = 0.0
    applied_at: float | None = None
    hopeless: bool = False  # another attempt could not end otherwise
    ready_at: float | None = None
    reason: Reason = Reason.BUILD  # what Flux's status says if it ends here
    checked: float | None = None  # seconds that health was waited for

    def wait(self, refs: list[ResourceRef], timeout: float) -> health.Verdict:
        return checking.wait(self.session, self.turn, self.unit, refs, timeout, self.versions)

    def diagnose(self, verdict: health.Verdict) -> None:
        self.unhealthy, self.diagnosis = checking.explain(self.session, self.unit, verdict)

    def manifest(self) -> Manifest:
        return self.unit.shown or self.unit.kustomization.manifest

    def stop_if_told(self) -> None:
        if self.session.stopped():
            done = sum(change.action.writes for change in self.changes)
            raise Failed(f"{done} objects were written before the run was told to stop")

    def tell(self, phase: Phase, detail: str = "") -> None:
        self.session.world.listener(Progress(self.unit.id, phase, detail))
