"""Remote bases: what kustomization files list by URL, fetched and pinned, and handed to the build as files.

What is remote only shows while it is built: kustomize asks for a URL as a file first and, where that is none,
as a repository; and what it is given may list further ones. So it is built again as long as something lacks.
"""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from runner.errors import NotFetched, RunnerError, SourceError, UsageError
from runner.model import Manifest
from runner.ports import Builder, Downloads, Repositories
from runner.rendered import (
    ArtifactListing,
    Asked,
    BuildRequest,
    Built,
    Page,
    ParsedFile,
    Problem,
    Remote,
    plain,
)
from runner.repositories import Commit, GitAccess

MOST = 64
"""Files and repositories that one build may ask for; what is no file counts twice."""
_HEADS, _TAGS, _PEELED = "refs/heads/", "refs/tags/", "^{}"
_HASH = re.compile(r"[0-9a-fA-F]{40}")
_REF = re.compile(r"(?!.*\.\.)[^\x00-\x20\x7f~^:?*\[\\/-][^\x00-\x20\x7f~^:?*\[\\]*")
_LOGIN = "a remote base is read without a login; what needs one can be a GitRepository, with a secretRef."
_COPY = "copy what it stands for into this repository, and list the copy."
_HINTS = {
    "put that into spec.url": "list it by that URL.",
    "spec.url": "is its URL right?",
    "spec.ref": "is `ref=` in its URL right?",
    "spec.secretRef": _LOGIN,
    "spec.sparseCheckout": f"it is fetched whole; {_COPY}",
    "https://example.com": "write it like https://example.com/team/repository//path?ref=v1.",
    "SSL_CERT_FILE": "name its authority in SSL_CERT_FILE.",
}
"""What is told about the spec of a GitRepository, which a remote base has none of, by what it has in it."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A repository's files at one commit."""

    directory: Path
    revision: str  # v1@sha1:<hex>
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class Bases:
    """A Builder whose builds may use remote resources; any number of threads may use it.

    `fetched` is told the revision of everything that was asked for, "" where that failed.
    """

    builder: Builder
    downloads: Callable[[], Downloads]  # connects to nothing
    repositories: Callable[[], Repositories]
    directory: Path
    fetched: dict[str, str]
    most: int = MOST
    _files: dict[str, Page] = field(default_factory=dict)
    _trees: dict[Asked, Tree] = field(default_factory=dict)
    _failed: dict[Asked, RunnerError] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def build(self, request: BuildRequest) -> Built:
        """Build with everything remote that it asks for; what cannot be had is a problem of the build."""
        built, rounds = self._built(request), 0
        while built.wanted:
            rounds += 1
            try:
                if rounds > self.most:
                    raise UsageError(f"the build has more than {self.most} remote resources", hint=_COPY)
                self._fetch(built.wanted[0])
            except RunnerError as exc:
                return self._failure(built, exc)
            built = self._built(request)
        return self._told(built)

    def parse(self, data: bytes, name: str) -> ParsedFile:
        return self.builder.parse(data, name)

    def artifact(self, root: Path, ignore: str = "") -> ArtifactListing:
        return self.builder.artifact(root, ignore)

    def encode(self, objects: Sequence[Manifest]) -> str:
        return self.builder.encode(objects)

    def newest(self, tags: Sequence[str], within: str, matching: str = "", *, chart: bool = False) -> str:
        return self.builder.newest(tags, within, matching, chart=chart)

    def _built(self, request: BuildRequest) -> Built:
        trees = dict(self._trees)  # in one step, for another thread may fetch, and nobody waits for that
        directories = {asked: tree.directory for asked, tree in trees.items()}
        remote = Remote(self.directory, dict(self._files), directories)
        return self.builder.build(replace(request, remote=remote))

    def _told(self, built: Built) -> Built:
        """The same, with what everything that was used stood for, and what there is to say of that."""
        pins, warnings = {}, list(built.warnings)
        for asked in built.used:
            page, tree = self._files.get(asked.url), self._trees.get(asked)
            if tree is not None:
                pins[str(asked)] = tree.revision
                warnings += [Problem("remote", f"{asked}: {text}") for text in tree.warnings]
            elif page is not None and page.digest and not asked.git:
                pins[str(asked)] = page.digest
        problems = []
        for problem in map(self._answered, built.problems):
            message = problem.message
            for asked in built.used:
                message = message.replace(asked.url, plain(asked.url))
            problems.append(replace(problem, message=message))
        return replace(built, problems=tuple(problems), warnings=tuple(warnings), pins=pins)

    def _answered(self, problem: Problem) -> Problem:
        """What a server says of something that can only be a file, without kustomize's own words."""
        page = self._files.get(problem.entries[-1]) if problem.code == "remote" and problem.entries else None
        if page is None:
            return problem
        where = plain(problem.entries[-1])
        return replace(
            problem, message=f"{where} cannot be used: the server answers with HTTP status {page.status}"
        )

    def _failure(self, built: Built, exc: RunnerError) -> Built:
        """The build's own problem, with what went wrong while fetching as its text."""
        asked = built.wanted[0]
        known = built.problems[0] if built.problems else Problem("remote", "", "build", entries=(asked.url,))
        message = f"{asked} cannot be used: {exc.message}"
        page = self._files.get(known.entries[-1]) if known.entries else None
        if page is not None and page.file is None:
            message += f" (as a file it has HTTP status {page.status})"
        code = "not_fetched" if isinstance(exc, NotFetched) else "remote"
        problem = replace(known, code=code, message=message, hint=exc.hint)
        return replace(built, resources=(), problems=(problem,), wanted=())

    def _fetch(self, asked: Asked) -> None:
        """Raises SourceError and UsageError; what failed once is not tried again."""
        with self._lock:
            if asked in self._failed:
                raise self._failed[asked]
            try:
                if asked.git and asked not in self._trees:
                    self._trees[asked] = self._cloned(asked)
                    self.fetched[str(asked)] = self._trees[asked].revision
                elif not asked.git and asked.url not in self._files:
                    page = self._files[asked.url] = self._downloaded(asked)
                    if page.digest:
                        self.fetched[str(asked)] = page.digest
            except RunnerError as exc:
                self._failed[asked], self.fetched[str(asked)] = _in_our_words(asked, exc), ""
                raise self._failed[asked] from exc

    def _downloaded(self, asked: Asked) -> Page:
        _without_login(asked.url)
        return self.downloads().get(asked.url)

    def _cloned(self, asked: Asked) -> Tree:
        if not asked.url.startswith(("http://", "https://")):
            raise UsageError("only http:// and https:// are fetched", hint=f"write it like that, or {_COPY}")
        _without_login(asked.url)
        access = GitAccess(str(asked), asked.url)
        commit = self._pinned(asked, access)
        target = Path(tempfile.mkdtemp(prefix="base-", dir=self.directory))
        warnings = self.repositories().pull(access, commit, target)
        name = commit.ref.removeprefix(_HEADS).removeprefix(_TAGS)
        revision = f"{name}@sha1:{commit.id}" if name else f"sha1:{commit.id}"
        if moving := _moving(commit):
            warnings = (moving, *warnings)
        return Tree(target, revision, warnings)

    def _pinned(self, asked: Asked, access: GitAccess) -> Commit:
        """The commit that `git fetch` would get: its rules of where a short name is looked for, in order."""
        ref = asked.ref
        if _HASH.fullmatch(ref):
            return Commit(ref.lower())
        if not _REF.fullmatch(ref):
            raise UsageError(f"its ref {ref!r} is none that Git allows", hint="name a tag, or a commit.")
        names = (ref, f"refs/{ref}", f"{_TAGS}{ref}", f"{_HEADS}{ref}")
        found = self.repositories().refs(access, [each for name in names for each in (name, name + _PEELED)])
        for name in names:
            if name in found:
                peeled = found.get(name + _PEELED)
                return Commit(peeled or found[name], name, found[name] if peeled else "")
        raise UsageError(f"the repository has no branch or tag {ref}", hint="is `ref=` in its URL right?")


def _moving(commit: Commit) -> str:
    """What to say of a name that stands for another commit tomorrow."""
    if not commit.ref or commit.ref.startswith(_TAGS):
        return ""
    branch = commit.ref.removeprefix(_HEADS)
    what = "no `ref=`, so it is the default branch" if branch == "HEAD" else f"the branch {branch}"
    return f"this remote base has {what}: what it stands for changes without a commit here; name a tag"


def _in_our_words(asked: Asked, exc: RunnerError) -> RunnerError:
    """Without what is told about the spec of a GitRepository: a remote base has none."""
    if isinstance(exc, NotFetched):
        return exc
    message = exc.message.removeprefix(f"{asked}: ")
    if "has a spec.url" in message:
        message = "it is no URL of a repository"
    hint = next((ours for theirs, ours in _HINTS.items() if theirs in exc.hint), exc.hint)
    return (SourceError if isinstance(exc, SourceError) else UsageError)(message, hint=hint)


def _without_login(url: str) -> None:
    try:
        named = urlsplit(url).username is not None
    except ValueError:
        raise UsageError("it is no URL") from None
    if named:
        raise UsageError("its URL has a login in it, which is not used", hint=_LOGIN)
