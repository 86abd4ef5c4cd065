"""GitHub's runner where `act` differs from it: its `docker run`, its mounts and owner, its way to cancel."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster import wait_until
from tests.e2e.act import events
from tests.e2e.act.image import Action

OWNER = 1001  # of everything on GitHub's own machines
LADDER = ((signal.SIGINT, 7.5), (signal.SIGTERM, 2.5), (signal.SIGKILL, 30.0))
"""What the runner sends to the `docker` it started, and how long it waits for it to end."""
FILES = ("set_output", "set_env", "add_path", "save_state", "step_summary")
MOUNTS = {  # directory of the runner to where the container has it
    "temp": "/github/runner_temp",
    "temp/_github_home": "/github/home",
    "temp/_github_workflow": "/github/workflow",
    "temp/_runner_file_commands": "/github/file_commands",
}


@dataclass
class Runner:
    """A runner with a checkout, and the step that it has in hand."""

    action: Action
    workspace: Path
    repository: str
    directory: Path
    inputs: Mapping[str, str]
    name: str = field(default_factory=lambda: f"kustodian-{uuid.uuid4().hex[:12]}")

    def __post_init__(self) -> None:
        self.id = str(uuid.uuid4())
        for place in MOUNTS:
            (self.directory / place).mkdir(parents=True)
        for each in FILES:
            self._file(each).touch()
        self._log = self.directory / "log"

    def start(self, event: str, payload: dict[str, Any], log: int | None = None) -> subprocess.Popen[bytes]:
        """Start the step; its log is a file, as nobody may read it before the end, or `log`."""
        (self.directory / "temp/_github_workflow/event.json").write_text(events.of(self.repository, payload))
        self._give_away()
        variables = self._variables(event)
        command = ["docker", "run", "--rm", "--name", self.name, "--label", "kustodian-test"]
        command += ["--workdir", "/github/workspace"]
        for name in variables:
            command += ["--env", name]
        for place, inside in MOUNTS.items():
            command += ["--volume", f"{self.directory / place}:{inside}"]
        command += ["--volume", f"{self.workspace}:/github/workspace", self.action.image, "action"]
        with self._log.open("wb") as file:
            told = file.fileno() if log is None else log
            return subprocess.Popen(
                command,
                env=self.action.docker.environment() | variables,
                stdout=told,
                stderr=subprocess.STDOUT,
            )

    def run(self, event: str, payload: dict[str, Any]) -> int:
        return self.start(event, payload).wait(120)

    def cancel(self, step: subprocess.Popen[bytes], *, after: signal.Signals | None = None) -> str:
        """Climb the ladder, from above a rung on; the signal that ended the step."""
        begin = [rung for rung, _ in LADDER].index(after) + 1 if after else 0
        for number, seconds in LADDER[begin:]:
            step.send_signal(number)
            try:
                step.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
            return number.name
        raise AssertionError("docker survives SIGKILL")

    def git(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The image's own Git in the workspace, without any help of ours."""
        self._give_away()
        mount = ("--volume", f"{self.workspace}:/github/workspace", "--workdir", "/github/workspace")
        return self.action.docker.run(
            "run", "--rm", *mount, "--entrypoint", "git", self.action.image, *arguments, check=False
        )

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.log, f"the log says {text!r}")

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def outputs(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self._file("set_output").read_text().splitlines())

    @property
    def summary(self) -> str:
        return self._file("step_summary").read_text()

    @property
    def runs(self) -> bool:
        """Whether the container is still there: it can outlive the command that started it."""
        return bool(self.action.docker.containers(self.name))

    def strangers(self) -> Sequence[Path]:
        """What belongs to others than the owner of everything."""
        places = (self.workspace, self.directory / "temp")
        return [path for place in places for path in place.rglob("*") if path.lstat().st_uid != _owner()]

    def home(self) -> Sequence[Path]:
        return list((self.directory / "temp/_github_home").iterdir())

    def _file(self, name: str) -> Path:
        return self.directory / "temp/_runner_file_commands" / f"{name}_{self.id}"

    def _give_away(self) -> None:
        if os.geteuid() == 0:  # anybody else is not the container's root anyway
            for place in (self.workspace, self.directory / "temp"):
                subprocess.run(["chown", "--recursive", f"{OWNER}:{OWNER}", str(place)], check=True)

    def _variables(self, event: str) -> dict[str, str]:
        commands = {
            variable: f"/github/file_commands/{name}_{self.id}"
            for variable, name in zip(("OUTPUT", "ENV", "PATH", "STATE", "STEP_SUMMARY"), FILES, strict=True)
        }
        told = {
            **commands,
            "ACTIONS": "true",
            "API_URL": "https://api.github.com",
            "EVENT_NAME": event,
            "EVENT_PATH": "/github/workflow/event.json",
            "REPOSITORY": self.repository,
            "RUN_ATTEMPT": "1",
            "RUN_ID": "1",
            "SERVER_URL": "https://github.com",
            "WORKSPACE": "/github/workspace",
        }
        machine = {
            "OS": "Linux",
            "ARCH": "X64",
            "TEMP": "/github/runner_temp",
            "WORKSPACE": str(self.workspace),
        }
        return {
            "HOME": "/github/home",
            "CI": "true",
            **{f"GITHUB_{name}": value for name, value in told.items()},
            **{f"RUNNER_{name}": value for name, value in machine.items()},
            **{f"INPUT_{name.upper()}": value for name, value in self.inputs.items()},
        }


def _owner() -> int:
    return OWNER if os.geteuid() == 0 else os.geteuid()
