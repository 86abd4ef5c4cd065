"""Where a test control plane keeps its data: in memory where there is room, gone with it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - a private directory in it, made and checked by _base
ROOM_NEEDED = 1 << 30
IN_USE = "in-use.lock"


def claim(chosen: Path | None) -> tuple[Path, int]:
    """An empty directory and the descriptor whose lock marks it as in use, for as long as it is open.

    Without a choice it is a new one, after removing those that were left by control planes that died.

    Raises:
        ValueError: the chosen directory has something in it.
    """
    if chosen is not None:
        chosen.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(chosen.iterdir()):
            raise ValueError(
                f"{chosen}: is not empty, and a control plane removes its directory when it stops; "
                "name a new or an empty directory"
            )
        return chosen.resolve(), _lock(chosen / IN_USE)
    base = _base()
    guard = _lock(base / "claim.lock")
    try:
        _remove_abandoned(base)
        directory = Path(tempfile.mkdtemp(prefix="control-plane-", dir=base))
        return directory, _lock(directory / IN_USE)
    finally:
        os.close(guard)


def _base() -> Path:
    """The user's own directory for control planes: in memory when more than 1 GiB is free there."""
    with contextlib.suppress(OSError):
        if shutil.disk_usage(MEMORY).free > ROOM_NEEDED and os.access(MEMORY, os.W_OK):
            return _private(MEMORY)
    return _private(Path(tempfile.gettempdir()))


def _private(parent: Path) -> Path:
    base = parent / f"kustodian-test-{os.geteuid()}"
    base.mkdir(mode=0o700, exist_ok=True)
    if base.is_symlink() or base.stat().st_uid != os.geteuid():
        raise PermissionError(
            f"{base}: belongs to another user; remove it or set TMPDIR to a directory of yours"
        )
    return base


def _remove_abandoned(base: Path) -> None:
    for directory in base.glob("control-plane-*"):
        try:
            held = os.open(directory / IN_USE, os.O_RDWR)
        except FileNotFoundError:
            shutil.rmtree(directory, ignore_errors=True)
            continue
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(directory, ignore_errors=True)
        os.close(held)


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor
