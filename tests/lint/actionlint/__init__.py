"""actionlint, built once from a pinned Go module: what PyPI has of it downloads while it installs."""

from __future__ import annotations

import platform
import subprocess
import time
from pathlib import Path

from runner.clients.kustomize.toolchain import cache_dir, digest, go, go_environment, publish
from tests.cached_build import BuildError, alone, progress, say, span, tail

PINS = Path(__file__).parent
"""For another version change its go.mod, then `go mod tidy` there."""

MINIMUM_GO = "1.26.0"
PACKAGE = "github.com/rhysd/actionlint/cmd/actionlint"
SECONDS = 20
"""What a build with nothing in Go's own cache took on two cores."""


def ensure() -> Path:
    """The program, from the cache or built now. Raises BuildError."""
    machine = (platform.system(), platform.machine(), go_environment()["GOFLAGS"])
    parts = [(PINS / name).read_bytes() for name in ("go.mod", "go.sum")]
    target = cache_dir() / "actionlint" / digest([*parts, *map(str.encode, machine)]) / "actionlint"
    if not target.exists():
        with alone(target.parent, "actionlint"):
            if not target.exists():
                _build(target)
    return target


def _build(target: Path) -> None:
    say(f"building actionlint: about {span(SECONDS)}, once; it is kept in {target.parent}")
    staging = target.with_name("actionlint.partial")
    with progress("actionlint", time.monotonic()):
        done = subprocess.run(
            [go(MINIMUM_GO), "build", "-ldflags", "-s -w", "-o", staging, PACKAGE],
            cwd=PINS,
            env=go_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise BuildError(f"actionlint: could not be built:\n{tail(done.stderr)}")
    publish(staging, target)
