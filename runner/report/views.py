"""What a report is about, where `runner.model` has no word for it; and the order of its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runner.fleet import Provenance
from runner.model import Change, Manifest, Outcome, ResourceRef
from runner.rendered import Place, Problem


@dataclass(frozen=True, slots=True)
class Scope:
    """What every result says first: the cluster, the entry and the revision it is about."""

    cluster: str
    entry: str
    revision: str


@dataclass(frozen=True, slots=True)
class BuildView:
    """One Kustomization as `build` shows it; the objects are those that may be shown to people."""

    namespace: str
    name: str
    path: str
    resources: Sequence[Manifest] = ()
    errors: Sequence[Problem] = ()
    variables: Sequence[Provenance] | None = None  # None: nobody asked
    origins: Sequence[Place] = ()  # where each of the resources is written


def changes(outcome: Outcome) -> list[Change]:
    """By kind and name: objects of one rank are applied side by side."""
    return sorted(outcome.changes, key=lambda each: by_kind(each.ref))


def by_kind(ref: ResourceRef) -> tuple[str, str, str, str]:
    """Sorts objects as people look for them."""
    return ref.kind, ref.namespace, ref.name, ref.group
