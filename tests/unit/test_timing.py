"""Where the time of a run went."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runner.model import Run, State
from runner.report import text
from runner.report.timing import let_start, timing
from tests.fakes import runs as made
from tests.fakes.runs import THEN, needs, outcome


def run(*outcomes, ended=20):
    waves = tuple((each.kustomization,) for each in outcomes)
    return Run("s", "e", "r", outcomes, started_at=THEN, ended_at=THEN + ended, waves=waves)


def path(*outcomes):
    return [
        (step.kustomization, pytest.approx(step.began - THEN), pytest.approx(step.ended - THEN))
        for step in timing(run(*outcomes)).path
    ]


ROOT = outcome("root", (1, 2, 2, 2))


def test_it_is_the_chain_that_ended_last():
    told = path(
        ROOT,
        outcome("fast", (2, 3, 4, 4), needs=needs(parent="root")),
        outcome("slow", (2, 3, 9, 12), needs=needs(parent="root")),
        outcome("app", (9, 10, 15, 16), needs=needs("fast", "slow", parent="root")),
    )
    assert told == [("root", 1, 2), ("slow", 2, 9), ("app", 9, 16)]


def test_a_dependent_goes_on_from_readiness_and_a_child_from_what_was_applied():
    told = path(
        outcome("maker", (1, 2, 9, 9)),
        outcome("user", (2, 3, 11, 11), needs=needs(variables=["maker"], parent="")),
    )
    assert told == [("maker", 1, 2), ("user", 2, 11)]


def test_a_failure_ends_a_chain_too_and_what_it_blocks_does_not():
    told = path(
        ROOT,
        outcome("bad", (2, 3, None, 14), needs=needs(parent="root"), state=State.FAILED),
        outcome("late", state=State.BLOCKED, needs=needs("bad"), blocked_by=("bad",)),
    )
    assert told == [("root", 1, 2), ("bad", 2, 14)]


def test_a_parent_that_waits_for_its_children_is_as_long_as_they_are_and_its_own_end_counts():
    child = outcome("child", (2, 3, 9, 9), needs=needs(parent="parent"))
    assert path(outcome("parent", (1, 2, 9, 9), awaits=("child",)), child) == [
        ("parent", 1, 2), ("child", 2, 9),
    ]  # fmt: skip
    assert path(outcome("parent", (1, 2, 9, 13), awaits=("child",)), child) == [
        ("parent", 1, 2), ("child", 2, 9), ("parent", 9, 13),
    ]  # fmt: skip


def test_what_is_before_between_and_after_is_told_apart():
    told = timing(run(ROOT, outcome("app", (5, 6, 7, 8), needs=needs(parent="root")), ended=20))
    assert (told.whole, told.before, told.idle, told.after) == pytest.approx((20, 1, 3, 12))


def test_times_that_make_no_sense_do_no_harm():
    told = timing(
        run(
            outcome("a", (5, 4, 3, 2), needs=needs("b", parent=""), awaits=("b",)),
            outcome("b", (9, 9, 9, 9), needs=needs("a", parent=""), awaits=("a",)),
            ended=-1,
        )
    )
    assert told.whole == 0
    assert all(step.took >= 0 and step.idle >= 0 for step in told.path)


def test_without_times_there_is_nothing_to_tell():
    assert timing(made.dry(run(ROOT))).path == ()
    assert timing(Run("s", "e", "r")).whole is None


def test_what_let_it_start_comes_first_and_the_parent_last():
    outcomes = {each.kustomization: each for each in made.WELL}
    assert let_start(outcomes[made.API], outcomes) == [
        made.CONFIGS, made.CONTROLLERS, made.JOBS, made.ROOT,
    ]  # fmt: skip
    assert let_start(outcomes[made.CONFIGS], {}) == [made.CONTROLLERS, made.ROOT]


def test_the_text_has_it_in_its_last_line_when_anybody_waited():
    last = text.reconcile(made.CHANGED).splitlines()[-1]
    assert last == (
        "Took 1m07s; critical path: flux-system/flux-system 0.3s → flux-system/infra-controllers 39.2s → "
        "flux-system/infra-configs 0.3s → flux-system/grade-api 21.7s → team-a/grade-web 0.7s; "
        "idle on it 1.9s"
    )
    alone = replace(made.CHANGED, outcomes=made.CHANGED.outcomes[:1])
    assert "Took" not in text.reconcile(alone)
    assert "Took" not in text.reconcile(made.dry(made.CHANGED))


def test_of_a_long_chain_the_ends_are_told():
    chain = [
        outcome(f"k{n:02}", (n, n, n + 1, n + 1), needs=needs(f"k{n - 1:02}", parent="")) for n in range(40)
    ]
    last = text.reconcile(run(*chain, ended=41)).splitlines()[-1]
    assert last.startswith("Took 41.0s; critical path: k00 1.0s → k01 1.0s → ")
    assert "k04 1.0s → … 30 more … → k35 1.0s" in last
