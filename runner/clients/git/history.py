"""How commits are related, and what the merge of two of them would be."""

from __future__ import annotations

from runner.clients.git.command import GitCommand
from runner.clients.git.disk import shown
from runner.clients.git.listing import split
from runner.errors import UsageError
from runner.ports import Authorship

FETCH_MORE = "this clone is shallow: fetch the history too (actions/checkout with `fetch-depth: 0`)."
_CONFLICT, _USAGE = 1, 129  # exit codes of git
_NAMED = 10
_PARTS = 4  # of a commit, as it is asked for


def parents(git: GitCommand, commit: str) -> tuple[str, ...]:
    """As the commit itself has them: asked for its history, a shallow clone would say that it has none."""
    head, _, _ = git.output("cat-file", "commit", commit).partition(b"\n\n")
    return tuple(line[7:].decode() for line in head.splitlines() if line.startswith(b"parent "))


def trailers(git: GitCommand, commit: str, name: str) -> tuple[str, ...]:
    """What the last paragraph of a commit's message says under a name; see `git interpret-trailers`."""
    form = f"--format=%(trailers:key={name},valueonly,unfold)"
    text = git.output("show", "--no-patch", form, commit).decode(errors="replace")
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def merge_base(git: GitCommand, one: str, other: str) -> str:
    """A commit that both contain, as new as can be; "" when none is found."""
    answer = git.run("merge-base", one, other)
    if answer.status not in {0, 1}:
        raise UsageError(f"{git.directory} can't be read: git merge-base failed: {answer.error}")
    return answer.text


def last_change(git: GitCommand, commit: str, path: str, line: int) -> Authorship | None:
    """The commit that last changed the YAML document that begins at a line, or (0) the whole file."""
    form = "--format=%H%x00%an%x00%aI%x00%s"
    quiet = ("-1", "-s", "--no-textconv", "--no-ext-diff", "--no-show-signature", form)
    if not line:
        answer = git.run("log", *quiet, commit, "--", f":(top,literal){path}")
    else:
        last = _document_end(git.run("cat-file", "blob", f"{commit}:{path}").output, line)
        answer = git.run("log", *quiet, f"-L{line},{last}:{path}", commit)
    found = answer.text.split("\0")
    return None if answer.status or len(found) != _PARTS else Authorship(*found)


def _document_end(data: bytes, first: int) -> int:
    """The last line of the YAML document that begins at this one, counted from 1."""
    lines = data.splitlines()
    after = (number for number, line in enumerate(lines[first:], first) if line.startswith(b"---"))
    return max(next(after, len(lines)), first)


def merged(git: GitCommand, base: str, head: str) -> str:
    """The tree of the merge of one commit onto another that it has history in common with."""
    answer = git.run("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", base, head)
    if answer.status == _USAGE:
        raise UsageError(
            f"the merge of {head[:8]} onto {base[:8]} can't be computed: this git is too old",
            hint="install git 2.38 or newer, or check out the merge commit of the pull request.",
        )
    if answer.status not in {0, _CONFLICT}:
        raise UsageError(f"{head[:8]} can't be merged onto {base[:8]}: {answer.error}")
    tree, *conflicts = split(answer.output)
    if answer.status == _CONFLICT:
        more = len(conflicts) - _NAMED
        names = ", ".join(map(shown, sorted(conflicts)[:_NAMED])) + (f" and {more} more" if more > 0 else "")
        raise UsageError(
            f"{head[:8]} can't be merged onto {base[:8]}: both change {names}",
            hint="merge the base into the branch, or rebase the branch onto it.",
        )
    return tree
