"""The action's front door: inputs and event → Options → pipeline → log, outputs, job summary, exit code."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from runner import event
from runner.action import modes, telling
from runner.action.ending import OUTPUTS, Ending, log, outputs
from runner.action.inputs import INPUTS, MODES, SCOPES, WHEN, Inputs, options, settled
from runner.action.kubeconfig import kubeconfig
from runner.action.meaning import in_vain
from runner.action.telling import Reporter
from runner.errors import ExitCode, Interrupted, RunnerError, UsageError
from runner.event import Mode
from runner.report import clean, style, summary
from runner.report.workflow import escaped

__all__ = [
    "INPUTS",
    "OUTPUTS",
    "Ending",
    "Inputs",
    "kubeconfig",
    "log",
    "main",
    "options",
    "outputs",
    "run",
    "settled",
]

API_URL = "https://api.github.com"
_BUG = "this is a bug in kustodian: please report it, with the log"


def main() -> int:
    """Run as GitHub's runner starts us; no child process sees the inputs."""
    environment = dict(os.environ)
    for name in environment:
        if name.startswith("INPUT_"):
            del os.environ[name]
    return run(environment, sys.stdout, sys.stdout)  # one stream: two of them arrive out of order


def run(environment: Mapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
    """Do what inputs and event ask for; progress goes to `stderr`, the result to `stdout`."""
    with _reporter(Inputs(environment)) as reporter:
        ending = _attempt(reporter, stderr)
        named = "".join(f"{name}={value}\n" for name, value in outputs(ending).items())
        lines = [
            *_append(environment, "GITHUB_OUTPUT", named),
            *_append(environment, "GITHUB_STEP_SUMMARY", telling.markdown(ending, summary.LIMIT)),
            *log(ending),
        ]
        _print(lines, stdout)
        reporter.end(ending)
        _print(
            [f"::warning::{escaped(clean.line(each, summary.MESSAGE))}" for each in reporter.warnings], stdout
        )
    return ending.code


def _print(lines: Sequence[str], stdout: TextIO) -> None:
    with suppress(BrokenPipeError):  # nobody reads any more; what was done was done
        stdout.write(style.fit("".join(f"{line}\n" for line in lines), stdout.encoding or "utf-8"))
        stdout.flush()


def _attempt(reporter: Reporter, progress: TextIO) -> Ending:
    try:
        return _do(reporter, progress)
    except Interrupted as exc:
        return Ending(128 + exc.signal, error="interrupted: nothing was written")
    except KeyboardInterrupt:
        return Ending(int(ExitCode.INTERRUPTED), error="interrupted: nothing was written")
    except RunnerError as exc:
        return Ending(int(exc.exit_code), error=exc.message, hint=exc.hint)
    except Exception as exc:  # noqa: BLE001 -- the last catcher: whatever comes here is a bug of ours
        import traceback

        trace = clean.lines("".join(traceback.format_exception(exc)))
        progress.writelines(f"{line}\n" for line in trace)
        return Ending(int(ExitCode.BUG), error=f"{_BUG} ({type(exc).__name__})")


def _do(reporter: Reporter, progress: TextIO) -> Ending:
    inputs = reporter.inputs
    name = inputs.environment.get("GITHUB_EVENT_NAME", "")
    for scope in ("checks", "statuses"):
        inputs.one_of(scope, SCOPES)
    inputs.one_of("comment", WHEN)
    payload = _payload(inputs.environment) if name in event.WITH_PAYLOAD else {}
    mode, note = _decided(inputs, name, payload)
    if note:
        progress.write(f"{clean.line(note)}\n")
    if mode is Mode.NOTHING:
        return Ending(int(ExitCode.DONE), note=note)
    inputs = reporter.inputs = modes.settled(inputs, mode, name, payload)
    if told := in_vain(inputs, mode):
        progress.write(f"::warning::{escaped(told)}\n")
    match mode:
        case Mode.DEPLOY:
            return modes.deploy(inputs, payload, reporter, progress)
        case Mode.COMMENT:
            return modes.comment(inputs, payload, reporter)
        case Mode.DRIFT:
            return modes.drift(inputs, reporter, progress)
        case Mode.PREVIEW:
            return modes.preview(inputs, name, payload, reporter, progress)


def _decided(inputs: Inputs, name: str, payload: Mapping[str, Any]) -> tuple[Mode, str]:
    """What event and inputs ask for together, and what to say about it. Raises UsageError."""
    asked = inputs.one_of("mode", MODES)
    dry_run = inputs.flag("dry-run") or asked == "diff"
    mode, note = event.decide(name, payload, dry_run=dry_run, drift=asked == "drift")
    if (asked == "comment") is not (mode is Mode.COMMENT):
        raise UsageError(
            f"mode: {asked}, on event {name}: comments for other runs are written on workflow_run",
            hint="mode: comment on event workflow_run, and nowhere else.",
        )
    if asked == "reconcile" and mode in {Mode.PREVIEW, Mode.DRIFT}:
        raise UsageError(
            f"mode: reconcile, on event {name}: nothing is deployed there", hint="use mode: auto, or diff."
        )
    return mode, note


@contextmanager
def _reporter(inputs: Inputs) -> Iterator[Reporter]:
    """With GitHub behind it, when there is a token to speak with; nothing is sent by that."""
    token, repository = inputs.text("token"), inputs.environment.get("GITHUB_REPOSITORY", "")
    if not (token and repository):
        yield Reporter(None, inputs)
        return
    from runner.clients.clock import SystemClock
    from runner.clients.github import GitHub

    url = inputs.environment.get("GITHUB_API_URL", "") or API_URL
    forge = GitHub(token, repository, clock=SystemClock(), api_url=url)
    try:
        yield Reporter(forge, inputs)
    finally:
        forge.close()


def _payload(environment: Mapping[str, str]) -> Mapping[str, Any]:
    path = environment.get("GITHUB_EVENT_PATH", "")
    try:
        document = json.loads(Path(path).read_bytes())
    except (OSError, ValueError) as exc:
        raise UsageError(f"GITHUB_EVENT_PATH: {path or '(not set)'} cannot be read: {exc}") from exc
    return event.payload(document, f"GITHUB_EVENT_PATH: {path}")


def _append(environment: Mapping[str, str], name: str, content: str) -> list[str]:
    """Append to one of the runner's files. That it cannot be done changes nothing in how the run went."""
    if not (path := environment.get(name)):
        return []
    try:
        with Path(path).open("a", encoding="utf-8", newline="\n") as file:
            file.write(content)
    except OSError as exc:
        return [f"::warning::{escaped(clean.line(f'{name} cannot be written: {exc}', summary.MESSAGE))}"]
    return []
