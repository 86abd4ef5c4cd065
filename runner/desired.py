"""Options and a checkout → what the entry wants: one commit, its files, and every Kustomization in them."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path

from runner import configuration, discover
from runner.configuration import Configuration, Target
from runner.errors import ClusterError, NotFetched, RenderError, UsageError
from runner.fleet import Fleet, Unit
from runner.forge import Ancestry
from runner.model import Artifact, Kustomization, Manifest, ResourceRef, VariableSource
from runner.options import Options
from runner.ports import (
    Artifacts,
    Builder,
    Clock,
    Cluster,
    Downloads,
    Listener,
    Memory,
    Observer,
    Opener,
    Phase,
    Progress,
    Repositories,
    Repository,
)
from runner.render import Keyring, NotRead, Recall, Renderer, unread
from runner.sources import Bases, Checkout, GitRepositories, OciRepositories
from runner.world import Reach, World

_VALUES_HINT = "it holds what the cluster would answer: ConfigMaps and Secrets, each with its namespace."
TRAILER = "Kustodian-Approve"
_DIGEST = re.compile(r"[0-9a-f]{8,128}")
SHORT = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{32,}\b")  # a commit's digits, as many as people write


@dataclass(frozen=True, slots=True)
class Clients:
    """Everything outside the process, handed in once by a front door."""

    repository: Repository
    builder: Builder
    clock: Clock
    pool: Executor  # for requests and builds
    listener: Listener
    directory: Path  # an empty directory of ours
    connect: Callable[[], tuple[Cluster, Observer]] | None = None  # None: no cluster is asked anything
    reach: Reach | None = None  # other clusters, by their kubeconfigs
    opener: Opener | None = None  # None: nothing is ever decrypted
    memory: Memory | None = None  # renderings of earlier runs; None: everything is rendered
    fetch: Callable[[], Artifacts] | None = None  # what reads registries; None: nothing is fetched
    clone: Callable[[], Repositories] | None = None  # what reads other repositories
    download: Callable[[], Downloads] | None = None  # what reads URLs; None: nothing remote is built
    compare: Callable[[str, str], Ancestry] | None = None  # asked where the clone is too shallow to tell
    cancel: Callable[[], None] = lambda: None
    cancelled: Callable[[], bool] = lambda: False

    def world(self) -> World:
        cluster, observer = self._connected()
        made = World(cluster, observer, self.clock, self.pool, self.listener, self.cancel, self.cancelled)
        return replace(made, reach=self.reach) if self.reach is not None else made

    def reachable(self) -> Cluster:
        """The cluster, once it has answered. Raises ClusterError when it does not."""
        cluster, _ = self._connected()
        cluster.version()
        return cluster

    def _connected(self) -> tuple[Cluster, Observer]:
        if self.connect is None:
            raise ClusterError("there is no cluster in this run")
        return self.connect()


@dataclass(slots=True)
class Desired:
    """The entry at one commit; `fleet` renders it."""

    options: Options
    clients: Clients
    checkout: Checkout
    builder: Builder
    root: Kustomization
    artifact: Artifact
    commit: str
    tree: str  # the files that it is about; "" when they are not committed
    stand_ins: Mapping[ResourceRef, Manifest] = field(default_factory=dict, repr=False)
    recall: Recall | None = None
    approved: tuple[str, ...] = ()  # by the commit itself; the options have them too
    _asked: dict[VariableSource, Manifest | NotRead | None] = field(default_factory=dict)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    @property
    def revision(self) -> str:
        return self.artifact.revision

    def fleet(
        self, *, cluster: Cluster | None, adopted: Sequence[Unit] = (), paused: Collection[str] = ()
    ) -> Fleet:
        """Every Kustomization, rendered as far as it can be. Without a cluster its values stay unknown.

        Raises:
            RootNotRendered: the root itself cannot be rendered.
            discover.Malformed: a Kustomization is, or two render it.
            CycleError: Kustomizations render each other's variables in a circle.
        """
        self.clients.listener(Progress("", Phase.RENDERING, SHORT.sub(r"\1", self.revision)))
        with self._mutex:
            self._asked.clear()
        parsed = self.recall.parsed if self.recall is not None else None
        fleet = discover.walk(
            self.root, self._renderer(cluster, remembered=True), self.clients.pool, adopted, parsed, paused
        )
        root = fleet.units[fleet.root]
        if root.rendering is not None and not root.rendering.ok:
            raise RootNotRendered(root, fleet, self.options.entry)
        return fleet

    def offline(self) -> Renderer:
        """A renderer that asks no cluster."""
        return self._renderer(None, remembered=True)

    def renderer_now(self) -> Renderer:
        """A renderer that asks the cluster anew each time."""
        return self._renderer(self.clients.world().cluster, remembered=False)

    def is_newer_than(self, commit: str) -> bool | None:
        """Whether this run's commit contains another one; None when that cannot be told."""
        if not commit or commit == self.commit:
            return False
        return self.contains(self.commit, commit)

    def is_in(self, branch: str) -> bool | None:
        """Whether a branch, as it stands at origin, has this run's commit; None when nobody can tell.

        The clone does not: actions/checkout sets the branch to the commit that it is run for.
        """
        if self.clients.compare is not None:
            seen = self.clients.compare(self.commit, branch)
            if seen is not Ancestry.UNKNOWN:
                return seen in {Ancestry.AHEAD, Ancestry.IDENTICAL}
        tip = self.clients.repository.tip(branch)
        return self.contains(tip, self.commit) if tip else None

    def contains(self, newer: str, older: str) -> bool | None:
        """Whether a commit has another one in its history; None when nobody can tell."""
        told = self.clients.repository.is_ancestor(older, newer)
        if told is not None or self.clients.compare is None:
            return told
        seen = self.clients.compare(older, newer)
        return None if seen is Ancestry.UNKNOWN else seen in {Ancestry.AHEAD, Ancestry.IDENTICAL}

    def _renderer(self, cluster: Cluster | None, *, remembered: bool) -> Renderer:
        def ask(source: VariableSource) -> Manifest | NotRead | None:
            if source.ref in self.stand_ins:
                return self.stand_ins[source.ref]
            if cluster is None or (source.kind == "Secret" and not self.options.may_read_secrets):
                return NotRead.NOT_READ
            if not remembered:
                return cluster.get(source.ref)
            with self._mutex:
                if source not in self._asked:
                    self._asked[source] = cluster.get(source.ref)
                return self._asked[source]

        precedence = self.options.substitute_precedence
        live = unread if cluster is None and not self.stand_ins else ask
        keyring = self._keyring(reads=cluster is not None and self.options.may_read_secrets)
        return Renderer(self.builder, self.checkout.artifact, live, precedence, self.recall, keyring)

    def _keyring(self, *, reads: bool) -> Keyring | None:
        """Nothing is decrypted unless Secrets may be read, or stand-ins for them are given."""
        if self.clients.opener is None or not (reads or self.stand_ins):
            return None
        return Keyring(self.clients.opener, self.options.keys if reads else {}, needed=reads)


def _builder(clients: Clients, checkout: Checkout) -> Builder:
    if clients.download is None or clients.clone is None:
        return clients.builder
    return Bases(clients.builder, clients.download, clients.clone, clients.directory, checkout.fetched)


class RootNotRendered(RenderError):
    """Nothing of an entry is known before its root renders; `fleet` has the root, and its problems."""

    def __init__(self, root: Unit, fleet: Fleet, entry: str) -> None:
        problems = root.rendering.problems if root.rendering else ()
        super().__init__(
            f"{root.id} cannot be rendered: " + "\n".join(map(str, problems)),
            hint=(root.rendering.hint if root.rendering else "")
            or f"nothing of {entry} can be known before its root renders.",
        )
        self.fleet = fleet


class NoEntry(UsageError):
    """The revision has no such directory."""


def at(
    options: Options,
    clients: Clients,
    recall: Recall | None = None,
    tree: str = "",
    mapped: Mapping[str, Target] | None = None,
) -> Desired:
    """Read the checkout at the revision that is asked for; `recall` holds what was rendered before.

    With `tree` its files count instead of the commit's: what a merge would make of it. Without `mapped` the
    revision's own configuration says where other sources are.

    Raises:
        NoEntry: the entry does not exist.
        UsageError: the revision does not exist, or a file of values cannot be used.
    """
    entry = _entry(options.entry)
    stand_ins = _stand_ins(options.values, clients.builder)
    commit = clients.repository.resolve("HEAD" if options.worktree else options.revision)
    root = discover.root(options.root, entry)
    live = _live(options, clients, stand_ins)
    checkout = Checkout(
        clients.repository,
        clients.builder,
        "" if options.worktree else tree or commit,
        root.source,
        clients.directory,
        recall.memory if recall is not None else None,
        oci=OciRepositories(clients.fetch, clients.builder, live) if clients.fetch else None,
        git=GitRepositories(clients.clone, clients.builder, live) if clients.clone else None,
        branch=options.branch,
        mapped=_mapped(clients, "" if options.worktree else commit) if mapped is None else mapped,
    )
    artifact = checkout.packed()
    if tree:
        artifact = replace(artifact, revision=clients.repository.revision(commit))
    there = artifact.content.is_directory(entry) if artifact.content else (artifact.root / entry).is_dir()
    if not there:
        raise NoEntry(
            f"entry {options.entry} is no directory of {artifact.revision}",
            hint="name the directory that a cluster starts from, such as clusters/production.",
        )
    approved = () if options.worktree else approvals(clients.repository.trailers(commit, TRAILER))
    chosen = replace(options, approve=options.approve | frozenset(approved))
    return Desired(
        chosen,
        clients,
        checkout,
        _builder(clients, checkout),
        root,
        artifact,
        commit,
        "" if options.worktree else tree or clients.repository.tree(commit),
        stand_ins,
        recall,
        approved,
    )


def approvals(values: Sequence[str]) -> tuple[str, ...]:
    """The digests that a commit's trailers approve; several may be in one."""
    given = [digest for value in values for digest in re.split(r"[\s,]+", value)]
    return tuple(dict.fromkeys(digest for digest in given if _DIGEST.fullmatch(digest)))


def configured(repository: Repository, commit: str) -> Configuration:
    """What kustodian.yaml says at a commit or, with "", in the work tree. Raises UsageError."""
    text = repository.read(commit, configuration.FILE)
    return configuration.read(text) if text is not None else Configuration()


def _mapped(clients: Clients, commit: str) -> Mapping[str, Target]:
    return configured(clients.repository, commit).sources


def _live(
    options: Options, clients: Clients, stand_ins: Mapping[ResourceRef, Manifest]
) -> Callable[[ResourceRef], Manifest]:
    def live(ref: ResourceRef) -> Manifest:
        if ref in stand_ins:
            return stand_ins[ref]
        if clients.connect is None or (options.dry_run and not options.read_secrets):
            raise NotFetched(
                f"{ref} is needed to fetch a source, and it is not read from a cluster here",
                hint="--read-secrets lets a dry run read it, and --values can give it; an OCIRepository that "
                "names no Secret uses docker's own login.",
            )
        found = clients.reachable().get(ref)
        if found is None:
            raise UsageError(
                f"{ref} is needed to fetch a source, and it is neither desired nor in the cluster"
            )
        return found

    return live


def _entry(text: str) -> str:
    """The entry without `./` and `/` at its ends, so that one directory has one name."""
    parts = [part for part in text.split("/") if part not in {"", "."}]
    if not text:
        raise UsageError("no entry is given", hint="--entry clusters/production, for example.")
    if ".." in parts or text.startswith("/"):
        raise UsageError(
            f"entry {text} is not a path inside the repository", hint="give it without .. and /."
        )
    return "/".join(parts)


def _stand_ins(files: Sequence[Path], builder: Builder) -> dict[ResourceRef, Manifest]:
    """The ConfigMaps and Secrets of the given files; the last of a name counts. Contents are not quoted."""
    found: dict[ResourceRef, Manifest] = {}
    for file in files:
        try:
            parsed = builder.parse(file.read_bytes(), file.name)
        except OSError as exc:
            raise UsageError(f"values file {file} cannot be read: {exc.strerror}") from exc
        if parsed.problems or not parsed.objects:
            lines = sorted({problem.line for problem in parsed.problems if problem.line})
            where = f" at line {lines[0]}" if lines else ""
            raise UsageError(
                f"values file {file} is not a YAML file of ConfigMaps and Secrets{where}", hint=_VALUES_HINT
            )
        for each in parsed.objects:
            ref = ResourceRef.of(each.object)
            if ref.group or ref.kind not in {"ConfigMap", "Secret"} or not ref.namespace:
                raise UsageError(
                    f"values file {file}:{each.line}: {ref} is not a ConfigMap or Secret with a namespace",
                    hint=_VALUES_HINT,
                )
            found[ref] = each.object
    return found
