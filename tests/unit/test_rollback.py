"""Which recorded revision a rollback goes back to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runner import rollback
from runner.errors import UsageError
from runner.model import State
from runner.state import Deployment, Record, Snapshot

ROOT, APP = "flux-system/flux-system", "flux-system/app"


def revision(digit):
    return f"main@sha1:{digit * 40}"


def deployment(digit, replaced=""):
    return Deployment(
        revision(digit), digit * 40, done=True, started_at=1.0, replaced=replaced and revision(replaced)
    )


def snapshot(digit, digest, state=State.READY, replaced=""):
    return Snapshot(digest, revision(digit), state, 1.0, replaced=replaced and revision(replaced))


WHOLE = Record(ROOT, deployment=deployment("c"), deployed=tuple(map(deployment, "cba")))
HISTORY = (
    snapshot("c", "3"),
    snapshot("b", "2", State.FAILED),
    snapshot("b", "3"),
    snapshot("a", "1"),
)
PART = Record(APP, digest="3", history=HISTORY)


@pytest.mark.parametrize(
    ("records", "name", "to", "wanted"),
    [
        pytest.param([WHOLE], "", "", "b", id="the one before"),
        pytest.param([WHOLE], "", revision("a"), "a", id="by name"),
        pytest.param([WHOLE], "", "a" * 7, "a", id="by its first digits"),
        pytest.param([WHOLE, PART], APP, "", "a", id="other objects that went well"),
        pytest.param([WHOLE, PART], APP, revision("b"), "b", id="a part to any revision on record"),
        pytest.param(
            [replace(WHOLE, deployment=replace(deployment("d"), done=False))],
            "",
            "",
            "c",
            id="a failed deploy",
        ),
        pytest.param(
            [
                replace(
                    WHOLE, deployment=deployment("b", "c"), deployed=(deployment("b", "c"), *WHOLE.deployed)
                )
            ],
            "",
            "",
            "a",
            id="not to what was taken back",
        ),
    ],
)
def test_a_rollback_goes_to(records, name, to, wanted):
    target = rollback.choose({r.kustomization: r for r in records}, ROOT, name, to)
    assert target.revision == revision(wanted)
    assert target.commit == wanted * 40


@pytest.mark.parametrize(
    ("name", "to", "text"),
    [
        ("flux-system/other", "", "flux-system/other is not on record in this cluster"),
        ("", "e" * 40, "is no revision on record"),
        ("", "a" * 6, "is no revision on record"),
    ],
)
def test_what_is_not_on_record_is_refused(name, to, text):
    with pytest.raises(UsageError, match=text):
        rollback.choose({ROOT: WHOLE, APP: PART}, ROOT, name, to)


def test_without_an_earlier_success_there_is_nowhere_to_go():
    alone = replace(WHOLE, deployed=(deployment("c"),))
    with pytest.raises(UsageError, match="no earlier revision on record that went well"):
        rollback.choose({ROOT: alone}, ROOT, "", "")
