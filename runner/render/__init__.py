"""Kustomization + artifact + variables → the objects it stands for, and what was read on the way."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runner.errors import NotFetched, Refused, RunnerError
from runner.fleet import Keys, Produced, Rendering, Variables
from runner.model import Artifact, Kustomization, Manifest, ResourceRef, VariableSource
from runner.options import Precedence
from runner.origins import origins
from runner.ports import Builder
from runner.redact import scrub, shown
from runner.render import explain, expressions, keys, part, remote, traps
from runner.render.files import Files
from runner.render.keys import Keyring
from runner.render.locate import located
from runner.render.memory import Passing, Recall
from runner.render.places import Places
from runner.render.prepare import encrypted, prepare
from runner.render.refused import refused
from runner.render.variables import Live, NotRead, resolve
from runner.rendered import BuildRequest, Built, Place, Problem, RenderedResource

__all__ = ["Keyring", "NotRead", "Passing", "Recall", "Renderer", "unread"]

_KFILE = "kustomization file"  # left out on purpose: it is no object


@dataclass(frozen=True, slots=True)
class Renderer:
    """Renders Kustomizations; any number of threads may use it."""

    builder: Builder
    artifact: Callable[[Kustomization, Sequence[Manifest]], Artifact]  # by its source; raises RunnerError
    live: Live
    precedence: Precedence = Precedence.INLINE
    recall: Recall | None = None
    keyring: Keyring | None = None

    def resolve(self, k: Kustomization, desired: Mapping[ResourceRef, Produced]) -> Variables:
        problems: tuple[str, ...] = ()
        try:
            found, producers = keys.find(k, desired, self.live, self.keyring)
        except Refused as exc:
            secret = f"{k.keys_from.namespace}/{k.keys_from.name}" if k.keys_from else ""
            problems = (f"cannot get sops decryption Secret '{secret}': {exc.message}",)
            found, producers = None, frozenset()

        def raw(ref: ResourceRef) -> Manifest | None:
            return self._before_substitution(k, desired, ref, found)

        made = resolve(k, desired, self.live, raw, self.precedence)
        way, makers = remote.find(k, desired, self.live)
        if way is not None:
            made = replace(made, remote=way, producers=made.producers | makers)
        if found is None and not problems:
            return made
        return replace(
            made, keys=found, producers=made.producers | producers, problems=(*made.problems, *problems)
        )

    def render(
        self, k: Kustomization, variables: Variables, *, final: bool = False, alone: bool = False
    ) -> Rendering:
        """Build, substitute and prepare one Kustomization.

        While a source has no answer, expressions that it could supply stay as they are; with `final`
        such a source is a problem instead, with Flux's text. One that is rendered almost `alone` need
        not have all files written.
        """
        problems = [_problem(text) for text in variables.problems]
        if final:
            problems += [_missing(source) for source in variables.missing]
            if variables.keys is not None and variables.keys.missing:
                problems.append(keys.missing(variables.keys))
        if problems:
            return Rendering(problems=tuple(problems), warnings=variables.warnings, variables=variables)
        try:
            artifact = self.artifact(k, variables.sources)
            built, places = self._built(k, variables, artifact, alone=alone)
        except RunnerError as exc:
            code = "not_fetched" if isinstance(exc, NotFetched) else "source"
            problem = Problem(code, exc.message, "build", hint=exc.hint)
            return Rendering(problems=(problem,), variables=variables)
        rendering = replace(_rendering(k, built, variables, places), foreign=artifact.foreign)
        if rendering.ok:
            if self.recall is not None and artifact.content is not None:
                self.recall.keep(k, variables, artifact.content, rendering)
            return rendering
        told = [refused(problem) for problem in explain.problems(rendering.problems, k, variables)]
        found = located(told, built.closure, places.files, places.at)
        # Of files that are not this repository's there is no line to point at: they are only named.
        return replace(
            rendering, problems=tuple(each.only_named() if rendering.foreign else each for each in found)
        )

    def _built(
        self, k: Kustomization, variables: Variables, artifact: Artifact, *, alone: bool
    ) -> tuple[Built, Places]:
        request = _request(k, variables, artifact.root)
        places = Places(request, Files(artifact.root, self.builder))
        if variables.opens and variables.keys is not None and self.keyring is not None:
            artifact.prepare()
            return keys.build(self.builder, request, variables.keys, self.keyring.opener), places
        if alone and self.recall is not None:
            known = self.recall.closures(k, variables)
            if found := part.build(self.builder, artifact, request, known):
                built, root = found
                return built, Places(replace(request, root=root), Files(root, self.builder))
        artifact.prepare()
        return self.builder.build(request), places

    def mentioned(self, k: Kustomization, variables: Variables) -> explain.Mentions | None:
        """Which variables the objects name before substitution; None when that cannot be told."""
        if k.post_build is None:
            return explain.Mentions()
        try:
            built = self._bare(k, variables.sources, None)
        except RunnerError:
            return None
        return explain.mentions(resource.object for resource in built.resources) if built.ok else None

    def offline(self) -> Renderer:
        """The same, without asking the cluster anything."""
        return self if self.live is unread else replace(self, live=unread, keyring=None)

    def recalled(self, k: Kustomization, variables: Variables) -> Rendering | None:
        """What `render` gives, if that was made before and is remembered; None when it is not."""
        if self.recall is None or variables.problems:
            return None
        try:
            artifact = self.artifact(k, variables.sources)
        except RunnerError:
            return None
        if artifact.content is None:
            return None
        found = self.recall.find(k, variables, artifact.content)
        if found is None:
            return None
        places = Places(
            _request(k, variables, artifact.root), Files(artifact.root, self.builder), artifact.prepare
        )
        return replace(found, origins=functools.cache(lambda: places.of(found.objects)))

    def _before_substitution(
        self,
        k: Kustomization,
        desired: Mapping[ResourceRef, Produced],
        ref: ResourceRef,
        opening: Keys | None,
    ) -> Manifest | None:
        for resource in self._bare(k, origins(k.source, desired), opening).resources:
            if ResourceRef.of(resource.object) == ref:
                return resource.object
        return None

    def _bare(self, k: Kustomization, sources: Sequence[Manifest], opening: Keys | None) -> Built:
        """The build without substitution; what is sealed is opened with the given keys."""
        spec = {key: value for key, value in k.manifest["spec"].items() if key != "postBuild"}
        artifact = self.artifact(k, sources)
        artifact.prepare()
        request = BuildRequest(artifact.root, k.path, {**k.manifest, "spec": spec})
        if opening is None or not opening.asked or opening.missing or self.keyring is None:
            return self.builder.build(request)
        return keys.build(self.builder, request, opening, self.keyring.opener)


def unread(_: VariableSource) -> NotRead:
    """The answer where no cluster is asked."""
    return NotRead.NOT_READ


def _request(k: Kustomization, variables: Variables, root: Path) -> BuildRequest:
    return BuildRequest(
        root=root,
        path=k.path,
        kustomization=k.manifest,
        variables=variables.values,
        keep_unresolved=not variables.complete,
        overridable=variables.overridable,
        display=variables.display,
    )


def _rendering(k: Kustomization, built: Built, variables: Variables, places: Places) -> Rendering:
    warnings = [*variables.warnings, *(str(warning) for warning in built.warnings)]
    secrets = [variables.values[name] for name in variables.display]  # names and keys may hold them
    problems = list(built.problems)
    objects: list[dict[str, Any]] = []
    views: list[Manifest] = []
    unresolved: dict[ResourceRef, tuple[str, ...]] = {}
    for resource in built.resources:
        prepared, said = prepare(resource.object, k)
        warnings += said
        objects.append(prepared)
        views.append(_view(resource, prepared, k))
        if resource.unresolved:
            unresolved[ResourceRef.of(prepared)] = resource.unresolved
        if text := encrypted(resource.object):
            problems.append(Problem("encrypted", text, "validate"))
    warnings += _traps(k, [resource.object for resource in built.resources], variables, places)
    return Rendering(
        objects=tuple(objects),
        shown=tuple(views),
        unresolved=unresolved,
        closure=built.closure,
        problems=tuple(problems),
        warnings=tuple(scrub(warning, secrets) for warning in warnings),
        pins=built.pins,
        dropped=built.unnamed or any(w.code == "dropped" and _KFILE not in w.message for w in built.warnings),
        variables=variables,
        origins=functools.cache(lambda: places.of(objects)),
    )


def _traps(
    k: Kustomization, objects: Sequence[Manifest], variables: Variables, places: Places
) -> Iterator[str]:
    """What substitution may have done that nobody wanted, each at its place in the files."""
    if found := [(number, each) for number, m in enumerate(objects) for each in traps.warnings(m)]:
        were, at = places.were(objects), places.of(objects)
        for number, each in found:
            name = expressions.variable(were[number], each.json_path)
            yield _at(at[number], f"{each.message} (variable {name})" if name else each.message)
    if k.post_build is None or not expressions.suspicious(objects, variables):
        return
    for resource, place in zip(places.before(), places.all(), strict=True):
        for each in expressions.warnings(resource.object, variables):
            yield _at(place, each.message)


def _at(place: Place, message: str) -> str:
    return f"{place}: {message}" if place.file else message


def _view(resource: RenderedResource, prepared: Manifest, k: Kustomization) -> Manifest:
    return shown(prepared if resource.display is None else prepare(resource.display, k)[0])


def _missing(source: VariableSource) -> Problem:
    return _problem(
        f"substitute from '{source.kind}/{source.name}' error: {source.namespace}/{source.name} is neither "
        "produced by a Kustomization of this run nor in the cluster"
    )


def _problem(text: str) -> Problem:
    return Problem("variable_source", text, "substitute")
