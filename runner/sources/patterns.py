"""`spec.pathPattern` of an ArtifactGenerator: its artifacts once for every directory that it matches.

Source: fluxcd/source-watcher, internal/controller (v2.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_LONGEST_LABEL = 63
_LONGEST_NAME = 253
_CAPTURE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
_PART = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAME = re.compile(rf"{_PART}(\.{_PART})*")


@dataclass(frozen=True, slots=True)
class PathPattern:
    """`@alias/apps/{app}/envs/{env}`; a name in braces stands for a part of one component."""

    alias: str
    components: tuple[re.Pattern[str], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a pattern. Raises ValueError."""
        alias, slash, pattern = text.removeprefix("@").partition("/")
        if not (text.startswith("@") and alias and slash):
            raise ValueError(f"{text!r} is not @alias/pattern")
        names = _pieces(pattern)[1::2]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{text!r} has the name {twice[0]!r} twice")
        for name in names:
            if not _is_label(name):
                raise ValueError(f"{text!r} has the name {name!r}, which is no key of a label")
        return cls(alias, tuple(_expression(component) for component in pattern.split("/")))

    def directories(self, root: Path) -> Iterator[tuple[str, dict[str, str]]]:
        """The directories that match, in order, each with what stands where the names are."""
        found: list[tuple[str, dict[str, str]]] = [("", {})]
        for component in self.components:
            found = [
                (f"{directory}/{name}".lstrip("/"), {**captures, **match.groupdict()})
                for directory, captures in found
                for name in _directories(root / directory)
                if (match := component.fullmatch(name))
            ]
        yield from found


def named(template: str, captures: Mapping[str, str]) -> str:
    """The name of an artifact, in lower case where it comes from the path. Raises ValueError."""
    lowered = {name: value.lower() for name, value in captures.items()}
    for name, value in lowered.items():
        if not _is_label(value):
            raise ValueError(f"{name} is {value!r}, which is no value of a label")
    made = fill(template, lowered)
    if not _NAME.fullmatch(made) or len(made) > _LONGEST_NAME:
        raise ValueError(f"{made!r} is no name of an object")
    return made


def fill(template: str, captures: Mapping[str, str]) -> str:
    """A text with values in place of the names in braces. Raises ValueError."""
    pieces = _pieces(template)
    if unknown := [name for name in pieces[1::2] if name not in captures]:
        raise ValueError(f"{template!r} has the name {unknown[0]!r}, which spec.pathPattern has not")
    return "".join(captures[piece] if number % 2 else piece for number, piece in enumerate(pieces))


def _expression(component: str) -> re.Pattern[str]:
    pieces = _pieces(component)
    return re.compile(
        "".join(f"(?P<{each}>.+)" if number % 2 else re.escape(each) for number, each in enumerate(pieces)),
        re.DOTALL,
    )


def _pieces(text: str) -> list[str]:
    """What stands as it is and the names in braces, by turns. Raises ValueError."""
    pieces = re.split(r"\{([^{}]*)\}", text)
    if any(brace in literal for literal in pieces[::2] for brace in "{}"):
        raise ValueError(f"{text!r} has a brace without its other one")
    for name in pieces[1::2]:
        if not _CAPTURE.fullmatch(name):
            raise ValueError(f"{text!r} has {{{name}}}, which is no name")
    return pieces


def _directories(directory: Path) -> list[str]:
    return sorted(each.name for each in directory.iterdir() if each.is_dir() and not each.is_symlink())


def _is_label(text: str) -> bool:
    return bool(_LABEL.fullmatch(text)) and len(text) <= _LONGEST_LABEL
