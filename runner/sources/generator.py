"""An ArtifactGenerator (`source.extensions.fluxcd.io/v1beta1`) as far as one of its artifacts needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.errors import UsageError
from runner.model import Manifest, ResourceRef, SourceRef
from runner.sources.copying import Copy
from runner.sources.patterns import PathPattern, fill, named

# commonMetadata is for labels of the ExternalArtifact
_SPEC = {"sources", "artifacts", "commonMetadata", "pathPattern"}
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


Files = Callable[[str, SourceRef], Path]
"""Where the files of a source are, which a generator (its name) reads; raises RunnerError."""


def recipe(generator: Manifest, artifact: str, files: Files) -> Recipe | None:
    """How a generator makes an artifact; None when no directory makes its `pathPattern` do so.

    Raises:
        UsageError: the generator is malformed, or makes none of its artifacts.
    """
    return _Reader(generator).recipe(artifact, files)


@dataclass(frozen=True, slots=True)
class _Made:
    """One artifact of a generator, and what its `pathPattern` found for the names in braces."""

    name: str
    spec: Mapping[str, object]
    captures: Mapping[str, str] | None = None  # None without a `pathPattern`: braces mean nothing


class _Reader:
    def __init__(self, generator: Manifest) -> None:
        self.generator = generator
        self.name = str(ResourceRef.of(generator))
        self.namespace = str(generator["metadata"].get("namespace") or "")

    def recipe(self, artifact: str, files: Files) -> Recipe | None:
        annotations = self.generator["metadata"].get("annotations") or {}
        if str(annotations.get(_RECONCILE, "")).lower() == "disabled":
            raise UsageError(
                f"{self.name} is disabled by its annotation {_RECONCILE}",
                hint="what it made last is in the cluster only: remove the annotation.",
            )
        spec = self.mapping(self.generator.get("spec"), "spec", _SPEC)
        sources = self.sources(spec)
        pattern = self.pattern(spec)
        templates = self.each(spec, "artifacts", _ARTIFACT)
        if pattern is None:
            everything = [_Made(self.text(item, "name"), item) for item in templates]
        else:
            root = files(self.name, self.known(pattern.alias, sources))
            everything = list(self.expanded(pattern, root, templates))
        made = [each for each in everything if each.name == artifact]
        if not made and pattern is not None:
            return None
        if len(made) != 1:
            raise self.wrong(f"has {len(made)} artifacts named {artifact}")
        return self.made(made[0], sources)

    def made(self, artifact: _Made, sources: Mapping[str, SourceRef]) -> Recipe:
        items = self.each(artifact.spec, "copy", _COPY)
        copies = tuple(self.copy(item, artifact.captures) for item in items)
        revision, origin = (self.alias(artifact.spec, field) for field in ("revision", "originRevision"))
        used = {copy.alias for copy in copies} | {alias for alias in (revision, origin) if alias}
        return Recipe(
            self.name, {alias: self.known(alias, sources) for alias in sorted(used)}, copies, revision
        )

    def pattern(self, spec: Mapping[str, object]) -> PathPattern | None:
        if not spec.get("pathPattern"):
            return None
        try:
            return PathPattern.parse(self.text(spec, "pathPattern"))
        except ValueError as exc:
            raise self.wrong(f"has a spec.pathPattern that cannot be used: {exc}") from exc

    def expanded(
        self, pattern: PathPattern, root: Path, templates: list[Mapping[str, object]]
    ) -> Iterator[_Made]:
        """Every artifact for every directory; one that cannot be made fails all of them, as in Flux."""
        by_name: dict[str, str] = {}
        for directory, captures in pattern.directories(root):
            for template in templates:
                try:
                    name = named(self.text(template, "name"), captures)
                except ValueError as exc:
                    raise self.wrong(f"cannot make an artifact of {directory}: {exc}") from exc
                if name in by_name:
                    raise self.wrong(f"makes {name} of {by_name[name]} and of {directory}")
                by_name[name] = directory
                yield _Made(name, template, captures)

    def known(self, alias: str, sources: Mapping[str, SourceRef]) -> SourceRef:
        if alias not in sources:
            raise self.wrong(f"has no source with the alias {alias!r}")
        return sources[alias]

    def sources(self, spec: Mapping[str, object]) -> dict[str, SourceRef]:
        found: dict[str, SourceRef] = {}
        for item in self.each(spec, "sources", {"alias", "kind", "name", "namespace"}):
            alias, kind, name = (self.text(item, field) for field in ("alias", "kind", "name"))
            if alias in found:
                raise self.wrong(f"has two sources with the alias {alias!r}")
            namespace = self.text(item, "namespace") if item.get("namespace") else self.namespace
            found[alias] = SourceRef(kind, namespace, name)
        return found

    def copy(self, item: Mapping[str, object], captures: Mapping[str, str] | None) -> Copy:
        origin, target = (self.filled(self.text(item, field), captures) for field in ("from", "to"))
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

    def filled(self, text: str, captures: Mapping[str, str] | None) -> str:
        try:
            return text if captures is None else fill(text, captures)
        except ValueError as exc:
            raise self.wrong(f"cannot copy: {exc}") from exc

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
