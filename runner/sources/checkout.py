"""This repository at one commit, and every artifact that is made of its files."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runner.errors import RunnerError, UsageError
from runner.model import Artifact, Kustomization, Manifest, ResourceRef, SourceRef
from runner.origins import EXTERNAL, is_generator, makes
from runner.ports import Builder, Memory, Repository
from runner.sources.generator import Recipe, recipe
from runner.sources.include import Include, includes
from runner.sources.late import Late, drop_excluded

REFUSED = ("recurseSubmodules", "sparseCheckout", "verify")
IGNORE_FILE = ".sourceignore"  # has done its work in the source; it must not be read again
_READABLE = "only files of the repository that is checked out can be read."

Objects = Mapping[ResourceRef, Manifest]


@dataclass(slots=True)
class Checkout:
    """This repository at one commit, as the source of every Kustomization that names it.

    The root's source is always the checkout, whatever its URL and branch. Another GitRepository is
    the checkout when its URL is this repository and it asks for no other branch. An ExternalArtifact is
    composed of such sources, as its ArtifactGenerator says.
    """

    repository: Repository
    builder: Builder
    commit: str  # "" is the work tree
    root_source: SourceRef
    directory: Path  # where artifacts are written; an empty directory of ours
    memory: Memory | None = None  # with one, files are only written when they are read
    _artifacts: dict[Hashable, Artifact] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _made: int = 0

    def artifact(self, k: Kustomization, objects: Sequence[Manifest]) -> Artifact:
        """The files that a Kustomization is built from.

        `objects` are what the desired state has of its source: the object that `sourceRef` names, or the
        generator that makes it, and whatever these read.

        Raises:
            UsageError: the source is not this checkout, or asks for what a checkout cannot give.
        """
        with self._lock:
            return self._source(k.source, {ResourceRef.of(each): each for each in objects}, (k.id,))

    def packed(self, ignore: str = "") -> Artifact:
        """The checkout without what `.sourceignore` files, the defaults and `ignore` leave out."""
        with self._lock:
            return self._packed(ignore, ())

    def _source(self, source: SourceRef, objects: Objects, users: tuple[str, ...]) -> Artifact:
        """The artifact of a source; `users` are whoever needs it, the last one directly."""
        if str(source) in users:
            raise UsageError(
                f"{' → '.join((*users, str(source)))}: a source is made of itself",
                hint="take one of these references out.",
            )
        if source.kind == EXTERNAL:
            return self._external(source, objects, users)
        if source.kind != "GitRepository":
            raise UsageError(
                f"{users[-1]} uses {source}, and a source of kind {source.kind} is not supported",
                hint=_READABLE,
            )
        return self._git(source, objects, users)

    def _files(self, source: SourceRef, objects: Objects, users: tuple[str, ...]) -> Artifact:
        """The artifact of a source, with its files on disk."""
        artifact = self._source(source, objects, users)
        artifact.prepare()
        return artifact

    def _git(self, source: SourceRef, objects: Objects, users: tuple[str, ...]) -> Artifact:
        manifest = objects.get(source.ref)
        if source != self.root_source:
            self._must_be_this(source, manifest, users[-1])
        spec = (manifest or {}).get("spec") or {}
        if refused := [field for field in REFUSED if spec.get(field)]:
            raise UsageError(f"{source} sets spec.{refused[0]}, which is not supported", hint="leave it out.")
        included = tuple(
            (include, self._files(include.source, objects, (*users, str(source))).root)
            for include in includes(source, spec)
        )
        return self._packed(str(spec.get("ignore") or ""), included)

    def _packed(self, ignore: str, included: tuple[tuple[Include, Path], ...]) -> Artifact:
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
                hint="commit what makes it; what another controller makes cannot be read here.",
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
            return Artifact(target, revision)

        return self._cached((how.copies, how.revision, tuple((a, f.root) for a, f in files.items())), compose)

    def _cached(self, key: Hashable, make: Callable[[Path], Artifact]) -> Artifact:
        if key not in self._artifacts:
            target = self.directory / f"artifact-{self._made}"
            self._made += 1
            target.mkdir(parents=True)
            try:
                self._artifacts[key] = make(target)
            except RunnerError:
                shutil.rmtree(target, ignore_errors=True)
                raise
        return self._artifacts[key]

    def _drop_excluded(self, target: Path, ignore: str) -> None:
        drop_excluded(target, self.builder.artifact(target, ignore))

    def _must_be_this(self, source: SourceRef, manifest: Manifest | None, user: str) -> None:
        if manifest is None:
            raise UsageError(
                f"{user} uses {source}, which no Kustomization of this run defines",
                hint=f"name {self.root_source} if this repository is meant, or commit the source.",
            )
        spec = manifest.get("spec") or {}
        url, ref = str(spec.get("url", "")), spec.get("ref") or {}
        if not self.repository.same(url):
            raise UsageError(f"{user} uses {source}, which is not this repository", hint=_READABLE)
        if ref and (ref.get("branch") != self.repository.branch or ref.keys() - {"branch"}):
            raise UsageError(
                f"{user} uses {source}, which asks for another revision than the one checked out: {ref}",
                hint=f"only branch {self.repository.branch!r} is at hand.",
            )


def _digest(root: Path) -> str:
    """Of every file's path, mode and content; the same files give the same digest anywhere."""
    whole = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        name = str(path.relative_to(root)).encode(errors="surrogateescape")
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        executable = path.stat().st_mode & 0o100
        whole.update(b"%s\0%d\0%s\0" % (name, executable, content.encode()))
    return whole.hexdigest()
