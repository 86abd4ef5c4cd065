"""What shows that an object needs no apply, without asking the server to try one. Pure.

On the API server a field that somebody changes is a field that our manager owns no more, and every change
of ours has its time. What that leaves open (the same manager twice within a second, a list put in another
order, ownership that somebody forged) shows in the generation, or where that says little in the
resourceVersion. A proof covers both, so equal proofs mean that an apply would do the same: nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from runner import cleaning, ownership
from runner.model import FIELD_MANAGER, Manifest

BYTES = 12  # of each digest: ten thousand of them have to fit beside their objects
_PARTS = ("labels", "annotations")
_COUNTED = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})


@dataclass(frozen=True, slots=True)
class Proof:
    """What an object was when it was known to be as wanted."""

    wanted: str  # digest of the object as it is sent
    held: str  # digest of what we own of the live one, and of what the server does to it
    at: str  # its generation, or its resourceVersion

    def __str__(self) -> str:
        return f"{self.wanted}.{self.held}.{self.at}"

    @classmethod
    def read(cls, text: str) -> Proof:
        """The proof that `str` wrote. Raises ValueError."""
        wanted, held, at = text.split(".")
        return cls(wanted, held, at)

    def alike(self, other: Proof | None) -> bool:
        """Whether the two differ in nothing but the moment."""
        return other is not None and (self.wanted, self.held) == (other.wanted, other.held)


def make(manifest: Manifest, live: Manifest, rules: str, key: bytes = b"") -> Proof | None:
    """What the live object is now, if it is as wanted; None when that could not be told again.

    Metadata is enough of `live`. `rules` stand for what the server does to such an object on its way in, ""
    when that is not known. With a key the digest of what is wanted gives nothing away.
    """
    meta = live["metadata"]
    own = _own(live)
    if not rules or own is None or meta.get("deletionTimestamp") or cleaning.needed(live):
        return None
    held = [own, [_chosen(manifest["metadata"], meta, part) for part in _PARTS], rules]
    return Proof(wanted(manifest, key), _digest(held, b""), _moment(manifest, meta))


def wanted(manifest: Manifest, key: bytes = b"") -> str:
    """What a proof says of the object as it is sent."""
    return _digest(manifest, key)


def keeps(live: Manifest, merged: Manifest) -> bool:
    """Whether an apply would leave the ownership of fields as it is.

    What we would own only after it, somebody could change without our entry showing it.
    """
    own = _own(live)
    return own is not None and own == _own(merged)


def digest(parts: Iterable[object]) -> str:
    """A short digest of JSON values."""
    return _digest(list(parts), b"")


def _own(live: Manifest) -> Mapping[str, Any] | None:
    """Our manager's entry, with its time; None unless there is exactly one."""
    whose = (FIELD_MANAGER, "Apply")
    own = [e for e in ownership.entries(live) if (e.get("manager"), e.get("operation")) == whose]
    return own[0] if len(own) == 1 else None


def _chosen(wanted: Mapping[str, Any], live: Mapping[str, Any], part: str) -> dict[str, Any]:
    """The live labels or annotations that we set: no generation counts them."""
    found = live.get(part) or {}
    return {name: found.get(name) for name in wanted.get(part) or {}}


def _moment(manifest: Manifest, meta: Mapping[str, Any]) -> str:
    """The generation, which counts changes of `spec`; where content is elsewhere, the resourceVersion."""
    generation = meta.get("generation")
    return f"g{generation}" if generation and manifest.keys() <= _COUNTED else f"r{meta['resourceVersion']}"


def _digest(value: object, key: bytes) -> str:
    payload = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    made = hmac.new(key, payload, hashlib.sha256) if key else hashlib.sha256(payload)
    return urlsafe_b64encode(made.digest()[:BYTES]).decode()
