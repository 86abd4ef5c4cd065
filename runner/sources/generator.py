"""An ArtifactGenerator (`source.extensions.fluxcd.io/v1beta1`) as far as one of its artifacts needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runner.errors import UsageError
from runner.model import Manifest, ResourceRef, SourceRef
from runner.sources.copying import Copy

_SPEC = {"sources", "artifacts", "commonMetadata"}  # the last one is for labels of the ExternalArtifact
_ARTIFACT = {"name", "revision", "originRevision", "copy"}
_COPY = {"from", "to", "exclude", "strategy"}
_RECONCILE = "source.extensions.fluxcd.io/reconcile"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one artifact is put together."""

    generator: str  # for messages
    sources: Mapping[str, SourceRef]  # by alias; only those that are used
    copies: tuple[Copy, ...]
    revision: str = ""  # the alias whose revision the artifact takes


def recipe(generator: Manifest, artifact: str) -> Recipe:
    """How a generator makes one of its artifacts. Raises UsageError."""
    return _Reader(generator).recipe(artifact)


class _Reader:
    def __init__(self, generator: Manifest) -> None:
        self.generator = generator
        self.name = str(ResourceRef.of(generator))
        self.namespace = str(generator["metadata"].get("namespace") or "")

    def recipe(self, artifact: str) -> Recipe:
        annotations = self.generator["metadata"].get("annotations") or {}
        if str(annotations.get(_RECONCILE, "")).lower() == "disabled":
            raise UsageError(
                f"{self.name} is disabled by its annotation {_RECONCILE}",
                hint="what it made last is in the cluster only: remove the annotation.",
            )
        spec = self.mapping(self.generator.get("spec"), "spec", _SPEC)
        sources = self.sources(spec)
        made = [item for item in self.each(spec, "artifacts", _ARTIFACT) if item.get("name") == artifact]
        if len(made) != 1:
            raise self.wrong(f"has {len(made)} artifacts named {artifact}")
        copies = tuple(self.copy(item) for item in self.each(made[0], "copy", _COPY))
        revision, origin = (self.alias(made[0], field) for field in ("revision", "originRevision"))
        used = [copy.alias for copy in copies] + [alias for alias in (revision, origin) if alias]
        if unknown := [alias for alias in used if alias not in sources]:
            raise self.wrong(f"has no source with the alias {unknown[0]!r}")
        return Recipe(self.name, {alias: sources[alias] for alias in sorted(set(used))}, copies, revision)

    def sources(self, spec: Mapping[str, object]) -> dict[str, SourceRef]:
        found: dict[str, SourceRef] = {}
        for item in self.each(spec, "sources", {"alias", "kind", "name", "namespace"}):
            alias, kind, name = (self.text(item, field) for field in ("alias", "kind", "name"))
            if alias in found:
                raise self.wrong(f"has two sources with the alias {alias!r}")
            namespace = self.text(item, "namespace") if item.get("namespace") else self.namespace
            found[alias] = SourceRef(kind, namespace, name)
        return found

    def copy(self, item: Mapping[str, object]) -> Copy:
        origin, target = self.text(item, "from"), self.text(item, "to")
        alias, slash, path = origin.removeprefix("@").partition("/")
        if not (origin.startswith("@") and alias and slash):
            raise self.wrong(f"copies from {origin!r}, which is not @alias/path")
        if not target.startswith("@artifact/"):
            raise self.wrong(f"copies to {target!r}, which is not @artifact/path")
        target = target.removeprefix("@artifact/")
        for text, place in ((path, origin), (target, f"@artifact/{target}")):
            if ".." in text.split("/") or text.startswith("/") or "\0" in text:
                raise self.wrong(f"has the path {place!r}, which leads outside")
        strategy = item.get("strategy") or "Overwrite"
        if strategy not in {"Overwrite", "Merge"}:
            raise self.wrong(f"copies with the strategy {strategy}, which is not supported")
        exclude = item.get("exclude") or []
        if not isinstance(exclude, list) or not all(isinstance(each, str) for each in exclude):
            raise self.wrong("has an exclude that is not a list of patterns")
        return Copy(alias, path, target, tuple(exclude), merge=strategy == "Merge")

    def alias(self, item: Mapping[str, object], field: str) -> str:
        if not item.get(field):
            return ""
        text = self.text(item, field)
        if not text.startswith("@"):
            raise self.wrong(f"has the {field} {text!r}, which is not @alias")
        return text.removeprefix("@")

    def each(self, where: Mapping[str, object], field: str, known: set[str]) -> list[Mapping[str, object]]:
        items = where.get(field)
        if not isinstance(items, list) or not items:
            raise self.wrong(f"has no list of {field}")
        return [self.mapping(item, field, known) for item in items]

    def mapping(self, value: object, field: str, known: set[str]) -> Mapping[str, object]:
        if not isinstance(value, Mapping):
            raise self.wrong(f"has {field} with an entry that is not an object")
        if unknown := sorted(str(key) for key in value.keys() - known):
            raise self.wrong(f"sets {field}.{unknown[0]}, which is not supported")
        return value

    def text(self, where: Mapping[str, object], field: str) -> str:
        value = where.get(field)
        if not isinstance(value, str) or not value:
            raise self.wrong(f"has no {field} where one is needed, or one that is not a text")
        return value

    def wrong(self, text: str) -> UsageError:
        return UsageError(f"{self.name} {text}", hint="README.md says what of an ArtifactGenerator is read.")
