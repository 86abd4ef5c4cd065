"""A comparison as text, as data and as a diff for tools; and manifests as the YAML that all views show."""

from __future__ import annotations

import difflib
import json as stdlib_json
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml as pyyaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import runner.report
from runner.changes import Cause, Comparison, FieldChange, Severity, Touch
from runner.errors import UsageError
from runner.model import Action, State
from runner.report import clean, difference, fields, json, manifest, overview, reading, text, unified, yaml
from tests.fakes import comparisons as made

GOLDEN = Path(__file__).parent / "golden"
SCHEMA = Path(runner.report.__file__).parent / "schemas/diff.json"
ALL = {
    "nothing": made.NOTHING,
    "routine": made.ROUTINE,
    "caution": made.CAUTION,
    "faults": made.FAULTS,
}
EXTREMES = {**ALL, "hostile": made.hostile(), "empty": Comparison("", "", "", "")}


def golden(name, got):
    if os.environ.get("UPDATE_GOLDEN"):
        (GOLDEN / name).write_text(got, encoding="utf-8")
    assert got == (GOLDEN / name).read_text(encoding="utf-8"), f"UPDATE_GOLDEN=1 rewrites {name}"


@pytest.mark.parametrize("name", ALL)
def test_it_reads_well(name):
    golden(f"comparison-{name}.txt", text.comparison(ALL[name]))


@pytest.mark.parametrize("name", EXTREMES)
def test_colours_change_no_word(name):
    assert text.coloured(EXTREMES[name]).plain == text.comparison(EXTREMES[name])


def test_documents():
    golden("diff.json", json.diff(made.CAUTION, 5))
    golden("caution.diff", unified.comparison(made.CAUTION))


@pytest.mark.parametrize("name", EXTREMES)
def test_a_document_is_what_its_schema_says(name):
    schema = stdlib_json.loads(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    document = stdlib_json.loads(json.diff(EXTREMES[name]))
    if name == "hostile":  # the side is a word of ours
        assert [each.pop("side") for each in document["errors"]]
        document["errors"] = [{**each, "side": "head"} for each in document["errors"]]
    Draft202012Validator(schema).validate(document)
    assert pyyaml.safe_load(yaml.diff(EXTREMES[name]).replace(r"\uD800", "?"))["changes"] is not None


def test_the_schema_and_the_views_know_every_word():
    schema = stdlib_json.loads(SCHEMA.read_text(encoding="utf-8"))
    properties, definitions = schema["properties"], schema["$defs"]
    reasons = properties["affected"]["items"]["properties"]["reasons"]["items"]
    assert set(reasons["properties"]["code"]["enum"]) == set(Cause) == set(overview.CAUSES)
    assert set(definitions["field"]["properties"]["touch"]["enum"]) == set(Touch)
    assert set(definitions["change"]["properties"]["action"]["enum"]) == set(Action) == {*overview.ACTIONS}
    assert set(properties["signals"]["items"]["properties"]["severity"]["enum"]) == set(Severity)
    assert set(properties["pending"]["items"]["properties"]["state"]["enum"]) == {*State, None}


def test_foreign_text_steers_neither_terminal_nor_runner():
    shown = text.comparison(made.hostile()) + unified.comparison(made.hostile())
    shown.encode()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f]", shown)
    assert not any(line.lstrip().startswith("::") for line in shown.splitlines())
    assert "##[" not in text.comparison(made.hostile("a\n##[add-mask]b"))


class TestUnified:
    @pytest.mark.parametrize("name", EXTREMES)
    def test_git_takes_it(self, name, tmp_path):
        shown = unified.comparison(EXTREMES[name])
        files = len(re.findall(r"^--- ", shown, re.MULTILINE))
        if not files:
            return
        told = subprocess.run(
            ["git", "apply", "--numstat", "-"],
            input=shown.encode(),
            capture_output=True,
            cwd=tmp_path,
            check=False,
        )
        assert told.returncode == 0, told.stderr
        assert len(told.stdout.splitlines()) == files

    def test_it_can_be_applied(self, tmp_path):
        change = made.UPGRADE
        file = tmp_path / unified.path(change.kustomization, change.ref)
        file.parent.mkdir(parents=True)
        file.write_text(manifest.yaml(change.before))
        shown = unified.comparison(made.ROUTINE).encode()
        subprocess.run(["git", "apply", "-"], input=shown, cwd=tmp_path, check=True)
        assert pyyaml.safe_load(file.read_text()) == change.after

    @given(*[st.text(max_size=8)] * 3)
    def test_no_name_leaves_the_tree(self, kustomization, name, namespace):
        where = unified.path(kustomization, made.ref("K", name, namespace))
        assert all(part and part.strip(".") for part in where.split("/"))
        assert re.fullmatch(r"[\w.~%:@+=,/-]+", where, re.ASCII)


LINES = st.lists(st.sampled_from("abcd"), max_size=25)


class TestDifference:
    @settings(deadline=None)
    @given(LINES, LINES, st.integers(1, 4))
    def test_steps_lead_from_one_to_the_other_and_group_as_usual(self, before, after, context):
        steps = difference.steps(before, after)
        made_of = [
            line for tag, a, b, c, d in steps for line in (before[a:b] if tag == "equal" else after[c:d])
        ]
        assert made_of == after
        assert [line for _, a, b, *_ in steps for line in before[a:b]] == before
        matcher = difflib.SequenceMatcher()
        matcher.opcodes = steps
        expected = list(matcher.get_grouped_opcodes(context)) if before != after else []
        assert list(difference.hunks(steps, context)) == expected

    def test_what_would_take_long_is_replaced_at_once(self):
        before, after = ["a", *["x", "y"] * 3000, "b"], ["a", *["y", "x"] * 3100, "c"]
        lines = list(difference.unified(before, after))
        assert len(lines) < 12_300
        assert lines[0] == "@@ -1,6002 +1,6202 @@"


class TestFields:
    @pytest.mark.parametrize(
        ("change", "line"),
        [
            (FieldChange("a", Touch.CHANGED, 1, 2), "a: 1 → 2"),
            (FieldChange("a", Touch.CHANGED, "1", 1), 'a: "1" → 1'),
            (FieldChange("a", Touch.CHANGED, "x", "x "), 'a: x → "x "'),
            (FieldChange("a", Touch.ADDED, None, 7), "a: + 7"),
            (FieldChange("a", Touch.REMOVED, {"b": [1]}), 'a: − {"b": [1]}'),
            (FieldChange("a", Touch.REORDERED, [1, 2], [2, 1]), "a: reordered"),
            (FieldChange("a", Touch.CHANGED, "‹2 bytes›", "‹2 bytes›"), "a: changed, still ‹2 bytes›"),
            (FieldChange("a", Touch.CHANGED, "x" * 50, None), "a: xxxxxxxxx… → null"),
        ],
    )
    def test_a_line(self, change, line):
        assert fields.line(change, 10 if change.before == "x" * 50 else 100) == line

    def test_what_cannot_be_seen_is_shown(self):
        assert fields.hunk(FieldChange("a", Touch.CHANGED, "a \tb\nc  \n", "a \tb\nc\u202e")) == [
            "@@ a @@", r"  a \u0009b", "- c··", r"+ c\u202e", r"+ \ no line break at the end",
        ]  # fmt: skip


CHARACTERS = st.characters(exclude_categories=["Cs"])
AWKWARD = [
    "yes",
    "No",
    "~",
    "null",
    "1e3",
    "0x1F",
    "1:20",
    "2001-01-01",
    "2001-01-01T00:00:00Z",
    "<<",
    "=",
    "-",
    "--",
    "---",
    "...",
    ".5",
    "1_000",
    "0o7",
    "+.inf",
    "100m",
    "10.0.0.1",
    "--flag=x",
    "-a",
    "a:",
    ":",
    "#",
    "%a",
    "1.",
    "?",
    "@a",
    "`a`",
    "!a",
    "&a",
    "*a",
    "|a",
    ">a",
    "0b1",
    "1,0",
]
TEXTS = st.one_of(
    st.text(CHARACTERS),
    st.text("ab \n\t:#-|>'\"\\{}[],&*!%@`~01.eE_+?", max_size=12),
    st.sampled_from(
        [*AWKWARD, "- a", "a: b", "a #b", "a\n\n", "\na", "a\n b\n", "a\n  \nb", "a\tb\nc", "\n", ""]
    ),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=10,
)


class TestManifest:
    @settings(deadline=None)
    @given(st.dictionaries(TEXTS, VALUES, max_size=4))
    def test_it_means_what_it_shows(self, value):
        shown = manifest.yaml(value)
        assert pyyaml.safe_load(shown) == value
        assert shown.endswith("\n")
        assert not clean.UNSAFE.search(shown)
        assert pyyaml.safe_load("\n".join([*manifest.lines(value), ""])) == value

    @pytest.mark.parametrize("value", [*AWKWARD, "x" * 10_000, "a\n" * 3])
    def test_awkward_texts_stay_texts(self, value):
        assert pyyaml.safe_load(manifest.yaml({value: [value, {value: value}]})) == {
            value: [value, {value: value}]
        }

    def test_it_looks_like_what_people_write(self):
        shown = manifest.yaml(
            {
                "spec": {"ports": [{"port": 80, "name": "http"}, []], "cpu": "100m", "on": "yes", "e": {}},
                "metadata": {"name": "a"}, "kind": "Service", "apiVersion": "v1",
                "data": {"run": "#!/bin/sh\necho hi\n", "tab": "a\tb"},
            }
        )  # fmt: skip
        assert shown == (
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n"
            "data:\n  run: |\n    #!/bin/sh\n    echo hi\n"
            '  tab: "a\\tb"\nspec:\n  cpu: 100m\n  e: {}\n  "on": "yes"\n'
            "  ports:\n  - name: http\n    port: 80\n  - []\n"
        )

    def test_depth_and_halves_of_characters_stop_nothing(self):
        deep = value = {}
        for _ in range(300):
            value["a"] = value = {}
        assert pyyaml.safe_load(manifest.yaml(deep)) == deep
        assert manifest.yaml({"a": "\ud800"}) == 'a: "\ufffd"\n'


def test_the_same_again_gives_the_same_bytes():
    shuffled = replace(made.CAUTION, held=tuple(reversed(made.CAUTION.held)))
    for view in (text.comparison, json.diff, unified.comparison):
        assert view(shuffled) == view(made.CAUTION)


class TestReading:
    """What `diff -o json` writes is read again, and nothing else is."""

    @pytest.mark.parametrize("name", ALL)
    def test_what_is_written_is_read_again(self, name):
        document = stdlib_json.loads(json.diff(ALL[name]))

        read = reading.comparison(document, "report.json")

        assert stdlib_json.loads(json.diff(read)) == document

    @pytest.mark.parametrize("name", ["caution", "faults"])
    def test_any_part_of_another_type_is_refused(self, name):
        document = stdlib_json.loads(json.diff(ALL[name]))
        for path in paths(document):
            if path[-1] in {"before", "after", "dependent", "exitCode", "schema"}:
                continue  # free, or follows from the rest
            damaged = stdlib_json.loads(stdlib_json.dumps(document))
            holder = damaged
            for step in path[:-1]:
                holder = holder[step]
            holder[path[-1]] = {"of": "another type"}
            with pytest.raises(UsageError, match=r"report\.json"):
                reading.comparison(damaged, "report.json")


def paths(value, here=()):
    """The way to every part of a document, the first item of a list standing for all; values are free."""
    items = (
        value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    )
    for key, below in items:
        yield (*here, key)
        if key not in {"before", "after"}:
            yield from paths(below, (*here, key))
