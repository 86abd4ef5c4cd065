"""What the objects of sources say, checked as it is read; and what their Secrets hold."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from runner.durations import seconds
from runner.errors import UsageError
from runner.model import Manifest, ResourceRef, SourceRef
from runner.registries import Certificates, ProxyAccess

Objects = Mapping[ResourceRef, Manifest]
Live = Callable[[ResourceRef], Manifest]
"""An object that the desired state lacks; raises UsageError when there is none, or it is not read here."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a source stands for, before it is fetched."""

    key: Hashable  # whatever has the same one has the same files
    revision: str
    ignore: str
    packed: bool  # whether ignore rules count
    pull: Callable[[Path], tuple[str, ...]]  # writes the files; returns what to warn about
    origin: Callable[[], str] = lambda: ""  # the revision that the artifact was made from; "" for none


class Fetcher(Protocol):
    """Finds what sources of one kind stand for."""

    def find(self, source: SourceRef, manifest: Manifest, objects: Objects, recorded: str) -> Found:
        """Raises UsageError and SourceError; `recorded` is the revision that was deployed, "" for none."""


def found(ref: ResourceRef, objects: Objects, live: Live) -> Manifest:
    """What a source names: of the desired state, unless it is encrypted there, else of the cluster."""
    desired = objects.get(ref)
    return desired if desired is not None and "sops" not in desired else live(ref)


class Spec:
    """An object's spec, or a part of it, whose values are checked as they are read."""

    def __init__(self, source: SourceRef, values: Mapping[str, Any], at: str = "spec") -> None:
        self.source, self.values, self.at = source, values, at

    def text(self, field: str) -> str:
        value = self.values.get(field)
        if value is not None and not isinstance(value, str):
            raise self.wrong(f"has {self.at}.{field}, which is not a string")
        return value or ""

    def flag(self, field: str) -> bool:
        value = self.values.get(field)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(f"has {self.at}.{field}, which is neither true nor false")
        return bool(value)

    def duration(self, field: str, default: float) -> float:
        try:
            return seconds(self.text(field)) if self.text(field) else default
        except ValueError as exc:
            raise self.wrong(f"has {self.at}.{field}: {exc}") from exc

    def part(self, field: str, known: frozenset[str] | set[str]) -> Spec:
        value = self.values.get(field)
        if value is not None and not isinstance(value, Mapping):
            raise self.wrong(f"has {self.at}.{field}, which is not an object")
        part = value or {}
        if unknown := sorted(str(key) for key in part.keys() - known):
            raise self.wrong(f"sets {self.at}.{field}.{unknown[0]}, which is not supported")
        return Spec(self.source, part, f"{self.at}.{field}")

    def wrong(self, text: str, *, hint: str = "") -> UsageError:
        return UsageError(f"{self.source} {text}", hint=hint or "README.md says what of a source is read.")


def certificates_of(secret: Manifest, what: str, *, required: bool = True) -> Certificates:
    """What a Secret has of TLS. With `required` it has to have something."""
    ca, certificate, key = (value(secret, name, what) for name in ("ca.crt", "tls.crt", "tls.key"))
    if not required:
        ca = ca or value(secret, "caFile", what)  # GitRepositories had this name first
    if not (ca or certificate or key):
        if not required:
            return Certificates()
        raise UsageError(f"{what} has neither ca.crt nor tls.crt and tls.key")
    if bool(certificate) is not bool(key):
        raise UsageError(f"{what} has only one of tls.crt and tls.key")
    return Certificates(named=True, ca=ca, certificate=certificate, key=key)


def proxy_of(secret: Manifest, what: str) -> ProxyAccess:
    address, user, password = (value(secret, name, what) for name in ("address", "username", "password"))
    if not address:
        raise UsageError(f"{what} has no address")
    return ProxyAccess(address, user, password)


def value(secret: Manifest, key: str, what: str) -> str:
    """One value of a Secret; it is never quoted."""
    plain = (secret.get("stringData") or {}).get(key)
    if isinstance(plain, str):
        return plain
    coded = (secret.get("data") or {}).get(key)
    try:
        return b64decode(coded, validate=False).decode() if coded else ""
    except (ValueError, TypeError):
        raise UsageError(f"{what} has a {key} that is not base64 of a text") from None
