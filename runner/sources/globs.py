"""The two pattern languages of an ArtifactGenerator.

`from` is Go's `fs.Glob`, where `**` is no more than `*`; `exclude` is doublestar's, where a component `**`
stands for any number of directories.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

_META = frozenset("*?[]")
_ALTERNATIVES = 1000
_STAR = ".*"


def is_glob(pattern: str) -> bool:
    return not _META.isdisjoint(pattern)


def literal_prefix(pattern: str) -> str:
    """The directories before the first component that is a glob."""
    parts = pattern.split("/")
    first = next((n for n, part in enumerate(parts) if is_glob(part)), len(parts))
    return "/".join(parts[:first])


def find(root: Path, pattern: str) -> list[str]:
    """Files and directories below `root` that a pattern names, sorted. Raises ValueError."""
    found = [""]
    for part in pattern.split("/"):
        expression = _component(part)
        found = [
            f"{directory}/{name}".lstrip("/")
            for directory in found
            for name in _names(root / directory)
            if expression.fullmatch(name)
        ]
    return found


def excluded(path: str, base: str, patterns: tuple[str, ...]) -> bool:
    """Whether a pattern matches a path below the source's root, or as seen from `base`.

    A pattern without a slash matches the name in any directory. Raises ValueError.
    """
    seen = [path]
    if base and path.startswith(f"{base}/"):
        seen.append(path.removeprefix(f"{base}/"))
    name = path.rpartition("/")[2]
    return any(
        any(matches(pattern, each) for each in (seen if "/" in pattern else [*seen, name]))
        for pattern in patterns
    )


def matches(pattern: str, path: str) -> bool:
    """Whether doublestar's rules let a pattern match a path. Raises ValueError."""
    return any(_matches(each, path.split("/")) for each in _alternatives(pattern))


def _names(directory: Path) -> list[str]:
    if not directory.is_dir():
        return []
    return sorted(entry.name for entry in directory.iterdir() if not entry.is_symlink())


def _matches(pattern: str, parts: list[str]) -> bool:
    """Follows every way at once: `reached` holds how many parts of the path are used up."""
    reached = {0}
    for component in pattern.split("/"):
        if component == "**":
            reached = set(range(min(reached), len(parts) + 1)) if reached else reached
            continue
        expression = _component(component)
        reached = {n + 1 for n in reached if n < len(parts) and expression.fullmatch(parts[n])}
    return len(parts) in reached


@lru_cache(maxsize=1024)
def _alternatives(pattern: str) -> tuple[str, ...]:
    """What `{a,b}` stands for, written out."""
    start = _unescaped(pattern, "{")
    if start < 0:
        return (pattern,)
    depth, begin, choices, position = 1, start + 1, [], start + 1
    while depth:
        if position >= len(pattern):
            raise ValueError(f"{pattern!r} has a {{ without its }}")
        char = pattern[position]
        if char == "\\":
            position += 1
        elif char == "{":
            depth += 1
        elif char == "}" or (char == "," and depth == 1):
            depth -= char == "}"
            if depth in {0, 1} and (char == "," or not depth):
                choices.append(pattern[begin:position])
                begin = position + 1
        position += 1
    head, tail = pattern[:start], pattern[position:]
    written = tuple(each for choice in choices for each in _alternatives(head + choice + tail))
    if len(written) > _ALTERNATIVES:
        raise ValueError(f"{pattern!r} stands for more than {_ALTERNATIVES} patterns")
    return written


def _unescaped(pattern: str, char: str) -> int:
    position = 0
    while position < len(pattern):
        if pattern[position] == char:
            return position
        position += 2 if pattern[position] == "\\" else 1
    return -1


@lru_cache(maxsize=1024)
def _component(text: str) -> re.Pattern[str]:
    """A regular expression that never tries twice: between two stars the first place that fits will do."""
    segments = [""]
    for piece in _pieces(text):
        if piece == _STAR:
            segments.append("")
        else:
            segments[-1] += piece
    first, *rest = segments
    if not rest:
        return re.compile(first, re.DOTALL)
    between = "".join(f"(?>.*?{segment})" for segment in rest[:-1])
    return re.compile(f"{first}{between}.*{rest[-1]}", re.DOTALL)


def _pieces(text: str) -> Iterator[str]:
    position = 0
    while position < len(text):
        char = text[position]
        position += 1
        if char == "*":
            if text[position : position + 1] != "*":
                yield _STAR
        elif char == "?":
            yield "."
        elif char == "[":
            piece, position = _class(text, position)
            yield piece
        else:
            if char == "\\":
                char, position = _literal(text, position - 1)
            yield re.escape(char)


def _class(text: str, position: int) -> tuple[str, int]:
    negated = text[position : position + 1] in {"^", "!"}
    position += negated
    ranges: list[str] = []
    while not ranges or text[position : position + 1] != "]":
        if text[position : position + 1] in {"-", "]"}:
            raise ValueError(f"{text!r} is no pattern")
        low, position = _literal(text, position)
        high = low
        if text[position : position + 1] == "-":
            high, position = _literal(text, position + 1)
        if high < low:
            raise ValueError(f"{text!r} is no pattern")
        ranges.append(f"{re.escape(low)}-{re.escape(high)}")
    return f"[{'^' if negated else ''}{''.join(ranges)}]", position + 1


def _literal(text: str, position: int) -> tuple[str, int]:
    """One character, unescaped, and where the next one is."""
    if text[position : position + 1] == "\\":
        position += 1
    if position >= len(text):
        raise ValueError(f"{text!r} is no pattern")
    return text[position], position + 1
