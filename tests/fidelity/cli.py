"""The flux command line at work: whole builds, and single lines through its substitution."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from tests.fidelity.remembered import Answers, build_key, line_key


@dataclass(frozen=True)
class Failure:
    """What the program said before it gave up, its last line where it panicked."""

    message: str


@dataclass(frozen=True)
class Flux:
    """The program; `scratch` is for files that must not lie in what is built.

    With `answers` it is asked only what it was not asked before.
    """

    program: Path
    scratch: Path
    answers: Answers | None = None

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

        Its secure, in-memory way is the controller's: there, what is outside of `root` cannot be read.
        """
        if self.answers is None or kubeconfig or not in_memory:
            return self._build(
                root, path, kustomization, *options, strict=strict, in_memory=in_memory, kubeconfig=kubeconfig
            )
        key = build_key(root, path, kustomization, [*options, f"strict={strict}"])
        if (answer := self.answers.get(key)) is not None:
            return answer
        built = self._build(root, path, kustomization, *options, strict=strict)
        if isinstance(built, str):
            self.answers.put(key, built)
        return built

    def _build(
        self,
        root: Path,
        path: str,
        kustomization: Mapping[str, Any],
        *options: str,
        strict: bool = True,
        in_memory: bool = True,
        kubeconfig: Path | None = None,
    ) -> str | Failure:
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
    """`flux envsubst`, line by line. It ends at the first fault, so a second one always stands by.

    What depends on nothing but a line and the variables is remembered, faults too.
    """

    def __init__(self, flux: Flux, variables: Mapping[str, str], *, strict: bool) -> None:
        self._command = [str(flux.program), "envsubst", *(["--strict"] if strict else [])]
        self._environment = flux.environment(**variables)
        self._running: deque[subprocess.Popen[str]] = deque()
        self._answers = flux.answers
        self._key = partial(line_key, variables=variables, strict=strict)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._running:
            self._end(self._running.popleft())

    def __call__(self, line: str) -> str | Failure:
        if self._answers is None:
            return self._ask(line)
        key = self._key(line)
        if (known := self._answers.get(key)) is not None:
            return known[1:] if known[0] == "=" else Failure(known[1:])
        answer = self._ask(line)
        self._answers.put(key, f"!{answer.message}" if isinstance(answer, Failure) else f"={answer}")
        return answer

    def _ask(self, line: str) -> str | Failure:
        while len(self._running) < 2:
            self._start()
        process = self._running[0]
        process.stdin.write(line + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if answer:
            return answer.removesuffix("\n")
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
