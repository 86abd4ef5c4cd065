"""What two clusters have of the same Kustomizations: objects, who wrote which field, and each `.status`."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.e2e import fluxed
from tests.e2e.fluxed import FLUX
from tests.e2e.harness import WRITES, Bench

Key = tuple[str, str, str]
"""`group/Kind`, namespace, name."""

PLATFORM = {
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
    "kubelet",
    "kube-apiserver",
    "source-controller",
}
"""They run in both clusters, and whatever they write depends on the moment."""

MADE_FROM_SERVICES = {"Endpoints", "EndpointSlice"}  # by the platform, with the labels of the Service
SPENT = re.compile(r"\b(after|in) [0-9.hmnµs]+\b")
MOMENTS = {"lastTransitionTime", "firstReconciled", "lastReconciled", "lastReconciledDuration"}


def objects(world: Bench) -> dict[Key, dict[str, Any]]:
    """Every object that some Kustomization has its labels on, as the server shows it."""
    found = {}
    for group, kind, item in _everything(world):
        labels = item["metadata"].get("labels") or {}
        if f"{FLUX}/name" in labels and kind not in MADE_FROM_SERVICES:
            meta = item["metadata"]
            key = (f"{group}/{kind}".lstrip("/"), meta.get("namespace", ""), meta["name"])
            found[key] = item | {"kind": kind}
    return found


def _everything(world: Bench) -> Iterator[tuple[str, str, dict[str, Any]]]:
    groups = world.get("/apis")["groups"]
    versions = ["/api/v1", *(f"/apis/{g['preferredVersion']['groupVersion']}" for g in groups)]
    for version in versions:
        group = version.split("/")[2] if version.startswith("/apis/") else ""
        for resource in world.get(version)["resources"]:
            if "list" in resource["verbs"] and "/" not in resource["name"]:
                for item in world.get(f"{version}/{resource['name']}")["items"]:
                    yield group, resource["kind"], item


def comparable(item: Mapping[str, Any]) -> dict[str, Any]:
    """An object without what no two clusters have alike; `.status` of Kustomizations is compared apart."""
    found = copy.deepcopy(dict(item))
    found.pop("status", None)
    found.pop("apiVersion", None)  # a list's items have none
    for name in ("uid", "resourceVersion", "creationTimestamp"):
        found["metadata"].pop(name, None)
    found["metadata"]["managedFields"] = sorted(
        (
            {key: value for key, value in entry.items() if key != "time"}
            for entry in found["metadata"].get("managedFields") or []
            if entry["manager"] not in PLATFORM
        ),
        key=lambda entry: (entry["manager"], entry["operation"], entry.get("subresource", "")),
    )
    if found["kind"] == "Job":  # the server's own, and random
        found["spec"].pop("selector", None)
        found["spec"]["template"]["metadata"].pop("labels", None)
    if found["kind"] == "Service":
        for name in ("clusterIP", "clusterIPs"):
            found["spec"].pop(name, None)
    return found


def pinned(item: Mapping[str, Any]) -> Any:
    """An object of one cluster, to see whether anybody but the platform has written it since.

    Of a Kustomization its status and the controller's finalizer do not count.
    """
    meta, own = item["metadata"], comparable(item)
    if item["kind"] == "Kustomization":
        own["metadata"].pop("finalizers", None)
        kept = [e for e in own["metadata"]["managedFields"] if not e["manager"].startswith("gotk-")]
        return meta["uid"], own | {"metadata": own["metadata"] | {"managedFields": kept}}
    times = [e.get("time") for e in meta["managedFields"] if e["manager"] not in PLATFORM]
    return meta["uid"], own, times


def statuses(world: Bench) -> dict[str, dict[str, Any]]:
    """`.status` of every Kustomization, by name, without moments and durations."""
    items = world.get(fluxed.path(world))["items"]
    return {item["metadata"]["name"]: timeless(item.get("status") or {}) for item in items}


def timeless(value: Any) -> Any:
    """The same without moments and durations."""
    if isinstance(value, dict):
        return {key: timeless(each) for key, each in value.items() if key not in MOMENTS}
    if isinstance(value, list):
        return [timeless(each) for each in value]
    return SPENT.sub(r"\1 …", value) if isinstance(value, str) else value


@dataclass(frozen=True)
class Difference:
    """One field that two clusters have otherwise."""

    path: str
    theirs: Any
    ours: Any

    def __str__(self) -> str:
        return f"{self.path}: {self.theirs!r} is {self.ours!r} here"


ABSENT = "(absent)"


def differences(theirs: Any, ours: Any, path: str = "") -> Iterator[Difference]:
    """Field by field; items of a list by their position, or by their name where they have one."""
    if isinstance(theirs, list) and isinstance(ours, list):
        theirs, ours = _named(theirs), _named(ours)
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for name in dict.fromkeys([*theirs, *ours]):
            where = f"{path}.{name}".lstrip(".")
            yield from differences(theirs.get(name, ABSENT), ours.get(name, ABSENT), where)
    elif theirs != ours or type(theirs) is not type(ours):
        yield Difference(path, theirs, ours)


def _named(items: list[Any]) -> dict[str, Any]:
    return {_name(each) or str(index): each for index, each in enumerate(items)}


def _name(item: Any) -> str:
    if not isinstance(item, dict):
        return ""
    if "manager" in item:
        return "/".join(str(item.get(k, "")) for k in ("manager", "operation", "subresource")).rstrip("/")
    return str(item.get("type", ""))


def writes(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """The writes among requests, without dry-runs and events: verb, resource, name."""
    found = []
    for event in events:
        ref = event.get("objectRef") or {}
        real = event["verb"] in WRITES and "dryRun=All" not in event["requestURI"]
        if real and ref.get("resource") != "events":
            what = "/".join(filter(None, (ref["resource"], ref.get("subresource"))))
            found.append(f"{event['verb']} {what} {ref.get('name', '')}")
    return found
