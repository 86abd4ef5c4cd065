"""What a GitHub event asks for: to deploy, to preview, or nothing at all."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from runner.errors import UsageError


class Mode(enum.Enum):
    """What an event asks for."""

    DEPLOY = enum.auto()
    PREVIEW = enum.auto()  # a dry run, whatever the input says
    NOTHING = enum.auto()


def payload(document: object, origin: str) -> Mapping[str, Any]:
    """An event's payload from its parsed JSON, which `origin` names. Raises UsageError."""
    if not isinstance(document, dict):
        raise UsageError(f"{origin} is no event: it holds no JSON object")
    return document


def decide(event: str, payload: Mapping[str, Any], *, dry_run: bool) -> tuple[Mode, str]:
    """What to do on an event, and what to say about it. Raises UsageError."""
    wanted = Mode.PREVIEW if dry_run else Mode.DEPLOY
    match event:
        case "push" if payload.get("deleted"):
            return Mode.NOTHING, f"{payload.get('ref', 'a ref')} was deleted: nothing is deployed or pruned"
        case "push" | "workflow_dispatch":
            return wanted, ""
        case "pull_request" | "merge_group":
            return Mode.PREVIEW, f"{event}: this is a preview, nothing is written"
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
