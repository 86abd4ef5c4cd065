"""sourceRef → artifact: the tree of files as source-controller would have packed it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from runner.errors import UsageError
from runner.model import Artifact, Kustomization, Manifest, SourceRef
from runner.ports import Builder, Repository

REFUSED = ("include", "recurseSubmodules", "sparseCheckout", "verify")


@dataclass(slots=True)
class Checkout:
    """This repository at one commit, as the source of every Kustomization that names it.

    The root's source is always the checkout, whatever its URL and branch. Another GitRepository is
    the checkout when its URL is this repository and it asks for no other branch.
    """

    repository: Repository
    builder: Builder
    commit: str  # "" is the work tree
    root_source: SourceRef
    directory: Path  # where artifacts are written; an empty directory of ours
    _artifacts: dict[str, Artifact] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def artifact(self, k: Kustomization, source: Manifest | None) -> Artifact:
        """The files that a Kustomization is built from; `source` is the object that it names, if desired.

        Raises:
            UsageError: the source is not this checkout, or asks for what a checkout cannot give.
        """
        spec = (source or {}).get("spec") or {}
        if k.source != self.root_source:
            self._must_be_this(k, source)
        if refused := [field for field in REFUSED if spec.get(field)]:
            raise UsageError(
                f"{k.source} sets spec.{refused[0]}, which is not supported", hint="leave it out."
            )
        return self.packed(str(spec.get("ignore") or ""))

    def packed(self, ignore: str = "") -> Artifact:
        """The checkout without what `.sourceignore` files, the defaults and `ignore` leave out."""
        with self._lock:
            if ignore not in self._artifacts:
                self._artifacts[ignore] = self._pack(ignore)
            return self._artifacts[ignore]

    def _pack(self, ignore: str) -> Artifact:
        target = self.directory / f"artifact-{len(self._artifacts)}"
        target.mkdir(parents=True)
        artifact = self.repository.export(self.commit, target)
        for path in self.builder.artifact(target, ignore).excluded:
            (target / path).unlink()
        return artifact

    def _must_be_this(self, k: Kustomization, source: Manifest | None) -> None:
        if source is None:
            raise UsageError(
                f"{k.id} uses {k.source}, which no Kustomization of this run defines",
                hint=f"name {self.root_source} if this repository is meant, or commit the source.",
            )
        spec = source.get("spec") or {}
        url, ref = str(spec.get("url", "")), spec.get("ref") or {}
        if k.source.kind != "GitRepository" or not self.repository.same(url):
            raise UsageError(
                f"{k.id} uses {k.source}, which is not this repository",
                hint="only the repository that is checked out can be read.",
            )
        if ref and (ref.get("branch") != self.repository.branch or ref.keys() - {"branch"}):
            raise UsageError(
                f"{k.id} uses {k.source}, which asks for another revision than the one checked out: {ref}",
                hint=f"only branch {self.repository.branch!r} is at hand.",
            )
