"""Sets of fields, and what an apply takes away with them."""

from __future__ import annotations

import pytest

from runner import ownership

A, B = {"f:a": {}}, {"f:b": {}}
ITEM = 'k:{"name":"x"}'
UNIONS = [
    pytest.param({}, A, A, id="nothing and something"),
    pytest.param(A, A, A, id="the same"),
    pytest.param(A, B, {"f:a": {}, "f:b": {}}, id="two fields"),
    pytest.param({"f:s": A}, {"f:s": B}, {"f:s": {"f:a": {}, "f:b": {}}}, id="below one"),
    pytest.param({"f:s": {}}, {"f:s": A}, {"f:s": {".": {}, "f:a": {}}}, id="a field, and what is below it"),
    pytest.param(
        {"f:s": {".": {}, **A}}, {"f:s": {}}, {"f:s": {".": {}, "f:a": {}}}, id="a field that is held itself"
    ),
    pytest.param({"f:l": {ITEM: A}}, {"f:l": {ITEM: B}}, {"f:l": {ITEM: {**A, **B}}}, id="items of a list"),
]


@pytest.mark.parametrize(("one", "other", "expected"), UNIONS)
def test_the_union_of_two_sets(one, other, expected):
    assert ownership.union(one, other) == expected
    assert ownership.union(other, one) == expected


VALUE = {"a": 1, "b": {"c": 2, "d": 3}, "l": [{"name": "x", "v": 1}, {"name": "y"}], "s": ["p", "q"]}
LOST = [
    pytest.param({"f:a": {}}, [], {"a": None}, id="a field"),
    pytest.param({"f:a": {}}, [{"f:a": {}}], {}, id="not what another owns too"),
    pytest.param({"f:b": {"f:c": {}}}, [], {"b": {"d": 3}}, id="only what is below"),
    pytest.param({"f:b": {".": {}, "f:c": {}}}, [], {"b": None}, id="all of it"),
    pytest.param({"f:b": {".": {}, "f:c": {}}}, [{"f:b": {"f:d": {}}}], {"b": {"d": 3}}, id="but for theirs"),
    pytest.param({"f:l": {ITEM: {".": {}, "f:v": {}}}}, [], {"l": [{"name": "y"}]}, id="an item"),
    pytest.param({"f:s": {'v:"p"': {}}}, [], {"s": ["q"]}, id="an item by its value"),
    pytest.param({"f:z": {}, "f:a": {"f:z": {}}}, [], {}, id="what is not there"),
]


@pytest.mark.parametrize(("lost", "kept", "expected"), LOST)
def test_what_nobody_else_owns_goes(lost, kept, expected):
    changed = {**VALUE, **expected}
    wanted = {key: value for key, value in changed.items() if value is not None}
    assert ownership.without(VALUE, lost, kept) == wanted


def test_a_place_in_a_list_is_found_by_the_keys_that_its_owners_use():
    sets = [{"f:l": {'k:{"name":"y"}': {"f:v": {}}}}]
    assert ownership.pointed(VALUE, ["l", "1", "v"], sets) == ["f:l", 'k:{"name":"y"}', "f:v"]
    assert ownership.pointed(VALUE, ["l", "0", "v"], sets) is None, "nobody owns it by its keys"
    assert ownership.pointed(VALUE, ["l", "9"], sets) is None
    assert ownership.pointed(VALUE, ["b", "c"], []) == ["f:b", "f:c"]
    assert ownership.owns(sets[0], ["f:l", 'k:{"name":"y"}'])
    assert not ownership.owns(sets[0], ["f:l", "f:v"])
    assert not ownership.owns(sets[0], [])
