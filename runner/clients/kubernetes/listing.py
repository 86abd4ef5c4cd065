"""Complete lists out of chunks."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from runner.clients.kubernetes.failures import Reply, object_in
from runner.clients.kubernetes.transport import Request
from runner.errors import ClusterError
from runner.ports import Api, Listing

CHUNK = 500
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


def complete(
    request: Request,
    api: Api,
    send: Callable[[Request], Reply],
    refusing: Callable[[Reply], ClusterError],
    most: int = 0,
) -> Listing:
    """All chunks of a list. One whose snapshot expires is read anew, the second time in one piece.

    Raises ClusterError with reason TooMany once it is known that there are more than `most`, if given.
    """
    for limit in (CHUNK, CHUNK, 0):
        items: list[dict[str, Any]] = []
        token = ""
        while True:
            reply = send(replace(request, query=_query(request.query, limit, token)))
            if reply.code == HTTPStatus.GONE and token:
                break
            if not reply.ok:
                raise refusing(reply)
            document = object_in(reply.body, f"{api.kind} list failed")
            items += (_complete(item, api) for item in document.get("items") or ())
            meta = document.get("metadata") or {}
            if 0 < most < len(items) + (meta.get("remainingItemCount") or 0):
                raise ClusterError(f"{api.kind} list failed: there are more than {most}", reason="TooMany")
            token = meta.get("continue") or ""
            if not token:
                return Listing(tuple(items), str(meta.get("resourceVersion") or ""))
    raise ClusterError(
        f"{api.kind} list failed: it expired before it was read", code=HTTPStatus.GONE, reason="Expired"
    )


def watch_query(resource_version: str, selector: str) -> dict[str, str | int]:
    """What a watch asks for; each ends after another number of minutes, to spread them over servers."""
    query: dict[str, str | int] = {
        "watch": 1,
        "allowWatchBookmarks": "true",
        "resourceVersion": resource_version,
        "timeoutSeconds": random.randint(240, 300),  # noqa: S311 - no secret in it
    }
    return query | {"labelSelector": selector} if selector else query


def _query(query: Mapping[str, str | int], limit: int, token: str) -> dict[str, str | int]:
    chunk: dict[str, str | int] = dict(query)
    if limit:
        chunk["limit"] = limit
    if token:
        chunk["continue"] = token
    return chunk


def _complete(item: dict[str, Any], api: Api) -> dict[str, Any]:
    """An item with the kind and version that lists leave out, or that metadata has of its own."""
    version = f"{api.group}/{api.version}" if api.group else api.version
    return {**item, "apiVersion": version, "kind": api.kind}
