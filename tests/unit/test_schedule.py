"""Who starts when. Every step is ordered by events; nothing here waits for time to pass."""

from __future__ import annotations

import threading

import pytest

from runner import schedule
from runner.errors import CycleError, LockLost, TimeUp
from runner.graph import Milestone
from runner.model import Outcome, State
from runner.schedule import Schedule
from tests.fakes.play import PATIENCE, PROBE, Play, blocked, needs


@pytest.fixture(autouse=True)
def only_events_count(monkeypatch):
    """Without its tick the schedule has nothing but notifications to go by."""
    monkeypatch.setattr(schedule, "_TICK", 10 * PATIENCE)


def follows(*ids):
    return needs(*ids, milestone=Milestone.APPLIED)


def test_nothing_ends_at_once():
    assert Schedule({}, lambda _: None, blocked, 1, lambda _: None).run() == ()


def test_everybody_without_needs_starts_at_once():
    play = Play({"a": needs(), "b": needs(), "c": needs("elsewhere")})
    play.starts("a", "b", "c")
    for id_ in "bca":
        play.ends(id_)
    assert {id_: o.state for id_, o in play.over().items()} == dict.fromkeys("abc", State.READY)


def test_one_starts_the_instant_its_last_need_is_ready():
    play = Play({"a": needs(), "b": needs(), "c": needs("a", "b"), "d": needs("c")})
    play.starts("a", "b")
    assert play.allowed() == {"a", "b"}
    play.ready("a")
    assert play.allowed() == {"a", "b"}
    play.ready("b")
    play.starts("c")
    assert play.allowed() == {"a", "b", "c"}
    assert play.turns["c"].waited_for == ("a", "b")
    for id_ in "abc":
        play.ends(id_)
    play.starts("d")
    play.ends("d")
    assert set(play.over()) == set("abcd")


def test_a_child_starts_when_its_parent_has_applied_and_a_dependent_only_when_it_is_ready():
    play = Play({"a": needs(), "child": follows("a"), "dependent": needs("a")})
    play.starts("a")
    assert play.allowed() == {"a"}
    play.applied("a")
    play.starts("child")
    assert play.allowed() == {"a", "child"}
    play.ready("a")
    play.starts("dependent")
    for id_ in ("a", "child", "dependent"):
        play.ends(id_)
    assert len(play.over()) == 3


def test_a_milestone_that_was_reached_stays_reached():
    play = Play({"a": needs(), "b": needs("a")})
    play.starts("a")
    play.ready("a")
    play.starts("b")
    play.applied("a")
    play.does("a", lambda turn: turn.add({"late": needs("a")}))
    play.starts("late")
    play.ends("a", State.FAILED)
    play.ends("b")
    play.ends("late")
    assert {id_: o.state for id_, o in play.over().items()} == {
        "a": State.FAILED, "b": State.READY, "late": State.READY,
    }  # fmt: skip


def test_a_failure_blocks_only_those_who_need_it_however_far():
    asked = []

    def ask(id_, missing):
        asked.append((id_, [need.id for need in missing]))
        return blocked(id_, missing)

    play = Play(
        {"a": needs(), "b": needs("a"), "c": needs("b", "x"), "x": needs(), "y": needs("x")}, blocked=ask
    )
    play.starts("a", "x")
    play.ends("a", State.FAILED)
    play.ends("x")
    play.starts("y")
    play.ends("y")
    outcomes = play.over()
    assert {id_: o.state for id_, o in outcomes.items()} == {
        "a": State.FAILED, "b": State.BLOCKED, "c": State.BLOCKED, "x": State.READY, "y": State.READY,
    }  # fmt: skip
    assert asked == [("b", ["a"]), ("c", ["b"])]
    assert not play.started["b"].is_set()


def test_a_child_of_a_parent_that_failed_after_applying_goes_on():
    play = Play({"p": needs(), "q": follows("p")})
    play.starts("p")
    play.applied("p")
    play.ends("p", State.FAILED)
    play.starts("q")
    play.ends("q")
    assert play.over()["q"].state is State.READY


@pytest.mark.parametrize("state", [State.SKIPPED, State.SUSPENDED])
def test_an_end_without_work_meets_no_need(state):
    play = Play({"a": needs(), "b": needs("a")})
    play.starts("a")
    play.ends("a", state)
    assert play.over()["b"].blocked_by == ("a",)


def test_who_is_not_kept_back_starts_although_a_need_failed_but_not_before_the_others_are_met():
    play = Play({"a": needs(), "b": needs(), "c": needs("a", "b")}, blocked=lambda *_: None)
    play.starts("a", "b")
    play.ends("a", State.FAILED)
    while "a" not in play.schedule.outcomes:
        play.allowed()
    assert play.allowed() == {"a", "b"}
    play.ends("b")
    play.starts("c")
    assert play.turns["c"].outcome("a").state is State.FAILED
    assert play.turns["c"].outcome("c") is None
    play.ends("c")
    assert play.over()["c"].state is State.READY


def test_a_rest_frees_the_slot_and_ends_only_with_a_slot():
    play = Play({"a": needs(), "b": needs()}, max_parallel=1)
    order, woken = [], threading.Event()
    play.allowed()
    while not (at_work := [id_ for id_ in "ab" if play.started[id_].is_set()]):
        play.allowed()
    (first,) = at_work
    (second,) = {"a", "b"} - {first}

    def rest(turn):
        with turn.resting():
            assert woken.wait(PATIENCE)
        order.append("the first goes on")

    play.inboxes[first].put(rest)
    play.starts(second)
    assert not play.schedule.slots.free, "the second has the only slot"
    woken.set()
    play.does(second, lambda _: order.append("the second works"))
    play.ends(second)
    assert play.steps.get(timeout=PATIENCE) == first
    play.ends(first)
    play.over()
    assert order == ["the second works", "the first goes on"]
    assert play.schedule.slots.free == 1, "a rest leaves no slot behind, and takes none"


def test_a_rest_that_fails_takes_its_slot_back():
    play = Play({"a": needs()}, max_parallel=1)
    play.starts("a")

    def rest(turn):
        with pytest.raises(LockLost), turn.resting():
            raise LockLost("gone")
        assert not play.schedule.slots.free

    play.does("a", rest)
    play.ends("a")
    play.over()


def test_no_more_are_at_work_than_allowed():
    play = Play({id_: needs() for id_ in "abcde"}, max_parallel=2)
    ended = []
    while len(ended) < 5:
        at_work = [id_ for id_ in "abcde" if play.started[id_].is_set() and id_ not in ended]
        assert len(at_work) <= 2
        for id_ in at_work[:1]:
            play.does(id_, ended.append(id_) or (lambda _: None))
            play.ends(id_)
        play.allowed() if len(ended) < 5 else None
    assert len(play.over()) == 5


def test_what_is_found_on_the_way_is_done_too():
    play = Play({"a": needs(), "b": needs("a")})
    play.starts("a")
    play.does("a", lambda turn: turn.add({"new": follows("a"), "other": needs("new")}))
    assert play.allowed() == {"a"}
    play.applied("a")
    play.starts("new")
    play.ready("a")
    play.starts("b")
    play.ends("new")
    play.starts("other")
    for id_ in ("a", "b", "other"):
        play.ends(id_)
    assert set(play.over()) == {"a", "b", "new", "other"}


def test_what_is_found_late_must_not_close_a_circle_and_leaves_no_trace_then():
    play = Play({"a": needs(), "b": needs("a")})
    play.starts("a")

    def add(turn):
        with pytest.raises(CycleError):
            turn.add({"x": needs("y"), "y": needs("x")})

    play.does("a", add)
    play.ends("a")
    play.starts("b")
    play.ends("b")
    assert set(play.over()) == {"a", "b"}


def test_a_circle_is_refused_before_anybody_starts():
    play = Play({"a": needs(), "b": needs("c"), "c": needs("b")})
    with pytest.raises(CycleError):
        play.over()
    assert play.turns == {}


def test_an_error_ends_the_run_once_those_at_work_have_ended_and_starts_nobody():
    play = Play({"a": needs(), "b": needs(), "c": needs("b")})
    play.starts("a", "b")
    play.ends("a", LockLost("gone"))
    assert play.stopped.wait(PATIENCE)
    assert play.thread.is_alive()
    play.ends("b")
    with pytest.raises(LockLost, match="gone") as caught:
        play.over()
    assert play.reason is caught.value
    assert set(play.turns) == {"a", "b"}


def test_an_error_keeps_even_those_from_working_who_only_lack_a_slot():
    play = Play({id_: needs() for id_ in "abc"}, max_parallel=1)
    play.allowed()
    while not play.turns:
        play.allowed()
    (first,) = play.turns
    for id_ in "abc":
        play.ends(id_, LockLost(f"from {id_}"))
    with pytest.raises(LockLost, match=f"from {first}"):
        play.over()
    assert set(play.turns) == {first}


def interrupt(*_):
    raise KeyboardInterrupt


def test_an_interruption_tells_those_at_work_to_end_and_waits_for_them():
    nodes = {"a": needs(), "b": needs(), "c": needs("b"), "d": needs("a")}
    play = Play(nodes, blocked=interrupt)
    play.starts("a", "b")
    play.ends("b", State.FAILED)
    assert play.stopped.wait(PATIENCE)
    assert play.thread.is_alive()
    play.ends("a")
    with pytest.raises(KeyboardInterrupt):
        play.over()
    assert isinstance(play.reason, KeyboardInterrupt)
    assert set(play.turns) == {"a", "b"}


def test_an_interruption_keeps_even_those_from_working_who_only_lack_a_slot():
    play = Play({"a": needs(), "b": needs(), "c": needs(PROBE)}, max_parallel=1, blocked=interrupt)
    assert play.stopped.wait(PATIENCE)
    play.ends("a")
    play.ends("b")
    with pytest.raises(KeyboardInterrupt):
        play.over()
    assert len(play.turns) <= 1


def test_without_an_error_nobody_is_told_to_stop():
    play = Play({"a": needs()})
    play.starts("a")
    play.ends("a", State.FAILED)
    play.over()
    assert not play.stopped.is_set()


def test_when_the_time_is_up_nothing_more_starts_and_those_at_work_end_first():
    up = threading.Event()
    play = Play({"a": needs(), "b": needs("a")}, overdue=up.is_set)
    play.starts("a")
    up.set()
    play.applied("a")  # anything that happens makes the schedule look
    play.ends("a")
    with pytest.raises(TimeUp):
        play.over()
    assert not play.started["b"].is_set()
    assert isinstance(play.reason, TimeUp)


def test_an_end_makes_only_those_be_looked_at_who_need_it():
    """Each of a long chain is asked again when something that it needs has come further, and only then."""
    many, asked = 100, []
    chain = {f"k{n:03}": needs("bad", *([f"k{n - 1:03}"] if n else [])) for n in range(many)}

    def work(turn):
        return Outcome(turn.id, State.FAILED if turn.id == "bad" else State.READY)

    made = Schedule({"bad": needs(), **chain}, work, lambda id_, _: asked.append(id_), 16, lambda _: None)
    assert len(made.run()) == many + 1
    assert len(asked) <= 3 * many
