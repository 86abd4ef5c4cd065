"""The action's front door: inputs and event → Options → pipeline → log, outputs, job summary, exit code."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import yaml

from runner import event, pipeline
from runner.assembly import clients
from runner.commands import exit_code, parse_prune_limit
from runner.discover.duration import seconds
from runner.errors import ExitCode, Interrupted, RunnerError, UsageError
from runner.event import Mode
from runner.model import Action, Run
from runner.options import ROOT, Options, Precedence, PruneLimit
from runner.report import clean, style, summary, text

INPUTS: Mapping[str, str] = {
    "entry": "",
    "root": ROOT,
    "names": "",
    "kubeconfig": "",
    "context": "",
    "working-directory": ".",
    "dry-run": "false",
    "all": "false",
    "substitute-precedence": "inline",
    "prune-limit": "10,20%",
    "approve": "",
    "takeover": "false",
    "allow-older": "false",
    "install-flux": "false",
    "max-parallel": "16",
    "lock-timeout": "10m",
}
"""Every input with its default, as action.yml has them."""

OUTPUTS = ("changed", "applied", "pruned", "failed", "revision")

_WORDS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_MOST_PARALLEL = 1000
_LABEL = r"[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?"
_NAME = re.compile(rf"(?:{_LABEL}/)?{_LABEL}")
_DIGEST = re.compile(r"[0-9a-f]{8,128}")
_APPLIED = (Action.CREATED, Action.CONFIGURED, Action.MOVED)
_BUG = "this is a bug in kustodian: please report it, with the log"


@dataclass(frozen=True, slots=True)
class Ending:
    """How the action ended: with a run, with an error before there was one, or with nothing to do."""

    code: int
    run: Run | None = None
    error: str = ""
    hint: str = ""
    note: str = ""


def main() -> int:
    """Run as GitHub's runner starts us; no child process sees the inputs."""
    environment = dict(os.environ)
    for name in environment:
        if name.startswith("INPUT_"):
            del os.environ[name]
    return run(environment, sys.stdout, sys.stdout)  # one stream: two of them arrive out of order


def run(environment: Mapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
    """Do what inputs and event ask for; progress goes to `stderr`, the result to `stdout`."""
    ending = _attempt(environment, stderr)
    named = "".join(f"{name}={value}\n" for name, value in outputs(ending).items())
    lines = [
        *_append(environment, "GITHUB_OUTPUT", named),
        *_append(environment, "GITHUB_STEP_SUMMARY", _summary(ending)),
        *log(ending),
    ]
    with suppress(BrokenPipeError):  # nobody reads any more; what was done was done
        stdout.write(style.fit("".join(f"{line}\n" for line in lines), stdout.encoding or "utf-8"))
        stdout.flush()
    return ending.code


def _attempt(environment: Mapping[str, str], progress: TextIO) -> Ending:
    try:
        return _reconcile(Inputs(environment), progress)
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


def _reconcile(inputs: Inputs, progress: TextIO) -> Ending:
    name = inputs.environment.get("GITHUB_EVENT_NAME", "")
    payload = _payload(inputs.environment) if name == "push" else {}
    mode, note = event.decide(name, payload, dry_run=inputs.flag("dry-run"))
    if note:
        progress.write(f"{clean.line(note)}\n")
    if mode is Mode.NOTHING:
        return Ending(int(ExitCode.DONE), note=note)
    with kubeconfig(inputs) as path:
        chosen = options(inputs, kubeconfig=path, dry_run=mode is Mode.PREVIEW)
        with clients(chosen, progress, with_cluster=True, live=False) as world:
            result = pipeline.reconcile(chosen, world)
    return Ending(int(exit_code(result)), result)


def _payload(environment: Mapping[str, str]) -> Mapping[str, Any]:
    path = environment.get("GITHUB_EVENT_PATH", "")
    try:
        document = json.loads(Path(path).read_bytes())
    except (OSError, ValueError) as exc:
        raise UsageError(f"GITHUB_EVENT_PATH: {path or '(not set)'} cannot be read: {exc}") from exc
    return event.payload(document, f"GITHUB_EVENT_PATH: {path}")


# ── inputs ──


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs as the runner hands them over: INPUT_DRY-RUN, "" when not given."""

    environment: Mapping[str, str]

    def text(self, name: str) -> str:
        return self.environment.get(f"INPUT_{name.upper()}", "").strip() or INPUTS[name]

    def flag(self, name: str) -> bool:
        given = self.text(name)
        if given not in _WORDS:
            raise wrong(name, f"{given!r} is neither true nor false")
        return _WORDS[given]

    def many(self, name: str, pattern: re.Pattern[str], what: str) -> frozenset[str]:
        """Parts between commas or line ends."""
        parts = [part for raw in re.split(r"[,\n]", self.text(name)) if (part := raw.strip())]
        for part in parts:
            if not pattern.fullmatch(part):
                raise wrong(name, f"{part!r} is no {what}")
        return frozenset(parts)

    def number(self, name: str, most: int) -> int:
        given = self.text(name)
        if not re.fullmatch(r"[0-9]{1,9}", given) or not 1 <= int(given) <= most:
            raise wrong(name, f"{given!r} is no number from 1 to {most:,}")
        return int(given)

    def seconds(self, name: str) -> float:
        try:
            return seconds(self.text(name))
        except ValueError as exc:
            raise wrong(name, str(exc)) from exc

    def precedence(self, name: str) -> Precedence:
        given = self.text(name)
        if given not in list(Precedence):
            raise wrong(name, f"{given!r} is neither inline nor from")
        return Precedence(given)

    def limit(self, name: str) -> PruneLimit:
        try:
            return parse_prune_limit(self.text(name))
        except UsageError as exc:
            raise wrong(name, f"{self.text(name)!r} is not OBJECTS,PERCENT%", hint=exc.hint) from exc

    def workspace(self) -> Path:
        if not (workspace := self.environment.get("GITHUB_WORKSPACE", "")):
            raise UsageError(
                "GITHUB_WORKSPACE is not set: this is no step of a GitHub workflow",
                hint="`kustodian reconcile` is the command for everywhere else.",
            )
        return Path(workspace)

    def directory(self, name: str) -> Path:
        """A directory of the workspace."""
        workspace = self.workspace().resolve()
        found = (workspace / self.text(name)).resolve()
        if not found.is_relative_to(workspace) or not found.is_dir():
            raise wrong(name, f"{self.text(name)!r} is no directory in the workspace")
        return found


def wrong(name: str, problem: str, *, hint: str = "") -> UsageError:
    return UsageError(f"input {name}: {problem}", hint=hint)


def options(inputs: Inputs, *, kubeconfig: str, dry_run: bool) -> Options:
    """Every input but the kubeconfig, which is a file by now. Raises UsageError."""
    root, entry = inputs.text("root"), inputs.text("entry")
    if not entry:
        raise wrong(
            "entry", "it is required", hint="the directory a cluster starts from: clusters/production."
        )
    if "/" not in root or not _NAME.fullmatch(root):
        raise wrong("root", f"{root!r} is not NAMESPACE/NAME")
    own = root.partition("/")[0]
    names = inputs.many("names", _NAME, "Kustomization's NAME or NAMESPACE/NAME")
    return Options(
        repo=inputs.directory("working-directory"),
        entry=entry,
        root=root,
        names=frozenset(name if "/" in name else f"{own}/{name}" for name in names),
        kubeconfig=kubeconfig,
        context=inputs.text("context"),
        dry_run=dry_run,
        substitute_precedence=inputs.precedence("substitute-precedence"),
        takeover=inputs.flag("takeover"),
        allow_older=inputs.flag("allow-older"),
        install_flux=inputs.flag("install-flux"),
        all=inputs.flag("all"),
        prune_limit=inputs.limit("prune-limit"),
        approve=inputs.many("approve", _DIGEST, "digest that a guard printed"),
        max_parallel=inputs.number("max-parallel", _MOST_PARALLEL),
        lock_timeout=inputs.seconds("lock-timeout"),
    )


@contextmanager
def kubeconfig(inputs: Inputs) -> Iterator[str]:
    """The file to connect with; "" when the job's own KUBECONFIG, or its pod, is to be used.

    What the input holds is a secret: no message ever quotes it, and a file that is made of it can be
    read by nobody else and goes away with the run.
    """
    given = inputs.text("kubeconfig")
    if not given:
        if not inputs.environment.keys() & {"KUBECONFIG", "KUBERNETES_SERVICE_HOST"}:
            raise wrong(
                "kubeconfig",
                "it is empty, and the job sets no KUBECONFIG",
                hint="a secret that doesn't exist is empty, and so is every secret in a fork's pull request.",
            )
        yield ""
    elif content := _content(given):
        with tempfile.TemporaryDirectory(prefix="kubeconfig-") as directory:
            path = Path(directory) / "kubeconfig"
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
                file.write(content)
            yield str(path)
    else:
        yield str(_existing(inputs, given))


def _content(given: str) -> str:
    """The kubeconfig that the value is, plain or in base64; "" when it is none."""
    candidates = [given]
    with suppress(binascii.Error, ValueError):  # UnicodeDecodeError is one of these
        candidates.append(base64.b64decode("".join(given.split()), validate=True).decode())
    for candidate in candidates:
        with suppress(yaml.YAMLError):
            document = yaml.safe_load(candidate)
            if isinstance(document, dict) and "clusters" in document:
                return candidate
    return ""


def _existing(inputs: Inputs, given: str) -> Path:
    places = [inputs.workspace(), *map(Path, filter(None, [inputs.environment.get("RUNNER_TEMP")]))]
    with suppress(OSError):  # such as: the name is too long
        found = (places[0] / given).resolve()
        if found.is_file() and any(found.is_relative_to(place.resolve()) for place in places):
            return found
    raise wrong(
        "kubeconfig",
        "it is no kubeconfig, none in base64, and no path of one in GITHUB_WORKSPACE or RUNNER_TEMP",
        hint="other directories of the runner, its ~/.kube too, are not there in the action's container.",
    )


# ── log and outputs ──


def outputs(ending: Ending) -> dict[str, str]:
    """Small and on one line each; a dry run's say what would have happened."""
    outcomes = ending.run.outcomes if ending.run else ()
    counts = Counter(change.action for outcome in outcomes for change in outcome.changes)
    values = (
        str(any(action.writes for action in counts)).lower(),
        str(sum(counts[action] for action in _APPLIED)),
        str(counts[Action.DELETED]),
        str(sum(not outcome.ok for outcome in outcomes)),
        clean.line(ending.run.revision) if ending.run else "",
    )
    return dict(zip(OUTPUTS, values, strict=True))


def log(ending: Ending) -> Iterator[str]:
    """The result, and what went wrong as the one line that GitHub shows above the log."""
    if ending.run:
        yield from text.reconcile(ending.run).splitlines()
    told = ending.error or (summary.verdict(ending.run, ending.code) if ending.run and ending.code else "")
    if told:
        yield f"::error::{_escaped(clean.line(told, summary.MESSAGE))}"
        first, *rest = clean.block(told) or [""]
        yield from (f"  {line}" for line in (first, *rest) if rest)
    if ending.hint:
        yield f"hint: {clean.line(ending.hint, summary.MESSAGE)}"


def _summary(ending: Ending) -> str:
    if ending.run:
        return summary.reconcile(ending.run)
    return summary.message(ending.error or ending.note, ending.hint, failed=bool(ending.code))


def _append(environment: Mapping[str, str], name: str, content: str) -> list[str]:
    """Append to one of the runner's files. That it cannot be done changes nothing in how the run went."""
    if not (path := environment.get(name)):
        return []
    try:
        with Path(path).open("a", encoding="utf-8", newline="\n") as file:
            file.write(content)
    except OSError as exc:
        return [f"::warning::{_escaped(clean.line(f'{name} cannot be written: {exc}', summary.MESSAGE))}"]
    return []


def _escaped(message: str) -> str:
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


if __name__ == "__main__":
    sys.exit(main())
