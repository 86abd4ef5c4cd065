"""The real `flux` command line: the one on PATH when it is of the right release, else built once."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from runner.clients.kustomize.toolchain import cache_dir, digest, go, go_environment, publish
from tests.cached_build import BuildError, alone, download, progress, say, span, tail

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
    if program := found():
        return program
    target = _cached()
    with alone(target.parent, "flux"):
        if not target.exists():
            _build(target)
    return target


def found() -> Path | None:
    """The same without building it: None when there is none yet."""
    return _on_path() or (_cached() if _cached().exists() else None)


def _cached() -> Path:
    return cache_dir() / "flux" / _key() / "flux"


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


def _build(target: Path) -> None:
    label = f"flux {VERSION}"
    say(
        f"building {label} to compare with: about {span(SECONDS)} on 2 cores "
        f"(this machine has {os.cpu_count()}), once; it is kept in {target.parent}"
    )
    try:
        compiler = go(MINIMUM_GO)
    except RuntimeError as error:
        raise BuildError(str(error)) from error
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="flux.", dir=target.parent) as scratch, progress(label, began):
        source = Path(scratch) / "source"
        # Not copytree's default: the module cache's files are read-only, and this must be removable.
        shutil.copytree(_download(compiler), source, copy_function=shutil.copyfile)
        for directory in [source, *source.rglob("*/")]:
            directory.chmod(0o755)
        placeholder = source / PLACEHOLDER
        placeholder.parent.mkdir()
        placeholder.write_text("# made by the release\n")
        staging = Path(scratch) / "flux"
        _compile(compiler, source, staging)
        publish(staging, target)
    say(f"{label}: done in {span(time.monotonic() - began)}")


def _compile(compiler: Path, source: Path, target: Path) -> None:
    done = subprocess.run(
        [compiler, "build", "-ldflags", LINKER_FLAGS, "-o", target, "./cmd/flux"],
        cwd=source,
        env=go_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BuildError(
            f"flux {VERSION}: could not be built:\n{tail(done.stderr or done.stdout)}\n"
            f"mend that, or put flux {VERSION} itself on PATH"
        )


def _download(compiler: Path) -> Path:
    """The module's directory, in Go's own cache."""
    with tempfile.TemporaryDirectory() as elsewhere:  # not in a module: that one's go.mod would count
        module = download(compiler, MODULE, Path(elsewhere))
    if module["Sum"] != SUM:
        raise BuildError(f"{MODULE}: its hash is {module['Sum']}, not {SUM}; do not build it")
    return Path(module["Dir"])
