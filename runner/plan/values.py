"""What decides about objects, and what is decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from runner import typed
from runner.model import Action, Change, IgnoreRule, Manifest, ResourceRef


@dataclass(frozen=True, slots=True)
class Assessment:
    """What applying one object would do."""

    ref: ResourceRef
    manifest: Manifest = field(repr=False)  # as it is wanted
    action: Action
    reason: str = ""
    error: str = ""
    hint: str = ""
    live: Manifest | None = field(default=None, repr=False)
    merged: Manifest | None = field(default=None, repr=False)  # what it becomes, by the dry-run
    warnings: tuple[str, ...] = ()
    proven: bool = False  # unchanged without a dry-run; of `live` and `merged` there is the metadata
    tried: Manifest | None = field(default=None, repr=False)  # `manifest` as the dry-run sent it
    payload: Manifest | None = field(default=None, repr=False)  # what is sent, where that says otherwise
    cleans: bool = False  # what other managers left is cleaned up first
    recreates: bool = False  # the live object is deleted first
    hides: bool = False  # `merged` has the live value where a difference is ignored

    @property
    def sent(self) -> Manifest:
        """What is applied."""
        if self.payload is not None:
            return self.payload
        return typed.sent(self.manifest) if self.tried is None else self.tried

    @property
    def exact(self) -> bool:
        """Whether what is live, once applied, is what an apply of `manifest` makes of it."""
        return self.payload is None and not self.hides

    @property
    def change(self) -> Change:
        return Change(self.ref, self.action, self.reason)


class Proofs(Protocol):
    """What is known of objects without asking for them singly."""

    def seen(self, ref: ResourceRef) -> Manifest | None:
        """The metadata of a live object, if it is at hand."""

    def known(self, ref: ResourceRef) -> bool:
        """Whether an object is on record; one that is not may well not be there."""

    def hold(self, manifest: Manifest, live: Manifest) -> bool:
        """Whether a live object (its metadata is enough) is on record as what an apply would make of it."""


class NoProofs:
    """Nothing is known: every object is asked for."""

    def seen(self, _ref: ResourceRef) -> Manifest | None:
        return None

    def known(self, _ref: ResourceRef) -> bool:
        return True

    def hold(self, _manifest: Manifest, _live: Manifest) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Ground:
    """What decides about objects beside their own text."""

    virtual: frozenset[tuple[str, str]] = frozenset()  # Flux's kinds that the cluster lacks: (group, kind)
    install_flux: bool = False
    read_secrets: bool = True
    namespaces: frozenset[str] = frozenset()  # that this run creates, and that are not there yet
    kinds: frozenset[tuple[str, str]] = frozenset()  # (group, kind) that this run defines
    roles: frozenset[ResourceRef] = frozenset()  # that this run makes
    ignore: tuple[IgnoreRule, ...] = ()
    force: bool = False  # whether what cannot be changed may be made anew, marked or not
    unresolved: Mapping[ResourceRef, tuple[str, ...]] = field(default_factory=dict)
    reduced: bool = False  # where a dry-run is forbidden, compare with what can be read
    proofs: Proofs = field(default_factory=NoProofs)
