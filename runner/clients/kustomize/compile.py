"""Compile the render worker; standard library only, because the wheel's build hook loads it too."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from . import toolchain

SOURCES = Path(__file__).parent / "worker"
NAME = "kustodian-worker"
PREBUILT = "KUSTODIAN_WORKER_PREBUILT"


def source_hash() -> str:
    """The hash of everything that goes into the worker."""
    files = [path for path in sorted(SOURCES.glob("*.go")) if not path.name.endswith("_test.go")]
    files += [SOURCES / "go.mod", SOURCES / "go.sum"]
    return toolchain.digest(part for path in files for part in (path.name.encode(), path.read_bytes()))


def minimum_go() -> str:
    """The Go version that go.mod asks for."""
    found = re.search(r"^go (\S+)$", (SOURCES / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"{SOURCES / 'go.mod'} names no Go version")
    return found[1]


def needs_go() -> bool:
    """Whether a Go toolchain has to be found, or fetched, before `build` can run."""
    return not (os.environ.get(PREBUILT) or cached().exists()) and toolchain.go_on_path(minimum_go()) is None


def cached() -> Path:
    """Where the worker of the present sources is kept once it is built."""
    return toolchain.cache_dir() / "worker" / source_hash() / NAME


def build() -> Path:
    """Give the worker of the present sources: the prebuilt one, the one in the cache, else a new one.

    Raises:
        RuntimeError: the prebuilt worker is of other sources, or Go failed; its output is the message.
    """
    if prebuilt := os.environ.get(PREBUILT):
        return _checked(Path(prebuilt))
    target = cached()
    if not target.exists():
        staging = target.parent.with_name(f"{target.parent.name}.{os.getpid()}")
        staging.mkdir(parents=True, exist_ok=True)
        _run_go(staging / NAME)
        toolchain.publish(staging, target.parent)
    return target


def _run_go(output: Path) -> None:
    flags = f"-s -w -X main.sourceHash={source_hash()}"
    done = subprocess.run(
        [toolchain.go(minimum_go()), "build", "-ldflags", flags, "-o", output, "."],
        cwd=SOURCES,
        env=toolchain.go_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the render worker does not compile: {done.stderr.strip()}")


def _checked(prebuilt: Path) -> Path:
    try:
        asked = subprocess.run(
            [prebuilt, "-source-hash"], capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise RuntimeError(f"{PREBUILT}: {prebuilt} cannot be run: {error}") from error
    if (found := asked.stdout.strip()) != (wanted := source_hash()):
        raise RuntimeError(f"{PREBUILT}: {prebuilt} is made of sources {found}, these are {wanted}")
    return prebuilt.resolve()


if __name__ == "__main__":
    sys.stdout.write(f"{build()}\n")
