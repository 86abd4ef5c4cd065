"""Plan → cluster: Flux's stages and its order, parallel where the order leaves it open.

Source of the rules: fluxcd/pkg/ssa, ApplyAllStaged and its sort order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import groupby

from runner import cleaning, colliding
from runner.errors import ClusterError, Refused
from runner.model import Manifest, ResourceRef
from runner.ports import Cluster

FIRST = [
    "CustomResourceDefinition",
    "Namespace",
    "ClusterRole",
    "ClusterClass",
    "RuntimeClass",
    "PriorityClass",
    "StorageClass",
    "VolumeSnapshotClass",
    "IngressClass",
    "GatewayClass",
    "ClusterRoleBinding",
    "ResourceQuota",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ConfigMap",
    "Secret",
    "Service",
    "LimitRange",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
]
LAST = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"]

_RANK = {kind: i for i, kind in enumerate(FIRST)} | {kind: len(FIRST) + 1 + i for i, kind in enumerate(LAST)}


_DEFINITIONS, _CLASSES, _ROLES, _REST = range(4)
_CLEANINGS = 3  # tries: somebody may write between our reading and our patch


@dataclass(frozen=True, slots=True)
class Order:
    """One object to be applied."""

    manifest: Manifest = field(repr=False)
    cleans: Manifest | None = field(default=None, repr=False)  # the live object that is cleaned up first


@dataclass(frozen=True, slots=True)
class Sent:
    """How one object was taken."""

    ref: ResourceRef
    uid: str = ""
    version: str = ""  # the resourceVersion that it has now
    error: str = ""
    hint: str = ""
    warnings: tuple[str, ...] = ()
    live: Manifest = field(default_factory=dict, repr=False)  # what it has become


def stages(manifests: Iterable[Manifest]) -> tuple[tuple[Manifest, ...], ...]:
    """Definitions, classes, Roles and the rest, each in Flux's order; stages without objects are left out.

    The first two are waited for before the next is looked at. Roles have a stage of their own because the
    server resolves the Role that a binding names, even in a dry-run: Flux needs its option for custom stages.
    """
    ordered = sorted(manifests, key=lambda manifest: _order(ResourceRef.of(manifest)))
    split: tuple[list[Manifest], ...] = ([], [], [], [])
    for manifest in ordered:
        split[_stage(manifest)].append(manifest)
    return tuple(tuple(stage) for stage in split if stage)


def is_waited_for(stage: Sequence[Manifest]) -> bool:
    """Whether later stages need this one's objects to be ready: it holds definitions or classes."""
    return any(_stage(manifest) in {_DEFINITIONS, _CLASSES} for manifest in stage)


def deletion_order(refs: Iterable[ResourceRef]) -> tuple[ResourceRef, ...]:
    """The reverse of the order in which objects are applied."""
    return tuple(sorted(refs, key=_order, reverse=True))


def send(
    orders: Sequence[Order], cluster: Cluster, pool: Executor, stopped: Callable[[], bool]
) -> tuple[Sent, ...]:
    """Apply a stage's changed objects: those of one rank in parallel, ranks one after the other.

    After a failure no further rank is begun. The answer holds what was sent, and only that.
    """
    done: list[Sent] = []
    for _, rank in groupby(orders, key=lambda order: _order(ResourceRef.of(order.manifest))[0]):
        if stopped():
            break
        done += pool.map(lambda order: _send(order, cluster), list(rank))
        if any(sent.error for sent in done):
            break
    return tuple(done)


def _send(order: Order, cluster: Cluster) -> Sent:
    ref = ResourceRef.of(order.manifest)
    try:
        if order.cleans is not None:
            _clean(ref, order, cluster)
        applied = cluster.apply(order.manifest)
    except ClusterError as exc:
        return Sent(ref, error=exc.message, hint=exc.hint)
    meta = applied.manifest["metadata"]
    return Sent(
        ref,
        meta.get("uid", ""),
        meta.get("resourceVersion", ""),
        warnings=tuple(f"{ref}: {text}" for text in applied.warnings),
        live=applied.manifest,
    )


def _clean(ref: ResourceRef, order: Order, cluster: Cluster) -> None:
    """Take out what other managers left, of just the version that was looked at; of a newer one, anew."""
    found = order.cleans
    for left in reversed(range(_CLEANINGS)):
        collides = found is not None and colliding.found(order.manifest, found)
        if found is None or not (collides or cleaning.needed(found)):
            return
        try:
            cluster.patch(ref, colliding.patch(order.manifest, found) if collides else cleaning.patch(found))
        except ClusterError as exc:
            if not (isinstance(exc, Refused) or exc.unanswered):
                raise
            now = cluster.get(ref)
            moved = now is None or now["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]
            if not (left and (moved or exc.unanswered)):
                raise ClusterError(
                    f"{ref} metadata.managedFields cleanup failed: {exc.message}",
                    code=exc.code,
                    reason=exc.reason,
                    hint=exc.hint,
                ) from None
            found = now
        else:
            return


def _stage(manifest: Manifest) -> int:
    group = str(manifest["apiVersion"]).rpartition("/")[0]
    kind = manifest["kind"]
    if group == "apiextensions.k8s.io" or (group, kind) in {
        ("", "Namespace"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
    }:
        return _DEFINITIONS
    if kind.endswith("Class"):
        return _CLASSES
    return _ROLES if (group, kind) == ("rbac.authorization.k8s.io", "Role") else _REST


def _order(ref: ResourceRef) -> tuple[tuple[int, str, str], str, str, str]:
    """Rank (kinds that Flux does not name come between, by group and kind), namespace, name, group."""
    rank = _RANK.get(ref.kind, len(FIRST))
    named = ref.kind in _RANK
    return ((rank, "" if named else ref.group, "" if named else ref.kind), ref.namespace, ref.name, ref.group)
