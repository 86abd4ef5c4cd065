"""What the cluster has on record: once, or again whenever it changes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from runner import state
from runner.assembly import connection
from runner.clients.clock import SystemClock
from runner.errors import ExitCode, UsageError
from runner.model import Leaf, Past, State, target
from runner.options import Options
from runner.report import json, style, text, yaml
from runner.report.views import Scope
from runner.state import Deployment, Record, Snapshot
from runner.store import Store


def get(chosen: Options, output: str) -> tuple[str, int]:
    """What the cluster has on record. Raises UsageError for a name that it has not."""
    with connection(chosen) as cluster:
        records = Store(cluster).load()
        server = cluster.server
    if missing := sorted(chosen.names - records.keys()):
        raise UsageError(
            f"Kustomization {', '.join(missing)} is not on record in {server}",
            hint="`kustodian get -o name` lists them.",
        )
    leaves = _leaves(chosen, records.values())
    scope = _scope(server, records.values())
    match output:
        case "json":
            return json.get(scope, leaves), int(ExitCode.DONE)
        case "yaml":
            return yaml.get(scope, leaves), int(ExitCode.DONE)
        case "name":
            return text.names(leaves), int(ExitCode.DONE)
        case _:
            return text.get(leaves, SystemClock().now()), int(ExitCode.DONE)


def watch(chosen: Options, *, live: bool) -> None:
    """Show the table again whenever a record changes: redrawn on a terminal, else the rows that changed.

    Ends only by an interrupt, or by a ClusterError.
    """
    from runner.clients.kubernetes.following import follow

    with connection(chosen) as cluster:
        news = (
            _leaves(chosen, map(state.decode, found.values()))
            for found in follow(cluster, "", "ConfigMap", selector=state.SELECTOR)
        )
        if live:
            _redraw(news)
        else:
            _rows(news)


def _rows(news: Iterable[list[Leaf]]) -> None:
    before: dict[str, Leaf] | None = None
    for leaves in news:
        now = {leaf.kustomization: leaf for leaf in leaves}
        changed = [leaf for id_, leaf in now.items() if before is None or before.get(id_) != leaf]
        gone = [leaf.kustomization for id_, leaf in (before or {}).items() if id_ not in now]
        sys.stdout.write(style.fit(text.rows(changed, gone, first=before is None), sys.stdout.encoding))
        sys.stdout.flush()
        before = now


def _redraw(news: Iterable[list[Leaf]]) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    clock, latest = SystemClock(), [text.get([])]
    seen: list[Leaf] = []

    def render() -> Text:
        latest[0] = text.get(seen, clock.now())
        return Text(latest[0].rstrip("\n"), no_wrap=True, overflow="ellipsis")

    # A refresh each second is for the ages; the cluster is not asked.
    with Live(console=Console(highlight=False), get_renderable=render, refresh_per_second=1) as drawn:
        for leaves in news:
            seen = leaves
            drawn.refresh()


def _leaves(chosen: Options, records: Iterable[Record]) -> list[Leaf]:
    return [
        recorded(record)
        for record in sorted(records, key=lambda each: each.kustomization)
        if chosen.selects(record.kustomization) and chosen.entry in {"", record.entry}
    ]


def _scope(server: str, records: Iterable[Record]) -> Scope:
    roots = [record for record in records if record.deployment is not None]
    root = roots[0] if len(roots) == 1 else None
    deployment = root.deployment if root else None
    return Scope(server, root.entry if root else "", deployment.revision if deployment else "")


def recorded(record: Record) -> Leaf:
    spec: Mapping[str, Any] = record.manifest.get("spec") or {}
    own = record.kustomization.partition("/")[0]
    last = record.history[0] if record.history else None
    return Leaf(
        record.kustomization,
        str(spec.get("path") or ""),
        record.parent,
        tuple(f"{d.get('namespace') or own}/{d.get('name')}" for d in spec.get("dependsOn") or []),
        suspended=spec.get("suspend") is True,
        paused=str(record.pause) if record.pause is not None else "",
        target=target(record.manifest),
        objects=tuple(sorted(record.inventory)),
        recorded=record.state,
        recorded_message=record.message or _message(record),
        revision=_revision(record),
        changed_at=last.at if last else None,
        history=tuple(_past(snapshot) for snapshot in record.history),
        deployments=_deployments(record),
    )


def _revision(record: Record) -> str:
    """What it was last changed from: the revision of its own source, as Flux shows it."""
    last = record.history[0] if record.history else None
    return next(iter(last.sources.values()), last.revision) if last is not None else ""


def _past(s: Snapshot) -> Past:
    started = s.at - s.seconds if s.seconds else None
    return Past(s.revision, s.state, started, s.at, s.digest, s.replaced, s.sources)


def _deployments(record: Record) -> tuple[Past, ...]:
    now = record.deployment
    known = [now] if now is not None and not now.done else []
    return tuple(_deployed(each) for each in (*known, *record.deployed))


def _deployed(d: Deployment) -> Past:
    ended = State.READY if d.done else None
    return Past(d.revision, ended, d.started_at, d.ended_at, replaced=d.replaced, sources=d.sources)


def _message(record: Record) -> str:
    if record.state is State.READY and record.history and record.history[0].replaced:
        back, undone = (style.revision(r) for r in (record.history[0].revision, record.history[0].replaced))
        return f"Rolled back to {back} from {undone}"
    if record.state is State.READY:
        return f"Applied revision: {style.revision(_revision(record))}" if record.history else ""
    return "a run began and has not ended" if record.state is None else ""
