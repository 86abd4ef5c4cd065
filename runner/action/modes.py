"""What the action does: deploy, or show what a deploy would do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TextIO

from runner import correction, event, pipeline, review
from runner.action import ending, telling
from runner.action import inputs as settings
from runner.action.ending import Ending
from runner.action.inputs import FINDINGS, Inputs, options, wrong
from runner.action.inputs import watch as watching
from runner.action.kubeconfig import kubeconfig, secrets
from runner.action.telling import Reporter
from runner.assembly import clients
from runner.commands import drift_code, exit_code
from runner.errors import ExitCode, NotThisBranch
from runner.event import Mode
from runner.ports import Repository
from runner.report import clean, reading
from runner.report.workflow import escaped

MOST_BYTES = 20_000_000
"""Of a report: whoever wrote it must not make others wait."""


def settled(inputs: Inputs, mode: Mode, name: str, payload: Mapping[str, Any]) -> Inputs:
    """With what kustodian.yaml says of the cluster; a preview believes its base alone. Raises UsageError."""

    def at(repository: Repository) -> str:
        if mode is not Mode.PREVIEW:
            return repository.resolve("HEAD")
        sides = _sides(repository, name, payload)
        return sides.base or sides.head

    return settings.settled(inputs, at)


def deploy(inputs: Inputs, payload: Mapping[str, Any], reporter: Reporter, progress: TextIO) -> Ending:
    """Reconcile; GitHub is told at the start here, and at the end by whoever called."""
    annotates = inputs.flag("annotations")
    with kubeconfig(inputs) as path:
        _mask(inputs, path, progress)
        chosen = replace(
            options(inputs, kubeconfig=path, dry_run=False),
            ref=inputs.environment.get("GITHUB_REF", ""),
            ref_commit=inputs.environment.get("GITHUB_SHA", ""),
            branch=event.branch(payload, inputs.environment.get("GITHUB_REF", "")),
            default_branch=event.default_branch(payload),
        )
        if plan := inputs.file("plan"):
            chosen = review.keeping_to(chosen, plan)
        with clients(chosen, progress, with_cluster=True, live=False) as world:
            compare = reporter.forge.compare if reporter.forge is not None else None
            try:
                reporter.begin(world.repository.resolve(chosen.revision))
                result = pipeline.reconcile(chosen, replace(world, compare=compare))
            except NotThisBranch as exc:
                progress.write(f"{clean.line(exc.message)}\n")
                return Ending(int(ExitCode.DONE), note=exc.message, hint=exc.hint)
    marks = tuple(telling.failures(result)) if annotates else ()
    return Ending(int(exit_code(result)), result, annotations=marks)


def drift(inputs: Inputs, reporter: Reporter, progress: TextIO) -> Ending:
    """Look for drift, correct it where a policy says so, and keep the cluster's issue."""
    wanted, watch = inputs.some_of("fail-on", FINDINGS), watching(inputs)
    with kubeconfig(inputs) as path:
        _mask(inputs, path, progress)
        chosen = options(inputs, kubeconfig=path, dry_run=False)
        with clients(chosen, progress, with_cluster=True, live=False) as world:
            reporter.begin(world.repository.resolve(chosen.revision))
            told = correction.run(chosen, world, watch)
    ended = Ending(int(drift_code(told)), drift=told)
    if not ended.code and told.left and "drift" in wanted:
        ended = replace(ended, code=int(ExitCode.DIFFERENCES), findings=("drift",))
    return reporter.reported(ended, whole=not chosen.names)


def preview(
    inputs: Inputs, name: str, payload: Mapping[str, Any], reporter: Reporter, progress: TextIO
) -> Ending:
    """Compare, without a cluster when there is nothing to reach one with, and comment."""
    wanted = inputs.some_of("fail-on", FINDINGS)
    if inputs.has_cluster:
        with kubeconfig(inputs) as path:
            _mask(inputs, path, progress)
            told = _compared(inputs, path, name, payload, reporter, progress)
    else:
        told = _compared(inputs, None, name, payload, reporter, progress)
    told = ending.compared(told, wanted)
    if told.comparison is not None and inputs.flag("annotations"):
        told = replace(told, annotations=tuple(telling.marks(told.comparison)))
    return reporter.commented(telling.files(inputs, told), event.pull_number(payload))


def comment(inputs: Inputs, payload: Mapping[str, Any], reporter: Reporter) -> Ending:
    """Comment on the pull request that another run looked at, which may have been a fork's.

    Of that run nothing is believed but the commit, which GitHub names; GitHub says too whose it is.
    """
    commit = event.commented_commit(payload)
    file = inputs.file("report")
    if file is None:
        raise wrong("report", "it is required", hint="the report.json that the other run left.")
    if file.stat().st_size > MOST_BYTES:
        raise wrong("report", f"it has more than {MOST_BYTES:,} bytes")
    if reporter.forge is None:
        raise wrong("token", "it is required", hint="with `pull-requests: write`.")
    try:
        document = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as exc:
        raise wrong("report", "it is no JSON", hint="the report.json that the other run left.") from exc
    told = reading.comparison(document, "input report")
    pulls = [pull for pull in reporter.forge.pulls(commit) if pull.open and pull.head == commit]
    ended = Ending(int(ExitCode.DONE), comparison=told)
    if not pulls:
        return Ending(int(ExitCode.DONE), note=f"no open pull request has {commit[:8]} as its head")
    reporter.begin(commit, quiet=True)
    return reporter.commented(ended, pulls[0].number)


def _compared(
    inputs: Inputs,
    path: str | None,
    name: str,
    payload: Mapping[str, Any],
    reporter: Reporter,
    progress: TextIO,
) -> Ending:
    """With `path`, a kubeconfig or "", the cluster counts too."""
    chosen = options(inputs, kubeconfig=path or "", dry_run=True)
    chosen = replace(chosen, branch=event.branch(payload, inputs.environment.get("GITHUB_REF", "")))
    with clients(chosen, progress, with_cluster=path is not None, live=False) as world:
        sides = _sides(world.repository, name, payload)
        tree = world.repository.merged(sides.base, sides.head) if sides.merge else ""
        chosen = replace(chosen, revision=sides.head)
        # A check belongs to the commit that the pull request shows, not to a merge that is made to look at.
        reporter.begin(event.shown_commit(payload) or sides.head)
        if path is None:
            base = sides.base or next(iter(world.repository.parents(sides.head)), "")
            change = review.Change(base, sides.head, tree)
            return Ending(0, comparison=review.between(chosen, world, change))
        # What is merged is newer than what is deployed; its own commit need not be.
        chosen = replace(chosen, allow_older=True)
        told, plan = review.against(chosen, world, sides.base or None, tree)
        return Ending(0, comparison=told, plan=plan)


def _sides(repository: Repository, name: str, payload: Mapping[str, Any]) -> event.Sides:
    """The commits of the event, fetched where the clone lacks them; base "" is what the cluster has."""
    head = repository.resolve("HEAD")
    if name not in {"pull_request", "merge_group"}:
        return event.Sides("", head)
    sides = event.sides(name, payload, repository.parents(head), head)
    return replace(sides, base=repository.ensure(sides.base), head=repository.ensure(sides.head))


def _mask(inputs: Inputs, path: str, progress: TextIO) -> None:
    """GitHub hides the secret as a whole; here it learns the parts."""
    keys = (inputs.text(name) for name in ("sops-age-key", "sops-pgp-key"))
    for value in (*secrets(path), *keys):
        for line in clean.lines(value):
            if len(line) > 4:  # noqa: PLR2004 -- hiding fewer characters hides the log
                progress.write(f"::add-mask::{escaped(line)}\n")
