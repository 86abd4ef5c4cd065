"""The commands that show what merging would do; the command line only reads flags and prints."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from runner import difference, intent
from runner.assembly import clients
from runner.changes import CLUSTER, Comparison, Fault
from runner.configuration import Target
from runner.desired import SHORT, Clients, Desired, NoEntry, at, configured
from runner.errors import ExitCode, UsageError
from runner.fleet import Fleet
from runner.intent import Intent
from runner.options import Options
from runner.ports import PathChange, Repository
from runner.render import Passing, Recall
from runner.rendered import BuildRequest, Problem
from runner.session import Session


@dataclass(frozen=True, slots=True)
class Change:
    """What is looked at: a base, and a head that may be merged onto it first."""

    base: str  # a commit; "" for nothing at all
    head: str
    tree: str = ""  # of the merge


def diff(chosen: Options, base: str) -> Comparison:
    """What differs between a base and the chosen revision of the entry, without a cluster.

    Raises:
        UsageError: a revision is unknown, or neither side has the entry.
        RenderError: the head's root cannot be rendered.
    """
    with clients(chosen, sys.stderr, with_cluster=False) as world:
        _warm_up(world)
        head = world.repository.ensure(chosen.revision)
        return between(chosen, world, Change(parted(world.repository, base, head), head))


def between(chosen: Options, world: Clients, change: Change) -> Comparison:
    """See `diff`."""
    recall = _recall(world)
    # Head comes first, as it is rendered first: what has to be written at once is what is read first.
    mapped = configured(world.repository, change.base).sources if change.base else None
    after = _side(replace(chosen, revision=change.head), world, "head", recall, change.tree, mapped)
    before = _before(chosen, world, change.base, recall)
    if before is None and after is None:
        raise _no_entry(chosen, base=change.base, head=change.head)
    paths = _changed(chosen, world, change.base, change.tree or change.head)
    return difference.compare(chosen, difference.Revisions(before, after, paths))


def foresee(chosen: Options, base: str) -> tuple[Comparison, Intent]:
    """What the next deploy of the chosen revision does to the cluster, and the plan that holds it to that.

    The base is the revision given, else the one that the cluster has.

    Raises:
        ClusterError: the cluster cannot be reached, or refuses.
        GuardError, LockError, UsageError, RenderError: the deploy would be refused for the same reason.
    """
    with clients(chosen, sys.stderr, with_cluster=True) as world:
        since = world.repository.ensure(base) if base else None
        return against(chosen, world, since)


def against(chosen: Options, world: Clients, base: str | None, tree: str = "") -> tuple[Comparison, Intent]:
    """See `foresee`; without a base, what the cluster has on record is it."""
    from runner import acting, live, planned, planning, preview

    cluster = world.reachable()
    recall = _recall(world)
    mapped = configured(world.repository, base).sources if base else None
    head = _side(chosen, world, "head", recall, tree, mapped)
    if head is None:
        raise _no_entry(chosen, head=chosen.revision)
    session = planning.session(head, cluster, planning.lock(head))
    since = _deployed(session, world) if base is None else base
    commit, lost = (since, None) if isinstance(since, str) else ("", since)
    before = _before(chosen, world, commit, recall)
    if before is not None:
        before.checkout.recorded = head.checkout.recorded
    fleet = lost or difference.base_fleet(chosen, before, cluster)
    paths = _changed(chosen, world, commit, tree or head.commit)
    revisions = difference.Revisions(before, head, paths)
    told = difference.between(chosen, revisions, fleet, Fleet(session.fleet.root, session.units))
    if base is not None:
        session.accounts = acting.of_base(fleet)
    foreseen = preview.foresee(session, reduced=True)
    deployed = fleet if isinstance(fleet, Fleet) else None
    return live.told(session, deployed, told, foreseen), planned.intent(session, foreseen)


def shown(told: Comparison, output: str, code: int, made: Intent | None = None) -> str:
    """A comparison in one of its forms, as JSON with the plan; each is loaded when it is asked for."""
    match output:
        case "json":
            from runner.report import json

            return json.plan(told, made, code) if made is not None else json.diff(told, code)
        case "markdown":
            from runner.report import comment

            return comment.markdown(told).text
        case "html":
            from runner.report import html

            return html.page(told)
        case "diff":
            from runner.report import unified

            return unified.comparison(told)
        case "name":
            return "".join(f"{each.kustomization}\n" for each in told.affected)
        case _:
            from runner.report import text

            return text.comparison(told)


def unsaid(told: Comparison, output: str) -> list[str]:
    """What cannot be rendered or applied, where the form of the output has no place for it."""
    from runner.report import clean

    if output not in {"diff", "name"}:
        return []
    wrong = {
        "both": "cannot be rendered on either side",
        "base": "cannot be rendered in the base",
        "head": "cannot be rendered in the head",
        CLUSTER: "would fail in the cluster",
    }
    return [
        clean.line(f"{fault.kustomization} {wrong[fault.side]}: {each}", clean.MESSAGE)
        for fault in told.faults
        for each in fault.problems
    ]


def cache() -> Path:
    """Where renderings are kept unless somebody says otherwise."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if home.startswith("/") else Path.home() / ".cache") / "kustodian" / "render"


def write_plan(told: Comparison, made: Intent, file: Path) -> None:
    """Write the plan file; a file that is half written is none. Raises UsageError."""
    from runner.report import json

    staged = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        staged.write_text(json.plan(told, made), encoding="utf-8")
        staged.replace(file)
    except OSError as exc:
        raise UsageError(f"{file} cannot be written: {exc.strerror}") from exc


def read_plan(file: Path) -> Intent:
    """Raises UsageError when the file is no plan."""
    try:
        document = orjson.loads(file.read_bytes())
    except OSError as exc:
        raise UsageError(f"plan {file} cannot be read: {exc.strerror}") from exc
    except orjson.JSONDecodeError as exc:
        raise UsageError(f"plan {file} is no JSON: {exc}", hint="plan again.") from exc
    return intent.read(document, str(file))


def keeping_to(chosen: Options, file: Path) -> Options:
    """The options of a deploy that does what a plan says; the plan says for which Kustomizations.

    Raises:
        UsageError: the file is no plan, or another choice of Kustomizations is asked for.
    """
    made = read_plan(file)
    if (chosen.names or chosen.namespace) and (chosen.names, chosen.namespace) != (
        made.names,
        made.namespace,
    ):
        raise UsageError(
            f"plan {file} is for other Kustomizations than the ones that are named",
            hint="leave the names out: the plan has them.",
        )
    return replace(chosen, plan=made, names=made.names, namespace=made.namespace)


def exit_code(told: Comparison, *, differences: bool = False) -> int:
    """What the process says about a comparison."""
    if any(fault.side != "base" for fault in told.faults):
        return ExitCode.FAILED
    return ExitCode.DIFFERENCES if differences and told.differs else ExitCode.DONE


def parted(repository: Repository, given: str, head: str) -> str:
    """The commit to compare with: the one given, else where the head left origin's default branch.

    Raises UsageError when that cannot be told.
    """
    if given:
        return repository.ensure(given)
    for branch in ("HEAD", "main", "master"):
        try:
            tip = repository.resolve(f"refs/remotes/origin/{branch}")
        except UsageError:
            continue
        return _since(repository, f"origin/{branch}", tip, head)
    raise UsageError(
        "it is not known what to compare with: origin has no default branch here",
        hint="--base main, for example.",
    )


def _since(repository: Repository, name: str, tip: str, head: str) -> str:
    found = repository.merge_base(tip, head)
    if found is None:
        raise UsageError(
            f"it is not known where {head[:8]} left {name}: this clone is shallow",
            hint=f"fetch the history too (actions/checkout with `fetch-depth: 0`), or --base {name}.",
        )
    if not found:
        raise UsageError(
            f"{head[:8]} and {name} have no history in common",
            hint=f"--base {name} compares them as they are.",
        )
    return found


def _deployed(session: Session, world: Clients) -> str | Fault:
    """The commit that the cluster has on record; "" when nothing was ever deployed.

    One that is nowhere any more, after a forced push, keeps nobody from planning: only the change itself
    cannot be told from what was there before.
    """
    root = session.records.get(session.fleet.root)
    if root is None or root.deployment is None:
        return ""
    try:
        return world.repository.ensure(root.deployment.commit)
    except UsageError as exc:
        return Fault(root.kustomization, "base", (Problem("base", exc.message, "build", hint=exc.hint),))


def _recall(world: Clients) -> Recall:
    return Recall(world.memory or Passing())


def _before(chosen: Options, world: Clients, commit: str, recall: Recall) -> Desired | None:
    if not commit:
        return None
    return _side(replace(chosen, revision=commit, worktree=False), world, "base", recall)


def _changed(chosen: Options, world: Clients, base: str, head: str) -> Sequence[PathChange]:
    if chosen.worktree:
        return world.repository.changed_on_disk(base)
    return world.repository.changed(base, head)


def _warm_up(world: Clients) -> None:
    """A worker's first build takes longer than any other: it has its time while the sides are read."""
    empty = world.directory / "empty"
    empty.mkdir()
    world.pool.submit(world.builder.build, BuildRequest(empty, ".", {"spec": {}}))


def _no_entry(chosen: Options, **revisions: str) -> UsageError:
    names = " or ".join(SHORT.sub(r"\1", revision) for revision in revisions.values())
    return UsageError(
        f"entry {chosen.entry} is no directory of {names}",
        hint="name the directory that a cluster starts from, such as clusters/production.",
    )


def _side(
    options: Options,
    world: Clients,
    name: str,
    recall: Recall,
    tree: str = "",
    mapped: Mapping[str, Target] | None = None,
) -> Desired | None:
    """One side of a comparison; what a pull request says of sources counts once it is merged."""
    directory = world.directory / name
    directory.mkdir()
    try:
        return at(options, replace(world, directory=directory), recall, tree, mapped)
    except NoEntry:
        return None
