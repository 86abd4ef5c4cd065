"""This repository at one commit, and every artifact that is made of its files."""

from __future__ import annotations

import hashlib
import itertools
import shutil
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from runner.configuration import FILE, Directory, Elsewhere, ElsewhereInGit, Target
from runner.errors import RunnerError, UsageError
from runner.model import Artifact, Kustomization, Manifest, ResourceRef, SourceRef
from runner.once import Once
from runner.origins import EXTERNAL, GIT, OCI, is_generator, makes
from runner.ports import Builder, Memory, Repository
from runner.sources.copying import copy_tree
from runner.sources.generator import Recipe, recipe
from runner.sources.include import Include, includes
from runner.sources.late import Late, drop_excluded
from runner.sources.mapping import elsewhere
from runner.sources.spec import Fetcher, Found

AT_ONCE = 4
"""Sources that are fetched at the same time."""
REFUSED = ("recurseSubmodules", "sparseCheckout", "verify")
IGNORE_FILE = ".sourceignore"  # has done its work in the source; it must not be read again
_NO_SUBMODULES = "name the other repositories in spec.include: the checkout's submodules are left out."
_MAPPED = f"{FILE} can say where its files are: `sources: {{SOURCE: ./directory}}`, or an oci:// URL."

Objects = Mapping[ResourceRef, Manifest]
Included = tuple[tuple[Include, Path], ...]


@dataclass(slots=True)
class Checkout:
    """This repository at one commit, as the source of every Kustomization that names it.

    The root's source is always the checkout, whatever its URL and branch. Another GitRepository is
    the checkout when its URL is this repository and it asks for no other branch; else it is fetched, like an
    OCIRepository. An ExternalArtifact is composed of such sources, as its ArtifactGenerator says.
    Any number of threads may ask; what is fetched is fetched once, a few at a time.
    """

    repository: Repository
    builder: Builder
    commit: str  # "" is the work tree
    root_source: SourceRef
    directory: Path  # where artifacts are written; an empty directory of ours
    memory: Memory | None = None  # with one, files are only written when they are read
    oci: Fetcher | None = None  # None: nothing is fetched
    git: Fetcher | None = None
    branch: str = ""  # this run's, where the checkout does not say: HEAD is detached
    mapped: Mapping[str, Target] = field(default_factory=dict)  # by `Kind/namespace/name`
    recorded: Mapping[str, str] = field(default_factory=dict)  # revisions that the cluster was deployed from
    fetched: dict[str, str] = field(default_factory=dict)
    """The revision of every source that was asked for and is not of this checkout; "" where that failed."""
    _artifacts: Once[Artifact] = field(default_factory=Once)
    _found: Once[Found] = field(default_factory=Once, repr=False)
    _names: Iterator[int] = field(default_factory=itertools.count)
    _fetching: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(AT_ONCE))

    def artifact(self, k: Kustomization, objects: Sequence[Manifest]) -> Artifact:
        """The files that a Kustomization is built from.

        `objects` are what the desired state has of its source: the object that `sourceRef` names, or the
        generator that makes it, and whatever these read.

        Raises:
            UsageError: the source is malformed, or asks for what is not supported.
            SourceError: it cannot be fetched.
        """
        return self._source(k.source, {ResourceRef.of(each): each for each in objects}, (k.id,))

    def packed(self, ignore: str = "") -> Artifact:
        """The checkout without what `.sourceignore` files, the defaults and `ignore` leave out."""
        return self._packed(ignore, ())

    def _source(self, source: SourceRef, objects: Objects, users: tuple[str, ...]) -> Artifact:
        """The artifact of a source; `users` are whoever needs it, the last one directly."""
        if str(source) in users:
            raise UsageError(
                f"{' → '.join((*users, str(source)))}: a source is made of itself",
                hint="take one of these references out.",
            )
        if (target := self.mapped.get(str(source))) is not None:
            return self._mapped(source, target, objects)
        match source.kind:
            case _ if source.kind == GIT:
                return self._git(source, objects, users)
            case _ if source.kind == OCI:
                manifest = self._defined(source, objects, users[-1])
                return self._foreign(source, manifest, objects, self.oci)
            case _ if source.kind == EXTERNAL:
                return self._external(source, objects, users)
            case _:
                raise UsageError(
                    f"{users[-1]} uses {source}, and a source of kind {source.kind} is not supported",
                    hint=_MAPPED.replace("SOURCE", str(source)),
                )

    def _mapped(self, source: SourceRef, target: Target, objects: Objects) -> Artifact:
        """The artifact of a source that kustodian.yaml maps."""
        match target:
            case Directory():
                whole = self._packed("", ())
                return self._cached((FILE, target.path), lambda at: _directory(source, target, whole, at))
            case Elsewhere():
                known = objects.get(source.ref) if source.kind == OCI else None
                return self._foreign(source, elsewhere(source, target.spec, known), objects, self.oci)
            case ElsewhereInGit():
                known = objects.get(source.ref) if source.kind == GIT else None
                return self._foreign(source, elsewhere(source, target.spec, known), objects, self.git)

    def _foreign(
        self,
        source: SourceRef,
        manifest: Manifest,
        objects: Objects,
        fetcher: Fetcher | None,
        users: tuple[str, ...] = (),
    ) -> Artifact:
        """The artifact of another place, fetched once; what went wrong is not tried again either."""
        if fetcher is None:
            raise UsageError(f"{source} is not fetched here", hint=_MAPPED.replace("SOURCE", str(source)))

        recorded = self.recorded.get(str(source), "")

        def find() -> Found:
            with self._fetching:
                return fetcher.find(source, manifest, objects, recorded)

        try:
            included = self._included(source, manifest.get("spec") or {}, objects, users)
            found = self._found.get((source, recorded, _digest_of([manifest, *objects.values()])), find)
            artifact = self._cached((found.key, included), lambda at: self._fetched(found, included, at))
        except RunnerError:
            self.fetched[str(source)] = ""
            raise
        self.fetched[str(source)] = artifact.revision
        return artifact

    def _fetched(self, found: Found, included: Included, target: Path) -> Artifact:
        with self._fetching:
            warnings = found.pull(target)
        for include, files in included:
            include.copy(files, target)
        if found.packed:
            self._drop_excluded(target, found.ignore)
        return Artifact(target, found.revision, warnings, foreign=True, origin=found.origin())

    def _included(
        self, source: SourceRef, spec: Manifest, objects: Objects, users: tuple[str, ...]
    ) -> Included:
        if source.kind != GIT:
            return ()
        users = (*users, str(source))
        return tuple((each, self._files(each.source, objects, users).root) for each in includes(source, spec))

    def _defined(self, source: SourceRef, objects: Objects, user: str) -> Manifest:
        manifest = objects.get(source.ref)
        if manifest is None:
            raise UsageError(
                f"{user} uses {source}, which no Kustomization of this run defines",
                hint=_MAPPED.replace("SOURCE", str(source)),
            )
        return manifest

    def _files(self, source: SourceRef, objects: Objects, users: tuple[str, ...]) -> Artifact:
        """The artifact of a source, with its files on disk."""
        artifact = self._source(source, objects, users)
        artifact.prepare()
        return artifact

    def _git(self, source: SourceRef, objects: Objects, users: tuple[str, ...]) -> Artifact:
        manifest = objects.get(source.ref)
        if source != self.root_source:
            manifest = self._defined(source, objects, users[-1])
            if not self._is_this(manifest):
                return self._foreign(source, manifest, objects, self.git, users)
        spec = (manifest or {}).get("spec") or {}
        if refused := [field for field in REFUSED if spec.get(field)]:
            hint = "leave it out." if refused[0] != REFUSED[0] else _NO_SUBMODULES
            raise UsageError(f"{source} sets spec.{refused[0]}, which is not supported", hint=hint)
        included = self._included(source, spec, objects, users)
        return self._packed(str(spec.get("ignore") or ""), included)

    def _is_this(self, manifest: Manifest) -> bool:
        """Whether a GitRepository is this repository, and asks for no other branch than this run's."""
        spec = manifest.get("spec") or {}
        ref = spec.get("ref") or {}
        return self.repository.same(str(spec.get("url", ""))) and (
            not ref or ref == {"branch": self.repository.branch or self.branch}
        )

    def _packed(self, ignore: str, included: Included) -> Artifact:
        if self.memory is not None and self.commit and not included:
            late = Late(self.repository, self.builder, self.memory, self.commit)
            return self._cached((ignore, included), lambda target: late.artifact(target, ignore))

        def pack(target: Path) -> Artifact:
            artifact = self.repository.export(self.commit, target)
            for include, files in included:
                include.copy(files, target)
            self._drop_excluded(target, ignore)
            return artifact

        return self._cached((ignore, included), pack)

    def _external(self, source: SourceRef, objects: Objects, users: tuple[str, ...]) -> Artifact:
        candidates = [
            each
            for each in objects.values()
            if is_generator(each, source.namespace) and makes(each, source.name)
        ]

        def files(generator: str, each: SourceRef) -> Artifact:
            return self._files(each, objects, (*users, str(source), generator))

        recipes = (recipe(each, source.name, lambda g, s: files(g, s).root) for each in candidates)
        found = [how for how in recipes if how is not None]
        if not found:
            patterns = " and ".join(sorted(str(ResourceRef.of(each)) for each in candidates))
            why = f"no directory that matches spec.pathPattern of {patterns}" if patterns else ""
            raise UsageError(
                f"{users[-1]} uses {source}, and {why or 'no ArtifactGenerator of this run'} makes it",
                hint="commit what makes it. Of what another controller makes, "
                + _MAPPED.replace("SOURCE", str(source)),
            )
        if len(found) > 1:
            names = " and ".join(sorted(how.generator for how in found))
            raise UsageError(f"{source} is made by {names}", hint="keep it in one of them.")
        [how] = found
        return self._composed(how, {alias: files(how.generator, s) for alias, s in how.sources.items()})

    def _composed(self, how: Recipe, files: Mapping[str, Artifact]) -> Artifact:
        def compose(target: Path) -> Artifact:
            for copy in how.copies:
                try:
                    copy.apply(files[copy.alias].root, target)
                except (ValueError, OSError) as exc:
                    reason = getattr(exc, "strerror", "") or exc
                    raise UsageError(
                        f"{how.generator} cannot copy @{copy.alias}/{copy.path} to "
                        f"@artifact/{copy.target}: {reason}",
                        hint="the paths are those of the source's artifact, after its ignore rules.",
                    ) from exc
            for path in target.rglob(IGNORE_FILE):
                if path.is_file():
                    path.unlink()
            self._drop_excluded(target, "")
            revision = files[how.revision].revision if how.revision else f"latest@sha256:{_digest(target)}"
            return Artifact(target, revision, foreign=True)

        return self._cached((how.copies, how.revision, tuple((a, f.root) for a, f in files.items())), compose)

    def _cached(self, key: Hashable, make: Callable[[Path], Artifact]) -> Artifact:
        """What is made in a directory of its own; `make` asks for no other artifact."""

        def made() -> Artifact:
            target = self.directory / f"artifact-{next(self._names)}"
            target.mkdir(parents=True)
            try:
                return make(target)
            except RunnerError:
                shutil.rmtree(target, ignore_errors=True)
                raise

        return self._artifacts.get(key, made)

    def _drop_excluded(self, target: Path, ignore: str) -> None:
        drop_excluded(target, self.builder.artifact(target, ignore))


def _directory(source: SourceRef, target: Directory, whole: Artifact, at: Path) -> Artifact:
    whole.prepare()
    files = whole.root / target.path
    if not files.is_dir():
        raise UsageError(
            f"{FILE}: {source} is mapped to {target.path}, which is no directory of {whole.revision}"
        )
    for entry in sorted(files.iterdir()):
        if not entry.is_symlink():
            copy_tree(entry, at / entry.name)
    return Artifact(at, whole.revision, foreign=True)


def _digest_of(objects: Sequence[Manifest]) -> str:
    return hashlib.sha256(orjson.dumps(objects, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _digest(root: Path) -> str:
    """Of every file's path, mode and content; the same files give the same digest anywhere."""
    whole = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        name = str(path.relative_to(root)).encode(errors="surrogateescape")
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        executable = path.stat().st_mode & 0o100
        whole.update(b"%s\0%d\0%s\0" % (name, executable, content.encode()))
    return whole.hexdigest()
