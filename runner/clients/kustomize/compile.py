"""Compile the render worker and the decryptor; standard library only: the wheel's build hook loads it too."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from . import toolchain


@dataclass(frozen=True)
class Program:
    """One of our own programs in Go, with a module of its own."""

    name: str
    title: str
    sources: Path
    prebuilt: str
    """The environment variable that names one that is compiled already."""
    chosen: str
    """The one that names the program to run, whatever it is made of."""


WORKER = Program(
    "kustodian-worker",
    "render worker",
    Path(__file__).parent / "worker",
    "KUSTODIAN_WORKER_PREBUILT",
    "KUSTODIAN_WORKER",
)
DECRYPTOR = Program(
    "kustodian-decryptor",
    "decryptor",
    Path(__file__).parent / "decryptor",
    "KUSTODIAN_DECRYPTOR_PREBUILT",
    "KUSTODIAN_DECRYPTOR",
)
PROGRAMS = (WORKER, DECRYPTOR)


def source_hash(program: Program = WORKER) -> str:
    """The hash of everything that goes into a program."""
    sources = program.sources
    files = [path for path in sorted(sources.glob("*.go")) if not path.name.endswith("_test.go")]
    files += [sources / "go.mod", sources / "go.sum"]
    return toolchain.digest(part for path in files for part in (path.name.encode(), path.read_bytes()))


def minimum_go(program: Program = WORKER) -> str:
    """The Go version that go.mod asks for."""
    file = program.sources / "go.mod"
    found = re.search(r"^go (\S+)$", file.read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"{file} names no Go version")
    return found[1]


def needs_go(program: Program = WORKER) -> bool:
    """Whether a Go toolchain has to be found, or fetched, before `build` can run."""
    at_hand = os.environ.get(program.prebuilt) or cached(program).exists()
    return not at_hand and toolchain.go_on_path(minimum_go(program)) is None


def cached(program: Program = WORKER) -> Path:
    """Where the program of the present sources is kept once it is built."""
    kind = program.name.rpartition("-")[2]
    return toolchain.cache_dir() / kind / source_hash(program) / program.name


def build(program: Program = WORKER) -> Path:
    """Give the program of the present sources: the prebuilt one, the one in the cache, else a new one.

    Raises:
        RuntimeError: the prebuilt program is of other sources, or Go failed; its output is the message.
    """
    if prebuilt := os.environ.get(program.prebuilt):
        return _checked(program, Path(prebuilt))
    target = cached(program)
    if not target.exists():
        staging = target.parent.with_name(f"{target.parent.name}.{os.getpid()}")
        staging.mkdir(parents=True, exist_ok=True)
        _run_go(program, staging / program.name)
        toolchain.publish(staging, target.parent)
    return target


def _run_go(program: Program, output: Path) -> None:
    flags = f"-s -w -X main.sourceHash={source_hash(program)}"
    done = subprocess.run(
        [toolchain.go(minimum_go(program)), "build", "-ldflags", flags, "-o", output, "."],
        cwd=program.sources,
        env=toolchain.go_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the {program.title} does not compile: {done.stderr.strip()}")


def _checked(program: Program, prebuilt: Path) -> Path:
    try:
        asked = subprocess.run(
            [prebuilt, "-source-hash"], capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise RuntimeError(f"{program.prebuilt}: {prebuilt} cannot be run: {error}") from error
    if (found := asked.stdout.strip()) != (wanted := source_hash(program)):
        raise RuntimeError(f"{program.prebuilt}: {prebuilt} is made of sources {found}, these are {wanted}")
    return prebuilt.resolve()


if __name__ == "__main__":
    chosen = [each for each in PROGRAMS if each.sources.name in (sys.argv[1:] or ["worker"])]
    sys.stdout.writelines(f"{build(program)}\n" for program in chosen)
