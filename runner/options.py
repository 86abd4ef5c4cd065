"""What a run is asked to do; filled by the command line or by the action's inputs."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from runner.intent import Intent

ROOT = "flux-system/flux-system"


class Precedence(StrEnum):
    """Which value counts when `substitute` and `substituteFrom` both set a variable."""

    INLINE = "inline"  # Flux's order
    FROM = "from"


class PruneOrder(StrEnum):
    """When what left Git is deleted."""

    AFTER_HEALTH = "after-health"
    BEFORE_HEALTH = "before-health"  # Flux's order


class Dependents(StrEnum):
    """What a run does with Kustomizations that did not change, but depend on one that did."""

    RECONCILE = "reconcile"  # all of it
    VERIFY = "verify"  # only their health
    NONE = "none"  # nothing


@dataclass(frozen=True, slots=True)
class PruneLimit:
    """How many deletions are too many: more than `objects` and more than `percent` of the inventory."""

    objects: int = 10
    percent: float = 20.0

    def exceeded(self, deletions: int, inventory: int) -> bool:
        return deletions > self.objects and deletions * 100 > self.percent * inventory


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Every choice of a run, with its default stated once."""

    repo: Path = Path()
    revision: str = "HEAD"
    worktree: bool = False  # the files as they are on disk instead of a commit's
    entry: str = ""  # directory, relative to the repository
    root: str = ROOT  # the root Kustomization's namespace/name
    names: frozenset[str] = frozenset()  # restricts the effect; empty is everything
    namespace: str = ""  # restricts the effect; "" is every namespace
    kubeconfig: str = ""
    context: str = ""
    dry_run: bool = False
    read_secrets: bool = False  # a dry run may read Secrets, and decrypt
    allow_private_network: bool = False  # a preview may fetch from private addresses, as a deploy may
    allow_remote_bases: bool = False  # a preview may fetch what kfiles list by URL, as a deploy does
    sops_age_key: str = field(default="", repr=False)  # of the run, for what names no keys of its own
    sops_pgp_key: str = field(default="", repr=False)  # armored
    all: bool = False  # no proof counts: every object goes through a dry-run
    substitute_precedence: Precedence = Precedence.INLINE
    values: tuple[Path, ...] = ()  # stand-ins for ConfigMaps and Secrets that only the cluster has
    cache: Path | None = None  # where renderings are kept for the next preview; a deploy never asks it
    plan: Intent | None = None  # a deploy does exactly that, or nothing
    ref: str = ""  # what a workflow runs for, refs/heads/main; "" is not asked
    ref_commit: str = ""  # what it was at when the workflow was started; "" is not asked
    branch: str = ""  # whose files these are, where the checkout does not say: HEAD is detached
    branches: frozenset[str] = frozenset()  # that deploy; empty: the one that the root's source names
    default_branch: str = ""  # deploys where the root's source names none
    takeover: bool = False
    allow_older: bool = False
    install_flux: bool = False
    rollback: str = ""  # the revision that this run takes back; "" when it is no rollback
    prune_limit: PruneLimit = field(default_factory=PruneLimit)
    approve: frozenset[str] = frozenset()  # digests of what guards held back
    max_parallel: int = 16  # Kustomizations at work at once; waiting for health is not work
    dependents: Dependents = Dependents.RECONCILE
    prune_order: PruneOrder = PruneOrder.AFTER_HEALTH
    timeout: float = math.inf  # seconds that the whole run may take
    retries: int = 0  # further attempts at a Kustomization that failed
    fail_fast: bool = True  # a health wait ends when an object cannot recover
    lock_timeout: float = 600.0  # seconds to wait for another run's lock
    lease_duration: float = 30.0  # seconds after which a silent holder's lock may be taken

    @property
    def may_read_secrets(self) -> bool:
        """Whether Secrets of the cluster, and what SOPS has sealed, may be looked into."""
        return self.read_secrets or not self.dry_run

    @property
    def keys(self) -> Mapping[str, str]:
        """The run's own keys in base64, under names that Flux would know them by."""
        keys = {"given.agekey": self.sops_age_key, "given.asc": self.sops_pgp_key}
        return {name: b64encode(key.encode()).decode() for name, key in keys.items() if key}

    def selects(self, id_: str) -> bool:
        """Whether a Kustomization is in the effect's scope."""
        namespace = id_.partition("/")[0]
        return (not self.names or id_ in self.names) and self.namespace in {"", namespace}
