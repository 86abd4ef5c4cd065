"""The Git repository that the demo deploys from: a copy of `examples/fleet`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from examples.demo.terminal import DemoError, say, typed

FLEET = Path(__file__).parents[1] / "fleet"
AUTHOR = ("-c", "user.name=demo", "-c", "user.email=demo@example.invalid")


class Repository:
    """A checkout whose commits are shown as they are made."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "fleet"
        shutil.copytree(FLEET, self.directory)

    def begin(self) -> None:
        """Make it a repository with one commit."""
        typed("git init && git add . && git commit -m 'the fleet'")
        self._git("init", "--quiet")
        self._git("symbolic-ref", "HEAD", "refs/heads/main")
        self._git("add", ".")
        self._git("commit", "--quiet", "-m", "the fleet")

    def edit(self, path: str, old: str, new: str, *, after: str = "") -> None:
        """Replace a text in a file: the first that follows `after`."""
        file = self.directory / path
        text = file.read_text()
        place = text.find(old, max(text.find(after), 0))
        if after not in text or place < 0:
            raise DemoError(f"examples/fleet/{path}: has no {old!r}, which the demo changes")
        file.write_text(text[:place] + new + text[place + len(old) :])

    def commit(self, message: str) -> None:
        """Commit what was edited, and show it."""
        typed(f"git commit -am '{message}'")
        self._git("commit", "--quiet", "-am", message)
        self._show()

    def revert(self) -> None:
        """Take back the last commit."""
        typed("git revert --no-edit HEAD")
        self._git("revert", "--no-edit", "HEAD")
        self._show()

    def _show(self) -> None:
        for line in self._git("show", "--format=", "--unified=0", "--no-color").splitlines():
            if line.startswith("+++ b/"):
                say(f"  {line.removeprefix('+++ b/')}")
            elif line[:1] in {"+", "-"} and not line.startswith(("+++", "---")):
                say(f"  {line}")

    def _git(self, *arguments: str) -> str:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        # Nobody's hooks, signatures or templates.
        environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
        done = subprocess.run(
            ["git", *AUTHOR, *arguments],
            cwd=self.directory,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise DemoError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout
