"""The action's front door: inputs and event → Options → pipeline → log, outputs, job summary, exit code."""

from __future__ import annotations

import base64
import binascii
import enum
import json
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import yaml

from runner import pipeline
from runner.assembly import clients
from runner.commands import exit_code, parse_prune_limit
from runner.discover.spec import seconds
from runner.errors import ExitCode, Interrupted, RunnerError, UsageError
from runner.model import Action, Held, Outcome, Run, State
from runner.options import ROOT, Options, PruneLimit
from runner.report import clean, style, text, views

INPUTS: Mapping[str, str] = {
    "entry": "",
    "root": ROOT,
    "names": "",
    "kubeconfig": "",
    "context": "",
    "working-directory": ".",
    "dry-run": "false",
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
SUMMARY_LIMIT = 900_000
"""Bytes. GitHub drops a summary of more than 1 MiB as a whole."""

_WORDS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_MOST_PARALLEL = 1000
_LABEL = r"[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?"
_NAME = re.compile(rf"(?:{_LABEL}/)?{_LABEL}")
_DIGEST = re.compile(r"[0-9a-f]{8,128}")
_MESSAGE = 1000
_ONE_LINE = 320
_MOST_REFS = 100
_ORDER = (State.FAILED, State.BLOCKED, State.READY, State.SUSPENDED, State.SKIPPED)
_APPLIED = (Action.CREATED, Action.CONFIGURED, Action.MOVED)
_ACTIONS = (*_APPLIED, Action.DELETED, Action.UNCHANGED, Action.SKIPPED, Action.UNKNOWN)
_BUG = "this is a bug in kustodian: please report it, with the log"


class Mode(enum.Enum):
    """What an event asks for."""

    DEPLOY = enum.auto()
    PREVIEW = enum.auto()  # a dry run, whatever the input says
    NOTHING = enum.auto()


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
        *_append(environment, "GITHUB_STEP_SUMMARY", summary(ending)),
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
    event = inputs.environment.get("GITHUB_EVENT_NAME", "")
    payload = _payload(inputs.environment) if event == "push" else {}
    mode, note = decide(event, payload, dry_run=inputs.flag("dry-run"))
    if note:
        progress.write(f"{clean.line(note)}\n")
    if mode is Mode.NOTHING:
        return Ending(int(ExitCode.DONE), note=note)
    with kubeconfig(inputs) as path:
        chosen = options(inputs, kubeconfig=path, dry_run=mode is Mode.PREVIEW)
        with clients(chosen, progress, with_cluster=True, live=False) as world:
            result = pipeline.reconcile(chosen, world)
    return Ending(int(exit_code(result)), result)


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
        takeover=inputs.flag("takeover"),
        allow_older=inputs.flag("allow-older"),
        install_flux=inputs.flag("install-flux"),
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
        with tempfile.TemporaryDirectory(prefix="kustodian-") as directory:
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


# ── events ──


def decide(event: str, payload: Mapping[str, Any], *, dry_run: bool) -> tuple[Mode, str]:
    """What to do on an event, and what to say about it. Raises UsageError."""
    wanted = Mode.PREVIEW if dry_run else Mode.DEPLOY
    match event:
        case "push" if payload.get("deleted"):
            return Mode.NOTHING, f"{payload.get('ref', 'a ref')} was deleted: nothing is deployed or pruned"
        case "push" | "workflow_dispatch":
            return wanted, ""
        case "pull_request" | "merge_group":
            return Mode.PREVIEW, f"{event}: this is a preview, nothing is written"
        case "pull_request_target":
            raise UsageError(
                "event pull_request_target is refused: it has the repository's secrets, "
                "while anybody can write the files that a pull request brings",
                hint="use pull_request.",
            )
        case _ if dry_run:
            return Mode.PREVIEW, ""
        case _:
            raise UsageError(
                f"event {event} does not deploy" if event else "GITHUB_EVENT_NAME is not set",
                hint="push and workflow_dispatch do; with `dry-run: true` any event shows what would happen.",
            )


def _payload(environment: Mapping[str, str]) -> Mapping[str, Any]:
    path = environment.get("GITHUB_EVENT_PATH", "")
    try:
        payload = json.loads(Path(path).read_bytes())
    except (OSError, ValueError) as exc:
        raise UsageError(f"GITHUB_EVENT_PATH: {path or '(not set)'} cannot be read: {exc}") from exc
    if not isinstance(payload, dict):
        raise UsageError(f"GITHUB_EVENT_PATH: {path} is no event: it holds no JSON object")
    return payload


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
    told = ending.error or (_verdict(ending.run, ending.code) if ending.run and ending.code else "")
    if told:
        yield f"::error::{_escaped(clean.line(told, _MESSAGE))}"
        first, *rest = clean.block(told) or [""]
        yield from (f"  {line}" for line in (first, *rest) if rest)
    if ending.hint:
        yield f"hint: {clean.line(ending.hint, _MESSAGE)}"


def _verdict(result: Run, code: int) -> str:
    """Why a run that came to its end is no success."""
    if result.interrupted:
        return "interrupted: the next run completes the work"
    if result.superseded:
        return "superseded: a newer commit is deployed, or being deployed"
    if failed := [outcome for outcome in _ordered(result) if not outcome.ok]:
        first = failed[0].error or "blocked"
        more = f" (and {len(failed) - 1:,} more failed or are blocked)" if len(failed) > 1 else ""
        return f"{failed[0].kustomization}: {clean.line(first, _ONE_LINE)}{more}"
    if digests := sorted(held.digest for held in result.held if held.digest):
        return f"a guard held deletions back; to delete exactly these, run with approve: {', '.join(digests)}"
    return f"exit code {code}"


def _append(environment: Mapping[str, str], name: str, content: str) -> list[str]:
    """Append to one of the runner's files. That it cannot be done changes nothing in how the run went."""
    if not (path := environment.get(name)):
        return []
    try:
        with Path(path).open("a", encoding="utf-8", newline="\n") as file:
            file.write(content)
    except OSError as exc:
        return [f"::warning::{_escaped(clean.line(f'{name} cannot be written: {exc}', _MESSAGE))}"]
    return []


def _escaped(message: str) -> str:
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


# ── summary ──


def summary(ending: Ending) -> str:
    """Markdown of less than `SUMMARY_LIMIT` bytes: whole rows and blocks; what is left out is counted."""
    if ending.run is None:
        mark = style.MARKS[State.FAILED if ending.code else State.SKIPPED]
        told = clean.block(ending.error or ending.note)
        hint = [f"hint: {clean.line(ending.hint, _MESSAGE)}"] if ending.hint else []
        return f"### {mark} kustodian\n\n{_fenced([*told, *hint])}\n"
    share = (SUMMARY_LIMIT - 10_000) // 4
    outcomes = _ordered(ending.run)
    failures = [outcome for outcome in outcomes if outcome.state is State.FAILED]
    held = sorted(ending.run.held, key=lambda each: each.kustomization)
    table = ["| | Kustomization | State | Objects | Time |\n|-|-|-|-|-:|", *map(_row, outcomes)]
    parts = [
        *_head(ending.run, outcomes),
        *_bounded(map(_failure, failures), share, "failures"),
        *_bounded((_held(each, ending.run) for each in held), share, "held back", apart="\n\n"),
        *(_bounded(table, share, "Kustomizations") if outcomes else []),
        *_warnings(ending.run, share),
    ]
    return "\n\n".join(parts) + "\n"


def _head(result: Run, outcomes: Sequence[Outcome]) -> Iterator[str]:
    word = "Dry run" if result.dry_run else "Reconciled"
    if result.interrupted or result.superseded:
        word = "Interrupted" if result.interrupted else "Superseded"
    bad = result.failed or result.interrupted or result.superseded
    mark = style.MARKS[State.FAILED if bad else State.READY]
    yield f"### {mark} {word}: {_code(result.entry or '.')}"
    states = style.tally(Counter(each.state for each in outcomes), _ORDER)
    actions = Counter(change.action for each in outcomes for change in each.changes)
    objects = style.tally(actions, _ACTIONS)
    facts = [
        _code(style.revision(result.revision)),
        f"on {_code(result.server)}" if result.server else "",
        f"{style.count(len(outcomes), 'Kustomization')}: {states}" if outcomes else "no Kustomizations",
        f"{style.count(actions.total(), 'object')}: {objects}" if objects else "",
        "nothing was written" if result.dry_run else "",
    ]
    yield " · ".join(fact for fact in facts if fact)


def _row(outcome: Outcome) -> str:
    took = ""
    if outcome.started_at is not None and outcome.ready_at is not None:
        took = style.duration(outcome.ready_at - outcome.started_at)
    told = style.tally(Counter(change.action for change in outcome.changes), _ACTIONS)
    if outcome.state is State.BLOCKED and outcome.blocked_by:
        told = f"by {_code(style.names(outcome.blocked_by, 8))}"
    mark, name = style.MARKS[outcome.state], _code(outcome.kustomization)
    return f"| {mark} | {name} | {outcome.state} | {told} | {took} |"


def _failure(outcome: Outcome) -> str:
    lines = clean.block(outcome.error) or ["(no message)"]
    lines += [f"hint: {clean.line(outcome.hint, _MESSAGE)}"] if outcome.hint else []
    unhealthy = sorted(outcome.unhealthy, key=lambda each: views.by_kind(each.ref))
    lines += [clean.line(str(health), _MESSAGE) for health in unhealthy[:_MOST_REFS]]
    return f"#### {style.MARKS[State.FAILED]} {_code(outcome.kustomization)}\n\n{_fenced(lines)}"


def _held(held: Held, result: Run) -> str:
    refs = [clean.line(str(ref)) for ref in sorted(held.refs, key=views.by_kind)]
    left = len(refs) - _MOST_REFS
    names = [*refs[:_MOST_REFS], *([f"and {left:,} more"] if left > 0 else [])]
    verb = "would not be" if result.dry_run else "was not" if len(refs) == 1 else "were not"
    objects = style.count(len(refs), "object")
    told = f"#### Held back: {objects} of {_code(held.kustomization)} {verb} deleted\n\n"
    after = "No approval helps: what holds them has to go first."
    if held.digest:
        after = f"To delete exactly these, run again with {_code(f'approve: {held.digest}')}."
    return f"{told}{_fenced([*clean.block(held.reason), *names])}\n\n{after}"


def _warnings(result: Run, share: int) -> Iterator[str]:
    found = [clean.line(each, _MESSAGE) for each in result.warnings]
    for outcome in result.outcomes:
        found += [f"{clean.line(outcome.kustomization)}: {clean.line(w, _MESSAGE)}" for w in outcome.warnings]
    if found:
        lines = "\n".join(_bounded(found, share, "warnings")).splitlines()
        yield f"#### Warnings\n\n{_fenced(lines)}"


def _bounded(blocks: Iterable[str], share: int, what: str, apart: str = "\n") -> list[str]:
    """As many whole blocks as fit, as one part; then how many did not."""
    everything, kept, size = list(blocks), 0, 0
    for block in everything:
        size += len(block.encode()) + len(apart)
        if size > share:
            break
        kept += 1
    parts = [apart.join(everything[:kept])] if kept else []
    if left := len(everything) - kept:
        parts.append(f"… and {left:,} more {what}: the log has all of them.")
    return parts


def _ordered(result: Run) -> list[Outcome]:
    """Failures first, then what they block."""
    return sorted(result.outcomes, key=lambda each: min(_ORDER.index(each.state), 2))


def _code(foreign: str) -> str:
    """Foreign words as a code span, in a table too: no markup, link or mention comes to life in it."""
    shown = clean.line(foreign).replace("|", "¦") or "–"
    ticks = "`" * (_longest(shown) + 1)
    space = " " if "`" in (shown[0], shown[-1]) else ""
    return f"{ticks}{space}{shown}{space}{ticks}"


def _fenced(lines: Sequence[str]) -> str:
    """Clean lines as a block that none of them can end."""
    body = "\n".join(lines)
    fence = "`" * max(3, _longest(body) + 1)
    return f"{fence}text\n{body}\n{fence}"


def _longest(shown: str) -> int:
    return max((len(ticks) for ticks in re.findall("`+", shown)), default=0)


if __name__ == "__main__":
    sys.exit(main())
