"""One Kustomization, from its rendering to its record: render, apply in stages, health, prune, record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from runner import (
    acting,
    apply,
    checking,
    discover,
    extent,
    health,
    impact,
    inventory,
    mirror,
    plan,
    proven,
    redact,
    removal,
    replacing,
)
from runner.errors import LockError, RunnerError
from runner.fleet import Unit, Variables
from runner.inventory import Entry, Inventory
from runner.mirror import Ending, Reason
from runner.model import (
    FLUX,
    Action,
    Change,
    Finding,
    Health,
    Manifest,
    Outcome,
    ResourceRef,
    State,
    account_ref,
    kustomization_ref,
)
from runner.options import Dependents, PruneOrder
from runner.plan import Assessment, Ground
from runner.ports import Phase, Progress
from runner.proven import Proofs
from runner.render import Renderer
from runner.schedule import Turn
from runner.session import Moved, Session, digests
from runner.state import HISTORY, Record, Snapshot
from runner.waiting import nodes

AGAIN = (0.2, 0.4, 0.8, 1.6, 3.2, 6.4)  # seconds after which an account that was just given rights is tried
STAGE_TIMEOUT = 60.0  # seconds; Flux's fixed limit for definitions and classes
_MOST_NAMED = 3
_PLAN_AGAIN = "plan again, and have the new plan looked at."
_NO_ARTIFACT = {"missing_path", "source"}
_ENDS_THE_RUN = (LockError, Moved)


class Failed(RunnerError):
    """This Kustomization did not make it; the others go on. `errors` are those of single objects."""

    errors: Mapping[ResourceRef, str] = MappingProxyType({})


@dataclass(slots=True)
class Reconciliation:
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

    def run(self) -> Outcome:
        """Reconcile; what goes wrong with this Kustomization alone is its outcome.

        Raises LockError or Moved when the whole run has to end or to begin anew.
        """
        self.started_at = self.session.world.clock.now()
        try:
            if outcome := self._stands_aside():
                return outcome
            self._render()
            if self._is_verified_only():
                self.entries |= self.session.fresh(self.unit).inventory
            else:
                self.reason = Reason.APPLY
                self._apply()
            self.applied_at = self.session.world.clock.now()
            self.turn.applied()
            if self.session.options.prune_order is PruneOrder.BEFORE_HEALTH:
                self.reason = Reason.PRUNE
                self._prune()
            self.reason = Reason.HEALTH
            self._health()
            self._tell(Phase.READY)
            if self.session.options.prune_order is PruneOrder.AFTER_HEALTH:
                self.reason = Reason.PRUNE
                self._prune()
            self.reason = Reason.SUCCEEDED
            self._record(State.READY, "")
        except _ENDS_THE_RUN:
            raise
        except RunnerError as exc:
            return self._failed(exc)
        return self._outcome(State.READY)

    def _stands_aside(self) -> Outcome | None:
        """Suspended ones and those out of scope count as they were left."""
        suspended = self.unit.kustomization.suspend
        left = self.session.dependents.get(self.unit.id) is Dependents.NONE
        if not suspended and not left and self.session.options.selects(self.unit.id):
            return None
        record = self.session.records.get(self.unit.id)
        if record is not None and record.state is State.READY:
            self.turn.ready()
        if record is not None and suspended and self.session.options.selects(self.unit.id):
            # Its spec decides what becomes of its objects when it goes.
            self.session.write(replace(self.session.fresh(self.unit), manifest=self._manifest()))
        state = State.SUSPENDED if suspended else State.SKIPPED
        self._tell(Phase(state), self.session.why_paused(self.unit.id))
        return Outcome(self.unit.id, state, reason=self.session.why_paused(self.unit.id))

    def _is_verified_only(self) -> bool:
        """Whether only its health counts, as nothing of it changed; variables may have come in meanwhile."""
        verify = self.session.dependents.get(self.unit.id) is Dependents.VERIFY
        return verify and extent.same(self.session, self.unit)

    # -- rendering

    def _render(self) -> None:
        """Make sure of the final rendering: what only the cluster knows is asked again, now."""
        if why := self.session.refused.get(self.unit.id):
            self.reason = Reason.DEPENDENCY
            raise Failed(why, hint="check the name and the namespace under spec.dependsOn.")
        rendering = self.unit.rendering
        if rendering is None or _may_change(rendering.variables):
            self._tell(Phase.RENDERING)
            variables = self.renderer.resolve(self.unit.kustomization, self.session.produced)
            self._aim(variables)
            if rendering is None or variables != rendering.variables or not variables.known:
                rendering = self.renderer.render(self.unit.kustomization, variables, final=True)
                self._rendered(replace(self.unit, rendering=rendering))
        if not rendering.ok:
            if any(problem.code in _NO_ARTIFACT for problem in rendering.problems):
                self.reason = Reason.ARTIFACT
            failed = (
                discover.placed(self.unit, self.session.units.get(self.unit.parent)).rendering or rendering
            )
            self.hopeless = rendering.variables.known and not rendering.variables.live
            raise Failed("; ".join(str(problem) for problem in failed.problems), hint=failed.hint)
        self.warnings += rendering.warnings

    def _aim(self, variables: Variables) -> None:
        """Know how its cluster is reached before anything about its objects is asked."""
        way = variables.remote
        self.session.aim(self.unit.kustomization.target, way)
        if way is not None and way.why:
            self.reason = Reason.APPLY
            raise Failed(way.why, hint="what makes that Secret has to be a dependency of this Kustomization.")

    def _rendered(self, unit: Unit) -> None:
        """Let the run know what was only found now: objects that are wanted, and further Kustomizations."""
        self.unit = unit
        self.session.want(unit.id, plan.scoped(unit.objects, self.session.reached(unit.id)))
        found = (discover.held(child, self.session.paused) for child in discover.children(unit))
        new = {child.id: child for child in found}
        added, dropped = self.session.replace_children(unit, new)
        waiting = nodes(self.session.units)
        self.turn.add({id_: waiting[id_] for id_ in added})
        self.warnings += [f"{id_} is not rendered any more and was left out" for id_ in dropped]

    # -- applying

    def _apply(self) -> None:
        self.session.settle(self.unit.id)
        desired = plan.scoped(self.unit.objects, self.session.reached(self.unit.id))
        stages = apply.stages(desired)
        recorded = self.session.fresh(self.unit).inventory
        for number, stage in enumerate(stages, 1):
            self._tell(Phase.APPLYING, f"stage {number} of {len(stages)}" if len(stages) > 1 else "")
            self._stop_if_told()
            proofs = proven.of(self.session, self.unit, recorded)
            assessed = self._assess(self._scoped_now(stage), proofs)
            todo = [a for a in assessed if a.action.writes]
            self.entries |= {a.ref: proofs.entry(a) for a in assessed if a.reason != plan.VIRTUAL}
            if todo:
                self._record_ahead(desired, todo)
                self._send(todo, proofs)
            self.changes += [a.change for a in assessed if not a.action.writes]
            if apply.is_waited_for(stage):
                self._await_stage(assessed)
        self.session.alive(entry.uid for entry in self.entries.values())

    def _scoped_now(self, stage: tuple[Manifest, ...]) -> tuple[Manifest, ...]:
        """A definition of an earlier stage may have told that a kind has no namespace.

        In the inventory such a namespace would be another object, which Flux, taking over, would delete.
        """
        scoped = plan.scoped(stage, self.session.reached(self.unit.id))
        self.session.want(self.unit.id, scoped)
        return scoped

    def _assess(self, stage: tuple[Manifest, ...], proofs: Proofs) -> list[Assessment]:
        """Dry-run a whole stage; when anything in it fails, nothing of it is applied."""
        k = self.unit.kustomization
        ground = replace(self.session.ground_of(k.id), proofs=proofs, ignore=k.ignore, force=k.force)
        assessed = self._ask(stage, ground)
        for pause in AGAIN:
            if not self._may_pass(assessed):
                break
            self._rest(pause)
            assessed = self._ask(stage, ground)
        self.warnings += [text for a in assessed for text in a.warnings]
        if failed := [a for a in assessed if a.error]:
            hints = list(dict.fromkeys(a.hint for a in failed if a.hint))
            raise _of_objects({a.ref: a.error for a in failed}, " ".join(hints))
        self._keep_to_plan(assessed)
        return assessed

    def _ask(self, stage: tuple[Manifest, ...], ground: Ground) -> list[Assessment]:
        cluster, pool = self.session.access(self.unit.id).cluster, self.session.world.pool
        assessed = plan.assess(stage, cluster, pool, ground)
        return [owned_by_another(self.session, self.unit.id, a) for a in assessed]

    def _rest(self, seconds: float) -> None:
        clock = self.session.world.clock
        until = clock.monotonic() + seconds
        self.turn.pause(lambda: clock.monotonic() >= until or self.session.stopped())

    def _may_pass(self, assessed: Iterable[Assessment]) -> bool:
        """Whether an account was refused what this run has only just allowed it."""
        user = self.session.acts_as(self.unit.id)
        refused = any(acting.lacks(user, a.error) for a in assessed)
        return refused and self.session.rights_settle and not self.session.stopped()

    def _keep_to_plan(self, assessed: Iterable[Assessment]) -> None:
        """Nothing of a stage is applied when anything in it is not as planned; what was unknown may be."""
        expected = self.session.expected
        if expected is None:
            return
        for a in assessed:
            planned = expected.get((self.unit.id, a.ref))
            if planned != "" and planned != impact.digest(a.action, a.live, a.merged):
                raise Failed(f"{a.ref} would be {a.action}, which is not what was planned", hint=_PLAN_AGAIN)

    def _record_ahead(self, desired: Iterable[Manifest], todo: Iterable[Assessment]) -> None:
        """Write down everything that may be touched, before the first write: nothing stays untracked.

        Without proofs: of a run that is killed nobody knows what it applied. And without the uid of an
        object that is another one, or will be.
        """
        before = self.session.fresh(self.unit)
        anew = [a.ref for a in todo if _is_another(before.inventory.get(a.ref), a.live)]
        if self.recorded_ahead and not anew:
            return
        wanted = inventory.of(
            Entry(ResourceRef.of(m))
            for m in desired
            if not plan.skipped(m, self.session.ground_of(self.unit.id))
        )
        together = inventory.union(inventory.unproven(before.inventory), wanted)
        together |= {ref: Entry(ref) for ref in anew}
        self.session.begin()
        self.session.write(replace(before, inventory=together, state=None, manifest=self._manifest()))
        self.recorded_ahead = True

    def _send(self, todo: list[Assessment], proofs: Proofs) -> None:
        cluster = self.session.writer(self.unit.id)
        self._make_way(todo)
        orders = [apply.Order(a.sent, a.live if a.cleans else None) for a in todo]
        sent = apply.send(orders, cluster, self.session.world.pool, self.session.stopped)
        self.session.access(self.unit.id).evidence.wrote(s.ref for s in sent)
        if not self.unit.kustomization.target:
            self.session.exchange.wrote(s.ref for s in sent)
        self.session.gave_rights(s.ref for s in sent)
        taken = {s.ref: s for s in sent if not s.error}
        for a in todo:
            if a.ref in taken:
                self.changes.append(self._as_seen(a))
                made = proofs.make(a.manifest, taken[a.ref].live) if a.exact else None
                self.entries[a.ref] = Entry(a.ref, taken[a.ref].uid, made)
                self.versions[a.ref] = taken[a.ref].version
        self.warnings += [text for s in taken.values() for text in s.warnings]
        if failed := [s for s in sent if s.error]:
            raise _of_objects({s.ref: s.error for s in failed}, failed[0].hint)
        if len(sent) < len(todo):
            self._stop_if_told()

    def _make_way(self, todo: list[Assessment]) -> None:
        """Delete what cannot be changed; nothing is applied before it is gone.

        Its uid goes from the record first: the new object has to be known as ours although the run is killed.
        """
        anew = [a.ref for a in todo if a.recreates]
        if not anew:
            return
        self.entries = inventory.anew(self.entries, anew)
        before = self.session.fresh(self.unit)
        self.session.write(replace(before, inventory=inventory.anew(before.inventory, anew)))
        timeout = self.unit.kustomization.timeout
        errors = replacing.make_way(self.session, self.unit.id, todo, timeout, self.turn.resting)
        self.session.access(self.unit.id).evidence.wrote(anew)
        self._stop_if_told()
        if errors:
            raise Failed("\n".join(errors), hint="what a finalizer waits for has to be done first.")

    def _as_seen(self, a: Assessment) -> Change:
        """What this run did to an object; a namespace that it had to make first is one it created."""
        ours = not self.unit.kustomization.target and a.ref.kind == "Namespace"
        made = ours and a.ref.name in self.session.made_namespaces
        return Change(a.ref, Action.CREATED) if made else a.change

    def _await_stage(self, assessed: Iterable[Assessment]) -> None:
        """Later stages need definitions and classes to be there: wait, and let discovery notice them."""
        waited = [a for a in assessed if a.action is not Action.SKIPPED]
        with self.turn.resting():
            verdict = self._wait([a.ref for a in waited], STAGE_TIMEOUT)
        if verdict.error:
            self._stop_if_told()
            self._diagnose(verdict)
            raise Failed(verdict.error)
        defined = plan.defines(a.manifest for a in waited)
        cluster = self.session.reached(self.unit.id)
        if any(cluster.api(group, kind) is None for group, kind in defined):
            cluster.rediscover()

    # -- health

    def _health(self) -> None:
        """Wait, and let dependents start the moment it is over, not when there is a slot again."""
        refs = self._judged()
        if refs:
            self._tell(Phase.CHECKING)
        began = self.session.world.clock.monotonic()
        with self.turn.resting():
            verdict = self._wait(refs, self.unit.kustomization.timeout)
            if refs:
                self.checked = self.session.world.clock.monotonic() - began
            if verdict.ok:
                self.ready_at = self.session.world.clock.now()
                self.turn.ready()
        if not verdict.ok:
            self.unhealthy = checking.unhealthy(verdict)
            if self.session.superseded():
                self.session.gave_way = True
                raise Failed("a newer commit waits to be deployed, so its health was not waited for")
            self._stop_if_told()
            self._diagnose(verdict)
            raise Failed(f"health check failed: {verdict.error}", hint=self._unpruned())

    def _unpruned(self) -> str:
        """What was to be deleted once all was healthy."""
        stale = removal.stale(self.session, self.session.fresh(self.unit))
        if not stale or not self.unit.kustomization.prune:
            return ""
        left = f" and {len(stale) - _MOST_NAMED} more" if len(stale) > _MOST_NAMED else ""
        names = ", ".join(str(entry.ref) for entry in stale[:_MOST_NAMED])
        return f"{names}{left} left Git, and will be deleted once all of this is healthy."

    def _diagnose(self, verdict: health.Verdict) -> None:
        self.unhealthy, self.diagnosis = checking.explain(self.session, self.unit, verdict)

    def _judged(self) -> list[ResourceRef]:
        """What has to be healthy: with `wait` everything applied and all children, else `healthChecks`."""
        k = self.unit.kustomization
        own = None if k.target else kustomization_ref(k.id)
        if not k.wait:
            return [ref for ref in k.health_checks if ref != own]
        left_out = {c.ref for c in self.changes if c.action is Action.SKIPPED}
        children = [kustomization_ref(id_) for id_ in self.session.children(k.id)]
        return [*(ref for ref in self.entries if ref not in left_out), *children]

    def _wait(self, refs: list[ResourceRef], timeout: float) -> health.Verdict:
        return checking.wait(self.session, self.turn, self.unit, refs, timeout, self.versions)

    # -- the end

    def _prune(self) -> None:
        """Drop what left Git, now that what replaces it is healthy."""
        record = self.session.fresh(self.unit)
        everything = removal.stale(self.session, record)
        stale = removal.ripe(self.session, self.unit.id, everything)
        self.entries |= {e.ref: e for e in everything if e not in stale}
        if not stale:
            return
        if not self.unit.kustomization.prune:
            self.changes += [Change(e.ref, Action.SKIPPED, "left behind: prune: false") for e in stale]
            return
        if self.session.prune_later or self.session.blind:
            self.entries |= {entry.ref: entry for entry in stale}
            return
        if self.session.expected is not None and (
            other := [e.ref for e in stale if (self.unit.id, e.ref) not in self.session.expected]
        ):
            raise Failed(f"{other[0]} is stale, and the plan does not say so", hint=_PLAN_AGAIN)
        self._tell(Phase.PRUNING)
        timeout = self.unit.kustomization.timeout
        removed = removal.remove(self.session, record, stale, timeout, self.turn.resting)
        self.changes += removed.changes
        self.session.held_back(removed.held)
        kept = {e.ref: e for e in stale if e.ref in removed.inventory}
        self.entries |= kept
        if removed.errors:
            self.session.write(replace(record, inventory=removed.inventory))
            raise Failed("delete failed: " + "\n".join(removed.errors))
        self._tell(Phase.READY, "pruned")

    def _record(self, state: State, message: str) -> None:
        """Store how it ended; equal to what is stored, it is not written."""
        before = self.session.fresh(self.unit)
        if not self.session.key:
            self.session.begin()  # the first run of all: there is a key from now on
        digest, shown = digests(self.session.key, self.unit)
        owned = self.entries if state is State.READY else inventory.union(before.inventory, self.entries)
        owned = inventory.of([*owned.values(), *self._moving(before)])
        owned = {ref: owned[ref] for ref in reversed(apply.deletion_order(owned))}
        now = round(self.session.world.clock.now(), 3)
        spent, undone = round(now - self.started_at, 3), self.session.options.rollback
        snapshot = Snapshot(digest, self.session.revision, state, now, spent, undone)
        seen = before.seen
        if self._publish(message, owned, digest):
            seen = mirror.fingerprint(owned)
        last = before.history[0] if before.history else None
        same = last is not None and (last.digest, last.state) == (digest, state)
        made = replace(
            before,
            manifest=self._manifest(),
            inventory=owned,
            digest=digest,
            shown_digest=shown,
            state=state,
            message=message,
            seen=seen,
            history=before.history if same else (snapshot, *before.history)[:HISTORY],
        )
        known = self.session.records.get(self.unit.id, Record(self.unit.id))
        if inventory.alike(known.inventory, owned) and replace(made, inventory=known.inventory) == known:
            return
        self.session.write(made)

    def _publish(self, message: str, owned: Inventory, digest: str) -> bool:
        """Tell Flux's status, where there is one; whether its inventory is ours."""
        if self.unit.id not in self.session.exchange:
            return False
        ending = Ending(
            self.reason,
            message,
            revision=self._revision(),
            digest=f"sha256:{hashlib.sha256(digest.encode()).hexdigest()}",  # may be public
            owned=owned,
            timeout=self.unit.kustomization.timeout,
            seconds=self.session.world.clock.now() - self.started_at,
            checked=self.checked,
        )
        why = self.session.publish(self.unit.id, ending)
        self.warnings += [why] if why else []
        return not why

    def _revision(self) -> str:
        """Of the artifact that this Kustomization is built from; "" when there is none."""
        variables = self.unit.rendering.variables if self.unit.rendering else Variables()
        try:
            return self.renderer.artifact(self.unit.kustomization, variables.sources).revision
        except RunnerError:
            return ""

    def _moving(self, before: Record) -> list[Entry]:
        """Objects that another Kustomization wants now stay ours until it has written them down."""
        return [
            entry
            for ref, entry in before.inventory.items()
            if self.session.owners(self.unit.id).get(ref, self.unit.id) != self.unit.id
            and not self.session.recorded_by_another(ref, self.unit.id)
        ]

    def _failed(self, exc: RunnerError) -> Outcome:
        """A failure, on record with what was touched; secret values are taken out of its text."""
        secrets = redact.of(self.unit)
        message = redact.scrub(exc.message, secrets)
        errors = exc.errors if isinstance(exc, Failed) else {}
        if self.session.stopped():
            message = (
                f"{'the time of the run was up' if self.session.overdue() else 'interrupted'}: {message}"
            )
        else:
            try:
                known = self.session.records.get(self.unit.id)
                if known is not None and self.session.was_elsewhere(known):
                    # Nothing was written where it goes now: what it has where it was is not forgotten yet.
                    self.session.write(replace(known, state=State.FAILED, message=message))
                elif self.session.wrote or self._says_something_new(message):
                    self._record(State.FAILED, message)
                else:
                    owned = self.session.fresh(self.unit).inventory
                    self._publish(message, owned, digests(self.session.key, self.unit)[0])
            except _ENDS_THE_RUN:
                raise
            except RunnerError as unrecorded:
                self.warnings.append(f"its failure could not be recorded: {unrecorded.message}")
        self._tell(Phase.FAILED, message.partition("\n")[0])
        return replace(
            self._outcome(State.FAILED),
            error=message,
            errors={ref: redact.scrub(text, secrets) for ref, text in errors.items()},
            hint=self._hint(exc),
        )

    def _hint(self, exc: RunnerError) -> str:
        """What to do; where an account lacks rights, whether it is there at all."""
        user = self.session.acts_as(self.unit.id)
        if not acting.lacks(user, exc.message):
            return exc.hint
        try:
            missing = self.session.is_missing(user, self.unit.kustomization.target)
        except RunnerError:
            missing = False
        return (
            f"{account_ref(user)} does not exist; create it, and bind it to a role." if missing else exc.hint
        )

    def _says_something_new(self, message: str) -> bool:
        record = self.session.records.get(self.unit.id)
        return record is not None and (record.state, record.message) != (State.FAILED, message)

    def _outcome(self, state: State) -> Outcome:
        secrets = redact.of(self.unit) if self.warnings else []
        return Outcome(
            self.unit.id,
            state,
            changes=tuple(self.changes),
            unhealthy=self.unhealthy,
            diagnosis=self.diagnosis,
            warnings=tuple(dict.fromkeys(redact.scrub(text, secrets) for text in self.warnings)),
            started_at=self.started_at,
            applied_at=self.applied_at,
            ready_at=self.ready_at,
            ended_at=self.session.world.clock.now(),
            waited_for=self.turn.waited_for,
        )

    def _manifest(self) -> Manifest:
        return self.unit.shown or self.unit.kustomization.manifest

    def _stop_if_told(self) -> None:
        if self.session.stopped():
            done = sum(change.action.writes for change in self.changes)
            raise Failed(f"{done} objects were written before the run was told to stop")

    def _tell(self, phase: Phase, detail: str = "") -> None:
        self.session.world.listener(Progress(self.unit.id, phase, detail))


def _may_change(variables: Variables) -> bool:
    """Whether the cluster is to be asked again, now that what it depends on is ready."""
    way = variables.remote
    return bool(variables.live) or not variables.known or (way is not None and (way.live or bool(way.why)))


def _is_another(known: Entry | None, live: Manifest | None) -> bool:
    """Whether what is on record is not the object that an apply touches."""
    return known is not None and known.uid not in {"", live["metadata"].get("uid", "") if live else None}


def _of_objects(errors: Mapping[ResourceRef, str], hint: str) -> Failed:
    failed = Failed("\n".join(dict.fromkeys(errors.values())), hint=hint)
    failed.errors = errors
    return failed


def owned_by_another(session: Session, id_: str, a: Assessment) -> Assessment:
    """Objects that change hands: within the entry they move, from outside they are refused."""
    labels = (a.live or {}).get("metadata", {}).get("labels") or {}
    holder = f"{labels.get(f'{FLUX}/namespace', '')}/{labels.get(f'{FLUX}/name', '')}"
    if a.error or not a.action.writes or holder in {id_, "/"}:
        return a
    if holder in session.outside and not session.options.takeover:
        return replace(
            a,
            error=f"{a.ref} belongs to Kustomization {holder}, which is not part of this entry",
            hint="remove it from one of the two; --takeover takes it over.",
        )
    known = holder in session.units or holder in session.records
    if known and session.target(holder) == session.target(id_):
        return replace(a, action=Action.MOVED, reason=f"from {holder}")
    return a
