"""A build from only those files that it looks at, where writing all of them would take longer than the build.

Nothing tells beforehand which those are. So it is built from what is likely, and the closure is held against
the whole tree: where every look came to what it would have come to there, so did the build. What was looked
for and is lacking is added, and it is built again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from runner.content import Content
from runner.model import Artifact
from runner.ports import Builder
from runner.render.memory import Seen
from runner.rendered import BuildRequest, Built, Closure

_TRIES = 6
"""Before all is written: as many as bases include each other, and two to spare."""


def build(
    builder: Builder, artifact: Artifact, request: BuildRequest, known: Iterable[Closure]
) -> tuple[Built, Path] | None:
    """The build, and the directory that it was made from; None where that takes all files.

    `known` is what earlier builds looked at.
    """
    content, write = artifact.content, artifact.part
    if content is None or write is None:
        return None
    wanted = {*content.around(_directory(request.path)), *_likely(known, content)}
    for _ in range(_TRIES):
        root = write(wanted)
        built = builder.build(replace(request, root=root))
        part = content.part(wanted)
        if Seen.of(built.closure, part).same(content):
            return (built, root) if built.ok and not built.closure.links else None
        lacking = set(_lacking(built.closure, part, content)) - wanted
        if not lacking:
            return None  # no file is lacking, but a directory without any
        wanted |= lacking
    return None


def _directory(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in {"", "."})


def _likely(known: Iterable[Closure], content: Content) -> Iterator[str]:
    for closure in known:
        yield from (path for path in (*closure.read, *closure.stat) if content.id(path))
        for directory in closure.listed:
            yield from content.around(directory)


def _lacking(closure: Closure, part: Content, whole: Content) -> Iterator[str]:
    """Files that would have changed what a build saw, had they been there."""
    for path in closure.missing:
        yield from whole.around(path)
    for directory in closure.listed:
        if part.listing(directory) != whole.listing(directory):
            yield from whole.around(directory)
