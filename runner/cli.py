"""The command line: flags → Options → pipeline → result on stdout, everything else on stderr."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from runner import looking
from runner.errors import ExitCode, Interrupted, RunnerError, UsageError
from runner.flags import F
from runner.flags import cluster as _cluster
from runner.flags import common as _common
from runner.flags import named as _named
from runner.flags import network as _network
from runner.flags import output as _output
from runner.flags import say as _say
from runner.flags import values as _values
from runner.flags import write as _print
from runner.options import ROOT, Dependents, PruneOrder

ISSUES = "please report it, with what is above, where you got kustodian from"


def main() -> None:
    """Run the command line; every failure is one message, a hint and an exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    try:
        code = commands.main(args=arguments, standalone_mode=False)
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except click.ClickException as exc:
        exc.show()
        return int(ExitCode.WRONG_INPUT)
    except (click.Abort, KeyboardInterrupt):
        return int(ExitCode.INTERRUPTED)
    except Interrupted as exc:
        _say("interrupted: nothing was written")
        return 128 + exc.signal
    except RunnerError as exc:
        _explain(exc)
        return int(exc.exit_code)
    except BrokenPipeError:
        return int(ExitCode.DONE)
    except Exception as exc:  # noqa: BLE001 -- the last catcher: whatever comes here is a bug of ours
        import traceback

        _say("".join(traceback.format_exception(exc)))
        _say(f"this is a bug in kustodian: {ISSUES}")
        return int(ExitCode.BUG)
    return int(code or 0)


def _all(command: F) -> F:
    """The flag of every command that asks what applying would do."""
    return click.option("--all", is_flag=True, help="Try an apply of every object, proven unchanged or not.")(
        command
    )


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="kustodian", prog_name="kustodian")
def commands() -> None:
    """Reconcile Flux Kustomizations from here, without controllers in the cluster."""


@commands.command(short_help="Make the cluster match the entry.")
@click.argument("names", nargs=-1, metavar="[NAMESPACE/NAME]...")
@_common
@_cluster
@_output("text", "json", "yaml")
@click.option("--dry-run", is_flag=True, help="Show what would happen; write nothing.")
@click.option("--watch", is_flag=True, help="On a terminal: the whole table with its waves, which stays.")
@_all
@_values
@_network
@click.option("--read-secrets", is_flag=True, help="Let a dry run read Secrets of the cluster.")
@click.option("--exit-code", is_flag=True, help="Exit with 5 when a dry run finds differences.")
@click.option(
    "--plan",
    type=click.Path(path_type=Path),
    help="Do exactly what this file of `kustodian plan` says, or nothing.",
)
@click.option("--prune-limit", default="10,20%", show_default=True, help="More deletions are held back.")
@click.option("--approve", multiple=True, metavar="DIGEST", help="Let through what a guard held back.")
@click.option("--takeover", is_flag=True, help="Take over what another entry or repository deploys.")
@click.option("--allow-older", is_flag=True, help="Go back to a commit older than the deployed one.")
@click.option("--install-flux", is_flag=True, help="Apply Flux's own installation, but for its reconciler.")
@click.option("--max-parallel", type=click.IntRange(1, 1000), default=16, show_default=True, help="At once.")
@click.option(
    "--fail-fast/--no-fail-fast",
    default=True,
    help="End a health wait when an object cannot recover; default.",
)
@click.option(
    "--dependents",
    type=click.Choice([*map(str, Dependents)]),
    default="reconcile",
    show_default=True,
    help="Those that did not change but depend on what did: reconciled, only checked, or left alone.",
)
@click.option(
    "--prune-order",
    type=click.Choice([*map(str, PruneOrder)]),
    default="after-health",
    show_default=True,
    help="When what left Git is deleted; before-health is Flux's order.",
)
@click.option(
    "--retries",
    type=click.IntRange(0, 100),
    default=0,
    show_default=True,
    help="Further attempts at a Kustomization that failed, each after its retryInterval.",
)
@click.option(
    "--timeout", default="", metavar="DURATION", help="How long the whole run may take; default: no limit."
)
@click.option("--lock-timeout", default="10m", show_default=True, help="How long to wait for another run.")
@click.option("--lease-duration", default="30s", hidden=True)
def reconcile(**given: Any) -> int:  # noqa: ANN401 -- click gives what the decorators ask for
    """Make the cluster match the entry, in dependency order, with health checks; prune; record."""
    from runner import pipeline
    from runner.assembly import clients
    from runner.commands import exit_code, options
    from runner.report import json, text, yaml

    output, differences, plan = (given.pop(name) for name in ("output", "exit_code", "plan"))
    watch = given.pop("watch")
    chosen = options(**given, **_keys())
    if plan is not None:
        from runner.review import keeping_to

        chosen = keeping_to(chosen, plan)
    live = sys.stderr.isatty()
    with clients(chosen, sys.stderr, with_cluster=True, live=live, whole=watch) as world:
        result = pipeline.reconcile(chosen, world)
    code = exit_code(result, differences=differences)
    match output:
        case "json":
            _print(json.reconcile(result, code))
        case "yaml":
            _print(yaml.reconcile(result, code))
        case _:
            _print(text.reconcile(result))
    return code


@commands.command(short_help="Go back to a revision that the cluster has on record.")
@click.argument("name", required=False, default="", metavar="[NAMESPACE/NAME]")
@click.option("--to", default="", metavar="REVISION", help="Default: the last one that went well before.")
@click.option("--repo", type=click.Path(path_type=Path), default=Path(), help="The Git checkout.")
@click.option("--entry", default="", help="Directory that the cluster starts from.")
@click.option("--root", default=ROOT, show_default=True, help="The root Kustomization.")
@click.option("-n", "--namespace", default="", help="Namespace of a NAME without one.")
@partial(_named, needed=True)
@_cluster
@_output("text", "json", "yaml")
@click.option("--dry-run", is_flag=True, help="Show what would happen; write nothing.")
@click.option(
    "--substitute-precedence",
    type=click.Choice(["inline", "from"]),
    default="inline",
    show_default=True,
    help="Which counts when substitute and substituteFrom set one name.",
)
@click.option("--prune-limit", default="10,20%", show_default=True, help="More deletions are held back.")
@click.option("--approve", multiple=True, metavar="DIGEST", help="Let through what a guard held back.")
@click.option("--install-flux", is_flag=True, help="Apply Flux's own installation, but for its reconciler.")
@click.option("--max-parallel", type=click.IntRange(1, 1000), default=16, show_default=True, help="At once.")
@click.option("--lock-timeout", default="10m", show_default=True, help="How long to wait for another run.")
@click.option("--lease-duration", default="30s", hidden=True)
def rollback(**given: Any) -> int:  # noqa: ANN401 -- see reconcile
    """Apply one Kustomization, or all of them, as an earlier revision has them. The next deploy undoes it."""
    from runner.commands import exit_code, options, rolled_back
    from runner.report import json, text, yaml

    output, name, to = (given.pop(each) for each in ("output", "name", "to"))
    names = (name,) if name else ()
    own = given.pop("namespace") or given["root"].partition("/")[0]
    if name and "/" not in name:
        names = (f"{own}/{name}",)
    chosen = options(names=names, namespace="", all_namespaces=False, **given)
    result = rolled_back(chosen, to, live=sys.stderr.isatty())
    code = exit_code(result)
    views = {"json": lambda: json.reconcile(result, code), "yaml": lambda: yaml.reconcile(result, code)}
    _print(views.get(output, lambda: text.reconcile(result))())
    return code


@commands.command(short_help="Take over what Flux, kubectl or Helm deployed.")
@click.argument("names", nargs=-1, metavar="[NAMESPACE/NAME]...")
@_common
@_cluster
@_output("text", "json")
@click.option(
    "--from",
    "origins",
    type=click.Choice(["flux", "kubectl", "helm"]),
    multiple=True,
    help="Whose; default: everybody's.",
)
@click.option("--write", is_flag=True, help="Do it; else it is only shown.")
@click.option("--takeover", is_flag=True, help="Take over what another entry or repository deploys.")
@click.option("--lock-timeout", default="10m", show_default=True, help="How long to wait for another run.")
@click.option("--lease-duration", default="30s", hidden=True)
def adopt(**given: Any) -> int:  # noqa: ANN401 -- see reconcile
    """Take over what is live, wanted and made by others: its metadata, and our record of it; no spec."""
    from runner import commands as do

    output, origins, write = (given.pop(name) for name in ("output", "origins", "write"))
    result, code = do.adopted(do.options(**given), origins, output, write=write)
    _print(result)
    return code


@commands.command(short_help="Give an entry back to Flux.")
@click.option("--root", default=ROOT, show_default=True, help="The root Kustomization.")
@_named
@_cluster
@_output("text", "json")
@click.option("--resume", is_flag=True, help="Set spec.suspend to false where Git does not suspend.")
@click.option("--write", is_flag=True, help="Do it; else it is only shown.")
@click.option("--lock-timeout", default="10m", show_default=True, help="How long to wait for another run.")
@click.option("--lease-duration", default="30s", hidden=True)
def release(**given: Any) -> int:  # noqa: ANN401 -- see reconcile
    """Leave Flux's status complete, and delete what kustodian keeps in the cluster."""
    from runner import commands as do

    output, resume, write = (given.pop(name) for name in ("output", "resume", "write"))
    chosen = do.options(names=(), namespace="", all_namespaces=False, **given)
    result, code = do.released(chosen, output, resume=resume, write=write)
    _print(result)
    return code


@commands.command(short_help="Render Kustomizations; no cluster is asked.")
@click.argument("names", nargs=-1, metavar="[NAMESPACE/NAME]...")
@_common
@_output("yaml", "json", "name", "text")
@_values
@_network
@click.option(
    "--explain", is_flag=True, help="Show variables and their origins; -o json: beside the objects."
)
@click.option("--show-secrets", is_flag=True, help="Print the values of Secrets.")
@click.option("--diff-flux", is_flag=True, help="Show where the flux on PATH renders something else.")
def build(**given: Any) -> int:  # noqa: ANN401 -- see reconcile
    """Render Kustomizations as they would be applied; no cluster is asked."""
    from runner import commands as do

    output, secrets, explained = (given.pop(name) for name in ("output", "show_secrets", "explain"))
    if given.pop("diff_flux"):
        told, code = do.diff_flux(do.options(**given))
        _print(told)
        return code
    result, errors, code = do.build(do.options(**given), output, show_secrets=secrets, explained=explained)
    _print(result)
    for line in errors:
        _say(line)
    return code


@commands.command(short_help="Show what one revision changes against another.")
@click.argument("names", nargs=-1, metavar="[NAMESPACE/NAME]...")
@click.option("--base", default="", help="What to compare with; default: where HEAD left origin's branch.")
@partial(_common, revision="--head")
@_output("text", "json", "markdown", "html", "diff", "name")
@_values
@_network
@click.option("--prune-limit", default="10,20%", show_default=True, help="More deletions are held back.")
@click.option("--exit-code", is_flag=True, help="Exit with 5 when there are differences.")
@click.option("--cache-dir", type=click.Path(path_type=Path), help="Where renderings are kept.")
@click.option("--no-cache", is_flag=True, help="Render everything; keep nothing.")
def diff(**given: Any) -> int:  # noqa: ANN401 -- see reconcile
    """Show what a deploy of one revision would do that one of another would not; no cluster is asked."""
    from runner import review
    from runner.commands import options

    output, differences, base = (given.pop(name) for name in ("output", "exit_code", "base"))
    kept, unkept = given.pop("cache_dir"), given.pop("no_cache")
    chosen = options(**given, cache=None if unkept else kept or review.cache())
    told = review.diff(chosen, base)
    code = review.exit_code(told, differences=differences)
    _show(told, review.shown(told, output, code) if output != "text" else "")
    for line in review.unsaid(told, output):
        _say(line)
    return code


@commands.command(short_help="Show what a deploy does to the cluster, and write it down.")
@click.argument("names", nargs=-1, metavar="[NAMESPACE/NAME]...")
@click.option("--base", default="", help="What the change is told from; default: what the cluster has.")
@_common
@_cluster
@_all
@_output("text", "json", "markdown", "html", "diff", "name")
@click.option("--out", type=click.Path(path_type=Path), help="Write the plan here, for reconcile --plan.")
@_values
@_network
@click.option("--read-secrets", is_flag=True, help="Read Secrets of the cluster: else they stay unknown.")
@click.option("--prune-limit", default="10,20%", show_default=True, help="More deletions are held back.")
@click.option("--approve", multiple=True, metavar="DIGEST", help="Let through what a guard held back.")
@click.option("--takeover", is_flag=True, help="Take over what another entry or repository deploys.")
@click.option("--allow-older", is_flag=True, help="Go back to a commit older than the deployed one.")
@click.option("--install-flux", is_flag=True, help="Apply Flux's own installation, but for its reconciler.")
@click.option("--exit-code", is_flag=True, help="Exit with 5 when there is something to do.")
@click.option("--cache-dir", type=click.Path(path_type=Path), help="Where renderings are kept.")
@click.option("--no-cache", is_flag=True, help="Render everything; keep nothing.")
def plan(**given: Any) -> int:  # noqa: ANN401 -- see reconcile
    """Show what a deploy does to the cluster, and what others did there; nothing is written."""
    from runner import review
    from runner.commands import options

    output, differences, base, out = (given.pop(name) for name in ("output", "exit_code", "base", "out"))
    kept, unkept = given.pop("cache_dir"), given.pop("no_cache")
    cache = None if unkept else kept or review.cache()
    chosen = options(**given, **_keys(), cache=cache, dry_run=True)
    told, made = review.foresee(chosen, base)
    if out is not None:
        review.write_plan(told, made, out)
    code = review.exit_code(told, differences=differences)
    _show(told, review.shown(told, output, code, made) if output != "text" else "")
    for line in review.unsaid(told, output):
        _say(line)
    return code


@commands.command(short_help="Show what is not as it was deployed, and who changed it.")
@click.argument("names", nargs=-1, metavar="[NAMESPACE/NAME]...")
@_common
@_cluster
@click.option("--all", is_flag=True, help="Try every object, proven or not; extra ones of every kind.")
@_output("text", "json", "markdown")
@click.option(
    "--policy",
    default="report",
    show_default=True,
    metavar="POLICY",
    help="report, correct, correct-after=DURATION or ignore; where no annotation kustodian.io/drift says it.",
)
@click.option(
    "--heal",
    default="drift",
    show_default=True,
    metavar="LIST",
    help="What is mended: drift (as the policies say), failed, pending; with commas between.",
)
@click.option("--due", is_flag=True, help="Only Kustomizations whose interval is over since the last look.")
@click.option("--exit-code", is_flag=True, help="Exit with 5 when there is drift left.")
@click.option("--prune-limit", default="10,20%", show_default=True, help="More deletions are held back.")
@click.option("--install-flux", is_flag=True, help="Flux's own installation counts, but for its reconciler.")
@click.option("--max-parallel", type=click.IntRange(1, 1000), default=16, show_default=True, help="At once.")
@click.option("--lock-timeout", default="10m", show_default=True, help="How long to wait for another run.")
@click.option("--lease-duration", default="30s", hidden=True)
def drift(**given: Any) -> int:  # noqa: ANN401 -- see reconcile
    """Show what is not as it was last deployed, who changed it and when; correct it if told to."""
    from runner import commands as do

    output, differences = given.pop("output"), given.pop("exit_code")
    watch = do.watch(given.pop("policy"), given.pop("heal"), due=given.pop("due"))
    result, code = do.drift(do.options(**given, **_keys()), watch, output, differences=differences)
    _print(result)
    return code


@commands.command(short_help="Show the version, and which Flux renders.")
def version() -> int:
    """Show the version, and Flux's, whose library renders."""
    from importlib.metadata import version as distribution_version

    from runner.clients.kustomize import WorkerPool

    with WorkerPool(1) as pool:
        worker = pool.version()
    _print(f"kustodian {distribution_version('kustodian')}")
    _print(f"renders like Flux {worker.flux} (kustomize {worker.kustomize}, {worker.go})")
    return int(ExitCode.DONE)


@commands.command(hidden=True)
def action() -> int:
    """Run as a GitHub Action: inputs, outputs and summary by way of the environment."""
    from importlib.metadata import version as distribution_version

    _print(f"kustodian {distribution_version('kustodian')}")  # a sign of life, before anything is loaded
    from runner import action as front_door

    return front_door.main()


def _keys() -> dict[str, Any]:
    """The keys of this run for SOPS, taken out of the environment: no other process is to have them."""
    names = ("SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE", "SOPS_PGP_KEY")
    age, file, pgp = (os.environ.pop(name, "") for name in names)
    if file and not age:
        try:
            age = Path(file).read_text()
        except (OSError, UnicodeError) as exc:
            raise UsageError(
                f"SOPS_AGE_KEY_FILE names {file}, which cannot be read",
                hint="unset it, or name a file of age keys.",
            ) from exc
    return {"sops_age_key": age, "sops_pgp_key": pgp}


def _show(told: Any, made: str) -> None:  # noqa: ANN401 -- a Comparison; its module is not for --help
    """Print a comparison in the form that was made of it; as text, in colours on a terminal."""
    from runner.report import text

    if made or not sys.stdout.isatty():
        _print(made or text.comparison(told))
        return
    from rich.console import Console

    Console(highlight=False).print(text.coloured(told), soft_wrap=True, end="")


def _explain(exc: RunnerError) -> None:
    from runner.report import clean

    for number, line in enumerate(clean.block(exc.message)):
        _say(f"error: {line}" if number == 0 else f"  {line}")
    if exc.hint:
        _say(f"hint: {clean.line(exc.hint, 1000)}")


looking.add_to(commands)


if __name__ == "__main__":
    main()
