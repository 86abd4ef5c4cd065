"""Where rendered objects come from: the file, and the line where their document starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from runner.errors import RunnerError
from runner.model import Manifest
from runner.render.files import Files
from runner.rendered import BuildRequest, ParsedObject, Place, RenderedResource, Subject


@dataclass(slots=True)
class Places:
    """The places of one build's objects.

    Nothing is done before the first question. Then it is built once more, without substitution and with
    kustomize's own record of origins: names are as they are written, but for prefixes and suffixes.
    """

    request: BuildRequest
    files: Files
    prepare: Callable[[], None] = lambda: None  # the files may not have been written yet
    _before: tuple[RenderedResource, ...] | None = None
    _found: tuple[Place, ...] | None = None

    def before(self) -> tuple[RenderedResource, ...]:
        """The objects as they are before substitution, in the order of the build."""
        if self._before is None:
            try:
                self.prepare()
                self._before = self.files.builder.build(_bare(self.request)).resources
            except RunnerError:  # a place is a courtesy
                self._before = ()
        return self._before

    def all(self) -> tuple[Place, ...]:
        """The places of the objects before substitution."""
        if self._found is None:
            before = self.before()
            found = [Place(each.origin) if self.files.text(each.origin) else Place() for each in before]
            for (file, *_), numbers in _by_source(before).items():
                if found[numbers[0]].file:
                    for number, line in zip(numbers, self._lines(file, numbers), strict=True):
                        found[number] = Place(file, line)
            self._found = tuple(found)
        return self._found

    def of(self, objects: Sequence[Manifest]) -> tuple[Place, ...]:
        """The place of each object of the same build, substituted or not."""
        found = self._numbers(objects)
        return tuple(Place() if number is None else self.all()[number] for number in found)

    def were(self, objects: Sequence[Manifest]) -> tuple[Manifest, ...]:
        """What each object of the same build was before substitution; nothing where that is not known."""
        found = self._numbers(objects)
        return tuple({} if number is None else self.before()[number].object for number in found)

    def at(self, subject: Subject) -> Place:
        """The place of an object by its name before substitution."""
        wanted = (subject.group, subject.kind, subject.namespace, subject.name)
        for each, place in zip(self.before(), self.all(), strict=True):
            if _identity(each.object) == wanted:
                return place
        return Place()

    def _numbers(self, objects: Sequence[Manifest]) -> Sequence[int | None]:
        """The numbers that the objects had before substitution, which may drop some and rename others."""
        before = [each.object for each in self.before()]
        if [_kind(each) for each in objects] == [_kind(each) for each in before]:
            return range(len(before))
        by_name = {_identity(each): number for number, each in enumerate(before)}
        return [by_name.get(_identity(each)) for each in objects]

    def _lines(self, file: str, numbers: Sequence[int]) -> list[int]:
        """Where in a file the resources of one kind start that come from it; 0 where that is not certain."""
        resources = [self.before()[number].object for number in numbers]
        kind = _kind(resources[0])
        candidates = [each for each in self.files.parsed(file).objects if _kind(each.object) == kind]
        return [each.line if each else 0 for each in _matched(resources, candidates)]


def _bare(request: BuildRequest) -> BuildRequest:
    spec = {key: value for key, value in request.kustomization["spec"].items() if key != "postBuild"}
    spec["buildMetadata"] = ["originAnnotations"]
    return BuildRequest(
        request.root,
        request.path,
        {**request.kustomization, "spec": spec},
        remote=request.remote,
        timeout=request.timeout,
    )


def _by_source(resources: Sequence[RenderedResource]) -> dict[tuple[str, str, str], list[int]]:
    """The numbers of the resources of one kind that come from one file."""
    found: dict[tuple[str, str, str], list[int]] = {}
    for number, each in enumerate(resources):
        found.setdefault((each.origin, *_kind(each.object)), []).append(number)
    return found


def _matched(
    resources: Sequence[Manifest], candidates: Sequence[ParsedObject]
) -> Sequence[ParsedObject | None]:
    """Which object of a file each resource was; None where that is not certain.

    A prefix or suffix makes names ambiguous; the order of the file does not, and kustomize keeps it, once
    for each base that includes the file.
    """
    by_name = {_identity(each.object): each for each in candidates}
    if by_name.keys() == {_identity(each) for each in resources}:
        return [by_name[_identity(each)] for each in resources]
    if candidates and len(resources) % len(candidates) == 0:
        pairs = list(zip(resources, cycle(candidates)))
        if all(_name(text.object) in _name(each) for each, text in pairs):
            return [text for _, text in pairs]
    return [_only(each, candidates) for each in resources]


def _only(resource: Manifest, candidates: Sequence[ParsedObject]) -> ParsedObject | None:
    name = _name(resource)
    found = [each for each in candidates if _name(each.object) and _name(each.object) in name]
    return found[0] if len(found) == 1 else None


def _kind(manifest: Manifest) -> tuple[str, str]:
    return str(manifest.get("apiVersion")).rpartition("/")[0], str(manifest.get("kind"))


def _name(manifest: Manifest) -> str:
    return str(_meta(manifest).get("name") or "")


def _identity(manifest: Manifest) -> tuple[str, str, str, str]:
    return *_kind(manifest), str(_meta(manifest).get("namespace") or ""), _name(manifest)


def _meta(manifest: Manifest) -> Mapping[str, Any]:
    found = manifest.get("metadata")
    return found if isinstance(found, Mapping) else {}
