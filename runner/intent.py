"""What a plan says that a deploy will do: read from its file, held against what is found then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from runner.model import Action, ResourceRef


@dataclass(frozen=True, slots=True)
class Step:
    """One Kustomization of a plan."""

    digest: str = ""  # keyed digest of what it renders; "" when there was no key, or not all is known
    shown_digest: str = ""  # plain digest of what may be shown of it; "" when that is not known
    actions: Mapping[ResourceRef, Action] = field(default_factory=dict)
    effects: Mapping[ResourceRef, str] = field(
        default_factory=dict
    )  # digest of what an apply changes; "" unknown


@dataclass(frozen=True, slots=True)
class Intent:
    """A whole plan, as far as a deploy has to keep to it."""

    server: str
    entry: str
    commit: str
    names: frozenset[str]
    namespace: str
    steps: Mapping[str, Step]  # by Kustomization, in the order of the run
    held: frozenset[str]  # digests of what the guards held back
