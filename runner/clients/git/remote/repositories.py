"""Branches, tags and commits of other repositories → files, fetched by git into a repository of our own."""

from __future__ import annotations

import hashlib
import re
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from runner.clients.archive import Limits
from runner.clients.git.command import GitCommand
from runner.clients.git.listing import SUBMODULE, SYMLINK, Entry
from runner.clients.git.remote import signatures, submodules
from runner.clients.git.remote.address import Address
from runner.clients.git.remote.failures import Unadvertised, told, too_big
from runner.clients.git.remote.process import Ended, Limited
from runner.clients.git.remote.session import Session
from runner.clients.git.remote.submodules import Submodule
from runner.clients.git.tree import write_entries
from runner.clients.kept import KeptContent
from runner.clients.network import Resolver
from runner.clients.network.retries import retried
from runner.errors import SourceError, UsageError
from runner.once import Once
from runner.ports import Blob
from runner.repositories import Commit, GitAccess

OLDEST = (2, 37)
"""The first git that connects to addresses which were checked (http.curloptResolve)."""
MOST_LISTED = 16 << 20
"""Bytes of a list of branches and tags."""
MOST_READ = 64 << 20
"""Bytes of a list of files."""
_HASH = re.compile(r"[0-9a-f]{40}")
_VERSION = re.compile(r"git version (\d+)\.(\d+)")
_ALL = "+refs/heads/*:refs/all/*"
_FETCH = (
    *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"),
    *("--no-auto-maintenance", "--no-show-forced-updates"),
)
T = TypeVar("T")


@dataclass(slots=True)
class RemoteRepositories:
    """Reads repositories; every name is looked up once in a run, so that all of it sees the same."""

    resolver: Resolver
    kept: KeptContent
    directory: Path  # where repositories and logins are for as long as they are needed
    limits: Limits = field(default_factory=Limits)
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _refs: Once[Mapping[str, str]] = field(default_factory=Once, repr=False)
    _recent: bool = False

    def refs(self, access: GitAccess, names: Sequence[str]) -> Mapping[str, str]:
        """What refs stand for now: `refs/heads/main`, `refs/tags/*`; `name^{}` is what a tag object names."""
        return self._refs.get(
            (access, tuple(names)), lambda: _of(access, lambda: self._listed(access, names))
        )

    def pull(self, access: GitAccess, commit: Commit, target: Path) -> tuple[str, ...]:
        """Write the files of a commit below `target`; what to warn about. Raises SourceError, UsageError."""
        return _of(access, lambda: self._pulled(access, commit, target))

    def cancel(self) -> None:
        """End every wait."""
        self._cancelled.set()

    # --- asking the server --------------------------------------------------------------------------------

    def _listed(self, access: GitAccess, names: Sequence[str]) -> Mapping[str, str]:
        def listed(git: _Remote) -> Mapping[str, str]:
            ended = git.asked("ls-remote", "--quiet", "origin", *names, most=MOST_LISTED)
            pairs = (line.split("\t", 1) for line in ended.output.decode(errors="replace").splitlines())
            return {each[1]: each[0] for each in pairs if len(each) > 1 and _HASH.fullmatch(each[0])}

        with tempfile.TemporaryDirectory(prefix="git-", dir=self.directory) as scratch:
            _made(Path(scratch))
            return self._attempted(access, Path(scratch), listed)

    def _attempted(self, access: GitAccess, repository: Path, work: Callable[[_Remote], T]) -> T:
        """What the server answers, asked again while its failures pass."""
        self._must_be_recent()
        address = Address.of(access.url, access.source)
        deadline = time.monotonic() + access.timeout
        attempts = iter(range(1 << 20))

        def attempt() -> T:
            with tempfile.TemporaryDirectory(prefix="login-", dir=self.directory) as private:  # mode 0700
                session = Session(Path(private), access, address, self.resolver, next(attempts))
                environment = {**session.prepared(), "GIT_DIR": str(repository)}
                run = Limited(repository, environment, deadline, self._cancelled, self.limits.bytes)
                return work(_Remote(run, address))

        return retried(attempt, deadline, self._cancelled)

    def _must_be_recent(self) -> None:
        if self._recent:
            return
        answer = GitCommand(self.directory).run("version")
        match = _VERSION.match(answer.text)
        if match is None or (int(match[1]), int(match[2])) < OLDEST:
            raise SourceError(
                f"{answer.text} cannot fetch other repositories safely",
                hint=f"install git {OLDEST[0]}.{OLDEST[1]} or newer.",
            )
        self._recent = True

    # --- one commit ---------------------------------------------------------------------------------------

    def _pulled(self, access: GitAccess, commit: Commit, target: Path) -> tuple[str, ...]:
        """Its files, and then those of its submodules, level by level; together they have the same limits."""
        room = _Room(self.limits.bytes, self.limits.entries)
        warnings, todo = self._written(access, commit, target, room)
        fetched = 0
        while todo:
            each, fetched = todo.pop(0), fetched + 1
            if fetched > submodules.MOST:
                raise SourceError(f"it has more than {submodules.MOST} submodules")
            try:
                told, inner = self._written(
                    each.access, Commit(each.commit, submodules=True), target, room, each
                )
            except (SourceError, UsageError) as exc:
                raise submodules.told(exc, each.path) from exc
            warnings, todo = warnings + told, todo + inner
        return warnings

    def _written(
        self, access: GitAccess, commit: Commit, target: Path, room: _Room, at: Submodule | None = None
    ) -> tuple[tuple[str, ...], list[Submodule]]:
        """Write the files of one repository; what to warn about, and its submodules where they are wanted."""
        prefix, depth = (f"{at.path}/", at.depth + 1) if at is not None else ("", 1)
        with tempfile.TemporaryDirectory(prefix="git-", dir=self.directory) as made:
            repository = Path(made)
            local = _made(repository)
            if not self._recalled(access, commit, repository, local):
                self._attempted(access, repository, lambda git: self._fetched(git, commit, local))
                self._keep(access, commit, repository)
            self._verified(commit, repository, local)
            files = self._files(commit, repository, room, prefix.count("/"))
            found: list[Submodule] = []
            if commit.submodules:
                links = [each for each in files if each.blob.mode == SUBMODULE]
                files = [each for each in files if each.blob.mode != SUBMODULE]
                found = submodules.named(links, self._urls(files, repository), access, prefix, depth)
            moved = [each._replace(path=f"{prefix}{each.path}") for each in files]
            return write_entries(local, moved, target), found

    def _urls(self, files: Sequence[Entry], repository: Path) -> Mapping[str, str]:
        """Where the submodules of a commit with these files are, by path."""
        file = next((e for e in files if e.path == submodules.FILE and e.blob.mode != SYMLINK), None)
        if file is None:
            return {}
        ended = self._here(repository).run("git", "config", "--blob", file.blob.id, "--list", "-z")
        if ended.status:
            raise SourceError(f"its {submodules.FILE} cannot be read")
        return submodules.listed(ended.output)

    def _fetched(self, git: _Remote, commit: Commit, local: GitCommand) -> None:
        """That one commit; all of a branch only where the server gives nothing but what its refs name."""
        wanted = commit.tag or commit.id
        try:
            git.asked(*_FETCH, "--depth=1", "origin", wanted)
        except Unadvertised:
            git.asked(*_FETCH, "origin", f"+{commit.ref}:refs/all/one" if commit.ref else _ALL)
        found = local.run("rev-parse", "--verify", "--quiet", f"{wanted}^{{commit}}")
        if found.status or found.text != commit.id:
            raise SourceError(f"{git.address} has no commit {commit.id}", hint="is spec.ref right?")

    def _files(self, commit: Commit, repository: Path, room: _Room, below: int) -> Sequence[Entry]:
        """Every file that is wanted, when they are not too many and not too large for what is left."""
        run = self._here(repository)
        ended = run.run("git", "ls-tree", "-r", "-l", "-z", "--full-tree", commit.id, most=MOST_READ)
        if ended.status:
            raise SourceError("the repository that was fetched cannot be read")
        found: list[Entry] = []
        total = 0
        for line in ended.output.split(b"\0")[:-1]:
            facts, _, path = line.partition(b"\t")
            mode, _, name, size = facts.split()
            text = path.decode(errors="surrogateescape")
            if commit.only and not text.startswith(commit.only):
                continue
            total += int(size) if size.isdigit() else 0
            if text.count("/") + below >= self.limits.depth:
                raise SourceError(f"its directories are more than {self.limits.depth} deep")
            found.append(Entry(text, Blob(int(mode, 8), name.decode())))
        room.bytes, room.entries = room.bytes - total, room.entries - len(found)
        if room.bytes < 0 or room.entries < 0:
            raise SourceError(
                f"its files are more than {self.limits.bytes >> 20} MiB, or than {self.limits.entries:,}",
                hint="spec.sparseCheckout takes a part of it.",
            )
        self._must_be_there(commit, [each.path for each in found])
        return found

    def _must_be_there(self, commit: Commit, paths: Sequence[str]) -> None:
        for wanted in commit.only:
            directory = wanted.rstrip("/")
            if not any(path == directory or path.startswith(f"{directory}/") for path in paths):
                raise SourceError(f"sparse checkout dir {wanted!r} does not exist in repository")

    def _verified(self, commit: Commit, repository: Path, local: GitCommand) -> None:
        if commit.keys is None:
            return
        keys, run = commit.keys, self._here(repository)
        if keys.tag:
            if not commit.tag:
                raise SourceError(
                    "cannot verify a tag's signature: spec.ref names no tag, or one that is not annotated"
                )
            tag = signatures.of_tag(local.output("cat-file", "tag", commit.tag))
            signatures.check(f"tag {commit.ref}", tag, keys.pgp, keys.ssh, run)
        if keys.head:
            raw = signatures.of_commit(local.output("cat-file", "commit", commit.id))
            signatures.check(f"commit {commit.id}", raw, keys.pgp, keys.ssh, run)

    def _here(self, repository: Path) -> Limited:
        """Programs that talk to nobody."""
        environment = _local(repository).environment()
        return Limited(repository, environment, time.monotonic() + 60.0, self._cancelled, self.limits.bytes)

    # --- kept from run to run ---------------------------------------------------------------------------

    def _recalled(self, access: GitAccess, commit: Commit, repository: Path, local: GitCommand) -> bool:
        """Take the commit from what earlier runs kept: git names, and checks, every object by its content."""
        packed = self.kept.find(*_key(access, commit))
        if packed is None:
            return False
        (repository / "shallow").write_text(f"{commit.id}\n")
        with packed:
            ended = self._here(repository).run("git", "index-pack", "--stdin", stdin=packed)
        wanted = commit.tag or commit.id
        complete = local.run("rev-list", "--objects", "--quiet", "--max-count=1", wanted)
        found = local.run("rev-parse", "--verify", "--quiet", f"{wanted}^{{commit}}")
        return not ended.status and not complete.status and found.text == commit.id

    def _keep(self, access: GitAccess, commit: Commit, repository: Path) -> None:
        packs = [*repository.glob("objects/pack/pack-*.pack")]
        if len(packs) == 1 and (repository / "shallow").exists():  # that commit, and nothing else
            with packs[0].open("rb") as packed:
                self.kept.put(*_key(access, commit), packed)


@dataclass(slots=True)
class _Room:
    """What may still be written of a repository and its submodules."""

    bytes: int
    entries: int


@dataclass(frozen=True, slots=True)
class _Remote:
    """Git, while it may talk to one server."""

    run: Limited
    address: Address

    def asked(self, *arguments: str, most: int = 1 << 20) -> Ended:
        """What a command says. Raises SourceError when it fails; `Passing` when that may pass."""
        ended = self.run.run("git", *arguments, most=most)
        if ended.status:
            where = str(self.address)
            raise too_big(where, self.run.size) if self.run.full() else told(ended, where)
        return ended


def _local(repository: Path) -> GitCommand:
    return GitCommand(repository, {"GIT_DIR": str(repository)}).offline()


def _made(repository: Path) -> GitCommand:
    """An empty bare repository in an empty directory."""
    git = _local(repository)
    git.output("init", "--quiet", "--bare", "--template=", "--object-format=sha1", str(repository))
    return git


def _key(access: GitAccess, commit: Commit) -> tuple[str, str]:
    """What a commit is kept under: who logs in otherwise does not find it."""
    login = (access.user, access.password, access.bearer, access.identity, access.url)
    whole = hashlib.sha256("\0".join(login).encode()).hexdigest()
    return f"git {Address.of(access.url, access.source)} {whole}", f"{commit.tag}:{commit.id}"


def _of(access: GitAccess, work: Callable[[], T]) -> T:
    """What went wrong, with the source that it went wrong with."""
    try:
        return work()
    except SourceError as exc:
        raise SourceError(f"{access.source}: {exc.message}", hint=exc.hint) from exc
