"""`spec.include` of a GitRepository: files of another source, put into its artifact.

Source: fluxcd/source-controller, reconcileInclude (v1.9).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.errors import UsageError
from runner.model import SourceRef
from runner.sources.copying import copy_tree


@dataclass(frozen=True, slots=True)
class Include:
    owner: str  # the GitRepository that asks for it, for messages
    source: SourceRef
    origin: str  # "" is the root
    target: str

    def copy(self, files: Path, target: Path) -> None:
        """Put the files where they belong, which must be free. Raises UsageError."""
        if not (files / self.origin).exists():
            raise self._wrong(f"the path {self.origin!r}, which does not exist")
        if (target / self.target).exists():
            raise self._wrong(f"to {self.target!r}, which the repository has already")
        try:
            copy_tree(files / self.origin, target / self.target)
        except OSError as exc:
            raise self._wrong(f"to {self.target!r}: {exc.strerror or exc}") from exc

    def _wrong(self, text: str) -> UsageError:
        return UsageError(f"{self.owner} includes {self.source} {text}", hint="see its spec.include.")


def includes(owner: SourceRef, spec: Mapping[str, Any]) -> tuple[Include, ...]:
    """What a GitRepository includes, in the order written. Raises UsageError."""
    entries = spec.get("include") or []
    if not isinstance(entries, list) or not all(_readable(entry) for entry in entries):
        raise UsageError(
            f"{owner} has a spec.include that is no list of objects with a repository.name",
            hint="fromPath and toPath, where given, are paths.",
        )
    return tuple(_include(owner, entry) for entry in entries)


def _readable(entry: object) -> bool:
    repository = entry.get("repository") if isinstance(entry, Mapping) else None
    return (
        isinstance(entry, Mapping)
        and isinstance(repository, Mapping)
        and isinstance(repository.get("name"), str)
        and all(isinstance(entry.get(field, ""), str) for field in ("fromPath", "toPath"))
    )


def _include(owner: SourceRef, entry: Mapping[str, Any]) -> Include:
    name = entry["repository"]["name"]
    origin, target = (entry.get(field) or "" for field in ("fromPath", "toPath"))
    for path in (origin, target):
        if ".." in path.split("/") or "\0" in path:
            raise UsageError(
                f"{owner} includes {name} with the path {path!r}, which leads outside",
                hint="see its spec.include.",
            )
    source = SourceRef("GitRepository", owner.namespace, name)
    return Include(str(owner), source, _relative(origin), _relative(target or name))


def _relative(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in {"", "."})
