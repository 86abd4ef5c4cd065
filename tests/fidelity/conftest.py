"""What is compared: the real flux, and our worker."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from runner.clients.kustomize import WorkerPool
from runner.clients.kustomize.compile import build as compile_worker
from tests.cached_build import BuildError
from tests.fidelity import oracle
from tests.fidelity.cli import Flux
from tests.fidelity.remembered import Answers


@pytest.fixture(scope="session")
def flux(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Flux:
    """The flux command line; built where its progress can be seen, as it may take minutes."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        try:
            program = oracle.flux()
        except BuildError as error:
            pytest.skip(f"needs flux {oracle.VERSION}: {error}")
    answers = None if pytestconfig.getoption("--ask-flux") else Answers.of(program)
    return Flux(program, tmp_path_factory.mktemp("flux"), answers)


@pytest.fixture(scope="session")
def pool() -> Iterator[WorkerPool]:
    compile_worker()
    with WorkerPool() as shared:
        yield shared


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[Mapping[str, str]], Path]:
    """Makes an artifact of texts by path."""

    def make(files: Mapping[str, str]) -> Path:
        root = tmp_path / "artifact"
        root.mkdir()
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
        return root

    return make
