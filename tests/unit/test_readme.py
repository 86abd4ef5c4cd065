"""What the README says is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runner.action.inputs import FINDINGS
from runner.clients import github
from runner.clients.github import wire
from runner.discover import support
from runner.errors import ExitCode
from runner.options import Options, PruneLimit
from tests import interface

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
EXAMPLES = ROOT / "examples" / "workflows"


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


@pytest.mark.parametrize("kind", ["inputs", "outputs"])
def test_the_tables_of_the_action_are_the_generated_ones(kind):
    made = re.search(
        rf"<!-- {kind}: python -m tests.interface -->\n(.*?)\n<!-- /{kind} -->", README, re.DOTALL
    )
    assert made
    assert made[1] == interface.table(kind)


@pytest.mark.parametrize("name", ["deploy", "preview"])
def test_the_quick_start_is_the_linted_example(name):
    assert f"```yaml\n{(EXAMPLES / f'{name}.yml').read_text()}```\n" in README


def test_every_example_is_named():
    told = set(re.findall(r"\(examples/workflows/([\w-]+\.yml)\)", README))
    assert told == {path.name for path in EXAMPLES.iterdir()}


def test_the_permissions_are_those_that_the_client_asks_for():
    table = README.partition("| for | `permissions:` |")[2].partition("\n\n")[0]
    told = set(re.findall(r"`([a-z-]+: (?:read|write))`", table))

    asked: set[str] = set()
    for path in Path(github.__file__).parent.glob("*.py"):
        asked.update(re.findall(r'"([a-z-]+: write)"', path.read_text()))
    assert asked
    assert asked <= told
    assert told - asked == {"contents: read"}


def test_what_fails_a_preview():
    told = README.partition("is up to `fail-on`:")[2].partition("\n\n")[0]
    assert re.findall(r"`(\w+)`", told) == [*FINDINGS, "none"]
    assert {int(code) for code in re.findall(r"\d", told)} == {ExitCode.FAILED, ExitCode.DIFFERENCES}


def test_the_requests_to_github():
    assert f"at most {wire.MOST_REQUESTS} requests" in " ".join(README.split())
