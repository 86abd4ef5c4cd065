"""A mapping that has one key twice: where that is in the file as somebody wrote it.

kustomize counts the lines of the object as it writes it itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import yaml

from runner.render.files import Files
from runner.rendered import Place, Problem

_TWICE = re.compile(r'line \d+: mapping key "((?:[^"\\]|\\.)*)" already defined at line \d+')


class _Twice(NamedTuple):
    key: str
    line: int
    first: int


def found_again(problem: Problem, place: Place, read: Sequence[str], files: Files) -> Problem:
    """The same problem with the lines of the file: the object's own, else the only one that has such keys."""
    keys = _TWICE.findall(problem.message)
    if not keys:
        return problem
    below = {file: _below(place, files.text(file)) for file in ((place.file,) if place.file else read)}
    suitable = [(file, found) for file, found in below.items() if [e.key for e in found[: len(keys)]] == keys]
    if len(suitable) != 1:
        return problem
    [(file, found)] = suitable
    message = problem.message
    for key, line, first in found[: len(keys)]:
        message = _TWICE.sub(f'LINE {line}: mapping key "{key}" already defined at line {first}', message, 1)
    return replace(problem, message=message.replace("LINE", "line"), file=file, line=found[0].line)


def _below(place: Place, text: bytes) -> list[_Twice]:
    """Every second key, from the line where the object starts."""
    try:
        documents = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except (yaml.YAMLError, UnicodeError):
        return []
    found = sorted((each for document in documents for each in _twice(document)), key=lambda each: each.line)
    return [each for each in found if each.line >= place.line]


def _twice(node: yaml.Node | None) -> Iterator[_Twice]:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _twice(item)
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and key.value in first:
                yield _Twice(key.value, line, first[key.value])
            elif isinstance(key, yaml.ScalarNode):
                first[key.value] = line
            yield from _twice(value)
