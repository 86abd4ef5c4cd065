"""Read and write what the cluster remembers; see `state` for its form."""

from __future__ import annotations

import secrets
import threading
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from runner import state
from runner.errors import ClusterError, LockLost
from runner.model import Manifest, ResourceRef
from runner.ports import Cluster
from runner.state import Record

KEY_NAME = "kustodian"
KEY_FIELD = "digest-key"
KEY_BYTES = 32
_ATTEMPTS = 5
_CHANGED = {"Conflict", "AlreadyExists", "NotFound"}
"""The server's words when somebody wrote in between."""


@dataclass(slots=True)
class Store:
    """The records of every entry in one cluster, and the versions they were read at.

    Writes are safe against writers that do not hold the lock any more: a record that a later holder
    wrote is never overwritten. Threads may write different Kustomizations at once.
    """

    cluster: Cluster
    records: dict[str, Record] = field(default_factory=dict)
    stored: dict[str, Record] = field(default_factory=dict)  # as the cluster has them
    uids: dict[str, str] = field(default_factory=dict)  # of the ConfigMaps
    _versions: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def load(self) -> Mapping[str, Record]:
        """Read every record of the cluster. Raises GuardError for one that cannot be read."""
        self.records, self.stored, self.uids, self._versions = {}, {}, {}, {}
        for config_map in self.cluster.list("", "ConfigMap", selector=state.SELECTOR).items:
            self._remember(state.decode(config_map), config_map)
        return self.records

    def versions(self, repository: str, entry: str) -> Mapping[str, str]:
        """What was read of one entry, as the server counts: equal versions, equal records."""
        return {
            id_: self._versions[id_]
            for id_, record in self.records.items()
            if id_ in self._versions and (record.repository, record.entry) == (repository, entry)
        }

    def imported(self, records: Mapping[str, Record]) -> None:
        """Go on from these instead of what was read; the cluster has them once they are written."""
        self.records.update(records)

    def through(self, cluster: Cluster) -> Store:
        """The same records, written through another (fenced) client."""
        return Store(cluster, dict(self.records), dict(self.stored), dict(self.uids), dict(self._versions))

    def write(self, record: Record) -> None:
        """Create or replace a record; one that would be the same is not written.

        A write whose answer is lost is made again unless it is there: of what is recorded nothing may be
        in doubt.

        Raises:
            LockLost: a later holder of the lock has written this record.
            GuardError: the record is too large.
        """
        for left in reversed(range(_ATTEMPTS)):
            if self.stored.get(record.kustomization) == record:
                self.records[record.kustomization] = record
                return
            try:
                self._remember(record, self._send(state.encode(record), record))
            except ClusterError as exc:
                if exc.reason not in _CHANGED and not (exc.unanswered and left):
                    raise
                record = self._reread(record)
            else:
                return
        raise ClusterError(
            f"{state.config_map_ref(record.kustomization)} could not be written: "
            "something else keeps changing it",
            hint="nothing but kustodian should write to it.",
        )

    def forget(self, kustomization: str, fence: int) -> None:
        """Delete the record of a Kustomization that is gone, with everything it owned.

        Raises LockLost when a later holder of the lock has written it.
        """
        ref = state.config_map_ref(kustomization)
        live = self.cluster.get(ref)
        if live is not None:
            _outranks(fence, state.decode(live))
            self.cluster.delete(ref, uid=live["metadata"]["uid"])
        with self._lock:
            self.records.pop(kustomization, None)
            self.stored.pop(kustomization, None)
            self._versions.pop(kustomization, None)

    def ensure_namespace(self, name: str) -> bool:
        """Create the namespace that records live in, owned by nobody; whether it was missing."""
        if self.cluster.get(ResourceRef("", name, "", "Namespace", "v1")) is not None:
            return False
        self._made({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        return True

    def digest_key(self, namespace: str, *, create: bool) -> bytes:
        """The key of the digests over secret material, from its Secret; b"" when there is none yet."""
        ref = ResourceRef(namespace, KEY_NAME, "", "Secret", "v1")
        live = self.cluster.get(ref)
        if live is None and create:
            coded = b64encode(secrets.token_bytes(KEY_BYTES)).decode()
            made = {
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "kustodian.io/digest-key",
                "metadata": {"name": KEY_NAME, "namespace": namespace, "labels": {state.LABEL: "key"}},
                "data": {KEY_FIELD: coded},
            }
            live = self._made(made)
        return b64decode(((live or {}).get("data") or {}).get(KEY_FIELD, ""))

    def _made(self, manifest: Manifest) -> Manifest | None:
        """Create what is not there; what is there now, whoever made it."""
        for left in reversed(range(_ATTEMPTS)):
            try:
                return self.cluster.create(manifest)
            except ClusterError as exc:
                if exc.reason != "AlreadyExists" and not (exc.unanswered and left):
                    raise
            if (live := self.cluster.get(ResourceRef.of(manifest))) is not None:
                return live
        return None

    def _send(self, config_map: dict[str, Any], record: Record) -> Manifest:
        version = self._versions.get(record.kustomization)
        if version is None:
            return self.cluster.create(config_map)
        meta = {**config_map["metadata"], "resourceVersion": version}
        return self.cluster.replace({**config_map, "metadata": meta})

    def _reread(self, record: Record) -> Record:
        """What is there may be another: go on when no later holder of the lock wrote it; keep a pause."""
        live = self.cluster.get(state.config_map_ref(record.kustomization))
        with self._lock:
            self.stored.pop(record.kustomization, None)
            self._versions.pop(record.kustomization, None)
        if live is None:
            return record
        found = state.decode(live)
        _outranks(record.fence, found)
        with self._lock:
            self.stored[record.kustomization] = found
            self.uids[record.kustomization] = live["metadata"]["uid"]
            self._versions[record.kustomization] = live["metadata"]["resourceVersion"]
        return replace(record, pause=found.pause)

    def _remember(self, record: Record, config_map: Manifest) -> None:
        with self._lock:
            self.records[record.kustomization] = record
            self.stored[record.kustomization] = record
            self.uids[record.kustomization] = config_map["metadata"]["uid"]
            self._versions[record.kustomization] = config_map["metadata"]["resourceVersion"]


def _outranks(fence: int, found: Record) -> None:
    """Make sure that no later holder of the lock wrote what is there. Raises LockLost."""
    if found.fence > fence:
        raise LockLost(f"{found.kustomization} was recorded by a run that took the lock over")
