"""What the API server serves."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from runner.clients.kubernetes.failures import object_in, refusal
from runner.clients.kubernetes.retries import PATIENCE
from runner.clients.kubernetes.transport import Request, Transport
from runner.errors import ClusterError
from runner.ports import Api

JSON = "application/json"
AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,"
    f"{JSON}"
)
GROUP_PATIENCE = 5.0
"""Seconds that one group is asked again: the server of an aggregated API is often just not there."""


@dataclass(frozen=True, slots=True)
class Served:
    """The kinds of a server: per group and kind each version, the preferred one first."""

    kinds: Mapping[tuple[str, str], Sequence[Api]]
    unavailable: frozenset[str] = field(default_factory=frozenset)  # groups whose server does not answer


class Discovery:
    """Asks the server what it serves, once; any thread may ask."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._lock = threading.Lock()
        self._served: Served | None = None

    def forget(self) -> None:
        with self._lock:
            self._served = None

    def served(self) -> Served:
        with self._lock:  # the others wait for the one that asks
            if self._served is None:
                self._served = self._ask()
            return self._served

    def find(self, group: str, kind: str, version: str) -> Api | None:
        """The version asked for when it is served, else the preferred one."""
        apis = self.served().kinds.get((group, kind), ())
        return next((api for api in apis if api.version == version), apis[0] if apis else None)

    def _ask(self) -> Served:
        found: list[Api] = []
        unavailable: set[str] = set()
        for root in ("/api", "/apis"):
            document = self._read(root, accept=AGGREGATED)
            if document.get("kind") == "APIGroupDiscoveryList":
                found += aggregated(document)
                unavailable |= stale(document)
            else:
                self._ask_each(root, document, found, unavailable)
        return Served(ranked(found), frozenset(unavailable))

    def _ask_each(
        self, root: str, document: Mapping[str, Any], found: list[Api], unavailable: set[str]
    ) -> None:
        """The older protocol: one request for each version of each group."""
        versions = list(group_versions(document))

        def ask(one: tuple[str, str]) -> list[Api]:
            return resources(*one, self._read("/".join(filter(None, (root, *one))), patience=GROUP_PATIENCE))

        with ThreadPoolExecutor(max_workers=8, thread_name_prefix="discovery") as pool:
            for (group, _), answer in zip(versions, [pool.submit(ask, v) for v in versions], strict=True):
                error = answer.exception()
                if error is None:
                    found += answer.result()
                elif isinstance(error, ClusterError) and error.code:
                    unavailable.add(group)
                else:
                    raise error

    def _read(self, path: str, *, accept: str = JSON, patience: float = PATIENCE) -> dict[str, Any]:
        reply = self._transport.send(Request("GET", path, "GET", accept=accept, patience=patience))
        if reply.code == 406 and accept != JSON:  # noqa: PLR2004 - Not Acceptable
            return self._read(path)
        if not reply.ok:
            raise refusal(reply, f"{path} discovery failed", server=self._transport.server)
        return object_in(reply.body, f"{path} discovery failed")


def aggregated(document: Mapping[str, Any]) -> Iterator[Api]:
    """The kinds of an `APIGroupDiscoveryList`."""
    for group in document.get("items") or ():
        name = (group.get("metadata") or {}).get("name") or ""
        for version in group.get("versions") or ():
            for resource in version.get("resources") or ():
                kind = (resource.get("responseKind") or {}).get("kind")
                if kind:  # one without exists for its subresources only
                    yield Api(
                        group=name,
                        version=version["version"],
                        kind=kind,
                        plural=resource["resource"],
                        namespaced=resource.get("scope") == "Namespaced",
                        verbs=frozenset(resource.get("verbs") or ()),
                        status=any(
                            sub.get("subresource") == "status" for sub in resource.get("subresources") or ()
                        ),
                    )


def stale(document: Mapping[str, Any]) -> set[str]:
    """The groups of an `APIGroupDiscoveryList` whose own server does not answer now."""
    return {
        (group.get("metadata") or {}).get("name") or ""
        for group in document.get("items") or ()
        for version in group.get("versions") or ()
        if version.get("freshness") == "Stale"
    }


def group_versions(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The (group, version)s of an `APIVersions` or `APIGroupList`, each group's preferred one first."""
    yield from (("", version) for version in document.get("versions") or ())
    for group in document.get("groups") or ():
        preferred = (group.get("preferredVersion") or {}).get("version")
        versions = [v["version"] for v in group.get("versions") or ()]
        for version in sorted(versions, key=lambda v: v != preferred):
            yield group["name"], version


def resources(group: str, version: str, document: Mapping[str, Any]) -> list[Api]:
    """The kinds of an `APIResourceList`."""
    listed = document.get("resources") or ()
    names = {r["name"] for r in listed}
    return [
        Api(
            group,
            version,
            r["kind"],
            r["name"],
            bool(r.get("namespaced")),
            frozenset(r.get("verbs") or ()),
            status=f"{r['name']}/status" in names,
        )
        for r in listed
        if "/" not in r["name"]
    ]


def ranked(apis: Iterable[Api]) -> dict[tuple[str, str], list[Api]]:
    """Each kind's versions in the server's order; of two resources of one kind the one that can be read."""
    found: dict[tuple[str, str], dict[str, Api]] = {}
    for api in apis:
        versions = found.setdefault((api.group, api.kind), {})
        known = versions.get(api.version)
        if known is None or ("get" not in known.verbs and "get" in api.verbs):
            versions[api.version] = api
    return {kind: list(versions.values()) for kind, versions in found.items()}
