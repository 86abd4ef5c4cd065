"""The Git checkout this run is about: which repository, which commit, which files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from runner.clients.git.command import GitCommand
from runner.clients.git.identity import repository_id
from runner.clients.git.tree import shown, write_commit, write_worktree
from runner.errors import UsageError
from runner.model import Artifact

_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BRANCH = re.compile(r"\w[\w./-]*")
_FETCH_MORE = "this clone is shallow: fetch the history too (actions/checkout with `fetch-depth: 0`)."


@dataclass(frozen=True, slots=True)
class GitCheckout:
    """A work tree and the repository behind it; answers the port `Repository`."""

    root: Path

    @classmethod
    def open(cls, path: Path) -> GitCheckout:
        """The work tree that holds `path`. Raises UsageError."""
        directory = path if path.is_dir() else path.parent
        if not path.exists():
            raise UsageError(f"{path} does not exist")
        git = GitCommand(directory)
        asked = git.run("rev-parse", "--is-inside-work-tree")
        if asked.status and "not a git repository" not in asked.error:
            raise UsageError(f"{directory} can't be read: {asked.error}")
        if asked.status:
            raise UsageError(
                f"{directory} is not in a Git repository",
                hint="run in a clone, or name one with `--repo`; in a workflow, use actions/checkout first.",
            )
        if asked.text != "true":
            raise UsageError(
                f"{directory} has no work tree", hint="a bare repository won't do: name a clone with files."
            )
        return cls(Path(git.run("rev-parse", "--show-toplevel").text))

    @property
    def identity(self) -> str:
        """Origin's URL without what differs between clones; else the oldest commit; else `unknown`."""
        if origin := self._origin:
            return repository_id(origin, self.root)
        if self._shallow:  # its first commit is not the repository's
            return "unknown"
        head = self.resolve("HEAD")
        roots = self._git.output("rev-list", "--max-parents=0", "--timestamp", head).decode().splitlines()
        _, oldest = min((int(time), commit) for time, commit in map(str.split, roots))
        return f"commit:{oldest}"

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
        if revision and not revision.startswith("-") and "\0" not in revision:
            remote = (f"refs/remotes/origin/{revision}",) if _BRANCH.fullmatch(revision) else ()
            for name in (revision, *remote):
                answer = self._git.run("rev-parse", "--verify", f"{name}^{{commit}}")
                if not answer.status and _HASH.fullmatch(answer.text):
                    return answer.text
                error = error or answer.error
        raise self._unknown(revision, error)

    def export(self, commit: str, target: Path) -> Artifact:
        """Write a commit's raw files, or with commit "" the work tree's, below `target`."""
        found = self.resolve(commit or "HEAD")
        target.mkdir(parents=True, exist_ok=True)
        branch = self.branch
        revision = (f"{branch}@" if branch else "") + f"{_algorithm(found)}:{found}"
        if commit:
            return Artifact(target, revision, write_commit(self._git, found, target))
        suffix = "-dirty" if self._dirty else ""
        return Artifact(target, revision + suffix, write_worktree(self._git, self.root, target))

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

    @property
    def _git(self) -> GitCommand:
        return GitCommand(self.root)

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
        hint = _FETCH_MORE if self._shallow else "name a commit, branch or tag that this clone has."
        return UsageError(f"revision {shown(revision)!r} is not known in {self.root}", hint=hint)


def _algorithm(commit: str) -> str:
    return "sha1" if len(commit) == 40 else "sha256"  # noqa: PLR2004 — hex digits
