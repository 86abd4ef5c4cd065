"""Lines of a watch to events; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from runner.clients.kubernetes.failures import Status, shown
from runner.errors import ClusterError, Refused
from runner.ports import WatchEvent, WatchEventType


def events(lines: Iterable[bytes], what: str) -> Iterator[WatchEvent]:
    """The events in a watch's lines.

    Raises:
        Refused: the server ended the watch with an error; code 410 when the version is too old.
        ClusterError: a line makes no sense, so changes may be missing; reason `Garbled`.
    """
    for line in lines:
        kind, value = _parts(line, what)
        if kind == "ERROR":
            status = Status.of(value)
            reason = f" ({status.reason})" if status.reason else ""
            raise Refused(f"{what}{reason}: {shown(status)}", code=status.code, reason=status.reason)
        try:
            yield WatchEvent(WatchEventType(kind), value)
        except ValueError:
            raise _garbled(what) from None


def _parts(line: bytes, what: str) -> tuple[str, dict[str, Any]]:
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise _garbled(what) from None
    if not isinstance(event, dict) or not isinstance(event.get("object"), dict):
        raise _garbled(what)
    return str(event.get("type")), event["object"]


def _garbled(what: str) -> ClusterError:
    return ClusterError(f"{what}: the server sent something that is no event", reason="Garbled")
