"""Plan → cluster: Flux's stages and its order, parallel where the order leaves it open.

Source of the rules: fluxcd/pkg/ssa, ApplyAllStaged and its sort order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import groupby

from runner.errors import ClusterError
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
    """Definitions, classes and the rest, each in Flux's order; stages without objects are left out.

    The first two are waited for before the next is looked at.
    """
    ordered = sorted(manifests, key=lambda manifest: _order(ResourceRef.of(manifest)))
    split: tuple[list[Manifest], ...] = ([], [], [])
    for manifest in ordered:
        split[_stage(manifest)].append(manifest)
    return tuple(tuple(stage) for stage in split if stage)


def is_waited_for(stage: Sequence[Manifest]) -> bool:
    """Whether later stages need this one's objects to be ready: it holds definitions or classes."""
    return any(_stage(manifest) < 2 for manifest in stage)  # noqa: PLR2004 -- the last stage


def deletion_order(refs: Iterable[ResourceRef]) -> tuple[ResourceRef, ...]:
    """The reverse of the order in which objects are applied."""
    return tuple(sorted(refs, key=_order, reverse=True))


def send(
    manifests: Sequence[Manifest], cluster: Cluster, pool: Executor, stopped: Callable[[], bool]
) -> tuple[Sent, ...]:
    """Apply a stage's changed objects: those of one rank in parallel, ranks one after the other.

    After a failure no further rank is begun. The answer holds what was sent, and only that.
    """
    done: list[Sent] = []
    for _, rank in groupby(manifests, key=lambda manifest: _order(ResourceRef.of(manifest))[0]):
        if stopped():
            break
        done += pool.map(lambda manifest: _send(manifest, cluster), list(rank))
        if any(sent.error for sent in done):
            break
    return tuple(done)


def _send(manifest: Manifest, cluster: Cluster) -> Sent:
    ref = ResourceRef.of(manifest)
    try:
        applied = cluster.apply(manifest)
    except ClusterError as exc:
        return Sent(ref, error=exc.message, hint=exc.hint)
    meta = applied.manifest["metadata"]
    return Sent(
        ref,
        meta.get("uid", ""),
        meta.get("resourceVersion", ""),
        warnings=applied.warnings,
        live=applied.manifest,
    )


def _stage(manifest: Manifest) -> int:
    group = str(manifest["apiVersion"]).rpartition("/")[0]
    kind = manifest["kind"]
    if group == "apiextensions.k8s.io" or (group, kind) in {
        ("", "Namespace"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
    }:
        return 0
    return 1 if kind.endswith("Class") else 2


def _order(ref: ResourceRef) -> tuple[tuple[int, str, str], str, str, str]:
    """Rank (kinds that Flux does not name come between, by group and kind), namespace, name, group."""
    rank = _RANK.get(ref.kind, len(FIRST))
    named = ref.kind in _RANK
    return ((rank, "" if named else ref.group, "" if named else ref.kind), ref.namespace, ref.name, ref.group)
