"""The real kustomize-controller, built once from pinned Go modules and run against the test control plane."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path

from runner.clients.kustomize.toolchain import cache_dir, digest, go, go_environment, publish
from tests.cached_build import BuildError, alone, progress, say, span, tail

VERSION = "1.9.5"
PINS = Path(__file__).parent
PACKAGE = "github.com/fluxcd/kustomize-controller"
MINIMUM_GO = "1.26.0"
LINKER_FLAGS = "-s -w"
SECONDS = 180
"""What a build with nothing in Go's own cache took on two cores."""


def program() -> Path:
    """The program, from the cache or built now. Raises BuildError."""
    target = _cached()
    with alone(target.parent, f"kustomize-controller {VERSION}"):
        if not target.exists():
            _build(target)
    return target


def found() -> Path | None:
    """The same without building it: None when there is none yet."""
    return _cached() if _cached().exists() else None


def shapes() -> str:
    """What the structs of the controller's client are, as runner/typed/shapes.json has it."""
    compiler = go(MINIMUM_GO)
    done = subprocess.run(
        [compiler, "run", "./shapes"],
        cwd=PINS,
        env=go_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def _cached() -> Path:
    pins = [(PINS / file).read_bytes() for file in ("go.mod", "go.sum")]
    rest = [LINKER_FLAGS, go_environment()["GOFLAGS"], MINIMUM_GO, platform.system(), platform.machine()]
    key = digest([*pins, *(text.encode() for text in rest)])
    return cache_dir() / "kustomize-controller" / key / "kustomize-controller"


def _build(target: Path) -> None:
    label = f"kustomize-controller {VERSION}"
    say(
        f"building {label} to compare with: about {span(SECONDS)} on 2 cores "
        f"(this machine has {os.cpu_count()}), once; it is kept in {target.parent}"
    )
    try:
        compiler = go(MINIMUM_GO)
    except RuntimeError as error:
        raise BuildError(str(error)) from error
    began, staging = time.monotonic(), target.with_name(f"{target.name}.{os.getpid()}.partial")
    with progress(label, began):
        done = subprocess.run(
            [compiler, "build", "-ldflags", LINKER_FLAGS, "-o", staging, PACKAGE],
            cwd=PINS,
            env=go_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        staging.unlink(missing_ok=True)
        raise BuildError(f"{label} could not be built:\n{tail(done.stderr or done.stdout)}")
    publish(staging, target)
    say(f"{label}: done in {span(time.monotonic() - began)}")
