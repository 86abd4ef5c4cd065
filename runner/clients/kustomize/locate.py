"""Where the render worker's program is."""

from __future__ import annotations

import os
from pathlib import Path

from runner.errors import WorkerError

_CHOSEN = "KUSTODIAN_WORKER"


def find_worker() -> Path:
    """The program that `KUSTODIAN_WORKER` names, else the packaged one, else the one in the build cache.

    Raises:
        WorkerError: there is none.
    """
    from runner.clients.kustomize import compile as compiler  # it also is a program of its own

    if chosen := os.environ.get(_CHOSEN):
        return _existing(Path(chosen), hint=f"{_CHOSEN} names it.")
    packaged = Path(__file__).parent / compiler.NAME
    if packaged.exists():
        return packaged
    if not compiler.SOURCES.exists():
        return _existing(packaged, hint="install kustodian again; its wheel contains the render worker.")
    return _existing(compiler.cached(), hint="build it: python -m runner.clients.kustomize.compile")


def _existing(path: Path, *, hint: str) -> Path:
    if not path.exists():
        raise WorkerError(f"{path}: the render worker is not there", hint=hint)
    return path
