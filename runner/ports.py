"""What a run needs from the outside, in its own words.

`runner.clients` implements these against real programs and servers. No signature here names a
library, a socket or a subprocess, so either side can change alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from runner.forge import Ancestry, Check, Comment, Issue, Pull, Told
from runner.model import Artifact, Manifest, ResourceRef
from runner.registries import Layer, OciAccess
from runner.rendered import ArtifactListing, BuildRequest, Built, Opened, Page, ParsedFile, Sealed
from runner.repositories import Commit, GitAccess


@dataclass(frozen=True, slots=True)
class Api:
    """How the API server serves one kind."""

    group: str
    version: str  # the version that was asked for when it is served, else the preferred one
    kind: str
    plural: str
    namespaced: bool
    verbs: frozenset[str]
    status: bool = False  # whether its status is written apart, so by a controller


@dataclass(frozen=True, slots=True)
class Listing:
    """A complete list of one kind, and the version to watch it from."""

    items: tuple[Manifest, ...]
    resource_version: str


@dataclass(frozen=True, slots=True)
class Applied:
    """What the server made of an apply, and the `Warning` headers it sent with it."""

    manifest: Manifest
    warnings: tuple[str, ...] = ()
    created: bool = False  # there was no such object


class WatchEventType(StrEnum):
    """The words of the Kubernetes watch protocol."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@dataclass(frozen=True, slots=True)
class WatchEvent:
    type: WatchEventType
    manifest: Manifest


class Cluster(Protocol):
    """One API server. Raises ClusterError, and nothing else, when it says no."""

    @property
    def server(self) -> str:
        """The address, as the kubeconfig has it; for messages."""

    def version(self) -> str:
        """The server's `gitVersion`; the cheapest proof that it can be reached."""

    def api(self, group: str, kind: str, version: str = "") -> Api | None:
        """How a kind is served; None when it is not, as far as discovery was read."""

    def apis(self) -> Sequence[Api]:
        """Every kind that the server serves, each at its preferred version."""

    def rediscover(self) -> None:
        """Forget what discovery said: definitions were applied since."""

    def get(self, ref: ResourceRef) -> Manifest | None:
        """The live object, or None. Raises NotServed for a kind the server does not know."""

    def list(  # noqa: PLR0913 -- each is a question of its own to the server
        self,
        group: str,
        kind: str,
        *,
        namespace: str = "",
        selector: str = "",
        fields: str = "",
        metadata_only: bool = False,
        most: int = 0,
    ) -> Listing:
        """Every object of a kind, in one namespace or ("") in all; chunked underneath.

        `selector` chooses by labels, `fields` by what the server lets choose by, like `involvedObject.uid=…`.

        With `metadata_only` nothing but the objects' metadata leaves the server. Raises ClusterError with
        reason TooMany, after one chunk where the server counts the rest, when there are more than `most`.
        """

    def logs(self, ref: ResourceRef, container: str, *, previous: bool, lines: int) -> str:
        """The last lines that a container wrote, in its present run or the one before; cut at 64 kB."""

    def watch(
        self, group: str, kind: str, *, resource_version: str, namespace: str = "", selector: str = ""
    ) -> AbstractContextManager[Iterator[WatchEvent]]:
        """Changes after `resource_version` until the server ends the stream; leaving the context cuts it.

        Raises Refused with code 410 when that version is too old: list again.
        """

    def apply(self, manifest: Manifest, *, dry_run: bool = False) -> Applied:
        """Server-side apply, forced, as Flux's field manager."""

    def patch(self, ref: ResourceRef, operations: Sequence[Mapping[str, object]]) -> Manifest:
        """A JSON patch (RFC 6902)."""

    def patch_status(
        self, ref: ResourceRef, status: Mapping[str, object], *, manager: str, version: str
    ) -> None:
        """A JSON merge patch (RFC 7386) of `.status` through its subresource, as `manager`.

        Raises Refused with reason Conflict when the object is not at this `resourceVersion`.
        """

    def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """POST; Refused with reason AlreadyExists when the name is taken, which the server looks at last."""

    def replace(self, manifest: Manifest) -> Manifest:
        """PUT; Refused with reason Conflict when `resourceVersion` is not the live one."""

    def delete(self, ref: ResourceRef, *, uid: str) -> None:
        """Delete in the background, only the object with this uid; one that is gone is success."""

    def acting_as(self, user: str) -> Cluster:
        """The same server, asked as another user by impersonation: that user's rights alone count.

        Raises Refused with reason Impersonation, whatever is asked, when these credentials may not do that.
        """

    def fenced(self, before_write: Callable[[], float]) -> Cluster:
        """The same server, where every write first asks `before_write` how many seconds it may take.

        `before_write` raises LockLost when nothing may be written any more. Dry-runs are not writes.
        """

    @property
    def requests(self) -> Mapping[str, int]:
        """How many requests were sent so far, by GET, LIST, WATCH, DRYRUN, POST, PATCH, PUT and DELETE."""


class Observation(Protocol):
    """A set of live objects, kept current until it is closed."""

    def changed(self, timeout: float) -> Mapping[ResourceRef, Manifest | None]:
        """Objects that changed since the last call; the first call gives all of them at once.

        Blocks until there is at least one, or for `timeout` seconds: then the answer is empty.
        Raises ClusterError when they can't be observed at all.
        """


class Observer(Protocol):
    """Watches live objects."""

    def observe(self, refs: Collection[ResourceRef]) -> AbstractContextManager[Observation]: ...

    def acting_as(self, user: str) -> Observer:
        """What another user may see; see `Cluster.acting_as`."""


class Builder(Protocol):
    """Renders; any number of threads may call it."""

    def build(self, request: BuildRequest) -> Built: ...

    def parse(self, data: bytes, name: str) -> ParsedFile: ...

    def artifact(self, root: Path, ignore: str = "") -> ArtifactListing:
        """What of a directory source-controller would leave out of an artifact."""

    def encode(self, objects: Sequence[Manifest]) -> str:
        """Objects as a multi-document YAML text."""

    def newest(self, tags: Sequence[str], within: str, matching: str = "", *, chart: bool = False) -> str:
        """The tag of the newest version in a range, of those that match a pattern; "" when there is none.

        Raises UsageError when the range, or the pattern, is none. A `chart` has `_` where versions have `+`.
        """


class Artifacts(Protocol):
    """OCI registries, as sources of files. Raises SourceError, and UsageError for a wrong URL."""

    def tags(self, access: OciAccess) -> Sequence[str]:
        """Every tag of a repository."""

    def digest(self, access: OciAccess, tag: str) -> str:
        """The digest that a tag names; the same for as long as this run lasts."""

    def origin(self, access: OciAccess, digest: str) -> str:
        """The revision that an artifact says it was made from; "" when it says nothing."""

    def pull(self, access: OciAccess, digest: str, layer: Layer, target: Path) -> None:
        """Write the files of an artifact below `target`, an empty directory; everything is verified."""


class Opener(Protocol):
    """Opens what SOPS has sealed; any number of threads may call it."""

    def open(
        self, secret: str, keys: Mapping[str, str], given: Mapping[str, str], items: Sequence[Sealed]
    ) -> Sequence[Opened]:
        """What each holds. Keys are in base64, by the names that Flux knows them by in a Secret.

        `secret` names the one that `keys` are from; `given` are the run's own.
        Raises DecryptionError when a key cannot be read, or nothing can be opened at all.
        """


class Repositories(Protocol):
    """Other Git repositories, as sources of files. Raises SourceError, and UsageError for a wrong URL."""

    def refs(self, access: GitAccess, names: Sequence[str]) -> Mapping[str, str]:
        """What some refs name; the same for as long as this run lasts. `name^{}` is behind a tag object."""

    def pull(self, access: GitAccess, commit: Commit, target: Path) -> tuple[str, ...]:
        """Write the files of a commit below `target`, an empty directory; returns what to warn about."""


class Downloads(Protocol):
    """Files by URL, without any login. Raises SourceError."""

    def get(self, url: str) -> Page:
        """What a server answers, redirects followed; an error status is an answer too.

        It is the same for as long as this run lasts.
        """


class PathChangeKind(StrEnum):
    """What became of a file between two commits."""

    ADDED = "added"
    DELETED = "deleted"
    MODIFIED = "modified"
    RENAMED = "renamed"
    MODE = "mode"  # the content is the same
    TYPE = "type"  # a file became a symlink, a symlink a submodule …


@dataclass(frozen=True, slots=True, order=True)
class PathChange:
    """One file that two commits differ in."""

    path: str
    kind: PathChangeKind
    before: str = ""  # the old path of one that was renamed


@dataclass(frozen=True, slots=True)
class Blob:
    """The content of a file: the same id is the same content, wherever it is."""

    mode: int  # as Git has it: 0o100644, 0o100755, 0o120000 for a symlink, 0o160000 for a submodule
    id: str


@dataclass(frozen=True, slots=True)
class Authorship:
    """What people know a commit by; foreign text, to be cleaned."""

    id: str
    author: str
    date: str  # RFC 3339
    subject: str


class Repository(Protocol):
    """The Git checkout this run is about."""

    @property
    def root(self) -> Path: ...

    @property
    def identity(self) -> str:
        """What names this repository wherever it is checked out; no credentials in it."""

    @property
    def branch(self) -> str:
        """The branch that is checked out, "" when HEAD is detached."""

    def same(self, url: str) -> bool:
        """Whether a URL, in whatever spelling, is this repository."""

    def resolve(self, revision: str) -> str:
        """The commit that a revision names, as far as it is at hand. Raises UsageError."""

    def revision(self, found: str) -> str:
        """How Flux writes a commit, or a tree, that is given by its whole hash: `main@sha1:<hash>`."""

    def export(self, commit: str, target: Path) -> Artifact:
        """Write the raw files of a commit or tree, or with "" the work tree's, below `target`."""

    def write(self, files: Mapping[str, Blob], commit: str, target: Path) -> None:
        """Write some regular files of a commit or tree, raw, below `target`."""

    def read(self, commit: str, path: str) -> bytes | None:
        """A regular file of a commit or tree, raw, or with "" of the work tree; None where there is none."""

    def switch(self, target: Path, before: str, after: str) -> Artifact:
        """Turn what `export` wrote of one commit or tree into another, touching only what differs."""

    def files(self, commit: str) -> Mapping[str, Blob]:
        """The files of a commit or tree, symlinks and submodules included, by path; "" has none."""

    def changed(self, base: str, head: str) -> tuple[PathChange, ...]:
        """The files that two commits or trees differ in, by path; "" is an empty tree."""

    def changed_on_disk(self, base: str) -> tuple[PathChange, ...]:
        """The files that the work tree and a commit differ in, by path; what was renamed is two of them."""

    def is_ancestor(self, older: str, newer: str) -> bool | None:
        """Whether `newer` contains `older`; None when the history at hand cannot tell."""

    def tip(self, branch: str) -> str:
        """The commit that origin has a branch at now; "" when that cannot be told."""

    def merge_base(self, one: str, other: str) -> str | None:
        """A commit that both contain; "" when there is none, None when the history at hand cannot tell."""

    def tree(self, commit: str) -> str:
        """The hash of all files of a commit."""

    def parents(self, commit: str) -> tuple[str, ...]:
        """The parents of a commit, those that this clone lacks included."""

    def trailers(self, commit: str, name: str) -> tuple[str, ...]:
        """The values of a trailer (`Name: value`) at the end of a commit's message."""

    def last_change(self, commit: str, path: str, line: int) -> Authorship | None:
        """The commit, at `commit` or before it, that last changed the YAML document at a line of a file.

        With line 0 the whole file counts. None when the history at hand does not tell.
        """

    def merged(self, base: str, head: str) -> str:
        """The tree that merging `head` onto `base` would give. Raises UsageError when they conflict."""

    def ensure(self, revision: str) -> str:
        """The commit that a revision names, fetched when only origin has it. Raises UsageError."""


class Memory(Protocol):
    """Keeps what can be computed again; may forget anything at any time."""

    @property
    def stamp(self) -> str:
        """What names the code that computes: nothing that other code kept is found."""

    def get(self, key: str) -> bytes | None: ...

    def put(self, key: str, value: bytes) -> None: ...


class Forge(Protocol):
    """GitHub, where a run is reported. Whatever goes wrong there is a warning, and no exception.

    Any number of threads may call it; their requests are sent one after the other.
    """

    @property
    def warnings(self) -> Sequence[str]:
        """What could not be told or asked so far and why, each cause once."""

    def pull(self, number: int) -> Pull | None:
        """A pull request as it is now; None when that is not known."""

    def pulls(self, commit: str) -> Sequence[Pull]:
        """The pull requests that a commit came from, as far as is known."""

    def compare(self, base: str, head: str) -> Ancestry:
        """Where `head` is, seen from `base`."""

    def find(self, pull: int, key: str) -> Comment | None:
        """Our newest comment with this key on a pull request."""

    def comment(self, pull: int, key: str, body: str, *, head: str = "") -> Told:
        """Make this the body of our one comment with this key.

        With `head` nothing is written once the pull request is at another commit.
        """

    def check(self, check: Check) -> Told:
        """Create a check run, or update the one with this id."""

    def status(self, check: Check) -> Told:
        """The same as a commit status: for tokens that cannot create check runs."""

    def issue(self, issue: Issue) -> Told:
        """Make our one issue with this key say this, open or closed; none is opened to be closed."""

    def cancel(self) -> None:
        """Never wait again: the run is being interrupted."""


class Clock(Protocol):
    """Time that passes for everybody (`now`) and time that never jumps (`monotonic`); both in seconds."""

    def now(self) -> float: ...

    def monotonic(self) -> float: ...


class Phase(StrEnum):
    """What a Kustomization is doing, as people are shown it."""

    WAITING = "waiting"
    RENDERING = "rendering"
    APPLYING = "applying"
    CHECKING = "checking health"
    PRUNING = "pruning"
    RETRYING = "trying again"
    READY = "ready"
    FAILED = "failed"
    BLOCKED = "blocked"
    SUSPENDED = "suspended"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Progress:
    """A sign of life: `subject` is a Kustomization's identity, or "" for the run as a whole."""

    subject: str
    phase: Phase
    detail: str = ""
    wave: int = 0  # from 1, where it is known who rolls out after whom


Listener = Callable[[Progress], None]
"""Told of every step, from any thread; must not raise."""
