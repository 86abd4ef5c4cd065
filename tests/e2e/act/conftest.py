"""The action's image, and a world to run it in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.act.image import Action, build
from tests.e2e.act.workflow import Act, program
from tests.e2e.harness import ENTRY, Bench
from tests.e2e.image.daemon import Missing, docker


@pytest.fixture(scope="session")
def action(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Action]:
    """The action of the present sources."""
    try:
        with docker() as found, build(found, tmp_path_factory.mktemp("action")) as made:
            yield made
    except Missing as exc:
        pytest.skip(f"needs docker: {exc}")


@pytest.fixture
def repository(world: Bench) -> str:
    """What GitHub calls the world's repository."""
    name = f"somebody/{world.namespace}"
    world.repository.git("remote", "add", "origin", f"https://github.com/{name}")
    return name


@pytest.fixture
def act(action: Action, world: Bench, repository: str, tmp_path: Path) -> Act:
    """Runs events in the world's repository, with a kubeconfig that lies in a secret."""
    try:
        program()
    except Missing as exc:
        pytest.skip(f"needs {exc}")
    directory = tmp_path / "act"
    directory.mkdir()
    inputs = {"entry": ENTRY, "root": world.root, "kubeconfig": "${{ secrets.KUBECONFIG }}"}
    secrets = {"KUBECONFIG": world.kubeconfig.read_text()}
    return Act(action, world.repository.path, repository, directory, inputs, secrets)
