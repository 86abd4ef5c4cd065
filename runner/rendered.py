"""What the render worker is asked and what it answers. Immutable, no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple


class Subject(NamedTuple):
    """The object a problem is about; parts that are unknown are ""."""

    group: str
    version: str
    kind: str
    namespace: str
    name: str


class Place(NamedTuple):
    """Where an object is written."""

    file: str = ""
    """Relative to the root that was built; "" when unknown."""
    line: int = 0
    """Where its document starts, from 1; 0 when unknown."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with what was rendered or parsed; data, never raised.

    `code` is one of: missing_path, missing_file, outside_root, yaml, cycle, remote_refused, remote,
    file_too_big, decryption, encrypted, source, not_fetched, variable_source, two_owners, malformed,
    two_parents, irregular, too_deep, panic, missing_variable, invalid_variable_name, substitution,
    not_an_object, build, internal; for warnings: unknown_field, spec_generator, dropped, not_a_string,
    escaped_variable, lines_joined, remote.
    """

    code: str
    message: str
    stage: str = ""
    """input, generate, build, validate, substitute, encode or parse."""
    subject: Subject | None = None
    variable: str = ""
    json_path: str = ""
    """Where in the object, like `$.spec.template.metadata.labels["app.kubernetes.io/name"]`."""
    file: str = ""
    """Relative to the root that was built, when known."""
    line: int = 0
    """Counts from 1; 0 when unknown."""
    hint: str = ""
    """What to do, where that does not go without saying."""
    entries: tuple[str, ...] = ()
    """What kustomization files list on the way to something remote, that itself as the last one."""

    def only_named(self) -> Problem:
        """The same with its file in the words alone."""
        if not self.file:
            return self
        return replace(self, message=f"{Place(self.file, self.line)}: {self.message}", file="", line=0)

    def __str__(self) -> str:
        """Where, what, and about which object; one line for people."""
        where = f"{Place(self.file, self.line)}: " if self.file else ""
        subject = "/".join(part for part in self.subject[2:] if part) if self.subject else ""
        at = " ".join(part for part in (subject, self.json_path) if part)
        return f"{where}{self.message}" + (f" (in {at})" if at and at not in self.message else "")


_LOGIN = re.compile(r"//(?!git@)[^/@\s]*@")
_PARAMETER = re.compile(r"([?&](?!(?:ref|version|timeout|submodules)=)[^=&#\s]*=)[^&#\s]+")


def plain(url: str) -> str:
    """A URL as it may be printed: without a login, or values of parameters that are not kustomize's."""
    return _PARAMETER.sub(r"\1…", _LOGIN.sub("//", url))


class Asked(NamedTuple):
    """Something remote that a build asks for: a URL or, of a Git repository, a ref for `git fetch`."""

    url: str
    ref: str = ""
    git: bool = False

    def __str__(self) -> str:
        return plain(f"{self.url}?ref={self.ref}" if self.ref not in {"", "HEAD"} else self.url)


@dataclass(frozen=True, slots=True)
class Page:
    """What a server has answered."""

    status: int
    file: Path | None = None
    """The body, where the status is a success."""
    digest: str = ""
    """`sha256:<hex>` of the body."""


@dataclass(frozen=True, slots=True)
class Remote:
    """What is at hand of other places: a build is given it, and fetches nothing."""

    scratch: Path
    """On the file system that the trees are on; a build leaves nothing in it."""
    files: Mapping[str, Page] = field(default_factory=dict)
    """By URL."""
    trees: Mapping[Asked, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """One Kustomization to render."""

    root: Path
    """The artifact: an absolute directory. Nothing outside is read, nothing inside is written."""
    path: str
    """`spec.path`; one that climbs out ends at the root, as in Flux."""
    kustomization: Mapping[str, Any]
    """The whole Kustomization object. Without `spec.postBuild` nothing is substituted, so leaving it out
    gives the objects as they are before substitution."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """What `substituteFrom` and `substitute` come to; the worker does not look at either."""
    strict: bool = True
    """A variable without a value and without a default is an error."""
    keep_unresolved: bool = False
    """Leave expressions verbatim that name something outside `variables` or inside `overridable`."""
    overridable: frozenset[str] = frozenset()
    """Names whose value an unavailable source could still change; only with `keep_unresolved`."""
    display: Mapping[str, str] = field(default_factory=dict)
    """Values to show in place of secret ones, by variable name; fills `RenderedResource.display`."""
    remote: Remote | None = None
    """None: remote resources are refused."""
    timeout: float | None = None
    """Seconds; None is the pool's."""
    open: bool = False
    """Give what SOPS has sealed, or say what is to be opened; else placeholders stand for it."""
    opened: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """What was opened for this build, by `Sealed.id`."""
    oracle: bool = False
    """Build with the library's own, much slower entry point; for tests."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A text that SOPS has sealed, and that a build cannot go on without."""

    id: str
    data: bytes = field(repr=False)
    input: str
    """Its format: binary, dotenv, ini, json or yaml."""
    output: str
    """The format that it is wanted in."""
    prefix: str
    """What comes before an error, as Flux tells it."""
    file: str = ""
    subject: Subject | None = None


_STANDING = re.compile(r"‹SOPS [^›]* [0-9a-f]{8}›")  # the render worker writes it


def is_sealed(name: str) -> bool:
    """Whether a name of `RenderedResource.unresolved` is of something sealed: no variable has a space."""
    return " " in name


def sealed(content: bytes) -> str:
    """The placeholders in a text, each once: what of it stays sealed. "" when there are none."""
    return " ".join(dict.fromkeys(_STANDING.findall(content.decode(errors="replace"))))


@dataclass(frozen=True, slots=True)
class Opened:
    """What a sealed text holds, or why that cannot be had."""

    data: bytes = field(default=b"", repr=False)
    error: str = ""


@dataclass(frozen=True, slots=True)
class RenderedResource:
    """One object of a build, in the order of the build."""

    object: dict[str, Any]
    origin: str = ""
    """The file it came from, relative to the root; "" unless `buildMetadata` asks kustomize to keep it."""
    substitution: str = ""
    """"disabled" when the object opted out."""
    unresolved: tuple[str, ...] = ()
    """Names of the expressions that were left verbatim, sorted, after what of it is sealed."""
    display: dict[str, Any] | None = None
    """The object with the display values; None when that makes no difference."""

    @property
    def shown(self) -> dict[str, Any]:
        """The object as it may be shown to people."""
        return self.object if self.display is None else self.display


@dataclass(frozen=True, slots=True)
class Closure:
    """Every path a build looked at, relative to the root and sorted; a path is in one group only.

    The same content at these paths, and still nothing at the missing ones, gives the same build.
    """

    read: tuple[str, ...] = ()
    """Files whose content counted."""
    stat: tuple[str, ...] = ()
    """Files that were only looked for and found."""
    dirs: tuple[str, ...] = ()
    """Directories that were only looked for and found."""
    listed: tuple[str, ...] = ()
    """Directories whose list of entries counted."""
    missing: tuple[str, ...] = ()
    """Looked for in vain."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Symbolic links on the way to any of these, with their targets as written."""


@dataclass(frozen=True, slots=True)
class Built:
    """How one build went; `resources` holds what could be rendered even when there are problems."""

    resources: tuple[RenderedResource, ...] = ()
    closure: Closure = Closure()
    kfile: str = ""
    """The kustomization file that was used, relative to the root."""
    generated: bool = False
    """There was no kustomization file and one was made up from the directory's manifests."""
    warnings: tuple[Problem, ...] = ()
    problems: tuple[Problem, ...] = ()
    sealed: tuple[Sealed, ...] = ()
    """What has to be opened first; there are no resources then."""
    used: tuple[Asked, ...] = ()
    """What it had of `BuildRequest.remote`."""
    wanted: tuple[Asked, ...] = ()
    """What it lacked there. As long as there is something, nothing else of the answer counts."""
    pins: Mapping[str, str] = field(default_factory=dict)
    """What everything remote that it used stood for: `v1@sha1:…` or `sha256:…`, by `str(Asked)`."""
    unnamed: bool = False
    """Some names have a hash of what is sealed, so they are not those that a deploy gives."""

    @property
    def ok(self) -> bool:
        return not self.problems


@dataclass(frozen=True, slots=True)
class ParsedObject:
    """One object of a YAML file."""

    object: dict[str, Any]
    document: int
    """Position of its document in the file, from 0; the items of a List share one."""
    line: int
    """Where it starts in the file, from 1, comments skipped."""


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """The objects of a YAML file, Lists taken apart, what isn't a Kubernetes object left out."""

    name: str
    objects: tuple[ParsedObject, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.problems


@dataclass(frozen=True, slots=True)
class ArtifactListing:
    """What of a directory tree would not be in the source's artifact; paths relative to its root, sorted."""

    excluded: tuple[str, ...] = ()
    """Regular files that ignore rules leave out."""
    symlinks: tuple[str, ...] = ()
    """What is neither a regular file nor a directory; it never enters an artifact."""
    directories: tuple[str, ...] = ()
    """Directories that ignore rules leave out, unless something in them is brought back."""


@dataclass(frozen=True, slots=True)
class WorkerVersion:
    """What a worker is made of."""

    source_hash: str
    flux: str
    kustomize: str
    go: str
