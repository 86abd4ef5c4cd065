"""The Git checkout this run is about: which repository, which commit, which files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runner.clients.git import history
from runner.clients.git.changes import changes
from runner.clients.git.command import GitCommand
from runner.clients.git.disk import shown
from runner.clients.git.history import FETCH_MORE
from runner.clients.git.identity import repository_id
from runner.clients.git.listing import tree_entries
from runner.clients.git.ondisk import differences, files_on_disk
from runner.clients.git.scratch import Scratch
from runner.clients.git.tree import switch_tree, write_files, write_tree, write_worktree
from runner.errors import UsageError
from runner.model import Artifact
from runner.ports import Authorship, Blob, PathChange

_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BRANCH = re.compile(r"\w[\w./-]*")
_REASON = re.compile(r"^(?:fatal|error|remote|ssh): (?:error: |fatal: )?(.*)", re.MULTILINE)
_CREDENTIALS = re.compile(r"(?<=://)[^/\s]*@|\?[^\s'\"]+(?=['\"])")  # in a URL, and in its query


@dataclass(frozen=True, slots=True)
class GitCheckout:
    """A work tree and the repository behind it; answers the port `Repository`."""

    root: Path
    scratch: Scratch = field(repr=False, compare=False)
    _kinds: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    """What is behind a whole hash, once it is known: that never changes. A name may move at any time."""
    _identity: list[str] = field(default_factory=list, repr=False, compare=False)
    """Which repository this is, once it was asked: a run is about one, and a long history is long to read."""

    @classmethod
    def open(cls, path: Path, scratch: Path | None = None) -> GitCheckout:
        """The work tree that holds `path`; objects that it lacks go below `scratch`. Raises UsageError."""
        directory = path if path.is_dir() else path.parent
        if not path.exists():
            raise UsageError(f"{path} does not exist")
        asked = GitCommand(directory).run("rev-parse", "--is-inside-work-tree", "--show-toplevel")
        inside, _, top = asked.text.partition("\n")
        if inside == "false":  # and then git fails, for there is no top level
            raise UsageError(
                f"{directory} has no work tree", hint="a bare repository won't do: name a clone with files."
            )
        if asked.status and "not a git repository" not in asked.error:
            raise UsageError(f"{directory} can't be read: {asked.error}")
        if asked.status:
            raise UsageError(
                f"{directory} is not in a Git repository",
                hint="run in a clone, or name one with `--repo`; in a workflow, use actions/checkout first.",
            )
        return cls(Path(top), Scratch(Path(top), scratch))

    @property
    def identity(self) -> str:
        """Origin's URL without what differs between clones; else the oldest commit; else `unknown`."""
        if not self._identity:
            self._identity.append(self._identify())
        return self._identity[0]

    @property
    def branch(self) -> str:
        """The branch that is checked out, "" when HEAD is detached."""
        head = self._git.run("symbolic-ref", "--quiet", "HEAD").text
        return head.removeprefix("refs/heads/") if head.startswith("refs/heads/") else ""

    def same(self, url: str) -> bool:
        """Whether a URL, in whatever spelling, is this repository: origin, or the checkout itself."""
        return repository_id(url, self.root) in {
            repository_id(here, self.root) for here in (self._origin, str(self.root)) if here
        }

    def resolve(self, revision: str) -> str:
        """The commit that a revision names; a branch that only origin has counts. Raises UsageError."""
        error = ""
        if self._kinds.get(revision) == "commit":
            return revision
        if revision and not revision.startswith("-") and "\0" not in revision:
            remote = (f"refs/remotes/origin/{revision}",) if _BRANCH.fullmatch(revision) else ()
            for name in (revision, *remote):
                answer = self._git.run("rev-parse", "--verify", f"{name}^{{commit}}")
                if not answer.status and _HASH.fullmatch(answer.text):
                    self._kinds[answer.text] = "commit"
                    return answer.text
                error = error or answer.error
        raise self._unknown(revision, error)

    def export(self, commit: str, target: Path) -> Artifact:
        """Write the raw files of a commit or tree, or with "" the work tree's, below `target`."""
        found = self._treeish(commit or "HEAD")
        revision = self.revision(found)
        target.mkdir(parents=True, exist_ok=True)
        if commit:
            return Artifact(target, revision, write_tree(self.scratch.contents(found), found, target))
        suffix = "-dirty" if self._dirty else ""
        return Artifact(target, revision + suffix, write_worktree(self.scratch.view(), self.root, target))

    def write(self, files: Mapping[str, Blob], commit: str, target: Path) -> None:
        """Write some regular files of a commit or tree, raw, below `target`."""
        write_files(self.scratch.contents(self._treeish(commit)), files, target)

    def read(self, commit: str, path: str) -> bytes | None:
        """A regular file of a commit or tree, raw, or with "" of the work tree; None where there is none."""
        if not commit:
            file = self.root / path
            return file.read_bytes() if file.is_file() and not file.is_symlink() else None
        git = self.scratch.view()
        listed = git.output("ls-tree", "--full-tree", "-z", self._treeish(commit), "--", path)
        mode, _, rest = listed.partition(b" ")
        if not mode.startswith(b"100"):
            return None
        return git.output("cat-file", "blob", rest.split(b"\t")[0].split(b" ")[1].decode())

    def switch(self, target: Path, before: str, after: str) -> Artifact:
        """Turn what `export` wrote of one commit or tree into another, touching only what differs."""
        old, new = self._treeish(before), self._treeish(after)
        return Artifact(target, self.revision(new), switch_tree(self.scratch.contents(new), target, old, new))

    def files(self, commit: str) -> Mapping[str, Blob]:
        """The files of a commit or tree, symlinks and submodules included, by path; "" has none."""
        if not commit:
            return {}
        return {entry.path: entry.blob for entry in tree_entries(self.scratch.view(), self._treeish(commit))}

    def changed(self, base: str, head: str) -> tuple[PathChange, ...]:
        """The files that two commits or trees differ in, by path; "" is an empty tree."""
        old, new = (self._treeish(side) if side else "" for side in (base, head))
        return changes(self.scratch.view(), old, new)

    def changed_on_disk(self, base: str) -> tuple[PathChange, ...]:
        """The files that the work tree and a commit differ in, by path; what was renamed is two of them."""
        form = self._git.output("rev-parse", "--show-object-format").decode().strip()
        return differences(self.files(base), files_on_disk(self.scratch.view(), self.root, form))

    def is_ancestor(self, older: str, newer: str) -> bool | None:
        """Whether `newer` contains `older`; None when the history at hand cannot tell."""
        try:
            old, new = self.resolve(older), self.resolve(newer)
        except UsageError:
            return None
        if self._contains(new, old):
            return True
        # Where a shallow history ends, "not found" proves nothing; the opposite order does.
        return False if not self._shallow or self._contains(old, new) else None

    def merge_base(self, one: str, other: str) -> str | None:
        """A commit that both contain; "" when there is none, None when the history at hand cannot tell."""
        found = history.merge_base(self._git, self.resolve(one), self.resolve(other))
        return found or (None if self._shallow else "")

    def tree(self, commit: str) -> str:
        """The hash of all files of a commit."""
        return self._git.output("rev-parse", "--verify", f"{self.resolve(commit)}^{{tree}}").decode().strip()

    def parents(self, commit: str) -> tuple[str, ...]:
        """The parents of a commit, those that this clone lacks included."""
        return history.parents(self._git, self.resolve(commit))

    def trailers(self, commit: str, name: str) -> tuple[str, ...]:
        """The values of a trailer (`Name: value`) at the end of a commit's message."""
        return history.trailers(self._git, self.resolve(commit), name)

    def last_change(self, commit: str, path: str, line: int) -> Authorship | None:
        found = history.last_change(self._git, commit, path, line)
        if found is None or not self._shallow:
            return found
        # Where a shallow history ends, everything seems to be new.
        before = history.parents(self._git, found.id)
        there = all(self._git.offline().run("cat-file", "-e", each).status == 0 for each in before)
        return found if there else None

    def merged(self, base: str, head: str) -> str:
        """The tree that merging `head` onto `base` would give. Raises UsageError when they conflict."""
        onto, commit = self.resolve(base), self.resolve(head)
        common = self.merge_base(onto, commit)
        if common is None:
            raise UsageError(
                f"{shown(head)} can't be merged onto {shown(base)}: their history ends before it meets",
                hint=FETCH_MORE,
            )
        if not common:
            raise UsageError(
                f"{shown(head)} can't be merged onto {shown(base)}: they have no history in common",
                hint="begin the branch at a commit of the base.",
            )
        return history.merged(self.scratch.bare(), onto, commit)

    def ensure(self, revision: str) -> str:
        """The commit that a revision names, fetched when only origin has it. Raises UsageError.

        Nothing is asked of origin but for whole hashes and branches. In a shallow clone that one commit is
        fetched and nothing before it.
        """
        try:
            return self.resolve(revision)
        except UsageError:
            if not (_HASH.fullmatch(revision) or _BRANCH.fullmatch(revision)) or not self._origin:
                raise
        source = revision if _HASH.fullmatch(revision) else f"refs/heads/{revision}"
        name = f"refs/fetched/{revision}"
        answer = self.scratch.fetch(source, name, alone=self._shallow)
        if answer.status:
            raise _not_fetched(revision, answer.error)
        found = self.scratch.bare().output("rev-parse", "--verify", f"{name}^{{commit}}").decode().strip()
        self._kinds[found] = "commit"
        return found

    def tip(self, branch: str) -> str:
        """The commit that origin has a branch at now, which is fetched; "" when that cannot be told."""
        if not self._origin or not _BRANCH.fullmatch(branch):
            return ""
        name = f"refs/tips/{branch}"
        if self.scratch.fetch(f"refs/heads/{branch}", name, alone=self._shallow).status:
            return ""
        return self.scratch.bare().output("rev-parse", "--verify", f"{name}^{{commit}}").decode().strip()

    @property
    def _git(self) -> GitCommand:
        """For what a clone has, however little of the contents that is."""
        return self.scratch.view().offline()

    def _identify(self) -> str:
        if origin := self._origin:
            return repository_id(origin, self.root)
        if self._shallow:  # its first commit is not the repository's
            return "unknown"
        head = self.resolve("HEAD")
        roots = self._git.output("rev-list", "--max-parents=0", "--timestamp", head).decode().splitlines()
        _, oldest = min((int(time), commit) for time, commit in map(str.split, roots))
        return f"commit:{oldest}"

    @property
    def _origin(self) -> str:
        urls = self._git.run("config", "--get-all", "remote.origin.url").text
        return urls.partition("\n")[0]  # the first one is what git fetches from

    @property
    def _shallow(self) -> bool:
        return self._git.run("rev-parse", "--is-shallow-repository").text == "true"

    @property
    def _dirty(self) -> bool:
        """Submodules don't count: their files are not exported."""
        states = ("--porcelain", "-z", "--untracked-files=normal", "--ignore-submodules=all")
        return bool(self._git.output("status", *states))

    def _treeish(self, revision: str) -> str:
        """The commit that a revision names, or the tree whose whole hash it is. Raises UsageError."""
        if self._kinds.get(revision) == "tree":
            return revision
        try:
            return self.resolve(revision)
        except UsageError:
            if _HASH.fullmatch(revision) and self._kind(revision) == "tree":
                return revision
            raise

    def _kind(self, name: str) -> str:
        """`commit`, `tree` …; "" for what is not in this clone."""
        if name not in self._kinds:
            found = self._git.run("cat-file", "-t", name).text
            if not found or not _HASH.fullmatch(name):
                return found
            self._kinds[name] = found
        return self._kinds[name]

    def revision(self, found: str) -> str:
        """In Flux's form; a tree that no commit has yet is on no branch."""
        branch = self.branch if self._kind(found) == "commit" else ""
        return (f"{branch}@" if branch else "") + f"{_algorithm(found)}:{found}"

    def _contains(self, newer: str, older: str) -> bool:
        answer = self._git.run("merge-base", "--is-ancestor", older, newer)
        if answer.status not in {0, 1}:
            raise UsageError(f"{self.root} can't be read: git merge-base failed: {answer.error}")
        return not answer.status

    def _unknown(self, revision: str, error: str) -> UsageError:
        if self._git.run("rev-parse", "--quiet", "--verify", "HEAD").status:
            return UsageError(f"{self.root} has no commits yet")
        if "is ambiguous" in error:
            return UsageError(f"revision {shown(revision)} is ambiguous", hint="write more of the hash.")
        hint = FETCH_MORE if self._shallow else "name a commit, branch or tag that this clone has."
        return UsageError(f"revision {shown(revision)!r} is not known in {self.root}", hint=hint)


def _not_fetched(revision: str, error: str) -> UsageError:
    said = [_CREDENTIALS.sub("", line) for line in _REASON.findall(error)]
    reason = shown(said[0]) if said else "it takes too long" if "Timeout" in error else "git fetch failed"
    return UsageError(
        f"{shown(revision)} is not in this clone, and can't be fetched from origin: {reason}",
        hint="have it in the clone beforehand (actions/checkout with `fetch-depth: 0`).",
    )


def _algorithm(commit: str) -> str:
    return "sha1" if len(commit) == 40 else "sha256"  # noqa: PLR2004 — hex digits
