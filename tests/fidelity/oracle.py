"""The real `flux` command line: the one on PATH when it is of the right release, else built once."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from runner.clients.kustomize.toolchain import cache_dir, digest, go, go_environment, publish
from tests.cluster.build import LOG_TAIL_LINES, BuildError, _progress, _say, _span

VERSION = "2.9.5"
MODULE = f"github.com/fluxcd/flux2/v2@v{VERSION}"
SUM = "h1:jwCccxvkD+2QnsjN+pl5QqM8KnFUwA8pIoQ1Lf0avkA="
"""The module's hash as go.sum would have it; the module's own go.sum pins all that it is built from."""

MINIMUM_GO = "1.26.0"
SECONDS = 180
"""What a build with nothing in Go's own cache took on two cores."""

LINKER_FLAGS = f"-s -w -X main.VERSION={VERSION}"
PLACEHOLDER = "cmd/flux/manifests/placeholder.yaml"
"""The program embeds manifests that its release makes and its module lacks; only `flux install` and
`flux bootstrap` use them."""


def flux() -> Path:
    """The program: on PATH when that is exactly the right release, else in the cache, else built now.

    Raises:
        BuildError: it cannot be downloaded or built.
    """
    if found := _on_path():
        return found
    home = cache_dir() / "flux" / _key()
    target = home / "flux"
    if not target.exists():
        home.mkdir(parents=True, exist_ok=True)
        with _alone(home / "build.lock"):
            if not target.exists():
                _build(target)
    return target


def _on_path() -> Path | None:
    found = shutil.which("flux")
    if found is None:
        return None
    asked = subprocess.run([found, "version", "--client"], capture_output=True, text=True, check=False)
    return Path(found) if asked.stdout.split() == ["flux:", f"v{VERSION}"] else None


def _key() -> str:
    machine = [platform.system(), platform.machine()]
    parts = [MODULE, SUM, LINKER_FLAGS, go_environment()["GOFLAGS"], MINIMUM_GO, *machine]
    return digest(part.encode() for part in parts)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time build; the others say that they wait."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another process is building flux: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(target: Path) -> None:
    label = f"flux {VERSION}"
    _say(
        f"building {label} to compare with: about {_span(SECONDS)} on 2 cores "
        f"(this machine has {os.cpu_count()}), once; it is kept in {target.parent}"
    )
    try:
        compiler = go(MINIMUM_GO)
    except RuntimeError as error:
        raise BuildError(str(error)) from error
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="flux.", dir=target.parent) as scratch, _progress(label, began):
        source = Path(scratch) / "source"
        # Not copytree's default: the module cache's files are read-only, and this must be removable.
        shutil.copytree(_download(compiler), source, copy_function=shutil.copyfile)
        for directory in [source, *source.rglob("*/")]:
            directory.chmod(0o755)
        placeholder = source / PLACEHOLDER
        placeholder.parent.mkdir()
        placeholder.write_text("# made by the release\n")
        staging = Path(scratch) / "flux"
        arguments = ["build", "-ldflags", LINKER_FLAGS, "-o", staging, "./cmd/flux"]
        done = _go(compiler, *arguments, cwd=source)
        if done.returncode:
            tail = "\n".join((done.stderr or done.stdout).splitlines()[-LOG_TAIL_LINES:])
            raise BuildError(
                f"{label}: could not be built:\n{tail}\nmend that, or put {label} itself on PATH"
            )
        publish(staging, target)
    _say(f"{label}: done in {_span(time.monotonic() - began)}")


def _download(compiler: Path) -> Path:
    """The module's directory, in Go's own cache."""
    with tempfile.TemporaryDirectory() as elsewhere:  # not in a module: that one's go.mod would count
        answer = _go(compiler, "mod", "download", "-json", MODULE, cwd=Path(elsewhere))
    if answer.returncode:
        raise BuildError(
            f"{MODULE}: could not be downloaded: {(answer.stderr or answer.stdout).strip()}; "
            "check that the Go module proxy can be reached"
        )
    module = json.loads(answer.stdout)
    if module["Sum"] != SUM:
        raise BuildError(f"{MODULE}: its hash is {module['Sum']}, not {SUM}; do not build it")
    return Path(module["Dir"])


def _go(compiler: Path, *arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [compiler, *arguments],
        cwd=cwd,
        env=go_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
