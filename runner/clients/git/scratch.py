"""A repository of our own beside the clone: what is fetched or merged lands here, never in the clone."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from runner.clients.git.command import Answer, GitCommand
from runner.clients.git.listing import split

_PATIENCE = 120.0  # seconds for a fetch
_ONLY_OBJECTS = (
    *("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance"),
)
_SSH = {"GIT_SSH", "GIT_SSH_COMMAND"}
# What a fetch needs of the clone's own configuration: where origin is, how to get there and with what.
_FOR_FETCHING = re.compile(
    r"(?:http|credential|url|ssh|protocol|remote)\..+|core\.(?:sshcommand|gitproxy|askpass)", re.DOTALL
)


class Scratch:
    """An empty bare repository that borrows the clone's objects.

    A fetch into the clone would not only add objects: with `--depth` it rewrites the list of commits
    where history ends, and so cuts the history of whoever uses the clone afterwards. Here that list is a
    copy. Nothing is made before it is needed; all of it goes with this object.
    """

    def __init__(self, root: Path, parent: Path | None = None) -> None:
        self._root = root
        self._parent = parent  # where the directory is made
        self._mutex = threading.Lock()
        self._directory: Path | None = None
        self._borrowed = root  # the clone's objects, once the directory is made
        self._fetched = False

    def view(self) -> GitCommand:
        """Git in the clone, which finds what is here too, and writes objects only here."""
        with self._mutex:
            directory = self._made()
            variables = self._objects(directory)
            if self._fetched and (directory / "shallow").exists():
                variables["GIT_SHALLOW_FILE"] = str(directory / "shallow")
            return GitCommand(self._root, variables)

    def bare(self) -> GitCommand:
        """Git in here. There are no files, so that no attributes choose how to merge or what to run."""
        with self._mutex:
            return self._bare()

    def contents(self, tree: str) -> GitCommand:
        """`view` with every file of a tree at hand: one fetch, where git would make one for each file."""
        git = self.view()
        if git.run("config", "--get-regexp", r"^remote\..*\.promisor$").status:
            return git  # a clone with all contents
        listing = ("rev-list", "--objects", "--no-object-names", "--missing=print", f"{tree}^{{tree}}")
        if missing := [line[1:] for line in git.output(*listing).splitlines() if line.startswith(b"?")]:
            with TemporaryFile() as wanted:
                wanted.writelines(name + b"\n" for name in missing)
                wanted.seek(0)
                _fetch(git, "--stdin", "origin", stdin=wanted)  # what fails is said when a file is read
        return git

    def fetch(self, source: str, name: str, *, alone: bool) -> Answer:
        """Fetch what `source` is at origin; here it is called `name`. With `alone` without its history."""
        with self._mutex:
            self._fetched = True
            depth = ["--depth=1"] if alone else []
            return _fetch(self._bare(), *depth, "origin", f"+{source}:{name}")

    def _bare(self) -> GitCommand:
        directory = self._made()
        clone = GitCommand(self._root)
        if not (directory / "HEAD").exists():
            form = clone.output("rev-parse", "--show-object-format").decode().strip()
            clone.output(
                "init", "--quiet", "--bare", "--template=", f"--object-format={form}", str(directory)
            )
            with suppress(FileNotFoundError):  # only a shallow clone has one
                shutil.copyfile(self._borrowed / "../shallow", directory / "shallow")
        variables = {**self._objects(directory), "GIT_DIR": str(directory)}
        return GitCommand(self._root, variables, tuple(_settings(clone)))

    def _made(self) -> Path:
        """The directory, made when it is first asked for."""
        if self._directory is None:
            made = Path(tempfile.mkdtemp(prefix="git-", dir=self._parent))
            weakref.finalize(self, shutil.rmtree, made, ignore_errors=True)
            (made / "objects").mkdir()
            self._borrowed = (
                self._root / GitCommand(self._root).run("rev-parse", "--git-path", "objects").text
            )
            self._directory = made
        return self._directory

    def _objects(self, directory: Path) -> dict[str, str]:
        borrowed = str(self._borrowed).replace("\\", "\\\\").replace('"', '\\"')
        return {
            "GIT_OBJECT_DIRECTORY": str(directory / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": f'"{borrowed}"',  # quoted: a colon would separate two
        }


def _fetch(git: GitCommand, *arguments: str, stdin: IO[bytes] | None = None) -> Answer:
    if not (_SSH & os.environ.keys() or git.run("config", "core.sshCommand").text):
        git = replace(git, variables={**git.variables, "GIT_SSH_COMMAND": "ssh -oBatchMode=yes"})
    return git.run("fetch", *_ONLY_OBJECTS, *arguments, stdin=stdin, patience=_PATIENCE)


def _settings(clone: GitCommand) -> Iterator[tuple[str, str]]:
    """The clone's own settings that a fetch needs; those of the user and the machine hold here as well."""
    parts = iter(split(clone.output("config", "--list", "--show-scope", "-z")))
    for scope, setting in zip(parts, parts, strict=True):
        key, separator, value = setting.partition("\n")
        if scope in {"local", "worktree"} and _FOR_FETCHING.fullmatch(key):
            yield key, value if separator else "true"
    yield "core.attributesFile", os.devnull
