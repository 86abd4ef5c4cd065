"""From what a problem is about to the file and the line that it starts at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from runner.render.files import Files
from runner.render.listed import listed
from runner.rendered import Closure, ParsedObject, Place, Problem, Subject

_SUFFIXES = (".yaml", ".yml", ".json")

Origin = Callable[[Subject], Place]
"""The place of an object by its name before substitution; nowhere when that is not known."""


def located(
    problems: Sequence[Problem], closure: Closure, files: Files, origin: Origin
) -> tuple[Problem, ...]:
    """The same problems, with file and line where these are certain."""
    return tuple(_placed(problem, closure, files, origin) for problem in problems)


def _placed(problem: Problem, closure: Closure, files: Files, origin: Origin) -> Problem:
    subject = problem.subject
    if problem.file or subject is None:
        return listed(problem, closure, files)
    ways: list[Callable[[], Place]] = [
        lambda: origin(subject),
        lambda: _fitting(list(_candidates(subject, closure, files)), subject, problem.variable),
    ]
    if problem.variable:  # a patch may have the expression: what mentions it is better than what it patches
        ways.reverse()
    place = next((place for way in ways if (place := way()).file), Place())
    known = replace(problem, file=place.file, line=place.line)
    read = [file for file in closure.read if file.endswith(_SUFFIXES)]
    if problem.code != "yaml":
        return known
    from runner.render.twice import found_again  # few need it, and it loads a YAML parser

    return found_again(known, place, read, files)


def _candidates(subject: Subject, closure: Closure, files: Files) -> Iterator[tuple[str, ParsedObject]]:
    """The objects of the kind in every file that may have one."""
    for file in closure.read:
        if not file.endswith(_SUFFIXES) or subject.kind.encode() not in files.text(file):
            continue
        for each in files.parsed(file).objects:
            group = str(each.object.get("apiVersion")).rpartition("/")[0]
            if (group, each.object.get("kind")) == (subject.group, subject.kind):
                yield file, each


def _fitting(candidates: Sequence[tuple[str, ParsedObject]], subject: Subject, variable: str) -> Place:
    """The one object that fits: by its name, else by a name that a prefix or suffix was put to."""
    name, namespace = subject.name, subject.namespace
    mentioning = [(file, each) for file, each in candidates if _mentions(each, variable)]
    left = [(file, each) for file, each in candidates if _name(each) == name]
    if len(left) > 1:
        left = [pair for pair in left if pair in mentioning] or left
    elif not left:
        left = [(file, each) for file, each in mentioning if _name(each) and _name(each) in name]
    for wanted in ({namespace}, {namespace, ""}):
        if len(left) > 1:
            left = [pair for pair in left if _namespace(pair[1]) in wanted] or left
    return Place(left[0][0], left[0][1].line) if len(left) == 1 else Place()


def _mentions(each: ParsedObject, variable: str) -> bool:
    text = str(each.object)
    return not variable or f"${{{variable}" in text or f"${{#{variable}" in text


def _name(each: ParsedObject) -> str:
    return str(each.object["metadata"].get("name") or "")


def _namespace(each: ParsedObject) -> str:
    return str(each.object["metadata"].get("namespace") or "")
