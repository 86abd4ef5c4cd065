"""One object: what applying it would do, asked of the server by a dry-run.

Source of the rules: fluxcd/pkg/ssa, Apply and Diff.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from runner import cleaning, colliding, ignoring, recreation, typed, undeclared
from runner.errors import ClusterError
from runner.model import Action, Manifest, ResourceRef
from runner.plan.alone import BOOTSTRAP, is_bootstrap, left_alone
from runner.plan.drift import drifted, overlaid
from runner.plan.values import Assessment, Ground
from runner.ports import Applied, Cluster

UNCHECKED = "not checked by the server: these credentials may only read"
_TRIES = 20  # each tells of some fields that the kind does not have


@dataclass(frozen=True, slots=True)
class _Tried:
    """A dry-run: what was sent, and what came of it."""

    payload: Manifest
    result: Applied | ClusterError
    less: Manifest | None = None  # the same, where fields that the server does not know are left out
    warnings: tuple[str, ...] = ()

    @property
    def creates(self) -> bool:
        """Whether the server said that there was no such object: that needs no asking then."""
        return isinstance(self.result, Applied) and self.result.created


def settled(ref: ResourceRef, manifest: Manifest, ground: Ground) -> Assessment | None:
    """What is known of it without asking for this object alone, if that is enough."""
    seen = ground.proofs.seen(ref)
    return _settled(ref, manifest, seen, ground) if seen is not None else None


def compare(ref: ResourceRef, manifest: Manifest, cluster: Cluster, ground: Ground) -> Assessment:
    """What applying would do to the live object. Raises ClusterError when the server refuses."""
    tried = None if _may_be_there(ref, manifest, ground) else _try(ref, typed.sent(manifest), cluster)
    live = None
    if tried is None or not tried.creates:
        live = cluster.get(ref)
        if known := _settled(ref, manifest, live, ground):
            return known
        tried = tried or _try(ref, typed.sent(manifest), cluster)
    result = tried.result
    if isinstance(result, ClusterError):
        if ground.reduced and result.reason == "Forbidden":
            return _by_reading(ref, manifest, live, ground)
        if live is not None and result.reason == "Invalid" and colliding.found(tried.payload, live):
            return _handed_over(ref, manifest, live, tried)
        if live is None or not recreation.is_immutable(result):
            raise result
        if not (ground.force or recreation.forced(manifest, live)):
            raise _unforced(result)
        return _anew(ref, manifest, live, tried, result, cluster)
    found = Assessment(
        ref,
        manifest,
        Action.CREATED,
        live=live,
        merged=result.manifest,
        warnings=(*tried.warnings, *(f"{ref}: {text}" for text in result.warnings)),
        tried=tried.payload,
        payload=tried.less,
    )
    return found if live is None else _existing(found, live, result.manifest, ground)


def _may_be_there(ref: ResourceRef, manifest: Manifest, ground: Ground) -> bool:
    """Whether the live object is asked for before the dry-run is: it decides whether that is needed."""
    return ground.proofs.known(ref) or bool(left_alone(manifest, manifest))


def _existing(found: Assessment, live: Manifest, merged: Manifest, ground: Ground) -> Assessment:
    """Whether there is anything to do about an object that is there."""
    ignored = ignoring.drifted(ground.ignore, live, merged)
    if ignored:
        merged = ignoring.kept(ignored, live, merged)
    difference = drifted(live, merged)
    cleans = cleaning.needed(live) and not cleaning.unwanted(found.manifest, live)
    if not (difference or cleans):
        return replace(found, action=Action.UNCHANGED, merged=merged, hides=bool(ignored))
    if ignored:
        found = replace(found, payload=ignoring.payload(ignored, live, found.sent))
    if cleans:
        merged = cleaning.foreseen(live, merged)
    reason = "; ".join(filter(None, (difference, cleaning.reason(live) if cleans else "")))
    return replace(
        found, action=Action.CONFIGURED, reason=reason, merged=merged, cleans=cleans, hides=bool(ignored)
    )


def _try(ref: ResourceRef, manifest: Manifest, cluster: Cluster) -> _Tried:
    """A dry-run; of built-in kinds without the fields that the server does not know."""
    payload, dropped = manifest, dict[str, None]()
    result = _dry_run(payload, cluster)
    for _ in range(_TRIES):
        if not isinstance(result, ClusterError) or not undeclared.is_dropped_from(ref):
            break
        unknown = undeclared.named(result.message)
        less = undeclared.without(payload, unknown)
        if less == payload:
            break
        payload = less
        dropped.update(dict.fromkeys(unknown))
        result = _dry_run(payload, cluster)
    told = f"{ref}: dropped, as in Flux, since its kind has no such field: {', '.join(sorted(dropped))}"
    return _Tried(payload, result, payload if dropped else None, (told,) if dropped else ())


def _dry_run(manifest: Manifest, cluster: Cluster) -> Applied | ClusterError:
    try:
        return cluster.apply(manifest, dry_run=True)
    except ClusterError as exc:
        return exc


def _unforced(refusal: ClusterError) -> ClusterError:
    refusal.hint = refusal.hint or (
        "to have it deleted and made anew, set spec.force, or give the object the annotation "
        "kustomize.toolkit.fluxcd.io/force: enabled."
    )
    return refusal


def _anew(
    ref: ResourceRef,
    manifest: Manifest,
    live: Manifest,
    tried: _Tried,
    refusal: ClusterError,
    cluster: Cluster,
) -> Assessment:
    """An object that has to go first. Raises ClusterError when the new one would not be taken then."""
    try:
        cluster.create(recreation.trial(tried.payload, live), dry_run=True)
    except ClusterError as exc:
        if exc.reason != "AlreadyExists":
            raise type(exc)(
                f"{refusal.message}\nit is not made anew, as that would fail: {exc.message}",
                code=exc.code,
                reason=exc.reason,
                hint=exc.hint,
            ) from None
    return Assessment(
        ref,
        manifest,
        Action.CREATED,
        recreation.reason(refusal),
        live=live,
        warnings=tried.warnings,
        payload=tried.less,
        recreates=True,
    )


def _handed_over(ref: ResourceRef, manifest: Manifest, live: Manifest, tried: _Tried) -> Assessment:
    """An object with an item of a list in the way of ours: what an apply makes of it is worked out here."""
    return Assessment(
        ref,
        manifest,
        Action.CONFIGURED,
        "an item of a list has another key than in Git",
        live=live,
        merged=overlaid(colliding.foreseen(tried.payload, live), tried.payload),
        warnings=tried.warnings,
        payload=tried.less,
        cleans=True,
    )


def _settled(
    ref: ResourceRef, manifest: Manifest, live: Manifest | None, ground: Ground
) -> Assessment | None:
    """What needs no dry-run: what is left alone, and what is proven; metadata is enough of `live`."""
    if live is not None and is_bootstrap(live) and not ground.install_flux:
        return Assessment(ref, manifest, Action.SKIPPED, BOOTSTRAP, live=live)
    if reason := left_alone(manifest, live):
        return Assessment(ref, manifest, Action.SKIPPED, reason, live=live)
    if live is not None and ground.proofs.hold(manifest, live):
        return Assessment(ref, manifest, Action.UNCHANGED, live=live, merged=live, proven=True)
    return None


def _by_reading(ref: ResourceRef, manifest: Manifest, live: Manifest | None, ground: Ground) -> Assessment:
    """Without the right to apply: what the server would add or refuse is not known."""
    if live is None:
        return Assessment(ref, manifest, Action.CREATED, UNCHECKED)
    found = _existing(
        Assessment(ref, manifest, Action.CREATED, live=live), live, overlaid(live, manifest), ground
    )
    return replace(found, reason=f"{found.reason}; {UNCHECKED}".lstrip("; "))
