"""How much may still be written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from runner.report import clean, style
from runner.report.markdown import size

_APART = 2  # bytes between parts: an empty line
_MORE = 60  # bytes that tell how many items follow


@dataclass(slots=True)
class Budget:
    """Bytes left of a limit, and the names of what they did not suffice for."""

    left: int
    limit: int
    omitted: list[str] = field(default_factory=list)

    def part(self, text: str, name: str) -> list[str]:
        """The part, when it fits."""
        if size(text) + _APART > self.left:
            self.leave(name)
            return []
        self.left -= size(text) + _APART
        return [text]

    def items(self, items: Iterable[str], share: float, around: str, what: str) -> tuple[list[str], int]:
        """The first items that fit into a share of the limit, and how many do not.

        `around` is what the caller writes beside the items, each of which ends a line; `what` is one of them.
        """
        everything = list(items)
        room = min(self.left, int(self.limit * share)) - size(around) - _APART - _MORE
        kept = _first(everything, room)
        if kept:
            used = sum(size(item) + 1 for item in everything[:kept])
            self.left -= used + size(around) + _APART + _MORE
        if left := len(everything) - kept:
            self.omitted.append(style.count(left, what))
        return everything[:kept], left

    def leave(self, name: str) -> None:
        """Note what does not fit."""
        self.omitted.append(clean.line(name))


def _first(items: Sequence[str], room: int) -> int:
    for number, item in enumerate(items):
        room -= size(item) + 1
        if room < 0:
            return number
    return len(items)
