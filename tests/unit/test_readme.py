"""What the README says is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from runner.discover import spec
from runner.errors import ExitCode
from runner.options import Options, PruneLimit

README = (Path(__file__).parents[2] / "README.md").read_text()


def between(mark: str) -> set[str]:
    text = re.search(rf"<!-- {mark} -->(.*?)<!-- /{mark} -->", README, re.DOTALL)
    assert text
    return set(re.findall(r"`([^`]+)`", text[1]))


def test_the_honoured_fields():
    assert between("honoured") == spec.HONOURED


def test_the_refused_fields():
    assert between("refused") == {*spec.REFUSED, "dependsOn[].readyExpr"}


def test_the_exit_codes():
    told = {int(n) for row in re.findall(r"^\| ([\d, ]+) \|", README, re.MULTILINE) for n in row.split(",")}
    assert told == set(ExitCode)


def test_the_prune_limit():
    assert f"{PruneLimit().objects} objects and more than {PruneLimit().percent:g} %" in README
    assert Options().prune_limit == PruneLimit()


def test_the_commands():
    from runner.cli import commands

    told = set(re.findall(r"^\| `(\w+)", README, re.MULTILINE))
    assert told == {name for name, command in commands.commands.items() if not command.hidden}
