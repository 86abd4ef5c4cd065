"""Builds the test control plane's programs from pinned Go modules, once, into the cache."""

from __future__ import annotations

import dataclasses
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from runner.clients.kustomize.toolchain import cache_dir, digest, go, go_environment, publish
from tests.cached_build import BuildError, alone, download, progress, say, span, tail

PINS = Path(__file__).with_name("pins")
"""A module for each group of programs; for another version change its go.mod, then `go mod tidy` there."""

MINIMUM_GO = "1.26.0"
STAGES = (
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
)
"""kwok's own rules for nodes and pods that are used, as paths in its module's `kustomize/stage`."""

ASSETS_VARIABLE = "KUBEBUILDER_ASSETS"


@dataclasses.dataclass(frozen=True)
class Program:
    """One program: the module below `pins/` that pins it, its package, and its cold build time."""

    name: str
    pins: str
    package: str
    seconds: int
    """What a build with nothing in Go's own cache took on two cores."""


PROGRAMS = (
    Program("etcd", "etcd", "go.etcd.io/etcd/server/v3", 50),
    Program("kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver", 380),
    Program("kube-controller-manager", "kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager", 120),
    Program("kube-scheduler", "kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler", 15),
    Program("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", 90),
)


@dataclasses.dataclass(frozen=True)
class Binaries:
    """Where the programs and kwok's stages are."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kube_scheduler: Path
    kwok: Path
    stages: Path


def ensure() -> Binaries:
    """The programs, ready to run: the given ones, then the cached ones, and the rest is built now.

    Raises:
        BuildError: a build failed; its log is named in the message.
    """
    home = cache_dir() / "control-plane" / _digest()
    found = {p.name: home / p.name for p in PROGRAMS if (home / p.name).exists()} | _given()
    if len(found) < len(PROGRAMS) or not (home / "stages").exists():
        with alone(home, "the test control plane"):
            missing = [p for p in PROGRAMS if p.name not in found and not (home / p.name).exists()]
            _build(missing, home)
            _fetch_stages(home / "stages")
    paths = {p.name.replace("-", "_"): found.get(p.name, home / p.name) for p in PROGRAMS}
    return Binaries(stages=home / "stages", **paths)


def _digest() -> str:
    """What the cache is keyed by: everything of ours that decides what comes out of a build."""
    pins = sorted(p for p in PINS.rglob("go.*") if p.is_file())
    parts = [part for p in pins for part in (p.relative_to(PINS).as_posix().encode(), p.read_bytes())]
    flags = [_linker_flags(p) for p in PROGRAMS] + [go_environment()["GOFLAGS"], MINIMUM_GO]
    machine = [platform.system(), platform.machine()]
    return digest([*parts, *(text.encode() for text in [*flags, *machine, *STAGES])])


def _given() -> dict[str, Path]:
    """The programs in the directory that `KUBEBUILDER_ASSETS` names; none when it lacks the two main ones."""
    named = os.environ.get(ASSETS_VARIABLE)
    if not named:
        return {}
    found = {p.name: Path(named).resolve() / p.name for p in PROGRAMS}
    found = {name: path for name, path in found.items() if os.access(path, os.X_OK)}
    if not {"etcd", "kube-apiserver"} <= found.keys():
        say(f"{ASSETS_VARIABLE}={named}: has no etcd and kube-apiserver, so it is not used")
        return {}
    return found


def _build(missing: list[Program], home: Path) -> None:
    if not missing:
        return
    compiler = go(MINIMUM_GO)
    minutes = max(1, round(sum(p.seconds for p in missing) / 60))
    say(
        f"building the test control plane: about {minutes} minute{'s' if minutes > 1 else ''} on 2 cores "
        f"(this machine has {os.cpu_count()}), once; it is kept in {home}"
    )
    for number, program in enumerate(missing, start=1):
        _build_one(compiler, program, home, f"[{number}/{len(missing)}] {program.name}")


def _build_one(compiler: Path, program: Program, home: Path, label: str) -> None:
    log = home / f"{program.name}.log"
    staging = home / f"{program.name}.{os.getpid()}.partial"
    arguments = ["-ldflags", _linker_flags(program), "-o", str(staging), program.package]
    say(f"{label}: about {span(program.seconds)}")
    began = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(compiler), "build", *arguments],
            cwd=PINS / program.pins,
            env=go_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            with progress(label, began):
                status = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            staging.unlink(missing_ok=True)
            raise
    if status:
        staging.unlink(missing_ok=True)
        raise BuildError(
            f"{program.name}: could not be built, go ended with {status}; the whole log is {log}, "
            f"its end:\n{tail(log.read_text())}\n"
            f"mend that, or name a directory with ready-made programs in {ASSETS_VARIABLE}"
        )
    publish(staging, home / program.name)
    log.unlink()
    say(f"{label}: done in {span(time.monotonic() - began)}")


def _fetch_stages(target: Path) -> None:
    """Copy the stages out of kwok's module: its program has none of its own."""
    if target.exists():
        return
    kwok = download(go(MINIMUM_GO), "sigs.k8s.io/kwok", PINS / "kwok")
    source = Path(kwok["Dir"]) / "kustomize" / "stage"
    staging = Path(tempfile.mkdtemp(prefix="stages.", dir=target.parent))
    for number, stage in enumerate(STAGES):
        # Not copy(): the module cache's files are read-only, and the cache must stay removable.
        shutil.copyfile(source / stage, staging / f"{number}-{Path(stage).name}")
    # A cache may be shared between users, and mkdtemp() makes directories for one.
    staging.chmod(0o755)
    publish(staging, target)


def _linker_flags(program: Program) -> str:
    """No symbol tables; for Kubernetes also its version, which `/version` and `kubectl version` show."""
    flags = "-s -w"
    if program.pins == "kubernetes":
        stamp = "k8s.io/component-base/version"
        version, major, minor = _kubernetes_version()
        flags += f" -X {stamp}.gitVersion={version} -X {stamp}.gitMajor={major} -X {stamp}.gitMinor={minor}"
    return flags


def _kubernetes_version() -> tuple[str, str, str]:
    text = (PINS / "kubernetes" / "go.mod").read_text()
    pinned = re.search(r"^\s*(?:require )?k8s\.io/kubernetes (v(\d+)\.(\d+)\.\S+)", text, re.MULTILINE)
    if pinned is None:
        raise BuildError(
            f"{PINS / 'kubernetes' / 'go.mod'}: requires no k8s.io/kubernetes; add the require line"
        )
    return pinned[1], pinned[2], pinned[3]
