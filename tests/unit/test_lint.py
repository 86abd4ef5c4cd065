"""Remarks in their forms: what people read, what programs read, and what GitHub's runner obeys."""

from __future__ import annotations

import json as stdlib_json
import os
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import runner.report
from runner.fleet import twice
from runner.remarks import Level, Remark, Remarks, merged
from runner.report import json, lint

SCHEMA = Path(runner.report.__file__).parent / "schemas" / "lint.json"
GOLDEN = Path(__file__).parent / "golden" / "lint.txt"
REVISION = f"main@sha1:{'3f' * 20}"
APP, INFRA = "clusters/production", "clusters/staging"
HOSTILE = "x\x1b[31m\n::error::forged\n::add-mask::y %0A \u202e"
FOUND = (
    Remark(Level.NOTE, "only_in_cluster", "ConfigMap a/b is only in the cluster", "a.yaml", 3, "a/web"),
    Remark(Level.ERROR, "missing_path", "kustomization path not found: ./x\nin two lines", "z.yaml", 9,
           "a/web", "name a directory.", (APP,)),
    Remark(Level.ERROR, "config", "clusters.a has no entry", "kustodian.yaml", 2),
    Remark(Level.WARNING, "dependency", "it depends on a/gone", kustomization="a/web", entries=(INFRA,)),
    Remark(Level.WARNING, "dependency", "it depends on a/gone", kustomization="a/web", entries=(APP,)),
)  # fmt: skip


def told(*remarks, entries=(APP, INFRA)):
    return Remarks(REVISION, entries, merged(remarks))


def test_the_text():
    got = lint.text(told(*FOUND))
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(got, encoding="utf-8")
    assert got == GOLDEN.read_text(encoding="utf-8"), "UPDATE_GOLDEN=1 rewrites it"


def test_nothing_to_say():
    assert lint.text(told()) == f"nothing to say in {APP}, {INFRA} at main@sha1:3f3f3f3f\n"


def test_a_remark_of_two_entries_is_said_once():
    assert [each.entries for each in merged(FOUND) if each.code == "dependency"] == [(APP, INFRA)]
    assert merged(FOUND) == merged(reversed(FOUND))


@pytest.mark.parametrize("entries", [(), (APP,), (APP, INFRA)])
def test_the_document_is_what_its_schema_says(entries):
    schema = stdlib_json.loads(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    document = stdlib_json.loads(json.dump(lint.document(told(*FOUND, entries=entries), 1)))
    Draft202012Validator(schema).validate(document)
    assert document["counts"] == {"error": 2, "warning": 1, "note": 1}
    assert document["entry"] == (entries[0] if len(entries) == 1 else "")


def test_the_commands():
    commands = lint.github(told(*FOUND)).splitlines()
    assert commands[0] == "::error file=kustodian.yaml,line=2,title=config::clusters.a has no entry"
    assert commands[1].startswith("::error file=z.yaml,line=9,title=a/web missing path::kustomization path")
    assert commands[2] == "::warning title=a/web dependency::it depends on a/gone"
    assert commands[3].startswith("::notice file=a.yaml,line=3,")
    assert not commands[4].startswith("::")


@pytest.mark.parametrize("form", [lint.text, lint.github])
def test_nobody_else_commands_the_runner(form):
    remark = Remark(Level.ERROR, "yaml", HOSTILE, f"{HOSTILE},line=1::x", 1, HOSTILE, HOSTILE, (HOSTILE,))
    lines = form(told(remark, entries=(HOSTILE, APP))).splitlines()
    commands = [line for line in lines if line.lstrip().startswith("::")]
    assert len(commands) == (form is lint.github)
    for command in commands:
        assert command.startswith("::error file=x")
        properties, _, message = command.removeprefix("::").partition("::")
        assert properties.count(",") == 2
        assert "%250A" in message
    assert not {"\x1b", "\u202e"} & set("".join(lines))


def config(name):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "n"}}


def kustomization(name):
    return config(name) | {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization"}


TWICE = [
    pytest.param([("a", ["x"]), ("b", ["y"])], {}, id="each has its own"),
    pytest.param([("b", ["x"]), ("a", ["x", "y"])], {"x": ("a", "b")}, id="two want one"),
    pytest.param([("a", ["x", "x"])], {"x": ("a", "a")}, id="one wants it twice"),
]


@pytest.mark.parametrize(("wanted", "found"), TWICE)
def test_objects_that_two_want(wanted, found):
    made = twice((id_, "", [config(name) for name in names]) for id_, names in wanted)
    assert {ref.name: ids for ref, ids in made} == found


def test_the_same_name_in_another_cluster_is_another_object():
    assert twice([("a", "", [config("x")]), ("b", "n/far", [config("x")])]) == []
    (found,) = twice([("a", "n/far", [config("x")]), ("b", "n/far", [config("x")])])
    assert found[1] == ("a", "b")


def test_a_kustomization_that_two_render_is_another_matter():
    assert twice([("a", "", [kustomization("x")]), ("b", "", [kustomization("x")])]) == []
