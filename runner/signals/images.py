"""Which images and charts change, and whether that is all."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from runner.changes import FieldChange, ImageChange, ObjectChange, Severity, Signal, Touch
from runner.model import Action, Manifest, ResourceRef
from runner.signals.rules import (
    DEFINITION,
    HELM_RELEASE,
    KUSTOMIZATION,
    OCI_REPOSITORY,
    at,
    containers,
    kind,
    pod,
)

_REFERENCE = re.compile(
    r"(?P<name>(?:[A-Za-z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>[a-z0-9]+:[0-9a-f]{32,}))?"
)
_VERSION = re.compile(r"v?(?P<major>\d{1,3})(?:\.\d+(?:\.\d+)?)?(?P<rest>[-+.].*)?", re.ASCII)
_CALENDAR = 100
"""Beyond it a first number is a year or a build, not a major version."""

_NO_IMAGES = frozenset({("", "ConfigMap"), ("", "Secret"), DEFINITION, KUSTOMIZATION})

Image = tuple[str, str]
"""Name, and tag or digest or both."""


def images(changes: Sequence[ObjectChange]) -> tuple[ImageChange, ...]:
    """Every image, or chart, that is another one now, with the objects that use it."""
    users: defaultdict[tuple[str, str, str], list[ResourceRef]] = defaultdict(list)
    for change in changes:
        for row in _rows(_used(change, change.before), _used(change, change.after)):
            users[row].append(change.ref)
    return tuple(
        ImageChange(*row, tuple(sorted(set(refs)))) for row, refs in sorted(_together(users).items())
    )


def _together(
    users: Mapping[tuple[str, str, str], list[ResourceRef]],
) -> dict[tuple[str, str, str], list[ResourceRef]]:
    """One row for each move of an image: an object that comes or goes with it, such as a Job, is no other."""
    found = {row: list(refs) for row, refs in users.items()}
    for name, before, after in sorted(users):
        if before and after:
            for half in ((name, "", after), (name, before, "")):
                found[name, before, after] += found.pop(half, [])
    return found


def major(changes: Sequence[ObjectChange]) -> Iterator[Signal]:
    """Images and charts whose major version changes."""
    owners = {change.ref: change.kustomization for change in changes}
    for image in images(changes):
        old, new = _major(image.before), _major(image.after)
        if old is not None and new is not None and old != new:
            names = ", ".join(str(ref) for ref in image.users)
            text = (
                f"{names} {'gets' if len(image.users) == 1 else 'get'} another major version of {image.name}:"
            )
            text += f" {image.before} → {image.after}"
            kustomizations = {owners[ref] for ref in image.users}
            yield Signal(
                "major-version",
                Severity.CAUTION,
                text,
                kustomizations.pop() if len(kustomizations) == 1 else "",
                image.users[0] if len(image.users) == 1 else None,
            )


def routine(changes: Sequence[ObjectChange], found: Sequence[Signal]) -> bool:
    """Whether nothing but image and chart versions changes, and nothing of that needs a second look.

    `found` are the signals of the same changes.
    """
    touched = [change for change in changes if change.action is not Action.UNCHANGED]
    return (
        bool(touched)
        and all(signal.severity is Severity.NOTE for signal in found)
        and all(_only_versions(change) for change in touched)
    )


def _only_versions(change: ObjectChange) -> bool:
    return (
        change.action in {Action.CONFIGURED, Action.SKIPPED}
        and not (change.was or change.unknown)
        and bool(change.fields)
        and all(_version_field(change, field) for field in change.fields)
    )


_CHART_FIELDS = frozenset({"spec.chart.spec.version"})
_SOURCE_FIELDS = frozenset({"spec.ref.tag", "spec.ref.digest", "spec.ref.semver"})
_VALUES = re.compile(r"spec\.values\..*\.(?:tag|digest)")
_OVERRIDES = re.compile(r"spec\.images\[[^\]]*\]\.(?:newTag|digest)")
_LABELS = ('.labels["app.kubernetes.io/version"]', '.labels["helm.sh/chart"]')


def _version_field(change: ObjectChange, field: FieldChange) -> bool:
    if (
        field.touch is not Touch.CHANGED
        or not isinstance(field.before, str)
        or not isinstance(field.after, str)
    ):
        return False
    if field.path.endswith(_LABELS):
        return True  # follow the version
    match kind(change):
        case kind_ if kind_ == HELM_RELEASE:
            if field.path in _CHART_FIELDS or _VALUES.fullmatch(field.path):
                return True
        case kind_ if kind_ == OCI_REPOSITORY:
            return field.path in _SOURCE_FIELDS
        case kind_ if kind_ == KUSTOMIZATION:
            return bool(_OVERRIDES.fullmatch(field.path))
    if kind(change) in _NO_IMAGES or not field.path.endswith(".image"):
        return False
    old, new = parse(field.before), parse(field.after)
    return old is not None and new is not None and old[0] == new[0]


def parse(text: object) -> Image | None:
    """`name:tag@digest` in two; None for what is no reference to an image."""
    match = _REFERENCE.fullmatch(text) if isinstance(text, str) else None
    if not match:
        return None
    tag, digest = match["tag"] or "", match["digest"] or ""
    return match["name"], f"{tag}@{digest}" if tag and digest else tag or digest


def _rows(before: list[Image], after: list[Image]) -> Iterator[tuple[str, str, str]]:
    """What one object uses other than before: name, before, after."""
    gone, come = set(before) - set(after), set(after) - set(before)
    for name in sorted({name for name, _ in gone | come}):
        sides = (sorted(version for each, version in side if each == name) for side in (gone, come))
        for old, new in zip_longest(*sides, fillvalue=""):
            yield name, old, new


def _used(change: ObjectChange, manifest: Manifest | None) -> list[Image]:
    if manifest is None or kind(change) in _NO_IMAGES:
        return []
    if kind(change) == OCI_REPOSITORY:
        return _source(manifest)
    spec = pod(manifest)
    found = [parse(container.get("image")) for container in containers(spec)]
    if not spec:
        # Of a field of somebody else's kind only what cannot be anything but an image.
        found = [image for image in map(parse, _fields(manifest)) if image and image[1]]
    charts = _chart(manifest) if kind(change) == HELM_RELEASE else []
    return [*(image for image in found if image), *charts]


def _fields(value: object) -> Iterator[object]:
    """Every `image`, and what charts write apart: `repository` and `tag`."""
    if isinstance(value, Mapping):
        yield value.get("image")
        if isinstance(value.get("repository"), str) and isinstance(value.get("tag"), str):
            digest = f"@{value['digest']}" if isinstance(value.get("digest"), str) else ""
            yield f"{value['repository']}:{value['tag']}{digest}"
        for below in value.values():
            yield from _fields(below)
    elif isinstance(value, list):
        for below in value:
            yield from _fields(below)


def _chart(release: Manifest) -> list[Image]:
    name, version = (at(release, f"spec.chart.spec.{field}") for field in ("chart", "version"))
    return [(f"chart {name}", str(version or ""))] if isinstance(name, str) else []


def _source(repository: Manifest) -> list[Image]:
    url, ref = at(repository, "spec.url"), at(repository, "spec.ref", {})
    tag = at(ref, "tag") or at(ref, "semver") or ""
    digest = at(ref, "digest") or ""
    version = f"{tag}@{digest}" if tag and digest else str(tag or digest)
    return [(url.removeprefix("oci://"), version)] if isinstance(url, str) else []


def _major(version: str) -> int | None:
    match: Any = _VERSION.fullmatch(version.partition("@")[0])
    number = int(match["major"]) if match else _CALENDAR
    return number if number < _CALENDAR else None
