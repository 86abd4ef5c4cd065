"""A repository and a builder in memory: what is rendered is written down, nothing is built."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runner.model import Artifact, Manifest
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
    """One commit; `ancestors` are the pairs (older, newer) that are known."""

    files: Mapping[str, Sequence[Manifest]]
    identity: str = "github.com/example/fleet"
    branch: str = "main"
    root: Path = Path("/nowhere")
    ancestors: Mapping[tuple[str, str], bool] = field(default_factory=dict)

    def same(self, url: str) -> bool:
        return self.identity in url

    def resolve(self, revision: str) -> str:
        return COMMIT

    def export(self, commit: str, target: Path) -> Artifact:
        for path in self.files:
            (target / path).mkdir(parents=True, exist_ok=True)
        return Artifact(target, f"main@sha1:{commit}")

    def is_ancestor(self, older: str, newer: str) -> bool | None:
        return self.ancestors.get((older, newer))
