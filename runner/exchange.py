"""What Flux and we tell each other through the Kustomization objects of a cluster that serves them.

Flux's `.status` is taken over when it changed since we last looked, and left as its controller would leave
it; so either may go on where the other stopped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from runner import inventory, mirror
from runner.errors import ClusterError, GuardError, Refused
from runner.model import FLUX, Manifest, ResourceRef, State, kustomization_ref
from runner.ports import Cluster
from runner.state import Record

_ATTEMPTS = 5


@dataclass(slots=True)
class Exchange:
    """The Kustomization objects of one cluster; any thread may use them."""

    cluster: Cluster
    live: dict[str, Manifest] = field(default_factory=dict)  # by identity; empty where none are served
    _moved: set[str] = field(default_factory=set)  # read anew before they are looked at
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def read(cls, cluster: Cluster) -> Exchange:
        if cluster.api(FLUX, "Kustomization") is None:
            return cls(cluster)
        items = cluster.list(FLUX, "Kustomization").items
        return cls(cluster, {f"{i['metadata'].get('namespace')}/{i['metadata']['name']}": i for i in items})

    def __contains__(self, id_: str) -> bool:
        """Whether there is such an object, or this run made one."""
        return id_ in self.live or id_ in self._moved

    def wrote(self, refs: Iterable[ResourceRef]) -> None:
        """Note what this run wrote."""
        moved = {f"{r.namespace}/{r.name}" for r in refs if (r.group, r.kind) == (FLUX, "Kustomization")}
        with self._mutex:
            self._moved |= moved

    def tell(
        self, id_: str, change: Callable[[Manifest], Mapping[str, Any]], writer: Callable[[], Cluster]
    ) -> bool:
        """Bring `.status` of a Kustomization there; False when there is no such object.

        `change` gives the merge patch for the object as it is, and nothing when nothing is to be written:
        then `writer` is not asked for a client.

        Raises ClusterError when the server refuses.
        """
        ref = kustomization_ref(id_)
        live = self._at(id_)
        for _ in range(_ATTEMPTS):
            if live is None:
                return False
            if not (wanted := change(live)):
                return True
            version = live["metadata"]["resourceVersion"]
            try:
                writer().patch_status(ref, wanted, manager=mirror.MANAGER, version=version)
            except Refused as exc:
                if exc.reason not in {"Conflict", "NotFound"}:
                    raise
                live = self.cluster.get(ref)
            else:
                self.wrote([ref])
                return True
        raise ClusterError(f"the status of {ref} could not be written: something else keeps changing it")

    def imports(
        self, records: Mapping[str, Record], parents: Mapping[str, str], repository: str, entry: str
    ) -> dict[str, Record]:
        """The records of an entry, as far as Flux owns more than they say, with all of that.

        `parents` has the Kustomizations that the entry renders. One that it does not render any more, but
        that one of its own made, is taken over too: so what it owns goes with it.
        """
        found: dict[str, Record] = {}
        known = {id_: r for id_, r in records.items() if (r.repository, r.entry) == (repository, entry)}
        while True:
            more = {
                id_: made
                for id_, live in sorted(self.live.items())
                if id_ not in found
                and (id_ in known or id_ not in records)
                and (made := _import(id_, live, {**known, **found}, parents)) is not None
            }
            if not more:
                return found
            found |= {id_: replace(r, repository=repository, entry=entry) for id_, r in more.items()}

    def _at(self, id_: str) -> Manifest | None:
        with self._mutex:
            moved = id_ in self._moved
        return self.cluster.get(kustomization_ref(id_)) if moved else self.live.get(id_)


def same_path(
    live: Manifest | None, record: Record | None, server: str, entry: str, *, takeover: bool
) -> None:
    """Flux's root tells what the cluster is deployed from: another path is not ours to change.

    Raises GuardError.
    """
    if live is None or record is not None or takeover or not mirror.imported(live):
        return
    path = "/".join(
        p for p in str((live.get("spec") or {}).get("path") or "").split("/") if p not in {"", "."}
    )
    if path != entry:
        raise GuardError(
            f"Flux deploys {server} from {path or 'the root of the repository'}, not from {entry}",
            hint="check the kubeconfig and the context; --takeover makes this entry the owner.",
        )


def _import(
    id_: str, live: Manifest, known: Mapping[str, Record], parents: Mapping[str, str]
) -> Record | None:
    owned = mirror.imported(live)
    seen = mirror.fingerprint(owned)
    record = known.get(id_)
    if not owned or (record is not None and record.seen == seen):
        return None
    if record is not None:
        return replace(record, inventory=inventory.union(owned, record.inventory), seen=seen)
    labels = live["metadata"].get("labels") or {}
    maker = f"{labels.get(f'{FLUX}/namespace', '')}/{labels.get(f'{FLUX}/name', '')}"
    if id_ not in parents and maker not in parents and maker not in known:
        return None
    meta = {key: live["metadata"].get(key) for key in ("name", "namespace")}
    manifest = {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": meta,
        "spec": live.get("spec") or {},
    }
    state = State.READY if _is_ready(live) else None
    return Record(
        id_, parent=parents.get(id_, maker), manifest=manifest, inventory=owned, state=state, seen=seen
    )


def _is_ready(live: Manifest) -> bool:
    conditions = (live.get("status") or {}).get("conditions") or []
    return any((c.get("type"), c.get("status")) == ("Ready", "True") for c in conditions)
