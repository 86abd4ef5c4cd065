"""Cut GitHub's example events down to what a workflow could look at.

    npm pack @octokit/webhooks-examples@7.6.1 && tar -xzf octokit-webhooks-examples-*.tgz
    python -m tests.e2e.act.trim package/api.github.com/index.json

The package is MIT-licensed, by Gregor Martynus and others.
Links, avatars and node ids go; a payload's shape stays.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "payloads"
WANTED: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "push": ("push", lambda each: each["ref"].startswith("refs/heads/")),
    "deleted": ("push", lambda each: each["deleted"]),
    "pull_request": ("pull_request", lambda each: each["action"] == "synchronize"),
    "merge_group": ("merge_group", lambda each: each["action"] == "checks_requested"),
    "workflow_dispatch": ("workflow_dispatch", lambda each: each["ref"] == "refs/heads/master"),
}
"""File to event, and which of its examples: the first that fits."""
ORNAMENT = ("_url", "_links", "node_id", "gravatar_id", "label", "permissions")
NUMBERS = ("_count", "forks", "watchers", "open_issues", "size")


def main() -> int:
    events = {event["name"]: event["examples"] for event in json.loads(Path(sys.argv[1]).read_bytes())}
    for name, (event, fits) in WANTED.items():
        payload = trimmed(next(each for each in events[event] if fits(each)))
        (HERE / f"{name}.json").write_text(json.dumps(payload, indent=1, sort_keys=True) + "\n")
    return 0


def trimmed(value: Any) -> Any:
    match value:
        case dict():
            return {key: trimmed(each) for key, each in value.items() if not ornament(key)}
        case list():
            return [trimmed(each) for each in value]
    return value


def ornament(key: str) -> bool:
    return (
        key == "url" or key.endswith(ORNAMENT) or key.endswith(NUMBERS) or key.startswith(("has_", "allow_"))
    )


if __name__ == "__main__":
    sys.exit(main())
