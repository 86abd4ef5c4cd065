"""Our issue on GitHub: opened once, edited when it says something else, closed, and opened again."""

from __future__ import annotations

import pytest

from runner.forge import Issue, Telling
from tests.fakes.clock import ManualClock
from tests.fakes.github import ROBOT, Fault, Server
from tests.integration.test_github import DONE_RESET, DONE_UNAVAILABLE, RESET, UNAVAILABLE, client

KEY = "kustodian-drift:clusters/production"
FAULTS = pytest.mark.parametrize("fault", [UNAVAILABLE, DONE_UNAVAILABLE, RESET, DONE_RESET])


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server():
    with Server() as running:
        yield running


def issue(digest="1", **values):
    values = {
        "title": "Drift",
        "body": f"what differs: {digest}",
        "open": True,
        "labels": ("drift",),
    } | values
    return Issue(KEY, digest=digest, **values)


def run(server, wanted, clock=None):
    """What one run does, and what it warns of."""
    with client(server, clock or ManualClock()) as github:
        return github.issue(wanted).how, github.warnings


CLEAN = issue("", open=False)


def test_it_lives_as_long_as_the_drift_and_comes_again(server):
    assert run(server, CLEAN) == (Telling.UNCHANGED, ())
    assert run(server, issue()) == (Telling.CREATED, ())
    (made,) = server.repository.issues
    assert made.labels == ["drift"]
    assert made.body == f"<!-- {KEY} -->\n<!-- 1 -->\nwhat differs: 1"

    assert run(server, issue(body="the same, told in other words")) == (Telling.UNCHANGED, ())
    assert made.edits == []
    assert run(server, issue("2")) == (Telling.EDITED, ())
    assert "what differs: 2" in made.body
    assert run(server, CLEAN) == (Telling.EDITED, ())
    assert made.state == "closed"
    assert run(server, CLEAN) == (Telling.UNCHANGED, ())
    assert run(server, issue("2")) == (Telling.EDITED, ())
    assert made.state == "open"
    assert server.repository.issues == [made]
    assert len(made.edits) == 3


def test_another_cluster_and_another_author_have_their_own(server):
    server.repository.report("Drift", f"<!-- {KEY} -->\nforged", labels=["drift"])
    server.repository.report("Drift", f"<!-- {KEY}-2 -->\n", ROBOT, labels=["drift"])

    assert run(server, issue())[0] is Telling.CREATED

    forged, other, made = server.repository.issues
    assert (forged.edits, other.edits, made.author) == ([], [], ROBOT)


def test_one_without_its_label_is_found(server):
    run(server, issue())
    server.repository.issues[0].labels.clear()

    assert run(server, issue("2"))[0] is Telling.EDITED
    assert len(server.repository.issues) == 1


@FAULTS
def test_it_is_opened_edited_and_closed_once_whatever_fails(server, fault):
    server.on("POST", "/issues", fault)
    run(server, issue())
    for wanted in (issue("2"), CLEAN):
        server.on("PATCH", "/issues", fault)
        server.on("GET", "/issues", RESET)
        assert run(server, wanted) == (Telling.EDITED, ())

    (made,) = server.repository.issues
    assert made.state == "closed"
    assert {edit.get("state", "as it is") for edit in made.edits} == {"as it is", "closed"}


def test_a_token_that_may_not_is_one_warning(server):
    server.withhold("issues")

    how, (warning,) = run(server, issue())

    assert how is Telling.FAILED
    assert "`issues: write` is missing" in warning


def test_issues_that_are_disabled_are_a_warning(server):
    server.on("GET", "/issues", Fault(410, "Issues has been disabled in this repository."))

    assert run(server, issue())[0] is Telling.FAILED
