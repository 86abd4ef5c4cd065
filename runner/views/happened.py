"""Events of Kustomizations, of the objects they own, and of what these own in turn."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from runner import health
from runner.assembly import connection
from runner.clients.clock import SystemClock
from runner.errors import ClusterError, ExitCode, UsageError
from runner.model import FLUX, Manifest, ResourceRef, kustomization_ref, target
from runner.options import Options
from runner.ports import Cluster
from runner.report import happened, json, style, yaml
from runner.report.views import Event, Scope
from runner.state import Record, config_map_ref
from runner.store import Store

_FEW = 4  # namespaces that are asked one by one
_DEEPEST = 5  # owners of owners


@dataclass(slots=True)
class Owners:
    """Which Kustomization an object belongs to: by the records, its labels, or who owns it."""

    cluster: Cluster
    chosen: Options
    known: dict[ResourceRef, str] = field(default_factory=dict)
    _listed: set[tuple[str, str, str]] = field(default_factory=set)
    _metadata: dict[ResourceRef, Mapping[str, Any]] = field(default_factory=dict)

    def learn(self, records: Mapping[str, Record]) -> None:
        for id_, record in records.items():
            here = () if target(record.manifest) else record.inventory
            for ref in (kustomization_ref(id_), config_map_ref(id_), *here):
                self.known[ref] = id_

    def of(self, ref: ResourceRef, depth: int = 0) -> str:
        """The Kustomization, "" when there is none, or when it was not asked for."""
        if ref not in self.known and depth < _DEEPEST:
            found = self._look(ref, depth)
            if not found:
                return ""  # it may have an owner that is only known later
            self.known[ref] = found
        id_ = self.known.get(ref, "")
        return id_ if id_ and self.chosen.selects(id_) else ""

    def _look(self, ref: ResourceRef, depth: int) -> str:
        meta = self._of(ref)
        labels = meta.get("labels") or {}
        if labels.get(f"{FLUX}/name") and labels.get(f"{FLUX}/namespace"):
            return f"{labels[f'{FLUX}/namespace']}/{labels[f'{FLUX}/name']}"
        for owner in meta.get("ownerReferences") or ():
            group, _, version = str(owner.get("apiVersion")).rpartition("/")
            above = ResourceRef(ref.namespace, str(owner.get("name")), group, str(owner.get("kind")), version)
            if found := self.of(above, depth + 1) or self.of(_unplaced(above), depth + 1):
                return found
        return ""

    def _of(self, ref: ResourceRef) -> Mapping[str, Any]:
        """An object's metadata: from one list for all of its kind, or alone when it came later."""
        kind = ref.group, ref.kind, ref.namespace
        with suppress(ClusterError):  # what may not be read has no owner that we know
            if self.cluster.api(ref.group, ref.kind) is None:
                return {}
            if kind not in self._listed:
                self._listed.add(kind)
                listed = self.cluster.list(ref.group, ref.kind, namespace=ref.namespace, metadata_only=True)
                for item in listed.items:
                    meta = item["metadata"]
                    name = meta.get("namespace") or "", meta["name"]
                    self._metadata[ResourceRef(*name, ref.group, ref.kind, ref.version)] = meta
            elif ref not in self._metadata and (ref.group, ref.kind) != ("", "Secret"):
                live = self.cluster.get(ref)
                self._metadata[ref] = live["metadata"] if live is not None else {}
        return self._metadata.get(ref, {})


def events(chosen: Options, output: str, limit: int) -> tuple[str, int]:
    """The latest of them, newest last. Raises UsageError for a name that is not on record."""
    with connection(chosen) as cluster:
        records = _records(cluster, chosen)
        owners = Owners(cluster, chosen)
        owners.learn(records)
        found = [
            event
            for namespace in _namespaces(owners, records)
            for item in cluster.list("", "Event", namespace=namespace).items
            if (event := _event(item, owners)) is not None
        ]
        scope = Scope(cluster.server, chosen.entry, "")
    found.sort(key=_order)
    left_out = max(len(found) - limit, 0)
    shown = found[left_out:]
    match output:
        case "json":
            return json.dump(happened.document(scope, shown, left_out)), int(ExitCode.DONE)
        case "yaml":
            return yaml.dump(happened.document(scope, shown, left_out)), int(ExitCode.DONE)
        case _:
            return happened.text(shown, SystemClock().now(), left_out), int(ExitCode.DONE)


def watch(chosen: Options) -> None:
    """Print each as it happens, after those that are there; ends only by an interrupt or a ClusterError."""
    from runner.clients.kubernetes.following import follow

    with connection(chosen) as cluster:
        records = _records(cluster, chosen)
        owners = Owners(cluster, chosen)
        owners.learn(records)
        spaces = _namespaces(owners, records)
        where = spaces[0] if len(spaces) == 1 else ""
        seen: dict[tuple[str, str], str] = {}
        for items in follow(cluster, "", "Event", namespace=where):
            for event in sorted(_news(items, seen, owners), key=_order):
                sys.stdout.write(style.fit(happened.row(event), sys.stdout.encoding))
            sys.stdout.flush()


def _news(
    items: Mapping[tuple[str, str], Manifest], seen: dict[tuple[str, str], str], owners: Owners
) -> Iterator[Event]:
    for key, item in items.items():
        version = str(item["metadata"].get("resourceVersion"))
        if seen.get(key) != version and (event := _event(item, owners)) is not None:
            yield event
        seen[key] = version
    for key in seen.keys() - items.keys():
        del seen[key]


def _records(cluster: Cluster, chosen: Options) -> Mapping[str, Record]:
    records = Store(cluster).load()
    if missing := sorted(chosen.names - records.keys()):
        raise UsageError(
            f"Kustomization {', '.join(missing)} is not on record in {cluster.server}",
            hint="`kustodian get -o name` lists them.",
        )
    return records


def _namespaces(owners: Owners, records: Mapping[str, Record]) -> list[str]:
    """Where Events are to be found: those about objects without a namespace are in `default`."""
    ids = {id_ for id_ in records if owners.chosen.selects(id_)}
    spaces = sorted({ref.namespace or "default" for ref, id_ in owners.known.items() if id_ in ids})
    return spaces if len(spaces) <= _FEW else [""]


def _event(item: Manifest, owners: Owners) -> Event | None:
    about = item.get("involvedObject") or {}
    group, _, version = str(about.get("apiVersion") or "").rpartition("/")
    namespace, name, kind = (str(about.get(part) or "") for part in ("namespace", "name", "kind"))
    ref = ResourceRef(namespace, name, group, kind, version)
    owner = owners.of(ref) if name and kind else ""
    if not owner:
        return None
    series = item.get("series") or {}
    source = (item.get("source") or {}).get("component") or item.get("reportingComponent")
    return Event(
        owner,
        ref,
        health.happened_at(item),
        str(item.get("type") or ""),
        str(item.get("reason") or ""),
        str(item.get("message") or ""),
        int(item.get("count") or series.get("count") or 1),
        str(source or ""),
        _tick(str(item["metadata"]["name"])),
    )


def _order(event: Event) -> tuple[float, int, str, ResourceRef, str]:
    return event.at, event.tick, event.kustomization, event.ref, event.message


def _tick(name: str) -> int:
    """The time at the end of an Event's name, where client-go puts it; 0 when it is not there."""
    try:
        return int(name.rpartition(".")[2], 16)
    except ValueError:
        return 0


def _unplaced(ref: ResourceRef) -> ResourceRef:
    """The same name for an owner without a namespace."""
    return ResourceRef("", ref.name, ref.group, ref.kind, ref.version)
