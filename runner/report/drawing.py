"""The board on a terminal: a line for each Kustomization, as many as fit, and a last one that sums up."""

from __future__ import annotations

from rich.text import Text

from runner.ports import Phase
from runner.report import style
from runner.report.board import Board, Row

MOST = 30
"""More Kustomizations than this are no longer listed one by one."""

_PHASE = max(map(len, Phase))
_MARKS = {
    Phase.WAITING: (style.WAITING, "dim"),
    Phase.READY: (style.MARKS["ready"], "green"),
    Phase.FAILED: (style.MARKS["failed"], "red"),
    Phase.BLOCKED: (style.MARKS["blocked"], "yellow"),
    Phase.SUSPENDED: (style.MARKS["suspended"], "dim"),
    Phase.SKIPPED: (style.MARKS["skipped"], "dim"),
}
_AT_WORK = (style.ACTIVE, "cyan")


def draw(board: Board, now: float, height: int, *, finished: bool, whole: bool = False) -> Text:
    """Everything while it fits into `height` lines, else what needs eyes; at the end only what went wrong.

    As a `whole` it has the waves of the roll-out, and all of it stays at the end.
    """
    rows = _shown(board, max(min(MOST, height - 2 - whole), 1), finished=finished)
    if whole:
        chosen = {row.name for row in rows}
        rows = [row for row in board.by_wave if finished or row.name in chosen]
    wanted = [row for row in board.rows if row.active or row.bad]
    hidden = len(wanted) - sum(row.active or row.bad for row in rows)
    lines = (
        _heads(board, whole=whole)
        + [_line(row, board.width, now, whole=whole) for row in rows]
        + [_last(board, now, hidden)]
    )
    # A line that wrapped would leave its second half behind at the next redraw.
    drawn = Text(no_wrap=True, overflow="ellipsis")
    for number, line in enumerate(lines):
        drawn.append("\n" if number else "").append_text(line)
    return drawn


def _shown(board: Board, most: int, *, finished: bool) -> list[Row]:
    rows = board.rows
    if finished:
        return [row for row in rows if row.bad or row.active][:most]
    if len(rows) <= most:
        return rows
    bad, active = [row for row in rows if row.bad], board.active
    # What failed must not push what goes on off the screen.
    return (bad[: max(most // 3, most - len(active))] + active)[:most]


def _heads(board: Board, *, whole: bool) -> list[Text]:
    if not whole or not board.rows:
        return []
    head = f"WAVE    {'KUSTOMIZATION':<{board.width}}  {'PHASE':<{_PHASE}}  {'TOOK':>6}  WHAT"
    return [Text(head, "bold")]


def _line(row: Row, width: int, now: float, *, whole: bool) -> Text:
    mark, colour = _MARKS.get(row.phase, _AT_WORK)
    line = Text.assemble(
        f"{row.wave or '':>4}  " if whole else "",
        (mark, colour),
        f" {row.name:<{width}}  ",
        (f"{row.phase:<{_PHASE}}", colour),
        f"  {row.took(now):>6}",
        (f"  {row.detail}", "dim"),
    )
    line.rstrip()
    return line


def _last(board: Board, now: float, hidden: int) -> Text:
    more = f"  ({hidden:,} of them not shown)" if hidden else ""
    return Text.assemble((f"  {style.duration(now)}", "bold"), f"  {board.summary()}", (more, "dim"))
