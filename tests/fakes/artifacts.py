"""Registries in memory: what is in them, and how often they are asked."""

from __future__ import annotations

from dataclasses import dataclass, field

from runner.errors import SourceError


@dataclass
class FakeArtifacts:
    """`tags_of` has the digest of each tag, `files` what each digest holds; `broken` fails everything."""

    tags_of: dict[str, str] = field(default_factory=dict)
    content: dict[str, dict[str, str]] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    asked: list[tuple] = field(default_factory=list)
    broken: bool = False

    def tags(self, access):
        self._ask("tags", access)
        return list(self.tags_of)

    def digest(self, access, tag):
        self._ask("digest", access, tag)
        return self.tags_of[tag]

    def origin(self, access, digest):
        return self.origins.get(digest, "")

    def pull(self, access, digest, layer, target):
        self._ask("pull", access, digest, layer)
        for name, text in self.content[digest].items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_text(text)

    def _ask(self, *what):
        self.asked.append(what)
        if self.broken:
            raise SourceError("it is broken")
