"""What a step of a workflow finds in its environment."""

from __future__ import annotations

from pathlib import Path


def environment(repository: Path, temp: Path, api: str) -> dict[str, str]:
    """The runner's variables for a step on `main`, whose event is in `temp`; `api` is GitHub's."""
    return {
        "GITHUB_EVENT_PATH": str(temp / "event.json"),
        "GITHUB_WORKSPACE": str(repository),
        "GITHUB_OUTPUT": str(temp / "output"),
        "GITHUB_STEP_SUMMARY": str(temp / "summary.md"),
        "GITHUB_REPOSITORY": "acme/fleet",
        "GITHUB_SERVER_URL": "https://github.example",
        "GITHUB_API_URL": api,
        "GITHUB_RUN_ID": "42",
        "GITHUB_REF": "refs/heads/main",
        "RUNNER_TEMP": str(temp),
    }


def inputs(**given: str) -> dict[str, str]:
    """The inputs of a step, by their names with `_` for `-`."""
    return {f"INPUT_{name.upper().replace('_', '-')}": value for name, value in given.items()}
