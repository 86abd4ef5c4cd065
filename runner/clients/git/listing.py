"""What git lists: the files of a tree, of the index, and those that it was never told of."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from runner.clients.git.command import GitCommand
from runner.ports import Blob

SYMLINK, SUBMODULE = 0o120000, 0o160000


class Entry(NamedTuple):
    """A file and its content; a sparse checkout keeps it off the disk on purpose."""

    path: str
    blob: Blob
    on_disk: bool = True


def tree_entries(git: GitCommand, tree: str) -> list[Entry]:
    """Every file of a tree, in the tree's order; a damaged one may hold a path twice."""
    entries = []
    for line in split(git.output("ls-tree", "-r", "-z", "--full-tree", tree)):
        facts, _, path = line.partition("\t")
        mode, _, blob = facts.split(" ")
        entries.append(Entry(path, Blob(int(mode, 8), blob)))
    return entries


def index_entries(git: GitCommand) -> list[Entry]:
    """Every file that is tracked."""
    entries = []
    for line in split(git.output("ls-files", "-z", "--cached", "-t", "--stage")):
        facts, _, path = line.partition("\t")
        tag, mode, blob, _ = facts.split(" ")
        entries.append(Entry(path, Blob(int(mode, 8), blob), on_disk=tag != "S"))
    return entries


def new_files(git: GitCommand) -> Sequence[str]:
    """What is on disk, and neither tracked nor ignored; a nested repository ends in a slash."""
    return split(git.output("ls-files", "-z", "--others", "--exclude-standard"))


def split(output: bytes) -> list[str]:
    """The parts of a `-z` output, in the form that file names have in Python."""
    return os.fsdecode(output).split("\0")[:-1]
