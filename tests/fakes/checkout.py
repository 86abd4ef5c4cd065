"""A repository and a builder in memory: what is rendered is written down, nothing is built."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runner.model import Artifact, Manifest
from runner.ports import Blob, PathChange, PathChangeKind
from runner.rendered import ArtifactListing, BuildRequest, Built, ParsedFile, Problem, RenderedResource

COMMIT = "c" * 40


@dataclass
class FakeBuilder:
    """Renders the objects that `files` has under a path; a path it does not have is a problem."""

    files: Mapping[str, Sequence[Manifest]]

    def build(self, request: BuildRequest) -> Built:
        content = self.files.get(request.path.removeprefix("./"))
        if content is None:
            return Built(problems=(Problem("missing_path", f"kustomization path not found: {request.path}"),))
        return Built(tuple(RenderedResource(copy.deepcopy(dict(manifest))) for manifest in content))

    def parse(self, data: bytes, name: str) -> ParsedFile:
        return ParsedFile(name)

    def artifact(self, root: Path, ignore: str = "") -> ArtifactListing:
        return ArtifactListing()

    def encode(self, objects: Sequence[Manifest]) -> str:
        return f"{len(objects)} objects"


@dataclass
class FakeRepository:
    """One commit; `ancestors` are known pairs (older, newer), `trees` the files of other commits."""

    objects: Mapping[str, Sequence[Manifest]]
    identity: str = "github.com/example/fleet"
    branch: str = "main"
    root: Path = Path("/nowhere")
    ancestors: Mapping[tuple[str, str], bool] = field(default_factory=dict)
    trees: Mapping[str, Mapping[str, Blob]] = field(default_factory=dict)
    branches: Mapping[str, str] = field(default_factory=dict)  # as they are at origin

    def same(self, url: str) -> bool:
        return self.identity in url

    def resolve(self, revision: str) -> str:
        return COMMIT

    def export(self, commit: str, target: Path) -> Artifact:
        for path in self.objects:
            (target / path).mkdir(parents=True, exist_ok=True)
        return Artifact(target, f"main@sha1:{commit}")

    def write(self, files: Mapping[str, Blob], commit: str, target: Path) -> None:
        self.export(commit, target)

    def read(self, commit: str, path: str) -> bytes | None:
        return None

    def switch(self, target: Path, before: str, after: str) -> Artifact:
        return self.export(after, target)

    def files(self, commit: str) -> Mapping[str, Blob]:
        return self.trees.get(commit, {})

    def changed(self, base: str, head: str) -> tuple[PathChange, ...]:
        old, new = self.files(base), self.files(head)
        return tuple(
            PathChange(path, _kind(old.get(path), new.get(path)))
            for path in sorted({*old, *new})
            if old.get(path) != new.get(path)
        )

    def changed_on_disk(self, base: str) -> tuple[PathChange, ...]:
        return self.changed(base, "")

    def is_ancestor(self, older: str, newer: str) -> bool | None:
        return self.ancestors.get((older, newer))

    def tip(self, branch: str) -> str:
        return self.branches.get(branch, "")

    def merge_base(self, one: str, other: str) -> str | None:
        for older, newer in ((one, other), (other, one)):
            if older == newer or self.ancestors.get((older, newer)):
                return older
        return None

    def tree(self, commit: str) -> str:
        return f"tree of {commit}"

    def parents(self, commit: str) -> tuple[str, ...]:
        return tuple(older for (older, newer), known in self.ancestors.items() if known and newer == commit)

    def trailers(self, commit: str, name: str) -> tuple[str, ...]:
        return ()

    def merged(self, base: str, head: str) -> str:
        return head

    def ensure(self, revision: str) -> str:
        return revision if revision in self.trees else self.resolve(revision)


def _kind(old: Blob | None, new: Blob | None) -> PathChangeKind:
    if old is None or new is None:
        return PathChangeKind.ADDED if old is None else PathChangeKind.DELETED
    return PathChangeKind.MODE if old.id == new.id else PathChangeKind.MODIFIED
