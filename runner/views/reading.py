"""Live objects, read in as few requests as can be; a Secret's values are never among them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from concurrent.futures import Executor

from runner.errors import ClusterError
from runner.model import Manifest, ResourceRef
from runner.ports import Cluster

FEW = 4
"""So many objects of a kind are read one by one; more are listed."""

Found = dict[ResourceRef, Manifest | ClusterError | None]
"""None does not exist; an error says why it is not known."""


def live(cluster: Cluster, pool: Executor, refs: Collection[ResourceRef]) -> Found:
    """Each object as it is now."""
    kinds: dict[tuple[str, str], list[ResourceRef]] = defaultdict(list)
    for ref in sorted(refs):
        kinds[ref.group, ref.kind].append(ref)
    found: Found = {}
    for part in pool.map(lambda item: _kind(cluster, *item), kinds.items()):
        found |= part
    return found


def _kind(cluster: Cluster, kind: tuple[str, str], refs: list[ResourceRef]) -> Found:
    if cluster.api(*kind) is None:
        return dict.fromkeys(refs)
    secret = kind == ("", "Secret")
    if len(refs) <= FEW and not secret:
        return {ref: _one(cluster, ref) for ref in refs}
    spaces = {ref.namespace for ref in refs}
    spaces = spaces if len(spaces) <= FEW else {""}
    seen: Found = {}
    for namespace in sorted(spaces):
        own = [ref for ref in refs if namespace in {"", ref.namespace}]
        try:
            listed = cluster.list(*kind, namespace=namespace, metadata_only=secret).items
        except ClusterError as exc:
            seen |= dict.fromkeys(own, exc)
            continue
        known = {(i["metadata"].get("namespace") or "", i["metadata"]["name"]): i for i in listed}
        seen |= {ref: _typed(ref, known.get((ref.namespace, ref.name))) for ref in own}
    return seen


def _one(cluster: Cluster, ref: ResourceRef) -> Manifest | ClusterError | None:
    try:
        return cluster.get(ref)
    except ClusterError as exc:
        return exc


def _typed(ref: ResourceRef, item: Manifest | None) -> Manifest | None:
    """Items of a list may lack what they are; of metadata alone it is something else."""
    return None if item is None else {**item, "apiVersion": ref.api_version, "kind": ref.kind}
