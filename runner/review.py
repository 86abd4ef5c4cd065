"""The commands that show what merging would do; the command line only reads flags and prints."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from runner import difference
from runner.assembly import clients
from runner.changes import Comparison
from runner.desired import Clients, Desired, NoEntry, at
from runner.errors import ExitCode, UsageError
from runner.options import Options
from runner.render import Recall
from runner.report import json, markdown, text, unified


def diff(chosen: Options, base: str) -> Comparison:
    """What differs between a base and the chosen revision of the entry, without a cluster.

    Raises:
        UsageError: a revision is unknown, or neither side has the entry.
        RenderError: the head's root cannot be rendered.
    """
    with clients(chosen, sys.stderr, with_cluster=False) as world:
        repository = world.repository
        head = repository.resolve(chosen.revision)
        since = _base(world, base, head)
        before, after = _sides(chosen, world, since, head)
        paths = repository.changed(since, "" if chosen.worktree else head)
        return difference.compare(chosen, before, after, paths)


def shown(told: Comparison, output: str, code: int) -> str:
    """A comparison in one of its forms."""
    match output:
        case "json":
            return json.diff(told, code)
        case "markdown":
            return markdown.comparison(told).text
        case "html":
            from runner.report import html

            return html.comparison(told)
        case "diff":
            return unified.comparison(told)
        case "name":
            return "".join(f"{each.kustomization}\n" for each in told.affected)
        case _:
            return text.comparison(told)


def cache() -> Path:
    """Where renderings are kept unless somebody says otherwise."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if home.startswith("/") else Path.home() / ".cache") / "kustodian" / "render"


def exit_code(told: Comparison, *, differences: bool = False) -> int:
    """What the process says about a comparison."""
    if any(fault.side != "base" for fault in told.faults):
        return ExitCode.FAILED
    return ExitCode.DIFFERENCES if differences and told.differs else ExitCode.DONE


def _base(world: Clients, given: str, head: str) -> str:
    """The commit to compare with: the one given, else where the head left origin's default branch."""
    repository = world.repository
    if given:
        return repository.ensure(given)
    for name in ("origin/HEAD", "origin/main", "origin/master"):
        try:
            found = repository.merge_base(repository.resolve(name), head)
        except UsageError:
            continue
        if found:
            return found
    raise UsageError(
        "it is not known what to compare with: origin has no default branch here",
        hint="--base main, for example.",
    )


def _sides(chosen: Options, world: Clients, base: str, head: str) -> tuple[Desired | None, Desired | None]:
    recall = Recall(world.memory) if world.memory is not None else None
    before = _side(replace(chosen, revision=base, worktree=False), world, "base", recall)
    after = _side(replace(chosen, revision=head), world, "head", recall)
    if before is None and after is None:
        raise UsageError(
            f"entry {chosen.entry} is no directory of {base[:8]} and none of {head[:8]}",
            hint="name the directory that a cluster starts from, such as clusters/production.",
        )
    return before, after


def _side(options: Options, world: Clients, name: str, recall: Recall | None) -> Desired | None:
    directory = world.directory / name
    directory.mkdir()
    try:
        return at(options, replace(world, directory=directory), recall)
    except NoEntry:
        return None
