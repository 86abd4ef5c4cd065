"""A path that a build could not use: the kustomization file, and the line, that lists it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from runner.render.files import Files, is_kfile
from runner.rendered import Closure, Problem

_CODES = frozenset({"missing_file", "outside_root", "cycle", "remote", "remote_refused"})
_ENTRY = re.compile(
    r"\b(?:from|new root) '([^']+)'"
)  # kustomize's text: accumulating resources from '../base'
_ABSOLUTE = "cannot be absolute"
_WORD = re.compile(r"""[^\s'",\[\]{}]+""")


def listed(problem: Problem, closure: Closure, files: Files) -> Problem:
    """The same problem, at the entry that it is about; a path that is not there is nobody's file."""
    known = problem.code in _CODES or problem.entries or _ABSOLUTE in problem.message
    if problem.line or not known:
        return problem
    kfiles = [file for file in closure.read if is_kfile(file)]
    if problem.file in closure.missing:
        return _at_entry(problem, kfiles, files, lambda kfile, word: _resolved(kfile, word) == problem.file)
    words = {word for kfile in kfiles for _, word in _words(kfile, files)} if problem.entries else set()
    if ours := [entry for entry in problem.entries if entry in words]:  # a remote base lists the others
        return _at_entry(problem, kfiles, files, lambda _, word: word == ours[-1])
    entries = _ENTRY.findall(problem.message)
    if entries and (not problem.file or problem.file in kfiles):
        own = [problem.file] if problem.file else kfiles
        return _at_entry(problem, own, files, lambda _, word: word == entries[-1])
    return problem


def _at_entry(problem: Problem, kfiles: list[str], files: Files, fits: Callable[[str, str], bool]) -> Problem:
    for kfile in kfiles:
        for line, word in _words(kfile, files):
            if fits(kfile, word):
                return replace(problem, file=kfile, line=line)
    return problem if problem.file in kfiles else replace(problem, file="")


def _resolved(kfile: str, word: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(kfile), word))


def _words(kfile: str, files: Files) -> Iterator[tuple[int, str]]:
    """What may be a path, with its line: words outside of comments, and what is after a `key=`."""
    for number, line in enumerate(files.text(kfile).decode(errors="replace").splitlines(), 1):
        for word in _WORD.findall(re.sub(r"(^|\s)#.*", "", line)):
            yield number, word
            if "=" in word:
                yield number, word.partition("=")[2]
