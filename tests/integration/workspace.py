"""Real repositories for tests, apart from the configuration of whoever runs them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from runner.clients.git import GitCheckout


class Workspace:
    """A directory that tests run git in."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def git(self, *args, data=None) -> str:
        done = subprocess.run(["git", *args], cwd=self.path, input=data, capture_output=True, check=True)
        return os.fsdecode(done.stdout).removesuffix("\n")

    def write(self, name, content="x\n") -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    def commit(self, message="change", *args) -> str:
        self.git("add", "-A")
        self.git("commit", "--quiet", "--allow-empty", "-m", message, *args)
        return self.git("rev-parse", "HEAD")

    def clone(self, name, *args) -> Workspace:
        self.git("clone", "--quiet", *args, f"file://{self.path}", str(self.path.with_name(name)))
        return Workspace(self.path.with_name(name))

    def tree(self, *entries) -> str:
        """A commit of entries (mode, hash, name) that `git add` would not make."""
        made = b"".join(b"%s %s\0%s" % (mode, name, bytes.fromhex(blob)) for mode, blob, name in entries)
        tree = self.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", data=made)
        return self.git("commit-tree", "-m", "made by hand", tree)

    def blob(self, content=b"x\n") -> str:
        return self.git("hash-object", "-w", "--stdin", data=content)

    @property
    def checkout(self) -> GitCheckout:
        return GitCheckout.open(self.path)


def initial(path: Path, *options: str) -> Workspace:
    path.mkdir()
    workspace = Workspace(path)
    workspace.git("init", "--quiet", "-b", "main", *options)
    return workspace


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}
