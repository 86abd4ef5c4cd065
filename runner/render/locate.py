"""From the object a problem is about to the file and line that it starts at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from runner.errors import RunnerError
from runner.ports import Builder
from runner.rendered import Closure, ParsedObject, Problem, Subject

_SUFFIXES = (".yaml", ".yml", ".json")


def located(
    problems: Sequence[Problem], closure: Closure, root: Path, builder: Builder
) -> tuple[Problem, ...]:
    """The same problems, with file and line where exactly one object that was read fits."""
    search = _Search(closure, root, builder)
    return tuple(search.place(problem) for problem in problems)


@dataclass(slots=True)
class _Search:
    """The objects of the files that a build read; each file is read once, and only when it may matter."""

    closure: Closure
    root: Path
    builder: Builder
    texts: dict[str, bytes] | None = None
    parsed: dict[str, tuple[ParsedObject, ...]] = field(default_factory=dict)

    def place(self, problem: Problem) -> Problem:
        if problem.subject is None or problem.file:
            return problem
        found = _fitting(list(self._candidates(problem.subject)), problem)
        return replace(problem, file=found[0], line=found[1].line) if found else problem

    def _candidates(self, subject: Subject) -> Iterator[tuple[str, ParsedObject]]:
        for file, text in self._read().items():
            if subject.kind.encode() not in text:
                continue
            for each in self._objects(file, text):
                group = str(each.object.get("apiVersion")).rpartition("/")[0]
                if (group, each.object.get("kind")) == (subject.group, subject.kind):
                    yield file, each

    def _read(self) -> dict[str, bytes]:
        if self.texts is None:
            self.texts = {}
            for file in self.closure.read:
                if file.endswith(_SUFFIXES):
                    try:
                        self.texts[file] = (self.root / file).read_bytes()
                    except OSError:
                        continue
        return self.texts

    def _objects(self, file: str, text: bytes) -> tuple[ParsedObject, ...]:
        if file not in self.parsed:
            try:
                self.parsed[file] = self.builder.parse(text, file).objects
            except RunnerError:  # the place is a courtesy; the problem itself is told all the same
                self.parsed[file] = ()
        return self.parsed[file]


def _fitting(
    candidates: Sequence[tuple[str, ParsedObject]], problem: Problem
) -> tuple[str, ParsedObject] | None:
    """The one object that fits: by its name, else by a name that a prefix or suffix was put to."""
    if problem.subject is None:
        return None
    name, namespace = problem.subject.name, problem.subject.namespace
    mentioning = [(file, each) for file, each in candidates if _mentions(each, problem.variable)]
    left = [(file, each) for file, each in candidates if _name(each) == name]
    if len(left) > 1:
        left = [pair for pair in left if pair in mentioning] or left
    elif not left:
        left = [(file, each) for file, each in mentioning if _name(each) and _name(each) in name]
    for wanted in ({namespace}, {namespace, ""}):
        if len(left) > 1:
            left = [pair for pair in left if _namespace(pair[1]) in wanted] or left
    return left[0] if len(left) == 1 else None


def _mentions(each: ParsedObject, variable: str) -> bool:
    text = str(each.object)
    return not variable or f"${{{variable}" in text or f"${{#{variable}" in text


def _name(each: ParsedObject) -> str:
    return str(each.object["metadata"].get("name") or "")


def _namespace(each: ParsedObject) -> str:
    return str(each.object["metadata"].get("namespace") or "")
