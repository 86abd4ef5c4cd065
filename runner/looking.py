"""The commands of the command line that look at a cluster, and those that pause; see `cli`."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from runner import flags
from runner.errors import ExitCode, UsageError
from runner.options import Options

_NAMES = click.argument("names", nargs=-1, metavar="[NAMESPACE/NAME]...")
_SOME = click.argument("names", nargs=-1, required=True, metavar="NAMESPACE/NAME...")


def add_to(group: click.Group) -> None:
    for command in (lint, tree, get, events, trace, pause, resume):
        group.add_command(command)


def _scope(command: flags.F) -> flags.F:
    """The flags of commands for Kustomizations on record."""
    for option in (
        click.option("-A", "--all-namespaces", is_flag=True, help="Of all namespaces; the default."),
        click.option("-n", "--namespace", default="", help="Only Kustomizations of this namespace."),
    ):
        command = option(command)
    return flags.named(flags.cluster(command))


@click.command(short_help="Show what is wrong; neither a cluster nor a network is asked.")
@click.option("--repo", type=click.Path(path_type=Path), default=Path(), help="The Git checkout.")
@click.option("--revision", default="HEAD", show_default=True, help="The commit to work on.")
@click.option("--worktree", is_flag=True, help="Use the files as they are on disk.")
@click.option("--entry", default="", help="Directory that a cluster starts from; default: all clusters'.")
@click.option("--cluster", default="", metavar="NAME", help="One of kustodian.yaml.")
@click.option("--root", default="", help="The root Kustomization; default: what kustodian.yaml says.")
@flags.values
@flags.output("text", "json", "github")
def lint(**given: Any) -> int:  # noqa: ANN401 -- see tree
    """Show what is wrong with kustodian.yaml, Kustomizations and what they render; 1 when anything is.

    Without --entry and --cluster every cluster of kustodian.yaml is looked at.
    """
    from runner.linting import lint as look
    from runner.report import json
    from runner.report import lint as report

    output, cluster = given.pop("output"), given.pop("cluster")
    if cluster and given["entry"]:
        raise UsageError(
            f"--cluster {cluster} says what the entry is, and so does --entry",
            hint="leave one of the two out.",
        )
    told = look(Options(**given), cluster)
    code = int(ExitCode.DONE if told.ok else ExitCode.FAILED)
    match output:
        case "json":
            flags.write(json.dump(report.document(told, code)))
        case "github":
            flags.write(report.github(told))
        case _:
            flags.write(report.text(told))
    return code


@click.command(short_help="Show who renders, and who waits for whom.")
@flags.common
@flags.cluster
@flags.network
@click.option("--live", is_flag=True, help="With states and healths; implied by --kubeconfig and --context.")
@flags.output("text", "json", "yaml", "name")
def tree(**given: Any) -> int:  # noqa: ANN401 -- click gives what the decorators ask for
    """Show the entry's Kustomizations: parents, dependencies, variables, number of objects.

    With a cluster also what it has on record, and how far every object is there.
    """
    from runner.commands import options
    from runner.views import tree as view

    output, live = given.pop("output"), given.pop("live")
    chosen = options(names=(), **given)
    live = bool(live or chosen.kubeconfig or chosen.context)
    result, odd, code = view.tree(chosen, output, live=live)
    flags.write(result)
    for line in odd:
        flags.say(line)
    return code


@click.command(short_help="Show what the cluster has on record.")
@_NAMES
@click.option("--entry", default="", help="Only Kustomizations of this entry.")
@_scope
@click.option("--watch", is_flag=True, help="Go on showing it, whenever it changes, until interrupted.")
@flags.output("text", "json", "yaml", "name")
def get(**given: Any) -> int:  # noqa: ANN401 -- see tree
    """Show what the cluster has on record: states, revisions, inventories."""
    from runner.commands import options
    from runner.views import records

    output, watched = given.pop("output"), given.pop("watch")
    chosen = options(**given)
    if watched:
        if output != "text":
            raise UsageError(f"--watch has no -o {output}", hint="it shows rows as they change.")
        records.watch(chosen, live=sys.stdout.isatty())
    result, code = records.get(chosen, output)
    flags.write(result)
    return code


@click.command(short_help="Show what happened, as Kubernetes Events tell it.")
@_NAMES
@_scope
@click.option("--watch", is_flag=True, help="Go on printing them as they happen, until interrupted.")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most so many."
)
@flags.output("text", "json", "yaml")
def events(**given: Any) -> int:  # noqa: ANN401 -- see tree
    """Show Events of Kustomizations, their objects, and what these own; the newest last."""
    from runner.commands import options
    from runner.views import happened

    output, watched, limit = given.pop("output"), given.pop("watch"), given.pop("limit")
    chosen = options(**given)
    if watched:
        if output != "text":
            raise UsageError(f"--watch has no -o {output}", hint="it prints a line for each.")
        happened.watch(chosen)
    result, code = happened.events(chosen, output, limit)
    flags.write(result)
    return code


@click.command(short_help="Show which Kustomization, file and commit an object comes from.")
@click.argument("name", metavar="KIND[.GROUP]/[NAMESPACE/]NAME")
@partial(flags.common, entry=False)
@flags.cluster
@flags.network
@flags.output("text", "json", "yaml")
def trace(**given: Any) -> int:  # noqa: ANN401 -- see tree
    """Show where an object comes from: Kustomization, parents, source, file, line, last commit.

    Without --entry and --cluster it is the one that the cluster was deployed from.
    """
    from runner.commands import options
    from runner.views import trace as view

    output, name = given.pop("output"), given.pop("name")
    result, code = view.trace(options(names=(), **given), name, output)
    flags.write(result)
    return code


@click.command(short_help="Leave Kustomizations alone, until they are resumed.")
@_SOME
@_scope
@click.option("--reason", default="", help="Why; everybody who looks is told.")
@click.option("--by", default="", help="Who; default: the one who runs the workflow, or this user.")
def pause(**given: Any) -> int:  # noqa: ANN401 -- see tree
    """Leave Kustomizations alone: deploys treat them as suspended, until they are resumed.

    A run that has begun already goes on.
    """
    from runner.assembly import connection
    from runner.clients.clock import SystemClock
    from runner.commands import options
    from runner.report import clean, style
    from runner.state import Pause
    from runner.views import pausing

    reason, by = given.pop("reason"), given.pop("by") or os.environ.get("GITHUB_ACTOR") or _user()
    why = Pause(clean.line(reason), clean.line(by), style.moment(SystemClock().now()))
    chosen = options(**given)
    with connection(chosen) as cluster:
        changed = pausing.pause(cluster, chosen.names, why)
    return _told(chosen.names, changed, str(why), f"was {why} already")


@click.command(short_help="Let paused Kustomizations go on.")
@_SOME
@_scope
def resume(**given: Any) -> int:  # noqa: ANN401 -- see tree
    """Let paused Kustomizations go on, from the next deploy on. spec.suspend in Git stays what it is."""
    from runner.assembly import connection
    from runner.commands import options
    from runner.views import pausing

    chosen = options(**given)
    with connection(chosen) as cluster:
        changed = pausing.resume(cluster, chosen.names)
    return _told(chosen.names, changed, "resumed", "was not paused")


def _told(names: frozenset[str], changed: tuple[str, ...], done: str, idle: str) -> int:
    for name in sorted(names):
        flags.write(f"{name} {done if name in changed else idle}")
    return int(ExitCode.DONE)


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
