"""Watching a set of objects until every one is healthy, one cannot become it, or the time is up."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from runner.health.judging import Judge
from runner.health.workloads import Judgement
from runner.model import Health, Manifest, ResourceRef, Status
from runner.ports import Clock, Observer

_OVERRIDE_PAUSE = 0.1  # seconds between looks at what overrides say: a parent is ready right after its child
_CANCEL_PAUSE = 0.5  # seconds between looks at whether to go on
_UNSEEN = "not observed yet"
_MESSAGE_LIMIT = 160  # characters of an object's own words in a line of progress


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a wait ended: every object's health, and Flux's words for what is wrong."""

    healths: tuple[Health, ...]  # sorted
    settled: bool  # False when the time was up or the wait was interrupted: they might have become healthy
    error: str = ""  # "" when every object is Current

    @property
    def ok(self) -> bool:
        """Whether every object is Current."""
        return not self.error


def check(
    objects: Mapping[ResourceRef, Manifest | None],
    *,
    now: float | None = None,
    jobs_with_ttl: Collection[ResourceRef] = (),
    judge: Judge | None = None,
) -> tuple[Health, ...]:
    """Judge live objects as they are this moment; None is one that does not exist. Sorted."""
    rules = judge or Judge()
    return tuple(
        _absent(ref, gone_is_done=ref in jobs_with_ttl)
        if (live := objects[ref]) is None
        else Health(ref, *rules.judge(ref, live, now=now))
        for ref in sorted(objects)
    )


def wait(  # noqa: PLR0913  # every option is a promise to one caller, and has the default that suits the others
    refs: Collection[ResourceRef],
    observer: Observer,
    clock: Clock,
    *,
    timeout: float,
    fail_fast: bool = True,
    judge: Judge | None = None,
    jobs_with_ttl: Collection[ResourceRef] = (),
    since: Mapping[ResourceRef, str] | None = None,
    overrides: Callable[[ResourceRef], Judgement | None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    listener: Callable[[str], None] | None = None,
    doomed: Callable[[tuple[Health, ...]], Mapping[ResourceRef, str]] | None = None,
) -> Verdict:
    """Wait until every object is Current, one is Failed, or `timeout` seconds are over.

    Without `fail_fast` a failure ends the wait only when there is nothing else left to wait for. An
    object that does not exist may still appear, except the Jobs in `jobs_with_ttl`: they are gone
    because they are done.

    `judge` has the rules of the Kustomization whose objects these are. `since` has the `resourceVersion`
    that an object was applied at: an observation that is shared may still show an older one, whose health
    says nothing. `overrides` judges in place of the live object,
    which is then not observed; for a given object it answers always or never. `cancelled` ends the wait
    when it says so. Both are asked again several times a second for as long as they matter. `listener`
    is told what is still being waited for, whenever that changes. `doomed` names, at once, the objects
    for which nothing will help any more, and why: they count as Failed. It is asked with `fail_fast` only.

    Raises ClusterError when the observation does.
    """
    watch = _Watch(
        tuple(sorted(set(refs))),
        clock,
        clock.monotonic(),
        judge or Judge(),
        frozenset(jobs_with_ttl),
        overrides,
        since or {},
    )
    if not watch.refs:
        return Verdict((), settled=True)
    doomed = doomed if fail_fast else None
    pause = _CANCEL_PAUSE if cancelled or doomed else math.inf
    deadline = clock.monotonic() + timeout
    tell = _only_changes(listener)
    observed = watch.observed()
    with observer.observe(observed) as observation:
        look = watch.look()
        if observed:  # nothing can be said before the first answer, which brings all of them
            watch.live.update(observation.changed(min(timeout, pause, look.good_for)))
            look = watch.look()
        while not (verdict := _final(look.healths, fail_fast=fail_fast)):
            if cancelled and cancelled():
                return _unfinished("interrupted while waiting for", look.healths)
            if doomed and (lost := doomed(look.healths)):
                look = look._replace(healths=tuple(_lost(each, lost) for each in look.healths))
                if verdict := _final(look.healths, fail_fast=True):
                    return verdict
            remaining = deadline - clock.monotonic()
            if remaining <= 0:
                return _unfinished("timeout waiting for", look.healths)
            tell(_progress(look.healths))
            watch.live.update(observation.changed(min(remaining, pause, look.good_for)))
            look = watch.look()
    return verdict


class _Look(NamedTuple):
    """The healths of one moment, and for how many seconds they hold while nothing is reported."""

    healths: tuple[Health, ...]
    good_for: float


@dataclass(frozen=True, slots=True)
class _Watch:
    """What is waited for, and what is known of it so far."""

    refs: tuple[ResourceRef, ...]
    clock: Clock
    began: float
    judge: Judge
    jobs_with_ttl: frozenset[ResourceRef]
    overrides: Callable[[ResourceRef], Judgement | None] | None
    since: Mapping[ResourceRef, str]
    live: dict[ResourceRef, Manifest | None] = field(default_factory=dict)

    def observed(self) -> tuple[ResourceRef, ...]:
        """The objects whose live state decides; the server may not even serve the others' kind."""
        return tuple(ref for ref in self.refs if self._override(ref) is None)

    def look(self) -> _Look:
        """Judge every object once, all by the same reading of the clock."""
        now, waited = self.clock.now(), self.clock.monotonic() - self.began
        healths = []
        good_for = math.inf
        for ref in self.refs:
            if judged := self._override(ref):
                health = Health(ref, *judged)
                if health.status is not Status.CURRENT:
                    good_for = min(good_for, _OVERRIDE_PAUSE)
            elif self._outdated(ref):
                health = Health(ref, Status.IN_PROGRESS, "the change is not observed yet")
            elif (live := self.live.get(ref)) is not None:
                health = Health(ref, *self.judge.judge(ref, live, now=now, waited=waited))
                if health.status is not Status.CURRENT:  # which no time that passes changes
                    good_for = min(good_for, self.judge.good_for(ref, live, now=now, waited=waited))
            elif ref in self.live:
                health = _absent(ref, gone_is_done=ref in self.jobs_with_ttl)
            else:
                health = Health(ref, Status.UNKNOWN, _UNSEEN)
            healths.append(health)
        return _Look(tuple(healths), good_for)

    def _outdated(self, ref: ResourceRef) -> bool:
        """Whether what is observed is older than what was applied.

        Resource versions of one kind can be compared as numbers (Kubernetes' API contract since 1.35,
        etcd's revisions before that); where they are none, what is observed counts.
        """
        live = self.live.get(ref)
        seen = str((live or {}).get("metadata", {}).get("resourceVersion", ""))
        applied = self.since.get(ref, "")
        return seen.isdecimal() and applied.isdecimal() and int(seen) < int(applied)

    def _override(self, ref: ResourceRef) -> Judgement | None:
        return self.overrides(ref) if self.overrides else None


def _absent(ref: ResourceRef, *, gone_is_done: bool) -> Health:
    if gone_is_done:
        return Health(ref, Status.CURRENT, "Job finished and was deleted (ttlSecondsAfterFinished)")
    return Health(ref, Status.NOT_FOUND, "Resource not found")


def _lost(health: Health, lost: Mapping[ResourceRef, str]) -> Health:
    """An object that is on its way, as nothing more than what it will never get beyond."""
    if health.ref not in lost or health.status is Status.CURRENT:
        return health
    return Health(health.ref, Status.FAILED, lost[health.ref])


def _final(healths: tuple[Health, ...], *, fail_fast: bool) -> Verdict | None:
    """The verdict that no further waiting would change, if there is one."""
    statuses = {health.status for health in healths}
    if statuses == {Status.CURRENT}:
        return Verdict(healths, settled=True)
    if Status.FAILED in statuses and (fail_fast or statuses <= {Status.CURRENT, Status.FAILED}):
        failed = [health for health in healths if health.status is Status.FAILED]
        return Verdict(healths, settled=True, error=_error("failed early due to stalled resources", failed))
    return None


def _unfinished(why: str, healths: tuple[Health, ...]) -> Verdict:
    outstanding = [health for health in healths if health.status is not Status.CURRENT]
    return Verdict(healths, settled=False, error=_error(why, outstanding))


def _error(why: str, healths: Iterable[Health]) -> str:
    """The words of fluxcd/pkg/ssa (WaitForSetWithContext), which people search for."""
    return f"{why}: [{', '.join(map(_describe, healths))}]"


def _describe(health: Health) -> str:
    if health.status is not Status.UNKNOWN:
        return f"{health.ref} status: '{health.status}'"  # Flux keeps the object's own words to itself
    if health.message == _UNSEEN:
        return f"can't determine status for {health.ref}"
    return str(health)


def _progress(healths: Iterable[Health]) -> str:
    """`2 of 5 ready, waiting for Deployment/apps/x: Available: 0/3`."""
    counted = tuple(healths)
    ready = sum(health.status is Status.CURRENT for health in counted)
    awaited = next(h for h in counted if h.status not in {Status.CURRENT, Status.FAILED})
    words = " ".join(awaited.message.split()) or awaited.status
    if len(words) > _MESSAGE_LIMIT:
        words = words[: _MESSAGE_LIMIT - 1] + "…"
    return f"{ready} of {len(counted)} ready, waiting for {awaited.ref}: {words}"


def _only_changes(listener: Callable[[str], None] | None) -> Callable[[str], None]:
    last = ""

    def tell(words: str) -> None:
        nonlocal last
        if listener and words != last:
            listener(words)
        last = words

    return tell
