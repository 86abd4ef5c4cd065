"""Where we differ from the controller, and why: everything that is not listed here has to be the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.fidelity.controller.comparing import ABSENT, Difference


@dataclass(frozen=True)
class Documented:
    """A difference that is meant: of which objects, at which path (patterns of the whole), and why."""

    of: str
    path: str
    reason: str
    holds: Callable[[Any, Any], bool] = lambda theirs, ours: True
    """Whether what the two have differs in this way and in no other."""

    def covers(self, name: str, difference: Difference) -> bool:
        return (
            re.fullmatch(self.of, name) is not None
            and re.fullmatch(self.path, difference.path) is not None
            and self.holds(difference.theirs, difference.ours)
        )


def unlisted(table: Iterable[Documented], found: Mapping[str, Iterable[Difference]]) -> list[str]:
    """The differences that the table does not have."""
    entries = list(table)
    return [
        f"{name}: {difference}"
        for name, differences in found.items()
        for difference in differences
        if not any(each.covers(name, difference) for each in entries)
    ]


def stale(table: Iterable[Documented], found: Mapping[str, Iterable[Difference]]) -> list[str]:
    """The entries of the table that nothing shows."""
    every = [(name, difference) for name, differences in found.items() for difference in differences]
    return [
        f"{each.of} {each.path}: {each.reason}"
        for each in table
        if not any(each.covers(name, difference) for name, difference in every)
    ]


OBJECTS = (
    Documented(
        "Kustomization/.*",
        r"metadata\.finalizers|metadata\.managedFields\.gotk-kustomize-controller/Update",
        "nobody but the controller would take its finalizer off again",
        lambda theirs, ours: ours == ABSENT,
    ),
)

DIGEST = Documented(
    ".*",
    r"history\.\d\.digest",
    "theirs is a plain hash of what was rendered, Secrets included; ours gives nothing away",
    lambda theirs, ours: len(theirs) == len(ours) and ours.startswith("sha256:"),
)
MESSAGE = r"conditions\.Ready\.message"
UNSET = 'variable not set (strict mode): "missing"'
NO_SOURCE = "substitute from 'ConfigMap/no-such' error: "
FAILURES = (
    DIGEST,
    Documented(
        "refused|nowhere|partial",
        MESSAGE,
        "the controller appends what it changed before; our next run would then have something new to say",
        lambda theirs, ours: re.fullmatch(re.escape(ours) + r"\n(\S+ created\n)*", theirs) is not None,
    ),
    Documented(
        "crless",
        MESSAGE,
        "a kind that the server does not serve is not sent to it",
        lambda theirs, ours: theirs == ours.replace(": ", " dry-run failed: ", 1) + "\n",
    ),
    Documented(
        "pathless|unbuilt|unkind",
        MESSAGE,
        "ours has the place in the repository, theirs a directory that is gone",
        lambda theirs, ours: ours.partition(": ")[2] in re.sub(r"/\S*/kustomization-\d+/", "", theirs),
    ),
    Documented(
        "unset",
        MESSAGE,
        "ours has the place in the repository and the variables there are, theirs the object",
        lambda theirs, ours: theirs.endswith(UNSET) and UNSET in ours,
    ),
    Documented(
        "misses",
        MESSAGE,
        "ours has the place in the repository, and a Kustomization of the run may make the source, too",
        lambda theirs, ours: NO_SOURCE in theirs and NO_SOURCE in ours,
    ),
    Documented(
        "partial",
        "inventory",
        "the controller loses track of what it made before it failed",
        lambda theirs, ours: theirs == ABSENT and len(ours["entries"]) == 3,
    ),
)
