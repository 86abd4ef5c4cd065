"""What the commands of the command line share: their flags, and how they print."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
from click.core import ParameterSource

from runner.errors import UsageError
from runner.options import ROOT

if TYPE_CHECKING:
    from runner.clients.git import GitCheckout

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
            click.option("--entry", default="", help="Directory that the cluster starts from."),
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
    return named(command, needed=entry, compares=revision == "--head")


def named(command: F, *, needed: bool = False, compares: bool = False) -> F:
    """`--cluster NAME`: what kustodian.yaml says of it stands in for the flags that are not given.

    An entry is `needed`, by either way; a command that `compares` reads the file of its base.
    """

    @functools.wraps(command)
    def settled(**given: Any) -> Any:  # noqa: ANN401 -- click's own types
        name = given.pop("named")
        if not name and needed and not given["entry"]:
            raise UsageError(
                "no entry is given",
                hint="--entry clusters/production, for example, or --cluster and a name of kustodian.yaml.",
            )
        return command(**(_of(name, given, compares=compares) if name else given))

    option = click.option("--cluster", "named", default="", metavar="NAME", help="One of kustodian.yaml.")
    return cast("F", option(settled))


def _of(name: str, given: dict[str, Any], *, compares: bool) -> dict[str, Any]:
    """The flags of a command, with a cluster's settings for those that nobody gave."""
    from runner.clients.git import GitCheckout
    from runner.desired import configured

    chosen = click.get_current_context().get_parameter_source
    if chosen("entry") is ParameterSource.COMMANDLINE:
        raise UsageError(
            f"--cluster {name} says what the entry is, and so does --entry", hint="leave one of the two out."
        )
    repository = GitCheckout.open(given.get("repo", Path()))
    cluster = configured(repository, _at(repository, given, compares=compares)).cluster(name)
    settings = {flag.replace("-", "_"): value for flag, value in cluster.located(repository.root).items()}
    return given | {
        flag: value
        for flag, value in settings.items()
        if flag in given and chosen(flag) is not ParameterSource.COMMANDLINE
    }


def _at(repository: GitCheckout, given: dict[str, Any], *, compares: bool) -> str:
    """The commit whose kustodian.yaml counts: a preview's base; "" is the work tree."""
    if compares:
        from runner.review import parted

        head = repository.ensure(given["revision"])
        return parted(repository, given["base"], head)
    if given.get("base"):
        return repository.ensure(given["base"])
    return "" if given.get("worktree") else repository.resolve(given.get("revision", "HEAD"))


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
