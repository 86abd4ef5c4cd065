"""An API server in memory: enough of one for decisions that depend on what a cluster answers."""

from __future__ import annotations

import copy
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from runner.errors import ClusterError, NotServed, Refused
from runner.model import Manifest, ResourceRef
from runner.ports import Api, Applied, Listing, WatchEvent

CLUSTER_WIDE = frozenset(
    [
        "Namespace",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "StorageClass",
        "PersistentVolume",
    ]
)
VERBS = frozenset({"get", "list", "watch", "patch", "create", "update", "delete"})
SERVED = (
    ("", "v1", "Namespace ConfigMap Secret Service ServiceAccount PersistentVolumeClaim Pod Endpoints Event"),
    ("apps", "v1", "Deployment StatefulSet"),
    ("batch", "v1", "Job CronJob"),
    ("rbac.authorization.k8s.io", "v1", "Role ClusterRole RoleBinding ClusterRoleBinding"),
    ("storage.k8s.io", "v1", "StorageClass"),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
)
FORBIDDEN, NOT_FOUND, CONFLICT = 403, 404, 409


@dataclass
class FakeCluster:
    """Keeps objects with uid and resourceVersion; an apply merges, forced, and never removes a field.

    `refusals` answer for an object instead of it, whatever is asked; `writes` holds every write that
    went through, like `PATCH ConfigMap/apps/x`.
    """

    objects: dict[ResourceRef, Manifest] = field(default_factory=dict)
    refusals: dict[ResourceRef, ClusterError] = field(default_factory=dict)
    unlisted: dict[tuple[str, str], ClusterError] = field(default_factory=dict)
    narrow: set[tuple[str, str]] = field(
        default_factory=set
    )  # kinds that may be listed in one namespace only
    warnings: dict[ResourceRef, tuple[str, ...]] = field(default_factory=dict)
    served: dict[tuple[str, str], Api] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)
    written: dict[tuple[str, str, bool], str] = field(
        default_factory=dict
    )  # logs, by Pod, container, previous
    requests: Counter[str] = field(default_factory=Counter)
    server: str = "https://fake.example:6443"
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _mutex: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        for group, version, kinds in SERVED:
            for kind in kinds.split():
                self.serve(group, kind, version)

    def serve(self, group: str, kind: str, version: str = "v1", *, namespaced: bool | None = None) -> None:
        inside = kind not in CLUSTER_WIDE if namespaced is None else namespaced
        self.served[group, kind] = Api(group, version, kind, f"{kind.lower()}s", inside, VERBS)

    def put(self, *manifests: Mapping[str, Any]) -> FakeCluster:
        """Objects as somebody else left them; a uid that is given is kept."""
        for manifest in manifests:
            self._store(ResourceRef.of(manifest), manifest)
        return self

    def version(self) -> str:
        return "v1.37.0"

    def api(self, group: str, kind: str, version: str = "") -> Api | None:
        return self.served.get((group, kind))

    def apis(self) -> Sequence[Api]:
        return tuple(self.served.values())

    def rediscover(self) -> None:
        """What is served is known at once here."""

    def get(self, ref: ResourceRef) -> Manifest | None:
        with self._mutex:
            self._count("GET", ref)
            self.reads.append(str(ref))
            return copy.deepcopy(self.objects.get(ref))

    def list(  # noqa: PLR0913 -- each is a question of its own to the server
        self,
        group: str,
        kind: str,
        *,
        namespace: str = "",
        selector: str = "",
        fields: str = "",
        metadata_only: bool = False,
        most: int = 0,
    ) -> Listing:
        with self._mutex:
            self.requests["LIST"] += 1
            self.lists.append(f"{kind} {namespace}".strip())
            if error := self.unlisted.get((group, kind)):
                raise error
            if (group, kind) in self.narrow and not namespace:
                raise Refused(f"{kind} list failed (Forbidden)", code=FORBIDDEN, reason="Forbidden")
            self._must_serve(group, kind)
            wanted = dict(part.split("=") for part in selector.split(",") if part)
            found = [
                copy.deepcopy(manifest)
                for ref, manifest in sorted(self.objects.items())
                if (ref.group, ref.kind) == (group, kind)
                and namespace in {"", ref.namespace}
                and wanted.items() <= (manifest["metadata"].get("labels") or {}).items()
                and all(_has(manifest, *part.split("=")) for part in fields.split(",") if part)
            ]
            if 0 < most < len(found):
                raise ClusterError(f"{kind} list failed: there are more than {most}", reason="TooMany")
            return Listing(tuple(found), str(next(self._numbers)))

    @contextmanager
    def watch(
        self, group: str, kind: str, *, resource_version: str, namespace: str = "", selector: str = ""
    ) -> Iterator[Iterator[WatchEvent]]:
        yield iter(())

    def apply(self, manifest: Manifest, *, dry_run: bool = False) -> Applied:
        ref = ResourceRef.of(manifest)
        with self._mutex:
            self._count("DRYRUN" if dry_run else "PATCH", ref)
            self._must_have_namespace(ref)
            live = self.objects.get(ref)
            merged = _merged(live or {}, manifest)
            if not dry_run:
                self.writes.append(f"PATCH {ref}")
                merged = self._store(ref, merged)
            return Applied(copy.deepcopy(merged), self.warnings.get(ref, ()), created=live is None)

    def patch(self, ref: ResourceRef, operations: Sequence[Mapping[str, object]]) -> Manifest:
        raise AssertionError(f"{ref}: this fake takes no JSON patch, but was sent {operations}")

    def patch_status(
        self, ref: ResourceRef, status: Mapping[str, object], *, manager: str, version: str
    ) -> None:
        raise AssertionError(f"{ref}: this fake has no status subresource, but {manager} sent {status}")

    def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        ref = ResourceRef.of(manifest)
        with self._mutex:
            self._count("DRYRUN" if dry_run else "POST", ref)
            if ref in self.objects:
                raise Refused(f"{ref} already exists", code=CONFLICT, reason="AlreadyExists")
            if dry_run:
                return copy.deepcopy(manifest)
            self.writes.append(f"POST {ref}")
            return copy.deepcopy(self._store(ref, manifest))

    def replace(self, manifest: Manifest) -> Manifest:
        ref = ResourceRef.of(manifest)
        with self._mutex:
            self._count("PUT", ref)
            live = self.objects.get(ref)
            given = manifest["metadata"].get("resourceVersion")
            if live is None:
                raise Refused(f"{ref} not found", code=NOT_FOUND, reason="NotFound")
            if given and given != live["metadata"]["resourceVersion"]:
                raise Refused(f"{ref} was changed", code=CONFLICT, reason="Conflict")
            self.writes.append(f"PUT {ref}")
            return copy.deepcopy(self._store(ref, manifest))

    def delete(self, ref: ResourceRef, *, uid: str) -> None:
        with self._mutex:
            self._count("DELETE", ref)
            live = self.objects.get(ref)
            if live is None:
                return
            if live["metadata"]["uid"] != uid:
                raise Refused(f"{ref} is another object", code=CONFLICT, reason="Conflict")
            self.writes.append(f"DELETE {ref}")
            del self.objects[ref]

    def fenced(self, before_write: Callable[[], float]) -> FakeCluster:
        return self

    def acting_as(self, user: str) -> FakeCluster:
        raise NotImplementedError("a fake has no rights to ask for")

    def logs(self, ref: ResourceRef, container: str, *, previous: bool, lines: int) -> str:
        with self._mutex:
            self._count("GET", ref)
            if (log := self.written.get((ref.name, container, previous))) is None:
                raise Refused(f"{ref} log of {container} failed: not found", code=400, reason="BadRequest")
            return "\n".join(log.splitlines()[-lines:])

    def _count(self, verb: str, ref: ResourceRef) -> None:
        self.requests[verb] += 1
        if error := self.refusals.get(ref):
            raise error
        self._must_serve(ref.group, ref.kind)

    def _must_serve(self, group: str, kind: str) -> None:
        if (group, kind) not in self.served:
            raise NotServed(f"the server does not serve {kind} of {group or 'core'}")

    def _must_have_namespace(self, ref: ResourceRef) -> None:
        space = ResourceRef("", ref.namespace, "", "Namespace", "v1")
        if ref.namespace and space not in self.objects:
            raise Refused(f'namespaces "{ref.namespace}" not found', code=NOT_FOUND, reason="NotFound")

    def _store(self, ref: ResourceRef, manifest: Mapping[str, Any]) -> Manifest:
        meta = {"uid": f"uid-{next(self._numbers)}", **manifest["metadata"]}
        meta["resourceVersion"] = str(next(self._numbers))
        self.objects[ref] = copy.deepcopy({**manifest, "metadata": meta})
        return self.objects[ref]


def _has(manifest: Mapping[str, Any], path: str, value: str) -> bool:
    """Whether a field selector's one term fits."""
    at: Any = manifest
    for key in path.split("."):
        at = at.get(key) if isinstance(at, Mapping) else None
    return str(at or "") == value


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Maps are merged key by key; everything else is replaced."""
    merged = dict(old)
    for key, value in new.items():
        before = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(before, Mapping)
        merged[key] = _merged(before, value) if both else value
    return merged
