"""The action as somebody else's workflow gets it: the tracked files, and the image made of them."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.image.daemon import Docker, alone

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Action:
    """What `uses:` names, with its image built."""

    docker: Docker
    directory: Path
    name: str
    image: str


@contextmanager
def build(docker: Docker, directory: Path) -> Iterator[Action]:
    """Export and build; in the end the image's name goes, and what it was made of stays in Docker's cache.

    The image is built as GitHub's runner builds it, by the command line, as that alone minds .dockerignore.
    The version is made up, so that runs of several checkouts don't take each other's image for their own.
    """
    export(directory)
    version = f"v{uuid.uuid4().hex[:12]}"
    image = f"act-kustodian-kustodian-{version}-dockeraction:latest"  # what act looks for
    with alone():
        docker.run("build", "--tag", image, "--file", str(directory / "Dockerfile"), str(directory))
    try:
        yield Action(docker, directory, f"kustodian/kustodian@{version}", image)
    finally:
        docker.run("image", "rm", "--force", "--no-prune", image, check=False)


def export(directory: Path) -> None:
    """The tracked files, as they are now: whatever else lies in the checkout is in nobody's clone."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, directory / name)
