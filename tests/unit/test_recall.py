"""Which trees a kept rendering counts for, and with which variables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runner.content import Content
from runner.discover import root
from runner.fleet import Rendering, Variables
from runner.model import VariableSource
from runner.render.memory import MOST, Passing, Recall
from runner.rendered import Closure, Problem

FILES = {"a/read": "1", "a/stat": "2", "dir/x": "3", "listed/x": "4", "listed/below/y": "5"}
CONTENT = Content(FILES)
CLOSURE = Closure(("a/read",), ("a/stat",), ("dir",), ("listed",), ("missing",))
K = root("flux-system/apps", "apps")
SOURCE = VariableSource("ConfigMap", "flux-system", "vars")
VARIABLES = Variables(values={"a": "1"})
MADE = Rendering(
    objects=({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}},),
    shown=({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}},),
    closure=CLOSURE,
    variables=VARIABLES,
)


def kept(made: Rendering = MADE, content: Content = CONTENT) -> Recall:
    """What another process finds."""
    memory = Passing()
    Recall(memory).keep(K, made.variables, content, made)
    return Recall(memory)


SAME = {
    "nothing changed": FILES,
    "a file that was only looked for": {**FILES, "a/stat": "another"},
    "a file in a directory that was only looked for": {**FILES, "dir/x": "another", "dir/y": "new"},
    "a file in a directory that was listed": {**FILES, "listed/x": "another"},
    "a file further below": {**FILES, "listed/below/z": "new"},
    "somewhere else": {**FILES, "b": "new"},
}
OTHER = {
    "a file that was read": {**FILES, "a/read": "another"},
    "a file that was read is gone": {path: id_ for path, id_ in FILES.items() if path != "a/read"},
    "a file that was looked for is gone": {path: id_ for path, id_ in FILES.items() if path != "a/stat"},
    "a directory that was looked for is gone": {path: id_ for path, id_ in FILES.items() if path != "dir/x"},
    "a directory that was looked for is a file": {
        "dir": "3",
        **{p: i for p, i in FILES.items() if p != "dir/x"},
    },
    "a new entry": {**FILES, "listed/y": "new"},
    "an entry less": {path: id_ for path, id_ in FILES.items() if path != "listed/below/y"},
    "an entry that is a directory now": {**FILES, "listed/x/y": "new", "listed/x": ""},
    "what was missing is a file": {**FILES, "missing": "new"},
    "what was missing is a directory": {**FILES, "missing/x": "new"},
}


@pytest.mark.parametrize("case", SAME)
def test_a_tree_in_which_a_build_sees_the_same(case: str):
    found = kept().find(K, VARIABLES, Content(SAME[case]))
    assert found is not None
    assert (found.objects, found.closure, found.variables) == (MADE.objects, CLOSURE, VARIABLES)


@pytest.mark.parametrize("case", OTHER)
def test_a_tree_in_which_a_build_may_see_something_else(case: str):
    files = {path: id_ for path, id_ in OTHER[case].items() if id_}
    assert kept().find(K, VARIABLES, Content(files)) is None


def test_a_directory_without_files_is_one():
    empty = Content(FILES, frozenset({"missing/below"}))
    assert (empty.is_directory("missing"), empty.is_directory("missing/below")) == (True, True)
    assert kept().find(K, VARIABLES, empty) is None
    assert list(empty.around("missing")) == []
    assert sorted(empty.around("")) == ["a/read", "dir/x", "listed/x"]


@pytest.mark.parametrize(
    "other",
    [
        Variables(),
        Variables(values={"a": "2"}),
        Variables(values={"a": "1", "b": ""}),
        replace(VARIABLES, overridable=frozenset({"a"})),
        replace(VARIABLES, unread=(SOURCE,)),
        replace(VARIABLES, missing=(SOURCE,)),
    ],
    ids=["none", "another value", "one more", "overridable", "not read", "missing"],
)
def test_other_variables(other: Variables):
    assert kept().find(K, other, CONTENT) is None


def test_another_spec_or_name():
    for other in (root("flux-system/apps", "elsewhere"), root("flux-system/others", "apps")):
        assert kept().find(other, VARIABLES, CONTENT) is None


def test_what_is_not_kept():
    secret = ({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}},)
    masked = Variables(values={"a": "1"}, display={"a": "‹Secret›"})
    for made in (
        replace(MADE, problems=(Problem("build", "no"),)),
        replace(MADE, objects=secret, shown=secret),
        replace(MADE, variables=masked),
        replace(MADE, closure=replace(CLOSURE, links={"a": "b"})),
        replace(MADE, pins={"https://git.example/a/b": "HEAD@sha1:0"}),
    ):
        recall = kept(made)
        assert recall.find(K, made.variables, CONTENT) is None


def test_warnings_are_told_again_once():
    made = replace(MADE, variables=replace(VARIABLES, warnings=("old",)), warnings=("old", "own"))
    found = kept(made).find(K, replace(VARIABLES, warnings=("new",)), CONTENT)
    assert found is not None
    assert found.warnings == ("new", "own")


def test_several_trees_are_known_and_not_too_many():
    memory = Passing()
    contents = [Content({**FILES, "a/read": str(number)}) for number in range(MOST + 1)]
    for content in contents:
        Recall(memory).keep(K, VARIABLES, content, MADE)
    known = [Recall(memory).find(K, VARIABLES, content) is not None for content in contents]
    assert known == [False, *[True] * MOST]
