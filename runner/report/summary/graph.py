"""Who waited for whom, drawn: a Mermaid flowchart of which no foreign name is more than a label."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from runner.graph import Edge
from runner.model import Outcome, Run, State
from runner.report import clean, style
from runner.report.budget import Budget
from runner.report.markdown import fenced, folded

_MOST_WHOLE = 40  # Kustomizations of which every one is drawn; more are taller than any screen
_MOST_NODES = 80
_MOST_EDGES = 300  # GitHub draws no graph of more than 500
_NAME = 63
# No name that Kubernetes accepts has any other character. None of these means anything inside of quotes.
_FOREIGN = re.compile(r"[^A-Za-z0-9./-]")
_LINES: Mapping[Edge, str] = {
    Edge.DEPENDS_ON: "-->",
    Edge.VARIABLES: "-->|variables|",
    Edge.PARENT: "-.->",
    Edge.CHILD: "-.->",
}
_CLASSES: Mapping[str, str] = {
    "changed": "fill:#2da44e,stroke:#116329,color:#ffffff",
    "ready": "fill:#dafbe1,stroke:#2da44e,color:#1f2328",
    "failed": "fill:#cf222e,stroke:#82071e,color:#ffffff",
    "blocked": "fill:#fff8c5,stroke:#9a6700,color:#1f2328",
    "aside": "fill:#eaeef2,stroke:#6e7781,color:#1f2328,stroke-dasharray:4 3",
}
_LEGEND = (
    "<sub>Dark green: changed; green: ready; red: failed; yellow: blocked; grey: suspended or skipped. "
    "A solid line is <code>dependsOn</code> or says what else it is; a dotted one leads from the parent "
    "to what nothing else orders.</sub>"
)

Line = tuple[str, str]
"""From the one that is needed to the one that needs it."""


def blocks(run: Run, budget: Budget) -> Iterator[str]:
    """The drawing, where anybody waited for anybody; above a certain size only what is worth looking at."""
    everything = {each.kustomization: each for each in run.outcomes}
    lines = _lines(run.outcomes)
    shown = _chosen(everything, lines)
    drawn = _plain({line: edge for line, edge in lines.items() if set(line) <= set(shown)})
    if not drawn:
        return
    told = [_LEGEND]
    if len(shown) < len(everything):
        told.append(
            f"Drawn are {len(shown):,} of {len(everything):,}: what failed or changed, and its neighbours."
        )
    if len(drawn) > _MOST_EDGES:
        told.append(f"… and {len(drawn) - _MOST_EDGES:,} more lines.")
    chart = fenced(list(_chart(shown, drawn)), "mermaid")
    quiet = not any(each.changed or not each.ok for each in shown.values())
    part = folded("Who waited for whom", "\n\n".join([chart, *told]), opened=not quiet)
    yield from budget.part(part, "the graph") or ["The graph is left out, as it does not fit."]


def _lines(outcomes: Collection[Outcome]) -> dict[Line, Edge]:
    """One for each pair; `dependsOn` over variables over parents."""
    known = {each.kustomization for each in outcomes}
    rank = list(_LINES)
    found: dict[Line, Edge] = {}
    for each in outcomes:
        for need in sorted(each.needs, key=lambda need: rank.index(need.edge)):
            if need.id in known and need.id != each.kustomization:
                found.setdefault((need.id, each.kustomization), need.edge)
    return found


def _chosen(everything: Mapping[str, Outcome], lines: Collection[Line]) -> dict[str, Outcome]:
    """All of them, or when they are many those that failed or changed, then their neighbours."""
    if len(everything) <= _MOST_WHOLE:
        return dict(everything)
    failed = [id_ for id_, each in everything.items() if each.state is State.FAILED]
    changed = [id_ for id_, each in everything.items() if each.changed]
    blocked = [id_ for id_, each in everything.items() if each.state is State.BLOCKED]
    seeds = {*failed, *changed}
    neighbours = [id_ for line in lines if seeds & set(line) for id_ in line]
    chosen = set(list(dict.fromkeys([*failed, *changed, *neighbours, *blocked]))[:_MOST_NODES])
    return {id_: each for id_, each in everything.items() if id_ in chosen}


def _plain(lines: Mapping[Line, Edge]) -> dict[Line, Edge]:
    """Without the lines from parents that another way makes superfluous: nearly all have the same parent."""
    needs: dict[str, list[str]] = {}
    for needed, user in lines:
        needs.setdefault(user, []).append(needed)
    return {
        (needed, user): edge
        for (needed, user), edge in lines.items()
        if edge is not Edge.PARENT or not _leads(needed, user, needs)
    }


def _leads(needed: str, user: str, needs: Mapping[str, list[str]]) -> bool:
    """Whether a way that is longer than one line leads from one to the other."""
    front = [each for each in needs[user] if each != needed]
    seen = set(front)
    while front:
        new = set(needs.get(front.pop(), ())) - seen
        if needed in new:
            return True
        seen |= new
        front.extend(new)
    return False


def _chart(shown: Mapping[str, Outcome], lines: Mapping[Line, Edge]) -> Iterator[str]:
    numbers = {id_: f"n{number}" for number, id_ in enumerate(shown, 1)}
    yield "flowchart LR"
    for id_, each in shown.items():
        yield f'  {numbers[id_]}["{style.MARKS[each.state]} {_label(id_)}"]:::{_class(each)}'
    for (needed, user), edge in list(lines.items())[:_MOST_EDGES]:
        yield f"  {numbers[needed]} {_LINES[edge]} {numbers[user]}"
    used = {_class(each) for each in shown.values()}
    yield from (f"  classDef {name} {look}" for name, look in _CLASSES.items() if name in used)


def _label(name: str) -> str:
    return clean.cut(_FOREIGN.sub("·", clean.line(name)), _NAME)


def _class(outcome: Outcome) -> str:
    match outcome.state:
        case State.FAILED:
            return "failed"
        case State.BLOCKED:
            return "blocked"
        case State.READY:
            return "changed" if outcome.changed else "ready"
        case State.SUSPENDED | State.SKIPPED:
            return "aside"
