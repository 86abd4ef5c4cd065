"""Every object of a kind that a selector chooses, again and again as they change: LIST once, then WATCH."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus

from runner.clients.kubernetes.feed import CREDENTIALS
from runner.errors import ClusterError
from runner.model import Manifest
from runner.ports import Cluster, WatchEventType

PATIENCE = 60.0  # seconds that failures may go on
_FIRST, _LONGEST = 0.1, 2.0  # seconds between two attempts

Objects = dict[tuple[str, str], Manifest]
"""By namespace and name."""


def follow(
    cluster: Cluster, group: str, kind: str, *, namespace: str = "", selector: str = ""
) -> Iterator[Mapping[tuple[str, str], Manifest]]:
    """All of them as they are, then again after each change; without end.

    A stream that ends is taken up where it ended; one that is too old begins with a new list. Raises
    ClusterError when the server says no for good, or for a minute.
    """
    known: Objects = {}
    version, pause, failing = "", _FIRST, 0.0
    while True:
        try:
            if not version:
                listing = cluster.list(group, kind, namespace=namespace, selector=selector)
                known = {_key(item): item for item in listing.items}
                version = listing.resource_version
                yield dict(known)
            stream = cluster.watch(
                group, kind, resource_version=version, namespace=namespace, selector=selector
            )
            with stream as events:
                pause, failing = _FIRST, 0.0
                for event in events:
                    version = event.manifest["metadata"].get("resourceVersion") or version
                    if event.type is WatchEventType.BOOKMARK:
                        continue
                    if event.type is WatchEventType.DELETED:
                        known.pop(_key(event.manifest), None)
                    else:
                        known[_key(event.manifest)] = event.manifest
                    yield dict(known)
        except ClusterError as exc:
            failing = failing or time.monotonic()
            if exc.code in {*CREDENTIALS, HTTPStatus.NOT_FOUND} or time.monotonic() - failing > PATIENCE:
                raise
            if exc.code or exc.reason:  # expired, or garbled: changes may be missing
                version = ""
        time.sleep(pause)  # between two requests, never instead of a watch
        pause = min(pause * 2, _LONGEST)


def _key(manifest: Manifest) -> tuple[str, str]:
    meta = manifest["metadata"]
    return meta.get("namespace") or "", meta["name"]
