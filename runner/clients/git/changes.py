"""What two trees differ in, file by file."""

from __future__ import annotations

from collections.abc import Iterator

from runner.clients.git.command import GitCommand
from runner.clients.git.listing import split
from runner.ports import PathChange, PathChangeKind

# A renamed file that was edited too is looked for by comparing each with each, so among at most 200 × 200;
# those with the same content are found however many they are.
_OPTIONS = (
    *("-r", "-z", "--raw", "--no-abbrev", "-M", "-l200"),
    *("--no-ext-diff", "--no-textconv", "--no-relative", "--ignore-submodules=none"),
)
_KINDS = {
    "A": PathChangeKind.ADDED,
    "D": PathChangeKind.DELETED,
    "M": PathChangeKind.MODIFIED,
    "R": PathChangeKind.RENAMED,
    "T": PathChangeKind.TYPE,
}
EMPTY_TREE = {  # by the length of a hash; git knows them without having them
    40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    64: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}


def changes(git: GitCommand, base: str, head: str) -> tuple[PathChange, ...]:
    """The files that two trees differ in, sorted by path; "" is an empty tree."""
    nothing = EMPTY_TREE.get(len(base or head))
    if nothing is None:
        return ()
    base, head = base or nothing, head or nothing
    return tuple(sorted(_parsed(split(git.output("diff-tree", *_OPTIONS, base, head)))))


def _parsed(parts: list[str]) -> Iterator[PathChange]:
    """Each change is `:<mode> <mode> <id> <id> <status>`, a path, and for a rename another path."""
    rest = iter(parts)
    for facts in rest:
        _, _, before, after, status = facts.split(" ")
        kind, path = _KINDS[status[0]], next(rest)
        if kind is PathChangeKind.RENAMED:
            yield PathChange(next(rest), kind, before=path)
        elif kind is PathChangeKind.MODIFIED and before == after:
            yield PathChange(path, PathChangeKind.MODE)
        else:
            yield PathChange(path, kind)
