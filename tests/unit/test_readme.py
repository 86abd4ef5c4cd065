"""What the README says is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from runner.discover import support
from runner.errors import ExitCode
from runner.options import Options, PruneLimit

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_the_table_of_fields_is_the_generated_one():
    made = re.search(r"<!-- fields: [\w .-]+ -->\n(.*?)\n<!-- /fields -->", README, re.DOTALL)
    assert made
    assert made[1] == support.table()


def test_the_exit_codes():
    told = {int(n) for row in re.findall(r"^\| ([\d, ]+) \|", README, re.MULTILINE) for n in row.split(",")}
    assert told == set(ExitCode)


def test_the_prune_limit():
    assert f"{PruneLimit().objects} objects and more than {PruneLimit().percent:g} %" in README
    assert Options().prune_limit == PruneLimit()


def test_the_commands():
    from runner.cli import commands

    table = README.partition("| command |")[2].partition("\n\n")[0]
    told = set(re.findall(r"^\| `(\w+)", table, re.MULTILINE))
    assert told == {name for name, command in commands.commands.items() if not command.hidden}
