"""What `lint` has to say of a repository: values, sorted as people read them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Level(StrEnum):
    """How much a remark matters."""

    ERROR = "error"  # a deploy would be refused, or fail
    WARNING = "warning"  # it does something that hardly anybody wants
    NOTE = "note"  # it cannot be told from here


LEVELS = tuple(Level)


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing to say, of one or several entries."""

    level: Level
    code: str
    message: str
    file: str = ""  # relative to the repository's root; "" when it is not known, or not of this repository
    line: int = 0  # from 1; 0 when it is not known
    kustomization: str = ""
    hint: str = ""
    entries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Remarks:
    """All that was found in some entries of one revision."""

    revision: str
    entries: tuple[str, ...]
    remarks: tuple[Remark, ...]

    def count(self, level: Level) -> int:
        return sum(each.level is level for each in self.remarks)

    @property
    def ok(self) -> bool:
        return not self.count(Level.ERROR)


def merged(found: Iterable[Remark]) -> tuple[Remark, ...]:
    """Each remark once, with all the entries that it is made of; errors first, then by place."""
    entries: dict[Remark, tuple[str, ...]] = {}
    for each in found:
        bare = replace(each, entries=())
        entries[bare] = tuple(sorted({*entries.get(bare, ()), *each.entries}))
    return tuple(sorted((replace(bare, entries=of) for bare, of in entries.items()), key=_order))


def _order(remark: Remark) -> tuple[int, str, int, str, str, str]:
    return (
        LEVELS.index(remark.level),
        remark.file,
        remark.line,
        remark.kustomization,
        remark.code,
        remark.message,
    )
