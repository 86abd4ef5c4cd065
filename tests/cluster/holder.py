"""A control plane in a process of its own, for whoever holds a lock on it, or until it is told to end."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from tests.cluster.control_plane import ControlPlane
from tests.cluster.waiting import wait_until

ROOT = Path(__file__).parents[2]
STOP_SECONDS = 30.0


@dataclasses.dataclass(frozen=True)
class Place:
    """A directory through which processes share one control plane.

    Locks tell who is there, as the kernel releases them however a process ends: `users` is held by all who
    use the control plane, `holder` by the process that runs it, `starting` by one that starts that process.
    """

    directory: Path

    @property
    def ready(self) -> Path:
        """Exists while the control plane can be used, and says where it is."""
        return self.directory / "ready.json"

    @property
    def kubeconfig(self) -> Path:
        """A copy of the administrator's kubeconfig, whose path does not change from one start to the next."""
        return self.directory / "kubeconfig"

    @property
    def log(self) -> Path:
        """What the holder said, such as why it failed."""
        return self.directory / "holder.log"

    @contextlib.contextmanager
    def locked(self, name: str, how: int = fcntl.LOCK_EX) -> Iterator[None]:
        """Hold one of the locks for the time of a `with` block."""
        with self._open_locked(name, how):
            yield

    def is_running(self) -> bool:
        """Whether the control plane can be used."""
        return self.ready.exists() and self._holder_lives()

    def attach(self) -> ControlPlane:
        """The control plane that runs here."""
        return ControlPlane.attach(Path(json.loads(self.ready.read_text())["directory"]))

    def start(self, *, shared: bool) -> None:
        """Have a control plane running here; a shared one ends when nobody holds the `users` lock any more.

        Raises:
            RuntimeError: it could not be started; the holder's last words are in the message.
        """
        with self.locked("starting"):
            if self.is_running():
                return
            self.ready.unlink(missing_ok=True)
            command = [sys.executable, "-m", "tests.cluster", "hold", str(self.directory)]
            with self.log.open("w") as log:
                holder = subprocess.run(
                    [*command, *(["--shared"] if shared else [])],
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    # The detached holder keeps it open until it is ready or has failed: so long we read.
                    stdout=subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,
                    check=False,
                )
            if not holder.stdout:
                raise RuntimeError(
                    f"the control plane in {self.directory}: did not start; {self.log} says why:\n"
                    f"{self.log.read_text().strip()}"
                )

    def stop(self) -> None:
        """End the control plane and wait until nothing of it is left; does nothing when none is running."""
        with self.locked("starting"):
            if self.is_running():
                os.kill(json.loads(self.ready.read_text())["holder"], signal.SIGTERM)
                wait_until(lambda: not self._holder_lives(), f"the end of {self.directory}", STOP_SECONDS)
            shutil.rmtree(self.directory, ignore_errors=True)

    def hold(self, *, shared: bool) -> None:
        """Run a control plane here until nobody uses it (a shared one) or until SIGTERM."""
        signal.signal(signal.SIGTERM, _terminated)
        with self.locked("holder"), ControlPlane.start() as plane:
            try:
                self._announce(plane)
                if shared:
                    with self.locked("users"):
                        # While no user can get in: the next one finds nothing, and starts anew.
                        self.ready.unlink()
                else:
                    while True:
                        signal.pause()
            finally:
                self.ready.unlink(missing_ok=True)

    def _open_locked(self, name: str, how: int) -> TextIO:
        path = self.directory / f"{name}.lock"
        while True:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                file = path.open("a")
                try:
                    fcntl.flock(file, how)
                    # While this process waited, `stop` may have removed the file: nobody else sees its lock.
                    if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                        return file
                except BaseException:
                    file.close()
                    raise
                file.close()

    def _announce(self, plane: ControlPlane) -> None:
        self.kubeconfig.unlink(missing_ok=True)
        shutil.copy(plane.kubeconfig, self.kubeconfig)
        staged = self.ready.with_suffix(".partial")
        staged.write_text(json.dumps({"directory": str(plane.directory), "holder": os.getpid()}))
        staged.rename(self.ready)
        os.write(sys.stdout.fileno(), b"ready\n")
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)

    def _holder_lives(self) -> bool:
        try:
            with self.locked("holder", fcntl.LOCK_SH | fcntl.LOCK_NB):
                return False
        except BlockingIOError:
            return True


def detach() -> None:
    """Go on as a process that whoever started this one need not wait for."""
    if os.fork():
        os._exit(0)


def _terminated(_number: int, _frame: object) -> None:
    raise SystemExit(0)
