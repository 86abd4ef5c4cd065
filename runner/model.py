"""The nouns of a run. Immutable, no I/O; every stage takes and returns these."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, Self

from runner.content import Content
from runner.graph import Need
from runner.rendered import Place, Problem

Manifest = Mapping[str, Any]
"""One Kubernetes object as JSON holds it; read-only by type."""

FLUX = "kustomize.toolkit.fluxcd.io"
"""The API group of Flux's Kustomization, and the prefix of its labels and annotations."""

FIELD_MANAGER = "kustomize-controller"
"""Flux's own field manager, so that fields change hands with Flux without an object changing."""

SERVICE_ACCOUNT = "system:serviceaccount:"
"""Begins the user name of a ServiceAccount; `<namespace>:<name>` follows."""


@dataclass(frozen=True, slots=True, order=True)
class ResourceRef:
    """Names one object in a cluster.

    The version takes no part in equality: the API server serves one object under every version,
    so `apps/v1` and `apps/v1beta1` name the same object (Flux's inventory rule).
    """

    namespace: str  # "" for a cluster-scoped object
    name: str
    group: str  # "" for the core group
    kind: str
    version: str = field(compare=False)

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """Name the object that a manifest describes."""
        meta = manifest["metadata"]
        group, _, version = str(manifest["apiVersion"]).rpartition("/")
        return cls(meta.get("namespace") or "", meta["name"], group, manifest["kind"], version)

    @property
    def api_version(self) -> str:
        """`apps/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return "/".join(part for part in (self.kind, self.namespace, self.name) if part)


def account_ref(user: str) -> ResourceRef:
    """The ServiceAccount that a user name stands for."""
    namespace, _, name = user.removeprefix(SERVICE_ACCOUNT).partition(":")
    return ResourceRef(namespace, name, "", "ServiceAccount", "v1")


def gives_rights(ref: ResourceRef) -> bool:
    """Whether an account can do nothing, or less, without this object."""
    return (ref.group, ref.kind) == ("", "ServiceAccount") or ref.group == "rbac.authorization.k8s.io"


def kustomization_ref(id_: str) -> ResourceRef:
    namespace, _, name = id_.partition("/")
    return ResourceRef(namespace, name, FLUX, "Kustomization", "v1")


class DeletionPolicy(enum.StrEnum):
    """What becomes of a Kustomization's objects when it goes away; Flux's `spec.deletionPolicy`."""

    MIRROR_PRUNE = "MirrorPrune"
    DELETE = "Delete"
    WAIT_FOR_TERMINATION = "WaitForTermination"
    ORPHAN = "Orphan"


@dataclass(frozen=True, slots=True, order=True)
class SourceRef:
    """`spec.sourceRef`, with the namespace filled in."""

    kind: str
    namespace: str
    name: str

    @property
    def ref(self) -> ResourceRef:
        return ResourceRef(self.namespace, self.name, "source.toolkit.fluxcd.io", self.kind, "v1")

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class VariableSource:
    """One entry of `spec.postBuild.substituteFrom`; lives in the Kustomization's namespace."""

    kind: str  # ConfigMap or Secret
    namespace: str
    name: str
    optional: bool = False

    @property
    def ref(self) -> ResourceRef:
        return ResourceRef(self.namespace, self.name, "", self.kind, "v1")

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class KubeConfig:
    """`spec.kubeConfig.secretRef`: the Secret that tells how to reach another cluster."""

    secret: VariableSource
    key: str = ""  # "": Flux's own names for it

    @property
    def target(self) -> str:
        """What names that cluster in a run: equal for whoever takes the same key of the same Secret."""
        return "/".join(part for part in (self.secret.namespace, self.secret.name, self.key) if part)


def kube_config(manifest: Manifest) -> KubeConfig | None:
    """What a Kustomization's object says of another cluster; None: its objects go to the run's own."""
    where = ((manifest.get("spec") or {}).get("kubeConfig") or {}).get("secretRef")
    if not where:
        return None
    namespace = str(manifest["metadata"].get("namespace") or "")
    return KubeConfig(VariableSource("Secret", namespace, str(where.get("name"))), where.get("key") or "")


def target(manifest: Manifest) -> str:
    """The cluster that a Kustomization's objects go to; "" for the run's own."""
    found = kube_config(manifest)
    return found.target if found is not None else ""


@dataclass(frozen=True, slots=True)
class PostBuild:
    """`spec.postBuild`: variables given in place, and where more come from."""

    substitute: Mapping[str, str] = field(default_factory=dict)
    substitute_from: tuple[VariableSource, ...] = ()


@dataclass(frozen=True, slots=True)
class HealthCheckExpr:
    """One entry of `spec.healthCheckExprs`: what decides, in CEL, how healthy a kind's objects are."""

    group: str
    kind: str  # "" for every kind of the group
    current: str
    in_progress: str = ""
    failed: str = ""


@dataclass(frozen=True, slots=True)
class IgnoreRule:
    """One entry of `spec.ignore`: JSON pointers, and which objects they are for."""

    paths: tuple[str, ...]
    target: Mapping[str, str] = field(default_factory=dict)  # as it is written; without any, all objects


@dataclass(frozen=True, slots=True)
class Kustomization:
    """A Flux `Kustomization`: its identity, what of its spec we act on, and the object itself."""

    namespace: str
    name: str
    manifest: Manifest  # the whole object: what is rendered comes from it
    source: SourceRef
    path: str = ""  # relative to the artifact's root; "" is the root
    depends_on: tuple[str, ...] = ()  # identities, in the order written
    ready_exprs: tuple[str, ...] = ()  # of each of these; "" is Flux's own rule
    prune: bool = False
    wait: bool = False
    suspend: bool = False
    force: bool = False
    ignore: tuple[IgnoreRule, ...] = ()
    interval: float = 600.0  # seconds
    timeout: float = 600.0  # seconds
    retry_interval: float = 600.0  # seconds between two attempts
    deletion_policy: DeletionPolicy = DeletionPolicy.MIRROR_PRUNE
    health_checks: tuple[ResourceRef, ...] = ()
    health_check_exprs: tuple[HealthCheckExpr, ...] = ()
    post_build: PostBuild | None = None
    decrypts: bool = False  # spec.decryption is set
    keys_from: VariableSource | None = None  # the Secret of decryption.secretRef
    service_account: str = ""  # the name of the one, in its namespace, that its objects are applied as
    labels: Mapping[str, str] = field(default_factory=dict)  # commonMetadata.labels
    annotations: Mapping[str, str] = field(default_factory=dict)  # commonMetadata.annotations
    warnings: tuple[str, ...] = ()  # what is odd about its object, although it is accepted

    @property
    def id(self) -> str:
        """`namespace/name`, as Flux prints it."""
        return f"{self.namespace}/{self.name}"

    @property
    def acts_as(self) -> str:
        """The user that its objects are read and applied as; "" for the run itself."""
        name = self.service_account
        return f"{SERVICE_ACCOUNT}{self.namespace}:{name}" if name else ""

    @property
    def kube_config(self) -> KubeConfig | None:
        """How another cluster is reached, where its objects go to one."""
        return kube_config(self.manifest)

    @property
    def target(self) -> str:
        """The cluster that its objects go to; "" for the run's own."""
        return target(self.manifest)

    @property
    def dependencies(self) -> tuple[tuple[str, str], ...]:
        """Each identity under `dependsOn` with its `readyExpr`."""
        return tuple(zip_longest(self.depends_on, self.ready_exprs, fillvalue=""))

    @property
    def deletes(self) -> bool:
        """Whether its objects go when it goes; Flux's `deletionPolicy` over `prune`."""
        match self.deletion_policy:
            case DeletionPolicy.MIRROR_PRUNE:
                return self.prune
            case DeletionPolicy.ORPHAN:
                return False
            case DeletionPolicy.DELETE | DeletionPolicy.WAIT_FOR_TERMINATION:
                return True

    def __str__(self) -> str:
        return self.id


@dataclass(frozen=True, slots=True)
class Artifact:
    """A source's tree of files, as source-controller would have packed it."""

    root: Path  # the files are there once `prepare` has been called
    revision: str  # Flux's form: main@sha1:<40 hex>
    warnings: tuple[str, ...] = ()
    content: Content | None = field(default=None, repr=False)  # None: not known by names
    prepare: Callable[[], None] = field(default=lambda: None, repr=False)
    part: Callable[[Collection[str]], Path] | None = field(default=None, repr=False)
    """Writes only some files, into a new directory; None where that is no quicker."""
    foreign: bool = False  # the paths in it are not those of this repository
    origin: str = ""  # the revision that it was made from, where it names one


@dataclass(frozen=True, slots=True)
class SourceRevision:
    """What a source that is not the checkout stood for in a run."""

    source: str  # OCIRepository/flux-system/podinfo, GitRepository/flux-system/infra
    revision: str  # Flux's form: 6.9.0@sha256:<64 hex>
    recorded: str = ""  # the revision that was deployed before; "" when none is on record

    @property
    def moved(self) -> bool:
        return bool(self.recorded) and self.revision != self.recorded


class Action(enum.StrEnum):
    """What happened, or would happen, to an object; the words are fluxcd/pkg/ssa's, and one of ours."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    SKIPPED = "skipped"
    MOVED = "moved"
    UNKNOWN = "unknown"

    @property
    def writes(self) -> bool:
        """Whether the cluster is different afterwards."""
        return self in {Action.CREATED, Action.CONFIGURED, Action.DELETED, Action.MOVED}


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one object, and why."""

    ref: ResourceRef
    action: Action
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.ref} {self.action}" + (f" ({self.reason})" if self.reason else "")


class Status(enum.StrEnum):
    """How far an object is from its spec; the words are kstatus's."""

    CURRENT = "Current"
    IN_PROGRESS = "InProgress"
    FAILED = "Failed"
    TERMINATING = "Terminating"
    NOT_FOUND = "NotFound"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Health:
    """The status of one object, and the object's own words for it."""

    ref: ResourceRef
    status: Status
    message: str = ""

    def __str__(self) -> str:
        return f"{self.ref} status: '{self.status}'" + (f": {self.message}" if self.message else "")


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause for which an object is not healthy, in words a person can act on."""

    ref: ResourceRef  # the object that is not healthy
    subject: ResourceRef  # where the cause shows, such as one of its Pods
    code: str  # Kubernetes' own word for it, which people search for
    message: str
    hint: str = ""
    log: tuple[str, ...] = ()  # the last lines of a container that ended
    more: int = 0  # how many further subjects show the same
    grace: float | None = None  # seconds of it after which nothing will help; None: it may always pass

    def __str__(self) -> str:
        more = f" (and {self.more} more)" if self.more else ""
        where = "" if self.subject == self.ref else f"{self.subject}{more}: "
        return f"{where}{self.code}: {self.message}"


class State(enum.StrEnum):
    """How one Kustomization ended."""

    READY = "ready"
    FAILED = "failed"
    BLOCKED = "blocked"
    SUSPENDED = "suspended"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one Kustomization ended, with everything a report says about it."""

    kustomization: str
    state: State
    changes: tuple[Change, ...] = ()
    error: str = ""
    hint: str = ""
    blocked_by: tuple[str, ...] = ()
    unhealthy: tuple[Health, ...] = ()
    warnings: tuple[str, ...] = ()
    diagnosis: tuple[Finding, ...] = ()  # why these are not healthy, as far as it could be found out
    started_at: float | None = None  # seconds since the epoch
    applied_at: float | None = None  # everything was applied: from here on its health was waited for
    ready_at: float | None = None
    ended_at: float | None = None  # with what comes after health, or with what went wrong
    attempts: int = 1
    waited_for: tuple[str, ...] = ()  # the Kustomizations whose readiness let it start
    needs: tuple[Need, ...] = ()  # sorted; those outside of this run too
    awaits: tuple[str, ...] = ()  # children that its own readiness includes
    reason: str = ""  # why it stands aside, where that is not in Git
    errors: Mapping[ResourceRef, str] = field(default_factory=dict)  # those of single objects

    @property
    def ok(self) -> bool:
        """Whether dependents may go on and the run may end well."""
        return self.state not in {State.FAILED, State.BLOCKED}

    @property
    def changed(self) -> bool:
        """Whether the cluster is different because of it."""
        return any(change.action.writes for change in self.changes)


@dataclass(frozen=True, slots=True)
class Held:
    """Prunes that a guard keeps from happening, and the digest that lets exactly these through."""

    kustomization: str
    refs: tuple[ResourceRef, ...]
    reason: str
    digest: str = ""  # "" when no approval helps: the cause has to go first


@dataclass(frozen=True, slots=True)
class Run:
    """How a whole run went; every view of it is made from this alone."""

    server: str
    entry: str
    revision: str
    outcomes: tuple[Outcome, ...] = ()  # in dependency order
    held: tuple[Held, ...] = ()
    warnings: tuple[str, ...] = ()
    requests: Mapping[str, int] = field(default_factory=dict)
    dry_run: bool = False
    interrupted: int = 0  # the signal's number
    timed_out: bool = False  # the time of the whole run was up before all were done
    superseded: bool = False
    started_at: float | None = None  # seconds since the epoch
    ended_at: float | None = None
    waves: tuple[tuple[str, ...], ...] = ()  # who rolls out after whom; what is gone is in none
    sources: tuple[SourceRevision, ...] = ()  # those that are not the checkout, by name
    problems: Mapping[str, tuple[Problem, ...]] = field(default_factory=dict)
    """What failed by Kustomization, each where the repository has it."""
    homes: Mapping[str, Place] = field(default_factory=dict)  # where those are written that `held` names

    @property
    def failed(self) -> bool:
        return not all(outcome.ok for outcome in self.outcomes)


@dataclass(frozen=True, slots=True)
class Past:
    """One line of what the cluster has on record of earlier runs."""

    revision: str
    state: State | None  # None: it has not ended
    started_at: float | None = None  # seconds since the epoch
    ended_at: float | None = None
    digest: str = ""  # of what was rendered; "" for an entry as a whole
    replaced: str = ""  # the revision that a rollback took back; "" when it was none
    sources: Mapping[str, str] = field(default_factory=dict)  # revisions of those that are not the checkout


@dataclass(frozen=True, slots=True)
class Leaf:
    """One Kustomization as `tree` and `get` show it: desired state, and what the cluster recorded."""

    kustomization: str
    path: str
    parent: str = ""
    depends_on: tuple[str, ...] = ()
    variables_from: tuple[str, ...] = ()  # Kustomizations that produce its substituteFrom sources
    suspended: bool = False
    paused: str = ""  # by whom and why
    target: str = ""  # the cluster that its objects go to; "" for the one that is asked
    objects: tuple[ResourceRef, ...] = ()
    problems: tuple[str, ...] = ()
    recorded: State | None = None  # the outcome the cluster has on record
    recorded_message: str = ""
    revision: str = ""  # the one of the last change on record: of its own source
    changed_at: float | None = None  # seconds since the epoch
    history: tuple[Past, ...] = ()  # newest first
    deployments: tuple[Past, ...] = ()  # of the whole entry, newest first; the root's
    healths: tuple[Health, ...] | None = None  # of what it wants and owns; None: no cluster was asked
