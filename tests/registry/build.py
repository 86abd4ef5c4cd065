"""The registry of go-containerregistry, the library that Flux reads registries with: built once."""

from __future__ import annotations

import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from runner.clients.kustomize.toolchain import cache_dir, digest, go, go_environment, publish
from tests.cached_build import BuildError, alone, download, tail

MODULE = "github.com/google/go-containerregistry@v0.21.6"
SUM = "h1:T+yqQIlJXKrM98Om4DlW3GoWQAmhZuLMwoDOvVrtiUM="
MINIMUM_GO = "1.26.0"
LINKER_FLAGS = "-s -w"


def program() -> Path:
    """The program, from the cache or built now. Raises BuildError."""
    machine = [platform.system(), platform.machine()]
    key = digest(part.encode() for part in [MODULE, SUM, LINKER_FLAGS, MINIMUM_GO, *machine])
    target = cache_dir() / "registry" / key / "registry"
    with alone(target.parent, "a registry"):
        if not target.exists():
            _build(target)
    return target


def _build(target: Path) -> None:
    try:
        compiler = go(MINIMUM_GO)
    except RuntimeError as error:
        raise BuildError(str(error)) from error
    with tempfile.TemporaryDirectory(prefix="registry.", dir=target.parent) as scratch:
        module = download(compiler, MODULE, Path(scratch))
        if module["Sum"] != SUM:
            raise BuildError(f"{MODULE}: its hash is {module['Sum']}, not {SUM}; do not build it")
        source, staging = Path(scratch) / "source", Path(scratch) / "registry"
        shutil.copytree(module["Dir"], source, copy_function=shutil.copyfile)
        for directory in [source, *source.rglob("*/")]:
            directory.chmod(0o755)
        done = subprocess.run(
            [compiler, "build", "-ldflags", LINKER_FLAGS, "-o", staging, "./cmd/registry"],
            cwd=source,
            env=go_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BuildError(f"the registry could not be built:\n{tail(done.stderr or done.stdout)}")
        publish(staging, target)
