"""Wanted × live → what applying would do to each object, by asking the server for a dry-run."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor

from runner import redact
from runner.errors import ClusterError, NotServed
from runner.model import Action, Manifest, ResourceRef
from runner.plan.alone import BOOTSTRAP, INSTANCE, PART_OF, VIRTUAL, is_bootstrap, left_alone, skipped
from runner.plan.drift import drifted, overlaid
from runner.plan.kinds import absent, binds, defines, roles, scoped, served, virtual_kinds
from runner.plan.trial import UNCHECKED, compare, settled
from runner.plan.values import Assessment, Ground, NoProofs, Proofs
from runner.ports import Cluster

__all__ = [
    "BOOTSTRAP",
    "INSTANCE",
    "PART_OF",
    "UNCHECKED",
    "VIRTUAL",
    "Assessment",
    "Ground",
    "NoProofs",
    "Proofs",
    "absent",
    "assess",
    "defines",
    "drifted",
    "is_bootstrap",
    "left_alone",
    "overlaid",
    "roles",
    "scoped",
    "served",
    "skipped",
    "virtual_kinds",
]


def assess(
    manifests: Sequence[Manifest], cluster: Cluster, pool: Executor, ground: Ground
) -> tuple[Assessment, ...]:
    """One assessment for each object, in the order given; an object's failure is its own.

    Where nothing changed, hardly any is asked for by itself: those are not worth a thread.
    """
    known = [_foreseen(manifest, ground) for manifest in manifests]
    asked = [manifest for manifest, found in zip(manifests, known, strict=True) if found is None]
    answers = pool.map(lambda manifest: _assess(manifest, cluster, ground), asked) if asked else iter(())
    return tuple(next(answers) if found is None else found for found in known)


def _foreseen(manifest: Manifest, ground: Ground) -> Assessment | None:
    """What is to be said without asking for the object."""
    ref = ResourceRef.of(manifest)
    if reason := skipped(manifest, ground):
        return Assessment(ref, manifest, Action.SKIPPED, reason)
    if names := ground.unresolved.get(ref):
        return Assessment(ref, manifest, Action.UNKNOWN, f"not fully known: {', '.join(names)}")
    if redact.is_secret(manifest) and not ground.read_secrets:
        reason = "not compared: no Secret is read (--read-secrets)"
        return Assessment(ref, manifest, Action.UNKNOWN, reason)
    return settled(ref, manifest, ground)


def _assess(manifest: Manifest, cluster: Cluster, ground: Ground) -> Assessment:
    ref = ResourceRef.of(manifest)
    try:
        return compare(ref, manifest, cluster, ground)
    except ClusterError as exc:
        if missing := _made_by_this_run(ref, manifest, exc, ground):
            return Assessment(ref, manifest, Action.CREATED, f"not yet checked: this run {missing}")
        hint = (_hint(ref) if isinstance(exc, NotServed) else "") or exc.hint
        return Assessment(ref, manifest, Action.UNKNOWN, error=exc.message, hint=hint)


def _made_by_this_run(ref: ResourceRef, manifest: Manifest, refusal: ClusterError, ground: Ground) -> str:
    """What an object lacks that the same run will have made by then; "" when that is not the cause."""
    if isinstance(refusal, NotServed):
        return "defines its kind" if (ref.group, ref.kind) in ground.kinds else ""
    if refusal.reason != "NotFound":
        return ""
    if ref.namespace in ground.namespaces:
        return "creates its namespace"
    return "creates its role" if binds(manifest) in ground.roles else ""


def _hint(ref: ResourceRef) -> str:
    if ref.group == "helm.toolkit.fluxcd.io":
        return "HelmReleases need Flux's helm-controller and source-controller in the cluster."
    return "install what defines this kind first, and let this Kustomization depend on it."
