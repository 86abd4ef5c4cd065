"""A path that a build could not use: the kustomization file, and the line, that lists it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import replace

from runner.render.files import Files, is_kfile
from runner.rendered import Closure, Problem

_CODES = frozenset({"missing_file", "outside_root", "cycle", "remote_refused"})
_ENTRY = re.compile(r"\bfrom '([^']+)'")  # kustomize's text: accumulating resources from '../base'
_WORD = re.compile(r"""[^\s'",\[\]{}]+""")


def listed(problem: Problem, closure: Closure, files: Files) -> Problem:
    """The same problem, at the entry that it is about; a path that is not there is nobody's file."""
    if problem.code not in _CODES or problem.line:
        return problem
    kfiles = [file for file in closure.read if is_kfile(file)]
    if problem.file in kfiles:
        entries = _ENTRY.findall(problem.message)
        return replace(problem, line=_line_of(entries[-1], problem.file, files)) if entries else problem
    if problem.file not in closure.missing:
        return problem
    for kfile in kfiles:
        for line, word in _words(kfile, files):
            if posixpath.normpath(posixpath.join(posixpath.dirname(kfile), word)) == problem.file:
                return replace(problem, file=kfile, line=line)
    return replace(problem, file="")


def _line_of(entry: str, kfile: str, files: Files) -> int:
    return next((line for line, word in _words(kfile, files) if word == entry), 0)


def _words(kfile: str, files: Files) -> Iterator[tuple[int, str]]:
    """What may be a path, with its line: words outside of comments, and what is after a `key=`."""
    for number, line in enumerate(files.text(kfile).decode(errors="replace").splitlines(), 1):
        for word in _WORD.findall(re.sub(r"(^|\s)#.*", "", line)):
            yield number, word
            if "=" in word:
                yield number, word.partition("=")[2]
