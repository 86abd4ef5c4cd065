"""What is said of a difference is all of it: made to the one side, the changes give the other."""

from __future__ import annotations

import json
import re
from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st

from runner.changes import Touch
from runner.diff import fields

ADDED, REMOVED, CHANGED, REORDERED = Touch.ADDED, Touch.REMOVED, Touch.CHANGED, Touch.REORDERED

SCALARS = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b=1", "b=2", "1", "x.y/z"])
)
NAMES = st.sampled_from(["a", "b.c", "d/e", "ports", "env", "rules", "name", 'q"', "[0]", ""])
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(NAMES, inner, max_size=4)
        | st.lists(st.fixed_dictionaries({"name": SCALARS}, optional={"x": inner}), max_size=4)
        | st.lists(
            st.fixed_dictionaries(
                {"port": st.integers(1, 3)}, optional={"protocol": st.sampled_from(["TCP", "UDP"])}
            ),
            max_size=4,
        )
    ),
    max_leaves=15,
)
OBJECTS = st.dictionaries(NAMES, JSON, max_size=4)
DEFAULTS = {"protocol": "TCP"}

# The applier below knows the paths by their documentation alone.
STEP = re.compile(
    r"""\.?(?P<name>[A-Za-z_$][\w-]*)|\["(?P<quoted>(?:[^"\\]|\\.)*)"\]|\[(?P<at>\d+)\]"""
    r"""|\[(?P<keys>(?:[\w.]+=(?:"(?:[^"\\]|\\.)*"|[^",\]]*),?)+)\]"""
)
PART = re.compile(r"""([\w.]+)=("(?:[^"\\]|\\.)*"|[^",]*)""")


def steps(path):
    found, at = [], 0
    while at < len(path):
        match = STEP.match(path, at)
        assert match, (path, at)
        at = match.end()
        if match["name"] is not None:
            found.append(match["name"])
        elif match["quoted"] is not None:
            found.append(json.loads(f'"{match["quoted"]}"'))
        elif match["at"] is not None:
            found.append(int(match["at"]))
        else:
            found.append(tuple((key, read(value)) for key, value in PART.findall(match["keys"])))
    return tuple(found)


def read(value):
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def matches(item, keys):
    named = dict(keys)
    parts = [(name, item.get(name, DEFAULTS.get(name)), named.get(name)) for name in {*named, *DEFAULTS}]
    return all(
        json.dumps(have) == json.dumps(DEFAULTS.get(name) if want is None and name not in named else want)
        for name, have, want in parts
    )


def applied(value, changes):
    """`changes` are (steps, change) below `value`; the value with them made."""
    here = [change for path, change in changes if not path and change.touch is CHANGED]
    if here:
        return deepcopy(here[0].after)
    if isinstance(value, list):
        return applied_to_list(value, changes)
    result = dict(value) if isinstance(value, dict) else value
    for name in dict.fromkeys(path[0] for path, _ in changes if path):
        below = [(path[1:], change) for path, change in changes if path[0] == name]
        whole = [change for path, change in below if not path and change.touch in {ADDED, REMOVED}]
        if not whole:
            result[name] = applied(result[name], below)
        elif whole[0].touch is ADDED:
            assert name not in result
            result[name] = whole[0].after
        else:
            assert json.dumps(result.pop(name)) == json.dumps(whole[0].before)
    return result


def applied_to_list(value, changes):
    reordered = [change for path, change in changes if not path]
    ends = {touch: [(p[0], c) for p, c in changes if len(p) == 1 and c.touch is touch] for touch in Touch}
    result = list(value)
    for at, change in sorted(ends[REMOVED], key=lambda end: str(end[0]).zfill(9), reverse=True):
        index = at if isinstance(at, int) else find(result, at)
        assert json.dumps(result.pop(index)) == json.dumps(change.before)
    for at, change in ends[ADDED]:
        result.insert(at if isinstance(at, int) else len(result), change.after)
    if reordered and reordered[0].after and not any(isinstance(p[0], tuple) for p, _ in changes if p):
        whole = sorted(map(json.dumps, result)) == sorted(map(json.dumps, reordered[0].after))
        result = list(reordered[0].after) if whole else result
    for at in dict.fromkeys(path[0] for path, _ in changes if path):
        below = [
            (p[1:], c)
            for p, c in changes
            if p and p[0] == at and not (len(p) == 1 and c.touch in {ADDED, REMOVED})
        ]
        if below:
            index = at if isinstance(at, int) else find(result, at)
            result[index] = applied(result[index], below)
    return result


def find(items, keys):
    [index] = [index for index, item in enumerate(items) if matches(item, keys)]
    return index


def unordered(value):
    """Lists of objects sorted: where an added item with a key stands is not said."""
    if isinstance(value, dict):
        return {name: unordered(each) for name, each in value.items()}
    if isinstance(value, list):
        below = [unordered(each) for each in value]
        named = bool(below) and all(isinstance(each, dict) for each in below)
        return sorted(below, key=lambda each: json.dumps(each, sort_keys=True)) if named else below
    return value


def text(value):
    return json.dumps(value, sort_keys=True)


@given(OBJECTS)
def test_nothing_differs_from_itself(value):
    assert fields(value, deepcopy(value)) == ()


@given(OBJECTS, OBJECTS)
def test_the_changes_made_to_the_one_side_give_the_other(before, after):
    changes = fields(before, after)
    result = applied(deepcopy(before), [(steps(change.path), change) for change in changes])
    assert text(unordered(result)) == text(unordered(after))


@given(OBJECTS, OBJECTS)
def test_something_is_said_exactly_when_something_differs(before, after):
    assert bool(fields(before, after)) == (text(before) != text(after))


@given(st.lists(JSON, max_size=6).flatmap(lambda items: st.tuples(st.just(items), st.permutations(items))))
def test_another_order_is_called_that(lists):
    before, after = lists
    changes = fields({"things": before}, {"things": after})
    assert [(c.path, c.touch) for c in changes] == (
        [("things", REORDERED)] if text(before) != text(after) else []
    )


@given(st.lists(st.sampled_from("abcdef"), max_size=12), st.lists(st.sampled_from("abcdef"), max_size=12))
def test_lists_of_texts_are_rebuilt_item_by_item(before, after):
    changes = fields({"things": before}, {"things": after})
    result = applied({"things": before}, [(steps(change.path), change) for change in changes])
    assert result == {"things": after}
