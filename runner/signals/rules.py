"""What a rule is, and how it reads a manifest: nothing in one can be relied on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.changes import ObjectChange, Severity, Signal
from runner.model import FLUX, Kustomization, Manifest

Kind = tuple[str, str]
"""Group and kind."""

KUSTOMIZATION = (FLUX, "Kustomization")
HELM_RELEASE = ("helm.toolkit.fluxcd.io", "HelmRelease")
OCI_REPOSITORY = ("source.toolkit.fluxcd.io", "OCIRepository")
DEFINITION = ("apiextensions.k8s.io", "CustomResourceDefinition")
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing to look for in an object that is new or changes."""

    code: str
    severity: Severity
    kinds: frozenset[Kind]  # empty: all
    find: Callable[[Manifest, Manifest], Iterable[str]]
    """Before (empty when it is new) and after → what to say, to follow the object's name."""

    def signals(self, change: ObjectChange) -> Iterator[Signal]:
        if change.after is None or (self.kinds and kind(change) not in self.kinds):
            return
        for text in self.find(change.before or {}, change.after):
            yield say(change, self.code, self.severity, text)


@dataclass(frozen=True, slots=True)
class Scene:
    """The Kustomizations of both sides, by identity: what becomes of an object is for them to say."""

    base: Mapping[str, Kustomization] = field(default_factory=dict)
    head: Mapping[str, Kustomization] = field(default_factory=dict)


def say(change: ObjectChange, code: str, severity: Severity, text: str) -> Signal:
    return Signal(code, severity, f"{change.ref} {text}", change.kustomization, change.ref)


def kind(change: ObjectChange) -> Kind:
    return change.ref.group, change.ref.kind


def kinds(group: str, *names: str) -> frozenset[Kind]:
    return frozenset((group, name) for name in names)


def at(value: Any, path: str, default: Any = None) -> Any:  # noqa: ANN401 -- JSON
    """What stands at a dotted path; the default where there is nothing, or null."""
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return default if value is None else value


def mappings(value: object) -> list[Mapping[str, Any]]:
    """The objects of what should be a list of objects."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def texts(value: object) -> list[str]:
    """The items of what should be a list of texts."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def some(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(every[:_SHOWN]) + more


_TEMPLATES = ("spec.template.spec", "spec.jobTemplate.spec.template.spec", "template.spec")


def pod(manifest: Manifest) -> Mapping[str, Any]:
    """The spec of the Pods that an object makes or is; empty when it has none."""
    if manifest.get("kind") == "Pod":
        found = manifest.get("spec")
        return found if isinstance(found, Mapping) else {}
    for path in _TEMPLATES:
        found = at(manifest, path)
        if isinstance(found, Mapping) and "containers" in found:
            return found
    return {}


def containers(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        container
        for name in ("initContainers", "containers", "ephemeralContainers")
        for container in mappings(spec.get(name))
    ]
