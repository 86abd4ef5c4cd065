"""Where our own programs in Go are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import WorkerError

if TYPE_CHECKING:
    from runner.clients.kustomize.compile import Program


def find_worker() -> Path:
    """The program that `KUSTODIAN_WORKER` names, else the packaged one, else the one in the build cache.

    Raises:
        WorkerError: there is none.
    """
    from runner.clients.kustomize.compile import WORKER  # it also is a program of its own

    return _find(WORKER)


def find_decryptor() -> Path:
    """The same for the decryptor, which `KUSTODIAN_DECRYPTOR` names.

    Raises:
        WorkerError: there is none.
    """
    from runner.clients.kustomize.compile import DECRYPTOR

    return _find(DECRYPTOR)


def _find(program: Program) -> Path:
    from runner.clients.kustomize.compile import cached

    if chosen := os.environ.get(program.chosen):
        return _existing(program, Path(chosen), hint=f"{program.chosen} names it.")
    packaged = Path(__file__).parent / program.name
    if packaged.exists():
        return packaged
    if not program.sources.exists():
        return _existing(
            program, packaged, hint=f"install kustodian again; its wheel contains the {program.title}."
        )
    build = f"python -m runner.clients.kustomize.compile {program.sources.name}"
    return _existing(program, cached(program), hint=f"build it: {build}")


def _existing(program: Program, path: Path, *, hint: str) -> Path:
    if not path.exists():
        raise WorkerError(f"{path}: the {program.title} is not there", hint=hint)
    return path
