"""The flux command line at work: whole builds, and single lines through its substitution."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class Failure:
    """What the program said before it gave up, its last line where it panicked."""

    message: str


@dataclass(frozen=True)
class Flux:
    """The program; `scratch` is for files that must not lie in what is built."""

    program: Path
    scratch: Path

    def build(
        self,
        root: Path,
        path: str,
        kustomization: Mapping[str, Any],
        *options: str,
        strict: bool = True,
        in_memory: bool = True,
        kubeconfig: Path | None = None,
    ) -> str | Failure:
        """`flux build kustomization`, as a rule without a cluster.

        Its secure, in-memory way is the controller's.
        """
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", dir=self.scratch) as file:
            json.dump(kustomization, file)
            file.flush()
            flags = ["--kubeconfig", str(kubeconfig)] if kubeconfig else ["--dry-run"]
            flags += ["--strict-substitute"] if strict else []
            flags += ["--in-memory-build"] if in_memory else []
            command = ["build", "kustomization", kustomization["metadata"]["name"], *flags, *options]
            done = subprocess.run(
                [self.program, *command, "--kustomization-file", file.name, "--path", root / path],
                cwd=root,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
        return _failure(done.stderr) if done.returncode else done.stdout

    def environment(self, **variables: str) -> dict[str, str]:
        """Nothing of ours: no cluster, no git, and no variable that a template could see."""
        return {"HOME": str(self.scratch), **variables}


class Envsubst:
    """`flux envsubst`, line by line. It ends at the first fault, so a second one always stands by."""

    def __init__(self, flux: Flux, variables: Mapping[str, str], *, strict: bool) -> None:
        self._command = [str(flux.program), "envsubst", *(["--strict"] if strict else [])]
        self._environment = flux.environment(**variables)
        self._running: deque[subprocess.Popen[str]] = deque()

    def __enter__(self) -> Self:
        self._start()
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        while self._running:
            self._end(self._running.popleft())

    def __call__(self, line: str) -> str | Failure:
        process = self._running[0]
        process.stdin.write(line + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if answer:
            return answer.removesuffix("\n")
        self._start()
        return _failure(self._end(self._running.popleft()))

    def _start(self) -> None:
        self._running.append(
            subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="surrogateescape",  # a substring counts bytes, so it can halve a character
            )
        )

    def _end(self, process: subprocess.Popen[str]) -> str:
        with process:
            _, said = process.communicate()
        return said


def _failure(said: str) -> Failure:
    lines = [line.removeprefix("✗").strip() for line in said.splitlines()]
    panics = [line for line in lines if line.startswith("panic:")]
    return Failure(panics[0] if panics else os.linesep.join(line for line in lines if line))
