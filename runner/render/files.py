"""The files that a build read, as texts and as objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from runner.errors import RunnerError
from runner.ports import Builder
from runner.rendered import ParsedFile

_KFILES = frozenset({"kustomization.yaml", "kustomization.yml", "Kustomization"})


@dataclass(slots=True)
class Files:
    """Each is read and parsed once, and only when somebody asks."""

    root: Path
    builder: Builder
    _texts: dict[str, bytes] = field(default_factory=dict)
    _parsed: dict[str, ParsedFile] = field(default_factory=dict)

    def text(self, file: str) -> bytes:
        """What a file holds; nothing when it cannot be read."""
        if file not in self._texts:
            try:
                self._texts[file] = (self.root / file).read_bytes()
            except OSError:
                self._texts[file] = b""
        return self._texts[file]

    def parsed(self, file: str) -> ParsedFile:
        if file not in self._parsed:
            try:
                self._parsed[file] = self.builder.parse(self.text(file), file)
            except RunnerError:  # a place is a courtesy; what is said about it is said all the same
                self._parsed[file] = ParsedFile(file)
        return self._parsed[file]


def is_kfile(file: str) -> bool:
    return PurePosixPath(file).name in _KFILES
