"""What the commands of the command line share: their flags, and how they print."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from runner.options import ROOT

F = TypeVar("F", bound=Callable[..., Any])


def common(command: F, revision: str = "--revision", *, entry: bool = True) -> F:
    """The flags of every command that reads a repository."""
    for option in reversed(
        (
            click.option("--repo", type=click.Path(path_type=Path), default=Path(), help="The Git checkout."),
            click.option(
                revision, "revision", default="HEAD", show_default=True, help="The commit to work on."
            ),
            click.option("--worktree", is_flag=True, help="Use the files as they are on disk."),
            click.option(
                "--entry",
                required=entry,
                default=None if entry else "",
                help="Directory that the cluster starts from.",
            ),
            click.option("--root", default=ROOT, show_default=True, help="The root Kustomization."),
            click.option("-n", "--namespace", default="", help="Only Kustomizations of this namespace."),
            click.option("-A", "--all-namespaces", is_flag=True, help="Of all namespaces; the default."),
            click.option(
                "--substitute-precedence",
                type=click.Choice(["inline", "from"]),
                default="inline",
                show_default=True,
                help="Which counts when substitute and substituteFrom set one name.",
            ),
        )
    ):
        command = option(command)
    return command


def cluster(command: F) -> F:
    """The flags of every command that talks to a cluster."""
    for option in (
        click.option("--context", default="", help="The kubeconfig's context."),
        click.option("--kubeconfig", default="", help="Default: KUBECONFIG, ~/.kube/config, or the pod's."),
    ):
        command = option(command)
    return command


def values(command: F) -> F:
    """The flag of every command that can do without what only the cluster has."""
    return click.option(
        "--values",
        type=click.Path(path_type=Path),
        multiple=True,
        metavar="FILE",
        help="ConfigMaps and Secrets to use as if the cluster had them.",
    )(command)


def network(command: F) -> F:
    """The flags of every command that may fetch for a preview."""
    command = click.option(
        "--allow-remote-bases",
        is_flag=True,
        help="Let it fetch what kustomization files list by URL, as a deploy does.",
    )(command)
    return click.option(
        "--allow-private-network",
        is_flag=True,
        help="Let it fetch sources from loopback and private addresses, as a deploy does.",
    )(command)


def output(*choices: str) -> Callable[[F], F]:
    return click.option(
        "-o", "--output", type=click.Choice(choices), default=choices[0], show_default=True, help="The form."
    )


def write(result: str) -> None:
    from runner.report.style import fit

    sys.stdout.write(fit(result if result.endswith("\n") else f"{result}\n", sys.stdout.encoding))
    sys.stdout.flush()


def say(text: str) -> None:
    from runner.report.style import fit

    sys.stderr.write(fit(f"{text}\n", sys.stderr.encoding))
