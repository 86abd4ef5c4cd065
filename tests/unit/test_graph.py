"""Who waits for whom, in which groups, and which circles are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import CycleError, ExitCode
from runner.graph import Edge, Milestone, Need, Node, check, downstream, waves


def depends(id_):
    return Need(id_, Milestone.READY, Edge.DEPENDS_ON)


def variables(id_):
    return Need(id_, Milestone.APPLIED, Edge.VARIABLES)


def parent(id_):
    return Need(id_, Milestone.APPLIED, Edge.PARENT)


def node(*needs, awaits=()):
    return Node(frozenset(needs), frozenset(awaits))


WAVES = [
    pytest.param({}, (), id="nothing has no waves"),
    pytest.param({"b": node(), "a": node()}, (("a", "b"),), id="those without needs go together, sorted"),
    pytest.param(
        {"a": node(depends("b")), "b": node(variables("c")), "c": node(parent("d")), "d": node()},
        (("d",), ("c",), ("b",), ("a",)),
        id="dependsOn, variables and parents all order",
    ),
    pytest.param({"a": node(depends("nowhere"))}, (("a",),), id="a need outside the graph is met"),
    pytest.param(
        {"p": node(awaits=["c", "elsewhere"]), "c": node(parent("p"))},
        (("p",), ("c",)),
        id="a waiting parent still goes before its child",
    ),
    pytest.param(
        {"a": node(), "b": node(), "c": node(depends("a")), "d": node(depends("a"), depends("b"))},
        (("a", "b"), ("c", "d")),
        id="one goes as soon as its last need went",
    ),
]


@pytest.mark.parametrize(("graph", "expected"), WAVES)
def test_waves(graph, expected):
    assert waves(graph) == expected


CYCLES = [
    pytest.param(
        {"a": node(depends("a"))},
        {"a"},
        ["a waits for a (dependsOn)"],
        id="a Kustomization that depends on itself",
    ),
    pytest.param(
        {"a": node(depends("b")), "b": node(depends("c")), "c": node(depends("a")), "d": node(depends("a"))},
        {"a", "b", "c"},
        ["a waits for b (dependsOn)", "b waits for c (dependsOn)", "c waits for a (dependsOn)"],
        id="three that depend on each other, without the one that only needs them",
    ),
    pytest.param(
        {"a": node(variables("b")), "b": node(depends("a"))},
        {"a", "b"},
        ["a waits for b (substituteFrom)", "b waits for a (dependsOn)"],
        id="variables of a dependent",
    ),
    pytest.param(
        {"p": node(awaits=["c"]), "c": node(parent("p"), depends("p"))},
        {"p", "c"},
        ["c waits for p (dependsOn)", "p waits for c (wait)"],
        id="a child that depends on its parent which waits for it",
    ),
    pytest.param(
        {"p": node(awaits=["c"]), "c": node(parent("p"), depends("x")), "x": node(depends("p"))},
        {"p", "c", "x"},
        ["c waits for x (dependsOn)", "x waits for p (dependsOn)", "p waits for c (wait)"],
        id="a child that depends on somebody who depends on its waiting parent",
    ),
    pytest.param(
        {"p": node(parent("c")), "c": node(parent("p"))},
        {"p", "c"},
        ["p waits for c (parent)", "c waits for p (parent)"],
        id="two that render each other",
    ),
]


@pytest.mark.parametrize(("graph", "members", "steps"), CYCLES)
def test_a_circle_is_an_error_that_shows_it(graph, members, steps):
    for use in (check, waves):
        with pytest.raises(CycleError) as caught:
            use(graph)
        assert set(caught.value.cycle) == members
        assert len(caught.value.cycle) == len(members)
        assert caught.value.message.startswith(f"{caught.value.cycle[0]} waits for itself: ")
        assert all(step in caught.value.message for step in steps)
        assert caught.value.exit_code is ExitCode.WRONG_INPUT


def test_a_waiting_parent_and_its_child_are_no_circle():
    check({"p": node(awaits=["c"]), "c": node(parent("p"))})


def test_a_child_may_depend_on_what_its_waiting_parent_depends_on():
    check({"x": node(), "p": node(depends("x"), awaits=["c"]), "c": node(parent("p"), depends("x"))})


DOWNSTREAM = {"a": node(), "b": node(depends("a")), "c": node(variables("b")), "d": node(parent("x"))}


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        pytest.param([], set(), id="nothing has nobody downstream"),
        pytest.param(["a"], {"a", "b", "c"}, id="users of users count, over every edge"),
        pytest.param(["c"], {"c"}, id="a leaf has only itself"),
        pytest.param(["x"], {"x", "d"}, id="a need outside the graph has users too"),
        pytest.param(["c", "x"], {"c", "x", "d"}, id="several seeds come together"),
    ],
)
def test_downstream(seeds, expected):
    assert downstream(seeds, DOWNSTREAM) == expected


def test_downstream_of_a_circle_ends():
    assert downstream(["a"], {"a": node(depends("b")), "b": node(depends("a"))}) == {"a", "b"}


NAMES = st.integers(0, 9)
NEEDS = st.sets(st.tuples(NAMES, st.sampled_from([depends, variables, parent])), max_size=4)


@given(st.dictionaries(NAMES, NEEDS, max_size=10))
def test_waves_respect_every_need_and_hold_everybody_once(wishes):
    """Needs point at smaller numbers, so there is no circle."""
    graph = {
        f"k{me}": node(*(edge(f"k{other}") for other, edge in needs if other < me))
        for me, needs in wishes.items()
    }
    order = {id_: number for number, wave in enumerate(waves(graph)) for id_ in wave}
    assert sorted(id_ for wave in waves(graph) for id_ in wave) == sorted(graph)
    for id_, it in graph.items():
        inside = [order[need.id] for need in it.needs if need.id in graph]
        assert order[id_] == max(inside, default=-1) + 1


@given(st.dictionaries(NAMES, NEEDS, max_size=10), NAMES)
def test_downstream_is_closed_and_minimal(wishes, seed):
    graph = {f"k{me}": node(*(edge(f"k{other}") for other, edge in needs)) for me, needs in wishes.items()}
    reached = downstream([f"k{seed}"], graph)
    for id_, it in graph.items():
        assert (id_ in reached) == (id_ == f"k{seed}" or any(need.id in reached for need in it.needs))
