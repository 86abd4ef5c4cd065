"""`python -m tests.lint`: the workflows, the examples and the actions, read by those who know them best."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.cached_build import BuildError
from tests.lint import actionlint

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
WORKFLOWS = (".github/workflows/*.yml", "examples/workflows/*.yml")
ACTIONS = ("action.yml", "cli/action.yml", "tests/e2e/*/*/action.yml")


def main() -> int:
    """Run them all, even when one finds something; 1 when any did."""
    try:
        commands = list(_commands(found(WORKFLOWS), found(ACTIONS)))
    except (BuildError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    # A token would make zizmor ask GitHub, and its answer would not be the same everywhere.
    environment = {name: value for name, value in os.environ.items() if "TOKEN" not in name}
    return max([_run(command, environment) for command in commands])


def found(patterns: Sequence[str]) -> list[str]:
    """The files below the root; a pattern that finds none is a mistake."""
    files = []
    for pattern in patterns:
        some = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern))
        if not some:
            raise RuntimeError(f"{pattern}: there is no such file")
        files += some
    return files


def _commands(workflows: Sequence[str], actions: Sequence[str]) -> Iterator[list[str]]:
    zizmor = ["zizmor", "--offline", "--no-progress", "--quiet", "--persona=pedantic"]
    yield _ours(*zizmor, "--config=.github/zizmor.yml", *workflows, *actions)
    for schema, files in (
        ("vendor.github-workflows", workflows),
        ("custom.github-workflows-require-timeout", workflows),
        ("vendor.github-actions", actions),
    ):
        yield _ours("check-jsonschema", "--builtin-schema", schema, *files)
    yield [str(actionlint.ensure()), "-no-color", "-shellcheck", str(BIN / "shellcheck"), *workflows]


def _ours(program: str, *arguments: str) -> list[str]:
    return [str(BIN / program), *arguments]


def _run(command: Sequence[str], environment: dict[str, str]) -> int:
    print("$", Path(command[0]).name, shlex.join(command[1:]), flush=True)  # noqa: T201
    return min(subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode, 1)


if __name__ == "__main__":
    sys.exit(main())
