"""What a GitHub event asks for: to deploy, to preview, to look for drift, or nothing at all."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.errors import UsageError

_HEADS = "refs/heads/"
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


_WATCHES = ("schedule", "workflow_dispatch", "repository_dispatch", "push")
WITH_PAYLOAD = frozenset({"push", "pull_request", "merge_group", "workflow_dispatch", "workflow_run"})


class Mode(enum.Enum):
    """What an event asks for."""

    DEPLOY = enum.auto()
    PREVIEW = enum.auto()  # a dry run, whatever the input says
    COMMENT = enum.auto()  # on the pull request of another run, with the report that it left
    DRIFT = enum.auto()
    NOTHING = enum.auto()


@dataclass(frozen=True, slots=True)
class Sides:
    """The two commits that a preview compares."""

    base: str
    head: str
    merge: bool = False  # what counts is not `head` itself, but its merge onto `base`


def payload(document: object, origin: str) -> Mapping[str, Any]:
    """An event's payload from its parsed JSON, which `origin` names. Raises UsageError."""
    if not isinstance(document, dict):
        raise UsageError(f"{origin} is no event: it holds no JSON object")
    return document


def decide(event: str, payload: Mapping[str, Any], *, dry_run: bool, drift: bool = False) -> tuple[Mode, str]:
    """What to do on an event, and what to say about it; with `drift` that is asked for. Raises UsageError."""
    wanted = Mode.PREVIEW if dry_run else Mode.DEPLOY
    if drift:
        return _watch(event)
    match event:
        case "schedule" if not dry_run:
            return Mode.DRIFT, ""
        case "push" if payload.get("deleted"):
            return Mode.NOTHING, f"{payload.get('ref', 'a ref')} was deleted: nothing is deployed or pruned"
        case "push" | "workflow_dispatch":
            return wanted, ""
        case "pull_request" if payload.get("action") == "closed":
            return Mode.NOTHING, "the pull request is closed: there is nothing to preview"
        case "pull_request" | "merge_group":
            return Mode.PREVIEW, f"{event}: this is a preview, nothing is written"
        case "workflow_run":
            return Mode.COMMENT, ""
        case "pull_request_target":
            raise UsageError(
                "event pull_request_target is refused: it has the repository's secrets, "
                "while anybody can write the files that a pull request brings",
                hint="use pull_request.",
            )
        case _ if dry_run:
            return Mode.PREVIEW, ""
        case _:
            raise UsageError(
                f"event {event} does not deploy" if event else "GITHUB_EVENT_NAME is not set",
                hint="push and workflow_dispatch do; with `dry-run: true` any event shows what would happen.",
            )


def _watch(event: str) -> tuple[Mode, str]:
    if event not in _WATCHES:
        raise UsageError(
            f"mode: drift, on event {event}: drift is looked for on {', '.join(_WATCHES)}",
            hint="what a pull request changes is shown by mode: auto.",
        )
    return Mode.DRIFT, ""


def sides(event: str, payload: Mapping[str, Any], head_parents: Sequence[str], head: str) -> Sides:
    """What a preview compares; `head` is what is checked out. Raises UsageError.

    A pull request counts as it would be merged. Its merge commit is taken when that is what is checked
    out; else the merge has to be made, so that what others did to the base since is not shown as undone.
    """
    match event:
        case "pull_request":
            change = _commit(event, payload, "pull_request", "head", "sha")
            if len(head_parents) == 2 and head_parents[1] == change:  # noqa: PLR2004 — base and change
                return Sides(head_parents[0], head)
            return Sides(_commit(event, payload, "pull_request", "base", "sha"), change, merge=True)
        case "merge_group":
            return Sides(
                _commit(event, payload, "merge_group", "base_sha"),
                _commit(event, payload, "merge_group", "head_sha"),
            )
        case _:
            raise UsageError(
                f"event {event} has no base to compare with",
                hint="pull_request and merge_group have one; elsewhere the base has to be named.",
            )


def default_branch(payload: Mapping[str, Any]) -> str:
    """The repository's default branch, "" when the event does not say."""
    repository = payload.get("repository")
    found = repository.get("default_branch") if isinstance(repository, Mapping) else None
    return found if isinstance(found, str) else ""


def branch(payload: Mapping[str, Any], ref: str) -> str:
    """The branch that a run is about: the base's where something is to be merged, else the ref's; or ""."""
    change, group = payload.get("pull_request"), payload.get("merge_group")
    base = change.get("base") if isinstance(change, Mapping) else None
    if isinstance(base, Mapping):
        found = base.get("ref")
        return found if isinstance(found, str) else ""
    if isinstance(group, Mapping):
        ref = str(group.get("base_ref") or "")
    return ref.removeprefix(_HEADS) if ref.startswith(_HEADS) else ""


def shown_commit(payload: Mapping[str, Any]) -> str:
    """The commit that a pull request shows checks of; "" for any other event."""
    change = payload.get("pull_request")
    head = change.get("head") if isinstance(change, Mapping) else None
    found = head.get("sha") if isinstance(head, Mapping) else None
    return found if isinstance(found, str) and _HASH.fullmatch(found) else ""


def pull_number(payload: Mapping[str, Any]) -> int:
    """The pull request that an event is about; 0 when it is about none."""
    change = payload.get("pull_request")
    number = change.get("number") if isinstance(change, Mapping) else None
    return number if isinstance(number, int) else 0


def commented_commit(payload: Mapping[str, Any]) -> str:
    """The commit that another run looked at. Raises UsageError."""
    return _commit("workflow_run", payload, "workflow_run", "head_sha")


def _commit(event: str, payload: Mapping[str, Any], *path: str) -> str:
    found: object = payload
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    if isinstance(found, str) and _HASH.fullmatch(found):
        return found
    raise UsageError(
        f"event {event}: {'.'.join(path)} is " + ("missing" if found is None else "not a commit"),
        hint="GITHUB_EVENT_PATH has to be the file that GitHub wrote for this event.",
    )
