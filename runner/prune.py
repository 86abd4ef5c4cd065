"""Stale → deleted, or kept and why.

Nothing is deleted that is not in our inventory, still ours by label and uid, and absent from the
whole desired state. Source of the markers: kustomize-controller, garbage collection.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from runner import inventory
from runner.errors import ClusterError, NotServed
from runner.inventory import Entry
from runner.model import FLUX, Action, Change, Held, Manifest, ResourceRef
from runner.options import PruneLimit
from runner.ports import Api, Clock, Cluster, Observer

FINALIZER = "finalizers.fluxcd.io"
_KEEP = {"prune": "disabled", "reconcile": "disabled", "ssa": "ignore"}
_OF_EVERY_NAMESPACE = frozenset({("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")})
_EPHEMERAL = frozenset({"Event", "Endpoints", "EndpointSlice", "ControllerRevision", "PodMetrics"})
_SHOWN = 3


class Verdict(enum.Enum):
    """What to do with a stale object."""

    DELETE = "delete"
    GONE = "gone"  # it leaves the inventory: there is nothing of ours to delete
    KEEP = "keep"  # it stays in the inventory


@dataclass(frozen=True, slots=True)
class Stale:
    """A stale object, judged."""

    entry: Entry
    verdict: Verdict
    reason: str = ""
    uid: str = ""  # the live object's


@dataclass(frozen=True, slots=True)
class Pruned:
    """What became of stale objects: what happened, what left the inventory, and what went wrong."""

    changes: tuple[Change, ...] = ()
    gone: frozenset[ResourceRef] = frozenset()
    errors: tuple[str, ...] = ()


def judge(
    entry: Entry,
    live: Manifest | None,
    *,
    owner: str,
    desired_uids: Collection[str],
    protected: Collection[ResourceRef],
    bootstrap: bool,
) -> Stale:
    """Whether a stale object may go; `protected` hold our own state, `bootstrap` is Flux's installation."""
    if live is None:
        return Stale(entry, Verdict.GONE, "already gone")
    meta = live["metadata"]
    uid = meta.get("uid", "")
    if entry.ref in protected:
        return Stale(entry, Verdict.KEEP, "it holds kustodian's own state")
    if bootstrap:
        return Stale(entry, Verdict.KEEP, "part of Flux's own installation")
    if entry.uid and entry.uid != uid:
        return Stale(entry, Verdict.GONE, "another object has its name now")
    if uid in desired_uids:
        return Stale(entry, Verdict.GONE, "the same object is desired under another kind or group")
    labels = meta.get("labels") or {}
    holder = f"{labels.get(f'{FLUX}/namespace', '')}/{labels.get(f'{FLUX}/name', '')}"
    if holder != owner:
        return Stale(entry, Verdict.GONE, f"it belongs to {holder if holder != '/' else 'nobody'} now")
    if reason := kept_by(live):
        return Stale(entry, Verdict.GONE, reason)
    return Stale(entry, Verdict.DELETE, uid=uid)


def kept_by(manifest: Manifest) -> str:
    """Which of Flux's markers keeps an object from being pruned; "" when none does."""
    meta = manifest["metadata"]
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    for marker, keep in _KEEP.items():
        key = f"{FLUX}/{marker}"
        if keep in {str(labels.get(key, "")).lower(), str(annotations.get(key, "")).lower()}:
            return f"kept by {key}: {keep}"
    return ""


def guard(
    stale: Mapping[str, Sequence[Entry]],
    *,
    emptied: Collection[str],
    owned: int,
    limit: PruneLimit,
    approved: Collection[str],
) -> tuple[Held, ...]:
    """What would be deleted but looks like an accident, by Kustomization.

    `emptied` are those that render nothing at all any more, or went with a parent that does; `owned` is
    the size of the entry's whole inventory. Something held is let through by the digest of exactly that
    set of objects.
    """
    held: dict[str, Held] = {}
    everything = [entry.ref for entries in stale.values() for entry in entries]
    if limit.exceeded(len(everything), owned):
        reason = f"{len(everything)} of {owned} objects would be deleted, more than the prune limit allows"
        digest = approval("limit", everything)
        held = {
            k: Held(k, tuple(sorted(e.ref for e in entries)), reason, digest)
            for k, entries in sorted(stale.items())
            if entries
        }
    for k in sorted(emptied):
        refs = [entry.ref for entry in stale.get(k, ())]
        if refs and k not in held:
            reason = "it, or what rendered it, renders no object any more: an emptied path, or a wrong one"
            held[k] = Held(k, tuple(sorted(refs)), reason, approval(f"empty {k}", refs))
    return tuple(h for h in held.values() if h.digest not in approved)


def approval(cause: str, refs: Iterable[ResourceRef]) -> str:
    """The digest by which a person lets one held set through, once."""
    names = "\n".join([cause, *sorted(inventory.encode(ref) for ref in refs)])
    return hashlib.sha256(names.encode()).hexdigest()[:12]


def holds(ref: ResourceRef, live: Manifest, cluster: Cluster, leaving: Collection[ResourceRef]) -> str:
    """What would be lost with a Namespace, a definition or a claim, beyond `leaving`; "" for nothing."""
    if (ref.group, ref.kind) == ("", "PersistentVolumeClaim"):
        phase = (live.get("status") or {}).get("phase")
        return f"volume {(live.get('spec') or {}).get('volumeName')}" if phase == "Bound" else ""
    if (ref.group, ref.kind) == ("", "Namespace"):
        return _some(_content(ref.name, cluster), leaving)
    if (ref.group, ref.kind) == ("apiextensions.k8s.io", "CustomResourceDefinition"):
        spec = live.get("spec") or {}
        kind = (spec.get("names") or {}).get("kind", "")
        return _some(_listed(cluster, spec.get("group", ""), kind, ""), leaving)
    return ""


def delete(
    stale: Sequence[Stale],
    cluster: Cluster,
    pool: Executor,
    order: Callable[[Iterable[ResourceRef]], Sequence[ResourceRef]],
    stopped: Callable[[], bool],
) -> Pruned:
    """Delete in `order`, kind by kind, those of one kind in parallel; a failure does not stop the others."""
    todo = {s.entry.ref: s for s in stale if s.verdict is Verdict.DELETE}
    changes: list[Change] = []
    errors: list[str] = []
    for _, kind in groupby(order(todo), key=lambda ref: (ref.group, ref.kind)):
        if stopped():
            break
        for ref, error in pool.map(lambda ref: (ref, _delete(ref, todo[ref].uid, cluster)), list(kind)):
            if error:
                errors.append(error)
            else:
                changes.append(Change(ref, Action.DELETED))
    left = [Change(s.entry.ref, Action.SKIPPED, s.reason) for s in stale if s.verdict is not Verdict.DELETE]
    return Pruned((*changes, *left), frozenset(c.ref for c in changes), tuple(errors))


def wait_until_gone(
    uids: Mapping[ResourceRef, str],
    observer: Observer,
    clock: Clock,
    *,
    timeout: float,
    stopped: Callable[[], bool],
    pause: float = 1.0,
) -> dict[ResourceRef, str]:
    """Wait until deleted objects have disappeared; those that have not, with what holds them."""
    left: dict[ResourceRef, str] = dict.fromkeys(uids, "it is still terminating")
    deadline = clock.monotonic() + timeout
    with observer.observe(list(uids)) as observation:
        while left and not stopped() and (remaining := deadline - clock.monotonic()) > 0:
            for ref, live in observation.changed(min(remaining, pause)).items():
                if live is None or live["metadata"].get("uid") != uids[ref]:
                    left.pop(ref, None)
                else:
                    left[ref] = _holding(live)
    return left


def _holding(live: Manifest) -> str:
    finalizers: Any = live["metadata"].get("finalizers") or (live.get("spec") or {}).get("finalizers") or []
    return (
        f"it waits for its finalizers: {', '.join(map(str, finalizers))}"
        if finalizers
        else "it is still terminating"
    )


def _delete(ref: ResourceRef, uid: str, cluster: Cluster) -> str:
    try:
        cluster.delete(ref, uid=uid)
    except ClusterError as exc:
        return exc.message
    return ""


def _content(namespace: str, cluster: Cluster) -> Iterable[tuple[ResourceRef, Manifest]]:
    for api in cluster.apis():
        if _is_content(api):
            yield from _listed(cluster, api.group, api.kind, namespace)


def _is_content(api: Api) -> bool:
    return api.namespaced and {"list", "delete"} <= api.verbs and api.kind not in _EPHEMERAL


def _listed(
    cluster: Cluster, group: str, kind: str, namespace: str
) -> Iterable[tuple[ResourceRef, Manifest]]:
    try:
        items = cluster.list(group, kind, namespace=namespace, metadata_only=True).items
    except NotServed:
        return
    except ClusterError as exc:
        if exc.code == 404:  # noqa: PLR2004 -- HTTP's number for it
            return
        raise
    for item in items:
        meta = item["metadata"]
        yield ResourceRef(meta.get("namespace", ""), meta["name"], group, kind, ""), item


def _some(found: Iterable[tuple[ResourceRef, Manifest]], leaving: Collection[ResourceRef]) -> str:
    """The first few objects that are nobody's children and are not leaving anyway."""
    gone = frozenset(leaving)
    names = []
    for ref, item in found:
        if ref in gone or item["metadata"].get("ownerReferences"):
            continue
        if (ref.kind, ref.name) in _OF_EVERY_NAMESPACE or item["metadata"].get("deletionTimestamp"):
            continue
        names.append(str(ref))
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
