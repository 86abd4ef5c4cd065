"""Which recorded revision a rollback goes back to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runner.errors import UsageError
from runner.model import State
from runner.state import Record

_FEWEST = 7  # digits of a commit that name it


@dataclass(frozen=True, slots=True)
class Target:
    """Where a rollback goes, and from where; both as Flux writes a revision."""

    revision: str
    replaced: str

    @property
    def commit(self) -> str:
        return self.revision.rpartition(":")[2]


def choose(records: Mapping[str, Record], root: str, name: str, to: str) -> Target:
    """The revision to go back to: `to`, or the last one that went well before what is there now.

    `name` is one Kustomization, "" the whole entry. What a rollback took back is chosen only by `to`.

    Raises:
        UsageError: nothing like that is on record.
    """
    record = records.get(name or root)
    if record is None:
        raise UsageError(
            f"{name or root} is not on record in this cluster", hint="`kustodian get` lists them."
        )
    whole = records.get(root)
    entry = whole if whole is not None else record
    now = entry.deployment.revision if entry.deployment is not None else ""
    if name and record.history:
        now = record.history[0].revision
    known = _of_one(record, entry) if name else _of_all(record)
    if to:
        return Target(_named(to, [*known, now], name or root), now)
    back = _earlier_of_one(record) if name else [r for r in known if r != now]
    undone = {s.replaced for s in record.history} if name else {d.replaced for d in record.deployed}
    chosen = next((revision for revision in back if revision not in undone), "")
    if not chosen:
        raise UsageError(
            f"{name or root} has no earlier revision on record that went well",
            hint="`kustodian get -o yaml` shows its history; --to names a revision.",
        )
    return Target(chosen, now)


def _of_all(record: Record) -> list[str]:
    return [deployment.revision for deployment in record.deployed]


def _of_one(record: Record, entry: Record) -> list[str]:
    """A revision of the entry counts too: it changed nothing here, so it is not in the history."""
    return [*(s.revision for s in record.history), *_of_all(entry)]


def _earlier_of_one(record: Record) -> list[str]:
    """Revisions whose objects were other ones, and went well."""
    return [s.revision for s in record.history if s.state is State.READY and s.digest != record.digest]


def _named(to: str, known: Sequence[str], whose: str) -> str:
    """The recorded revision that a person means: the whole of it, or the first digits of its commit."""
    digits = to.rpartition(":")[2]
    found = {r for r in known if r and (r == to or _begins(r.rpartition(":")[2], digits))}
    if len(found) == 1:
        return found.pop()
    listed = ", ".join(dict.fromkeys(r for r in known if r)) or "none"
    what = "means several revisions" if found else "is no revision"
    raise UsageError(
        f"{to} {what} on record of {whose}: {listed}",
        hint="name one of them; `kustodian reconcile --revision COMMIT --allow-older` deploys any commit.",
    )


def _begins(commit: str, digits: str) -> bool:
    return len(digits) >= _FEWEST and commit.startswith(digits)
