"""What is asked for: defaults, flags and limits; and what the process answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.commands import exit_code, options, parse_prune_limit
from runner.errors import UsageError
from runner.model import Action, Change, Held, Outcome, ResourceRef, Run, State
from runner.options import Options, Precedence, PruneLimit

LIMITS = [
    pytest.param(10, 1000, False, id="as many as the number allows are few"),
    pytest.param(11, 1000, False, id="one more is still a small part of a large inventory"),
    pytest.param(11, 11, True, id="everything, and more than ten"),
    pytest.param(10, 10, False, id="everything, but only ten"),
    pytest.param(20, 100, False, id="exactly the percentage is not more than it"),
    pytest.param(21, 100, True, id="more than both"),
]


@pytest.mark.parametrize(("deletions", "inventory", "exceeded"), LIMITS)
def test_the_default_limit_is_exceeded_by_more_than_ten_and_more_than_a_fifth(deletions, inventory, exceeded):
    assert PruneLimit().exceeded(deletions, inventory) is exceeded


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 50), st.integers(0, 100))
def test_a_limit_is_exceeded_only_when_both_parts_are(deletions, inventory, objects, percent):
    assert PruneLimit(objects, percent).exceeded(deletions, inventory) == (
        deletions > objects and deletions / max(inventory, 1) * 100 > percent * min(inventory, 1)
    )


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        pytest.param("10,20%", PruneLimit(10, 20), id="the default"),
        pytest.param("0,0%", PruneLimit(0, 0), id="nothing may go"),
        pytest.param("3, 12.5%", PruneLimit(3, 12.5), id="a fraction, and a space"),
    ],
)
def test_a_prune_limit_is_objects_and_percent(given_, expected):
    assert parse_prune_limit(given_) == expected


@pytest.mark.parametrize(
    "given_", ["", "10", "10,20", "20%", "-1,20%", "10,20%,", "ten,20%", "10,%", "10;20%"]
)
def test_any_other_prune_limit_is_refused(given_):
    with pytest.raises(UsageError, match="is not OBJECTS,PERCENT%"):
        parse_prune_limit(given_)


SELECTIONS = [
    pytest.param(Options(), "a/b", True, id="everything, unless told"),
    pytest.param(Options(names=frozenset(["a/b"])), "a/b", True, id="what is named"),
    pytest.param(Options(names=frozenset(["a/b"])), "a/c", False, id="not what is not named"),
    pytest.param(Options(namespace="a"), "a/b", True, id="what is in the namespace"),
    pytest.param(Options(namespace="a"), "ab/b", False, id="not what is in another one"),
    pytest.param(
        Options(namespace="a", names=frozenset(["b/b"])), "b/b", False, id="not what only its name selects"
    ),
]


@pytest.mark.parametrize(("chosen", "id_", "selected"), SELECTIONS)
def test_names_and_the_namespace_restrict_the_effect(chosen, id_, selected):
    assert chosen.selects(id_) is selected


def flags(*names, namespace="", all_namespaces=False, **rest):
    return options(names=names, namespace=namespace, all_namespaces=all_namespaces, **rest)


def test_flags_that_are_not_given_are_the_options_defaults():
    assert flags() == Options()


FLAGS = [
    pytest.param({"names": ["apps"]}, {"names": {"flux-system/apps"}}, id="a name is the root's neighbour"),
    pytest.param(
        {"names": ["apps"], "root": "gitops/root"}, {"names": {"gitops/apps"}}, id="whoever the root is"
    ),
    pytest.param(
        {"names": ["apps", "x/web"], "namespace": "team"},
        {"names": {"team/apps", "x/web"}, "namespace": "team"},
        id="-n names the namespace of names without one",
    ),
    pytest.param({"all_namespaces": True}, {"namespace": ""}, id="-A is every namespace"),
    pytest.param(
        {"approve": ["a", "b", "a"], "prune_limit": "1,2%"},
        {"approve": {"a", "b"}, "prune_limit": PruneLimit(1, 2)},
        id="guards are told what may pass",
    ),
    pytest.param(
        {"lock_timeout": "1h30m", "lease_duration": "1.5s"},
        {"lock_timeout": 5400.0, "lease_duration": 1.5},
        id="durations are Go's",
    ),
    pytest.param(
        {"substitute_precedence": "from", "values": [Path("v")], "dry_run": True},
        {"substitute_precedence": Precedence.FROM, "values": (Path("v"),)},
        id="variables",
    ),
    pytest.param(
        {"repo": Path("/x"), "takeover": True, "entry": "clusters/p"},
        {"repo": Path("/x"), "takeover": True, "entry": "clusters/p"},
        id="the rest is taken as it is",
    ),
]


@pytest.mark.parametrize(("given_", "expected"), FLAGS)
def test_flags_become_options(given_, expected):
    made = options(**{"names": [], "namespace": "", "all_namespaces": False, **given_})
    assert {name: getattr(made, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        pytest.param({"namespace": "a", "all_namespaces": True}, "-n and -A", id="both namespaces"),
        pytest.param({"lock_timeout": "10"}, "--lock-timeout: '10' is not a duration", id="no unit"),
        pytest.param({"lease_duration": "1d"}, "--lease-duration: '1d' is not a duration", id="no such unit"),
        pytest.param({"prune_limit": "all"}, "prune limit 'all'", id="no limit"),
        pytest.param({"values": [Path("x")], "dry_run": False}, "--values is for dry runs", id="a deploy"),
    ],
)
def test_flags_that_make_no_sense_are_refused(given_, message):
    with pytest.raises(UsageError, match=message):
        flags(**given_)


REF = ResourceRef("n", "x", "", "ConfigMap", "v1")


def run(*states, action=Action.UNCHANGED, **rest):
    outcomes = tuple(Outcome(f"n/{state}", state, (Change(REF, action),)) for state in states)
    return Run("server", "entry", "revision", outcomes, **rest)


GUARDED = Held("n/x", (REF,), "too many", "0123")
HELD = Held("n/x", (REF,), "y cannot be rendered")
CODES = [
    pytest.param(run(), False, 0, id="nothing to do is done"),
    pytest.param(
        run(State.READY, State.SUSPENDED, State.SKIPPED), False, 0, id="standing aside is no failure"
    ),
    pytest.param(run(State.READY, State.FAILED), False, 1, id="one failed"),
    pytest.param(run(State.BLOCKED), False, 1, id="one is blocked"),
    pytest.param(run(State.READY, held=(GUARDED,)), False, 6, id="a guard held something back"),
    pytest.param(
        run(State.READY, held=(HELD,)), False, 0, id="what no approval lets through is no guard's doing"
    ),
    pytest.param(run(State.FAILED, held=(GUARDED,)), False, 1, id="a failure is worse than a guard"),
    pytest.param(run(State.FAILED, superseded=True), False, 7, id="a newer run explains failures"),
    pytest.param(run(State.FAILED, interrupted=2, superseded=True), False, 130, id="SIGINT"),
    pytest.param(run(interrupted=15), False, 143, id="SIGTERM"),
    pytest.param(run(State.READY, action=Action.CREATED), False, 0, id="differences are no failure"),
    pytest.param(run(State.READY, action=Action.CREATED), True, 5, id="differences count when asked"),
    pytest.param(run(State.READY, action=Action.DELETED), True, 5, id="deletions are differences"),
    pytest.param(run(State.READY, action=Action.SKIPPED), True, 0, id="skipped is no difference"),
    pytest.param(run(State.READY), True, 0, id="there are no differences"),
    pytest.param(
        run(State.FAILED, action=Action.CREATED), True, 1, id="a failure is worse than a difference"
    ),
]


@pytest.mark.parametrize(("result", "differences", "code"), CODES)
def test_the_exit_code_says_how_it_went(result, differences, code):
    assert exit_code(result, differences=differences) == code
