"""A Docker to build with: the machine's own, else a daemon that lives as long as some test uses it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from runner.clients.kustomize import toolchain
from tests.e2e.image import base

_PAUSE = threading.Event()  # is never set
STARTS_WITHIN = 30.0
_NEEDED = ("docker", "dockerd", "debootstrap", "iptables", "setsid", "tar", "chroot")
_RUNTIME = Path("/run/kustodian-docker")
_SOCKET, _PID, _LOG = _RUNTIME / "docker.sock", _RUNTIME / "docker.pid", _RUNTIME / "dockerd.log"
os.environ["PATH"] += os.pathsep + "/usr/sbin" + os.pathsep + "/sbin"


class Missing(Exception):
    """The machine has no Docker, and none can be started."""


@dataclass(frozen=True, slots=True)
class Docker:
    """The command line of one daemon."""

    host: str = ""  # "" for the machine's own

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run to the end; a failure raises with what Docker said."""
        done = subprocess.run(
            ["docker", *arguments], env=self.environment(), capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            raise RuntimeError(f"docker {arguments[0]} failed: {(done.stdout + done.stderr)[-4000:]}")
        return done

    def environment(self) -> dict[str, str]:
        """For any program that is to use this daemon."""
        # The legacy builder: where no registry is, nothing else can be had.
        chosen = {"DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "0"} if self.host else {}
        return {**os.environ, **chosen}

    def containers(self, name: str) -> list[str]:
        """Those with this in their names, also when they have ended."""
        return self.run("ps", "--all", "--quiet", "--filter", f"name={name}").stdout.split()

    def remove(self, name: str) -> None:
        """End and remove them, if there are any."""
        if found := self.containers(name):
            self.run("rm", "--force", "--volumes", *found, check=False)

    @property
    def gateway(self) -> str:
        """Where containers reach this machine: its end of Docker's bridge."""
        form = "{{ (index .IPAM.Config 0).Gateway }}"
        return self.run("network", "inspect", "bridge", "--format", form).stdout.strip()

    def answers(self) -> bool:
        return not self.run("info", check=False).returncode

    def has(self, image: str) -> bool:
        return not self.run("image", "inspect", image, check=False).returncode


@contextmanager
def docker() -> Iterator[Docker]:
    """A Docker that has, or can pull, the base image. Raises Missing."""
    if shutil.which("docker") and (machine := Docker()).answers():
        _pull(machine)
        yield machine
        return
    if os.geteuid():
        raise Missing("root, to start dockerd")
    if absent := [program for program in _NEEDED if shutil.which(program) is None]:
        raise Missing(f"{', '.join(absent)} on PATH")
    _RUNTIME.mkdir(exist_ok=True)
    with (_RUNTIME / "users").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield _own()
        finally:
            _leave(users)


@contextmanager
def alone() -> Iterator[None]:
    """One process at a time starts the daemon, makes the base image, or builds."""
    toolchain.cache_dir().mkdir(parents=True, exist_ok=True)
    with (toolchain.cache_dir() / "docker.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _pull(machine: Docker) -> None:
    if not machine.has(base.TAG):
        pulled = machine.run("pull", "--quiet", base.TAG, check=False)
        if pulled.returncode:
            raise Missing(f"{base.TAG}, which this machine's Docker cannot pull: {pulled.stderr.strip()}")


def _own() -> Docker:
    own = Docker(f"unix://{_SOCKET}")
    with alone():
        if not own.answers():
            _start(own)
        if not own.has(twin := f"kustodian-base:{base.key()}"):
            settings = [part for setting in base.SETTINGS for part in ("--change", setting)]
            own.run("import", *settings, str(base.root_file_system()), twin)
        own.run("tag", twin, base.TAG)
        own.run("image", "prune", "--force", "--filter", "until=168h")
    return own


def _start(own: Docker) -> None:
    if other := _running():
        raise Missing(f"dockerd {other} to answer or to go: two of them break each other's network")
    data = toolchain.cache_dir() / "docker"
    data.mkdir(parents=True, exist_ok=True)
    where = ["--data-root", str(data), "--exec-root", str(_RUNTIME / "exec"), "--pidfile", str(_PID)]
    with _LOG.open("w") as log:  # nobody's child: whoever is last stops it
        subprocess.run(
            ["setsid", "--fork", "dockerd", "-H", own.host, *where], stdout=log, stderr=log, check=True
        )
    begun = time.monotonic()
    while not own.answers():
        waited = time.monotonic() - begun
        if waited > STARTS_WITHIN or (waited > 1 and _running() is None):
            raise Missing(f"a dockerd that starts; its last words: {_LOG.read_text()[-600:].strip()}")
        _PAUSE.wait(0.1)


def _running() -> int | None:
    for name in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if name.read_text().strip() == "dockerd":
                return int(name.parent.name)
    return None


def _leave(users: IO[str]) -> None:
    """The last one out stops the daemon; what it stored stays in the cache."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    if not _PID.exists():
        return
    pid = int(_PID.read_text())
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + STARTS_WITHIN
        while Path(f"/proc/{pid}/comm").exists() and time.monotonic() < until:
            _PAUSE.wait(0.05)
