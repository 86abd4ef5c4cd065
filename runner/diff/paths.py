"""How the place of a field is written: `spec.containers[name=web].ports[0]`, `metadata.labels["a.b/c"]`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

_PLAIN_KEY = re.compile(r"[A-Za-z_$][\w-]*", re.ASCII)
_PLAIN_VALUE = re.compile(r"(?!true$|false$|null$)[A-Za-z_/.*][\w./:*-]*", re.ASCII)


def key(path: str, name: str) -> str:
    """A field of an object; a name that would read as more than one step is quoted."""
    if _PLAIN_KEY.fullmatch(name):
        return f"{path}.{name}" if path else name
    return f"{path}[{_json(name)}]"


def position(path: str, index: int) -> str:
    """An item of a list by where it stands: in `before` when it was removed, else in `after`."""
    return f"{path}[{index}]"


def selector(parts: Iterable[tuple[str, object]]) -> str:
    """What tells an item of a list from the others: `name=web`; `80` and `"80"` stay apart."""
    return ",".join(f"{name}={_value(value)}" for name, value in parts)


def _value(value: object) -> str:
    return value if isinstance(value, str) and _PLAIN_VALUE.fullmatch(value) else _json(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
