"""GitHub's example events, told of the commits of a test's own repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EXAMPLES = ("Codertocat/Hello-World", "octo-org/octo-repo")
PAYLOADS = Path(__file__).parent / "payloads"
NOTHING = "0" * 40


def payload(name: str, **changes: Any) -> dict[str, Any]:
    """An example, changed: `pull_request__head__sha=…` is a way down into it."""
    document: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_bytes())
    document["repository"]["default_branch"] = "main"  # the test's own; the examples' is another
    for way, value in changes.items():
        *above, last = way.split("__")
        place = document
        for each in above:
            place = place[each]
        assert last in place, f"the example of {name} has no {way}"
        place[last] = value
    return document


def of(repository: str, document: dict[str, Any]) -> str:
    """A payload as the text that an event of this repository would be."""
    text = json.dumps(document)
    for example in EXAMPLES:
        text = text.replace(example, repository)
    return text


def push(before: str, after: str) -> dict[str, Any]:
    new = before == NOTHING
    changes = {"head_commit__id": after, "created": new, "ref": "refs/heads/main"}
    return payload("push", before=before, after=after, **changes)


def pull_request(base: str, head: str) -> dict[str, Any]:
    return payload("pull_request", after=head, pull_request__base__sha=base, pull_request__head__sha=head)


def merge_group(base: str, head: str) -> dict[str, Any]:
    return payload("merge_group", merge_group__base_sha=base, merge_group__head_sha=head)
