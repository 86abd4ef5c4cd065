"""kustodian.yaml: the clusters of a repository, and where the files of its sources are.

PyYAML reads it, and it is held to the schema that is published, `schema.json`; faults have lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runner.configuration.document import FILE, Fault, Misconfigured, faults, parse, schema
from runner.configuration.targets import Directory, Elsewhere, ElsewhereInGit, Target, target
from runner.errors import UsageError

__all__ = [
    "FILE",
    "Cluster",
    "Configuration",
    "Directory",
    "Elsewhere",
    "ElsewhereInGit",
    "Fault",
    "Misconfigured",
    "Setting",
    "Target",
    "read",
    "schema",
]

Setting = str | int | bool


@dataclass(frozen=True, slots=True)
class Cluster:
    """One entry of `clusters`; what it does not say is ""."""

    name: str
    settings: Mapping[str, Setting] = field(default_factory=dict)
    """By the name of the flag and of the input that would say it: entry, context, prune-limit …"""
    line: int = 0

    def located(self, root: Path) -> Mapping[str, Setting]:
        """The same for a repository that is at `root`: a kubeconfig's path starts there."""
        path = str(self.settings.get("kubeconfig", ""))
        return {**self.settings, "kubeconfig": str(root / path)} if path and path[0] != "~" else self.settings

    @property
    def entry(self) -> str:
        return str(self.settings["entry"])

    @property
    def root(self) -> str:
        return str(self.settings.get("root", ""))


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the file says; nothing where there is none."""

    sources: Mapping[str, Target] = field(default_factory=dict)  # by Kind/namespace/name
    clusters: Mapping[str, Cluster] = field(default_factory=dict)

    def cluster(self, name: str) -> Cluster:
        """Raises UsageError when there is none of that name."""
        if name not in self.clusters:
            known = ", ".join(sorted(self.clusters))
            raise UsageError(
                f"{FILE} has no cluster {name!r}",
                hint=f"it has {known}." if known else "name it under `clusters:`, with its `entry`.",
            )
        return self.clusters[name]


def read(text: bytes) -> Configuration:
    """Raises Misconfigured, with everything that is wrong."""
    document = parse(text)
    wrong = list(faults(document))
    if wrong:
        raise Misconfigured(wrong)
    sources: dict[str, Target] = {}
    for name, value in (document.value.get("sources") or {}).items():
        try:
            sources[name] = target(name, value)
        except UsageError as exc:
            wrong.append(Fault(exc.message, document.line(("sources", name)), exc.hint))
    if wrong:
        raise Misconfigured(wrong)
    clusters = {
        name: Cluster(name, _settings(value), document.line(("clusters", name)))
        for name, value in (document.value.get("clusters") or {}).items()
    }
    return Configuration(sources, clusters)


def _settings(value: Mapping[str, object]) -> dict[str, Setting]:
    options = value.get("options") or {}
    flat = {**value, **(options if isinstance(options, Mapping) else {})}
    return {name: each for name, each in flat.items() if isinstance(each, Setting)}
