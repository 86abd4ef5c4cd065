"""Reading objects that anybody may have written: a field is what it should be, or absent, or an error."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from runner.model import Manifest

_INT64 = range(-(2**63), 2**63)


class OddObjectError(Exception):
    """The object contradicts its own kind, so nothing can be said about it."""


class Condition(NamedTuple):
    """One entry of `status.conditions`; what is not set is ""."""

    type: str
    status: str
    reason: str
    message: str


def text(manifest: Manifest, path: str, default: str = "") -> str:
    """The string at a dotted path, or the default when there is none; kstatus's GetStringField."""
    value = _at(manifest, path)
    return value if isinstance(value, str) else default


def number(manifest: Manifest, path: str, default: int) -> int:
    """The whole number at a dotted path, or the default when there is none; kstatus's GetIntField."""
    value = _at(manifest, path)
    return value if _is_int64(value) else default


def maybe_number(manifest: Manifest, path: str) -> int | None:
    """The whole number at a dotted path, None when there is none."""
    value = _at(manifest, path)
    return value if _is_int64(value) else None


def flag(manifest: Manifest, path: str) -> bool:
    """Whether a dotted path holds a true boolean."""
    return _at(manifest, path) is True


def strict_text(manifest: Manifest, path: str) -> str:
    """The string at a dotted path, "" when there is none. Raises OddObjectError for anything else."""
    value = _strictly_at(manifest, path)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise OddObjectError(f".{path} is not a string")
    return value


def strict_number(manifest: Manifest, path: str) -> int | None:
    """The whole number at a dotted path, if any. Raises OddObjectError for anything else."""
    value = _strictly_at(manifest, path)
    if value is None:
        return None
    if not _is_int64(value):
        raise OddObjectError(f".{path} is not an integer")
    return int(value)


def moment(manifest: Manifest, path: str) -> float | None:
    """The time at a dotted path in seconds since the epoch, None when it cannot be read."""
    try:
        parsed = datetime.fromisoformat(text(manifest, path))
    except ValueError:
        return None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    try:
        return parsed.timestamp()
    except OverflowError:  # the first or last day of the calendar, in a zone that reaches beyond it
        return None


def conditions(manifest: Manifest) -> tuple[Condition, ...]:
    """`status.conditions` in the order written. Raises OddObjectError for anything but a list of mappings."""
    entries = _strictly_at(manifest, "status.conditions")
    if entries is None:
        return ()
    if not isinstance(entries, list | tuple):
        raise OddObjectError(".status.conditions is not a list")
    return tuple(_condition(index, entry) for index, entry in enumerate(entries))


def mappings(manifest: Manifest, path: str) -> tuple[Mapping[str, Any], ...]:
    """The mappings in the list at a dotted path; anything else in it does not count."""
    entries = _at(manifest, path)
    if not isinstance(entries, list | tuple):
        return ()
    return tuple(entry for entry in entries if isinstance(entry, Mapping))


def mapping(manifest: Manifest, path: str) -> Mapping[str, Any]:
    """The mapping at a dotted path; empty when there is none."""
    found = _at(manifest, path)
    return found if isinstance(found, Mapping) else {}


def texts(manifest: Manifest, path: str) -> tuple[str, ...]:
    """The strings in the list at a dotted path; anything else in it does not count."""
    entries = _at(manifest, path)
    return tuple(e for e in entries if isinstance(e, str)) if isinstance(entries, list | tuple) else ()


def _condition(index: int, entry: object) -> Condition:
    where = f".status.conditions[{index}]"
    if not isinstance(entry, Mapping):
        raise OddObjectError(f"{where} is not a mapping")
    values = []
    for key in Condition._fields:
        value = entry.get(key)
        if not isinstance(value, str | None):
            raise OddObjectError(f"{where}.{key} is not a string")
        values.append(value or "")
    return Condition(*values)


def _at(manifest: Manifest, path: str) -> Any:  # noqa: ANN401  # JSON is untyped; callers narrow it
    try:
        return _strictly_at(manifest, path)
    except OddObjectError:
        return None


def _strictly_at(manifest: Manifest, path: str) -> Any:  # noqa: ANN401  # JSON is untyped; callers narrow it
    value: Any = manifest
    walked = ""
    for key in path.split("."):
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise OddObjectError(f"{walked or 'the object'} is not a mapping")
        value = value.get(key)
        walked += f".{key}"
    return value


def _is_int64(value: object) -> bool:
    # A bool is an int to Python, but not to JSON; a number beyond 64 bits is none to the API server.
    return isinstance(value, int) and not isinstance(value, bool) and value in _INT64
