"""Which objects stand behind a `sourceRef`: the source, the generator that makes it, what these read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from runner.model import Manifest, ResourceRef, SourceRef

SOURCES = "source.toolkit.fluxcd.io/"
EXTENSIONS = "source.extensions.fluxcd.io/"
EXTERNAL = "ExternalArtifact"
OCI = "OCIRepository"
GIT = "GitRepository"
GENERATOR = "ArtifactGenerator"
_WILD = re.compile(r"[*?\[{]")


class Holder(Protocol):
    """Whatever has an object of the desired state."""

    @property
    def object(self) -> Manifest: ...


def is_origin(manifest: Manifest) -> bool:
    """Whether an object is a source, or makes one."""
    return str(manifest["apiVersion"]).startswith((SOURCES, EXTENSIONS))


def origins(source: SourceRef, desired: Mapping[ResourceRef, Holder]) -> tuple[Manifest, ...]:
    """Every object of the desired state that decides which files a source has."""
    found: dict[ResourceRef, Manifest] = {}
    todo, seen = [source], set[SourceRef]()
    while todo:
        ref = todo.pop()
        if ref in seen:
            continue
        seen.add(ref)
        for manifest in _named(ref, desired):
            found[ResourceRef.of(manifest)] = manifest
            found |= {each: desired[each].object for each in _secrets(manifest) if each in desired}
            todo += _read(manifest)
    return tuple(found[ref] for ref in sorted(found))


def makes(generator: Manifest, artifact: str) -> bool:
    """Whether an ArtifactGenerator's list of artifacts has this name, or could by its `pathPattern`."""
    spec = _mapping(generator.get("spec"))
    for made in mappings(spec.get("artifacts")):
        if _is_named(made, artifact, pattern=bool(spec.get("pathPattern"))):
            return True
    return False


def draws(source: SourceRef, manifests: Iterable[Manifest], path: str) -> bool:
    """Whether a file of the repository may be in a composed source: it begins like a path that is copied."""
    return any(_begins(path, copied) for manifest in manifests for copied in _copied(manifest, source.name))


def is_generator(manifest: Manifest, namespace: str) -> bool:
    return (
        manifest["kind"] == GENERATOR
        and str(manifest["apiVersion"]).startswith(EXTENSIONS)
        and (manifest["metadata"].get("namespace") or "") == namespace
    )


def mappings(value: object) -> list[Mapping[str, object]]:
    """The mappings of a list; nothing of anything else."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _named(ref: SourceRef, desired: Mapping[ResourceRef, Holder]) -> Iterator[Manifest]:
    if ref.ref in desired:
        yield desired[ref.ref].object
    if ref.kind == EXTERNAL:
        for holder in desired.values():
            if is_generator(holder.object, ref.namespace) and makes(holder.object, ref.name):
                yield holder.object


def _read(manifest: Manifest) -> Iterator[SourceRef]:
    """The sources that an object takes files from."""
    spec, own = _mapping(manifest.get("spec")), str(manifest["metadata"].get("namespace") or "")
    if manifest["kind"] == GENERATOR:
        for source in mappings(spec.get("sources")):
            namespace = str(source.get("namespace") or own)
            yield SourceRef(str(source.get("kind", "")), namespace, str(source.get("name", "")))
    elif manifest["kind"] == GIT:
        for include in mappings(spec.get("include")):
            repository = _mapping(include.get("repository"))
            yield SourceRef(GIT, own, str(repository.get("name", "")))


def _secrets(manifest: Manifest) -> Iterator[ResourceRef]:
    """What a source logs in with, is trusted or verified by, or goes through."""
    if manifest["kind"] not in {OCI, GIT}:
        return
    spec, own = _mapping(manifest.get("spec")), str(manifest["metadata"].get("namespace") or "")
    parts = [spec.get(field) for field in ("secretRef", "certSecretRef", "proxySecretRef")]
    parts.append(_mapping(spec.get("verify")).get("secretRef"))
    for part in parts:
        if name := _mapping(part).get("name"):
            yield ResourceRef(own, str(name), "", "Secret", "v1")


def _is_named(made: Mapping[str, object], artifact: str, *, pattern: bool) -> bool:
    name = str(made.get("name", ""))
    return name == artifact or (pattern and re.fullmatch(_template(name), artifact) is not None)


def _copied(manifest: Manifest, artifact: str) -> Iterator[str]:
    """The paths and globs that an object copies into an artifact, or into some other one's source."""
    spec = _mapping(manifest.get("spec"))
    if manifest["kind"] == GENERATOR:
        mine = makes(manifest, artifact)
        for made in mappings(spec.get("artifacts")):
            if not mine or _is_named(made, artifact, pattern=bool(spec.get("pathPattern"))):
                yield from (
                    str(each.get("from", "")).partition("/")[2] for each in mappings(made.get("copy"))
                )
    elif manifest["kind"] == GIT:
        yield from (str(each.get("fromPath") or "") for each in mappings(spec.get("include")))


def _begins(path: str, copied: str) -> bool:
    literal = _WILD.split(copied, maxsplit=1)[0]
    if literal != copied:
        return path.startswith(literal)
    directory = "/".join(part for part in literal.split("/") if part not in {"", "."})
    return not directory or path == directory or path.startswith(f"{directory}/")


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _template(name: str) -> str:
    return ".+".join(re.escape(part) for part in re.split(r"\{[^{}]*\}", name))
