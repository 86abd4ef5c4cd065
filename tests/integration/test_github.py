"""The GitHub client against a server that answers as GitHub describes itself."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager

import pytest
import requests

from runner.clients.github import GitHub
from runner.errors import Interrupted
from runner.forge import (
    ANNOTATIONS_LIMIT,
    COMMENT_LIMIT,
    Ancestry,
    Annotation,
    Check,
    Conclusion,
    Level,
    Pull,
    Telling,
    Told,
)
from tests.fakes.clock import ManualClock
from tests.fakes.github import MOST_CALLS, ROBOT, TOKEN, Fault, Server

KEY = "kustodian:clusters/production"
MARKER = f"<!-- {KEY} -->\n"
STALE_CHECK = "check kustodian / production is not up to date"
HEAD, NEWER = "a" * 40, "b" * 40

UNAVAILABLE = Fault(502, page="<html>upstream says hunter2</html>")
DONE_UNAVAILABLE = Fault(502, "Server Error", done=True)
DONE_RESET = Fault(done=True, reset=True)
RESET = Fault(reset=True)
SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
PRIMARY = "API rate limit exceeded for installation ID 1."


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
def server():
    with Server() as running:
        running.repository.pull(5, HEAD)
        yield running


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def github(server, clock):
    with client(server, clock) as made:
        yield made


@contextmanager
def client(server, clock, **options):
    """One run's client: the server counts anew."""
    server.calls.clear()
    options = {
        "token": TOKEN,
        "repository": "acme/fleet",
        "api_url": server.url,
        "pause": clock.pause,
    } | options
    with closing(GitHub(options.pop("token"), options.pop("repository"), clock=clock, **options)) as made:
        yield made


def bodies(server):
    return [each.body for each in server.repository.comments]


def raw(server, method, path, body=None):
    """A request as anybody could send it."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return requests.request(method, server.url + path, json=body, headers=headers, timeout=10)


def check(**values):
    values = {"id": "run-1", "name": "kustodian / production", "commit": HEAD, "title": "2 changes"} | values
    return Check(**values)


def annotations(count):
    return tuple(
        Annotation("apps/a.yaml", line, Level.FAILURE, f"no. {line}") for line in range(1, count + 1)
    )


# ── comments ──


def test_a_comment_is_created_under_its_marker(server, github):
    told = github.comment(5, KEY, "# Plan\n")

    (made,) = server.repository.comments
    assert made.body == f"{MARKER}# Plan\n"
    assert told == Told(Telling.CREATED, f"https://github.invalid/acme/fleet/pull/5#issuecomment-{made.id}")
    assert github.warnings == ()


def test_the_next_run_edits_it(server, github, clock):
    github.comment(5, KEY, "old")
    with client(server, clock) as later:
        assert later.comment(5, KEY, "new").how is Telling.EDITED

    assert bodies(server) == [f"{MARKER}new"]


@pytest.mark.parametrize("stored", ["# Plan\n\nsame", "# Plan\r\n\r\nsame\r\n"])
def test_a_comment_that_says_so_already_is_left_alone(server, github, stored):
    server.repository.say(5, MARKER + stored, ROBOT)

    assert github.comment(5, KEY, "# Plan\n\nsame\n").how is Telling.UNCHANGED
    assert not server.sent("PATCH")
    assert not server.sent("POST")[1:]


def test_what_others_wrote_is_never_ours(server, github):
    repository = server.repository
    repository.say(5, f"{MARKER}a decoy", "mallory")
    repository.say(5, f"> quoting\n{MARKER}", ROBOT)
    repository.say(5, "<!-- kustodian:clusters/production-2 -->\nof another cluster", ROBOT)
    repository.say(5, f"{MARKER}of a deleted account", None)

    assert github.find(5, KEY) is None
    assert github.comment(5, KEY, "ours").how is Telling.CREATED
    assert len(bodies(server)) == 5


def test_the_newest_of_ours_is_it(server, github):
    for body in ("first", "second"):
        server.repository.say(5, MARKER + body, ROBOT)
    server.repository.say(5, "thanks!")

    assert github.find(5, KEY).body == "second"
    assert github.comment(5, KEY, "third").how is Telling.EDITED
    assert bodies(server) == [f"{MARKER}first", f"{MARKER}third", "thanks!"]


@pytest.mark.parametrize(("place", "pages"), [(0, 3), (120, 2), (249, 1)])
def test_it_is_found_among_250_comments_with_as_few_pages_as_can_be(server, github, place, pages):
    for number in range(250):
        server.repository.say(5, f"{MARKER}here", ROBOT) if number == place else server.repository.say(
            5, "hm"
        )

    assert github.find(5, KEY).body == "here"
    assert server.sent("GET").count("/issues/5/comments") == pages


def test_a_comment_of_another_pull_request_is_not_it(server, github):
    server.repository.pull(6, NEWER)
    server.repository.say(6, f"{MARKER}there", ROBOT)

    assert github.find(5, KEY) is None


def test_what_was_found_is_not_searched_again(server, github):
    server.repository.say(5, f"{MARKER}plan", ROBOT)
    found = github.find(5, KEY)
    asked = len(server.calls)

    assert github.comment(5, KEY, f"{found.body}\ndeployed").how is Telling.EDITED
    assert github.comment(5, KEY, f"{found.body}\ndeployed").how is Telling.UNCHANGED
    assert len(server.calls) == asked + 1


def test_a_comment_that_was_deleted_in_between_is_created_again(server, github):
    server.repository.say(5, f"{MARKER}plan", ROBOT)
    github.find(5, KEY)
    server.repository.comments.clear()

    assert github.comment(5, KEY, "new").how is Telling.CREATED
    assert bodies(server) == [f"{MARKER}new"]
    assert github.warnings == ()


def test_who_the_token_is_is_asked_once(server, github):
    server.repository.say(5, "hm")
    for key in ("one", "two"):
        assert github.comment(5, key, key).how is Telling.CREATED

    assert server.sent("POST").count("/graphql") == 1


def test_an_app_finds_its_own_comments(server, github):
    server.repository.viewer = "fleet-deployer[bot]"
    server.repository.say(5, f"{MARKER}of the workflow's token", ROBOT)
    server.repository.say(5, f"{MARKER}of the app", "fleet-deployer[bot]")

    assert github.find(5, KEY).body == "of the app"


def test_without_graphql_the_author_is_the_usual_one(server, github):
    server.on("POST", "/graphql", Fault(404, "Not Found"))
    server.repository.say(5, f"{MARKER}plan", ROBOT)

    assert github.find(5, KEY).body == "plan"


def test_a_stale_run_leaves_the_comment_of_a_newer_one_alone(server, github):
    server.repository.say(5, f"{MARKER}about {NEWER}", ROBOT)
    server.repository.pull(5, NEWER)

    assert github.comment(5, KEY, f"about {HEAD}", head=HEAD) == Told(Telling.OUTDATED)
    assert bodies(server) == [f"{MARKER}about {NEWER}"]
    assert github.warnings == ()


def test_a_run_that_became_stale_after_its_first_comment_is_quiet_too(server, github):
    assert github.comment(5, KEY, "running", head=HEAD).how is Telling.CREATED
    server.repository.pull(5, NEWER)

    assert github.comment(5, KEY, "done", head=HEAD).how is Telling.OUTDATED
    assert bodies(server) == [f"{MARKER}running"]


def test_a_comment_that_is_too_long_is_cut(server, github):
    assert github.comment(5, KEY, "é" * 70_000).how is Telling.CREATED

    (body,) = bodies(server)
    assert len(body.removeprefix(MARKER)) == COMMENT_LIMIT
    assert body.endswith("(cut: this is longer than a comment can be)\n")


def test_no_key_ends_the_marker_early(server, github):
    github.comment(5, "a --> b\n<b>", "text")

    assert bodies(server) == ["<!-- a --%3E b%0A%3Cb%3E -->\ntext"]
    assert github.find(5, "a --> b\n<b>").body == "text"


# ── checks ──


def test_a_check_run_is_created_and_then_updated(server, github):
    began = github.check(check())
    ended = github.check(
        check(conclusion=Conclusion.FAILURE, summary="# Sum", text="more", url="https://ci.example/1")
    )

    (made,) = server.repository.checks
    assert (began.how, ended.how) == (Telling.CREATED, Telling.EDITED)
    assert began.url == ended.url == f"https://github.invalid/acme/fleet/runs/{made.id}"
    values = {
        key: made.values[key] for key in ("external_id", "head_sha", "status", "conclusion", "details_url")
    }
    assert values == {
        "external_id": "run-1",
        "head_sha": HEAD,
        "status": "completed",
        "conclusion": "failure",
        "details_url": "https://ci.example/1",
    }
    assert made.values["output"] == {"title": "2 changes", "summary": "# Sum", "text": "more"}


def test_a_check_run_in_progress_says_so(server, github):
    github.check(check())

    assert server.repository.checks[0].values["status"] == "in_progress"


def test_a_check_that_is_told_twice_is_sent_once(server, github):
    github.check(check())

    assert github.check(check()).how is Telling.UNCHANGED
    assert not server.sent("PATCH")


def test_every_kustomization_can_have_its_own_and_the_commit_is_listed_once(server, github):
    for name in ("apps", "infra", "tenants"):
        assert github.check(check(id=name, name=f"production / {name}")).how is Telling.CREATED

    assert [each.values["name"] for each in server.repository.checks] == [
        "production / apps",
        "production / infra",
        "production / tenants",
    ]
    assert len(server.sent("GET")) == 1


def test_what_an_earlier_attempt_left_in_progress_is_continued(server, github):
    values = {"head_sha": HEAD, "external_id": "run-1", "name": "kustodian / production"}
    left = server.repository.check(status="in_progress", **values)

    assert github.check(check(conclusion=Conclusion.SUCCESS)).how is Telling.EDITED
    assert server.repository.checks == [left]
    assert left.values["conclusion"] == "success"


@pytest.mark.parametrize(
    "values",
    [
        {"status": "completed", "conclusion": "failure"},
        {"status": "in_progress", "external_id": "run-0"},
        {"status": "in_progress", "external_id": None},
    ],
)
def test_what_ended_or_is_another_run_s_is_not(server, github, values):
    values = {"head_sha": HEAD, "external_id": "run-1", "name": "kustodian / production"} | values
    server.repository.check(**values)

    assert github.check(check()).how is Telling.CREATED
    assert len(server.repository.checks) == 2


def test_the_check_run_of_another_app_is_not_ours_to_continue(server, github):
    values = {"head_sha": HEAD, "external_id": "run-1", "name": "kustodian / production"}
    server.repository.check(status="in_progress", app="another", **values)

    assert github.check(check()).how is Telling.CREATED
    assert github.warnings == ()


def test_annotations_go_fifty_at_a_time(server, github):
    told = github.check(check(conclusion=Conclusion.FAILURE, annotations=annotations(120)))

    (made,) = server.repository.checks
    assert [each["start_line"] for each in made.annotations] == list(range(1, 121))
    assert (len(server.sent("PATCH")), told.how) == (2, Telling.CREATED)
    assert made.annotations[0] == {
        "path": "apps/a.yaml",
        "start_line": 1,
        "end_line": 1,
        "annotation_level": "failure",
        "message": "no. 1",
    }


def test_annotations_that_github_has_are_not_sent_again(server, github):
    github.check(check(annotations=annotations(2)))
    github.check(check(annotations=annotations(3), conclusion=Conclusion.FAILURE))

    assert [each["start_line"] for each in server.repository.checks[0].annotations] == [1, 2, 3]


def test_more_annotations_than_can_be_are_told_of(server, github):
    github.check(check(annotations=annotations(ANNOTATIONS_LIMIT + 7)))

    assert len(server.repository.checks[0].annotations) == ANNOTATIONS_LIMIT
    assert github.warnings == (
        "check kustodian / production lacks annotations: 7 are more than a check can have here",
    )


def test_everything_of_a_check_fits(server, github):
    long = Annotation("a.yaml", 0, Level.NOTICE, "é" * 70_000 + "🚀", "🚀" * 300)
    told = github.check(check(title="t" * 300, summary="é" * 70_000, text="✓" * 70_000, annotations=(long,)))

    assert told.how is Telling.CREATED, github.warnings
    (made,) = server.repository.checks
    output = made.values["output"]
    assert len(output["title"]) == 255
    assert all(65_530 < len(output[part].encode()) <= 65_535 for part in ("summary", "text"))
    assert made.annotations[0]["start_line"] == 1
    assert made.annotations[0]["title"].startswith("\\U0001f680")


# ── commit statuses ──


@pytest.mark.parametrize(
    ("conclusion", "state"),
    [
        (None, "pending"),
        (Conclusion.SUCCESS, "success"),
        (Conclusion.NEUTRAL, "success"),
        (Conclusion.SKIPPED, "success"),
        (Conclusion.FAILURE, "failure"),
        (Conclusion.ACTION_REQUIRED, "failure"),
        (Conclusion.CANCELLED, "error"),
        (Conclusion.TIMED_OUT, "error"),
    ],
)
def test_a_status_says_what_the_check_would(server, github, conclusion, state):
    told = github.status(check(conclusion=conclusion, title="x" * 200, url="https://ci.example/1"))

    (made,) = server.repository.statuses
    assert told == Told(Telling.CREATED, "https://ci.example/1")
    assert (made["state"], made["context"], made["sha"]) == (state, "kustodian / production", HEAD)
    assert made["description"] == "x" * 139 + "…"
    assert made["target_url"] == "https://ci.example/1"


def test_a_status_that_is_told_twice_is_sent_once(server, github):
    github.status(check())

    assert github.status(check()).how is Telling.UNCHANGED
    assert github.status(check(conclusion=Conclusion.SUCCESS)).how is Telling.CREATED
    assert [each["state"] for each in server.repository.statuses] == ["pending", "success"]


def test_a_status_stands_in_for_a_check_run_that_the_token_cannot_create(server, github):
    server.on("POST", "/check-runs", Fault(403, "You must authenticate via a GitHub App."))

    told = github.check(check())
    assert told == Told(Telling.FAILED)
    assert github.status(check()).how is Telling.CREATED
    assert github.warnings == (
        f"{STALE_CHECK}: GitHub answered 403: You must authenticate via a GitHub App.",
    )


# ── questions ──


def test_pull_requests_of_a_commit(server, github):
    merged = server.repository.commit("c" * 40)
    server.repository.pull(
        7, NEWER, state="closed", merged_at="2026-01-01T00:00:00Z", commits=(merged,), base="live"
    )

    url = "https://github.invalid/acme/fleet/pull"
    assert github.pulls(merged) == (Pull(7, NEWER, "live", open=False, merged=True, url=f"{url}/7"),)
    assert github.pulls(HEAD) == (Pull(5, HEAD, "main", open=True, merged=False, url=f"{url}/5"),)


def test_a_pull_request_as_it_is_now(server, github):
    server.repository.pull(5, NEWER)

    assert github.pull(5).head == NEWER
    assert github.pull(99) is None
    assert github.warnings == ("pull request #99 is not known: GitHub answered 404: Not Found",)


def test_two_commits_compared(server, github):
    commit = server.repository.commit
    commit("root")
    commit("old", "root")
    commit("new", "old")
    commit("side", "root")
    commit("alien")

    assert github.compare("old", "new") is Ancestry.AHEAD
    assert github.compare("new", "old") is Ancestry.BEHIND
    assert github.compare("old", "old") is Ancestry.IDENTICAL
    assert github.compare("old", "side") is Ancestry.DIVERGED
    assert github.compare("old", "alien") is Ancestry.DIVERGED
    assert github.warnings == ()
    assert github.compare("old", "gone") is Ancestry.UNKNOWN
    assert len(github.warnings) == 1


def test_a_comparison_brings_no_files(server, github):
    github.compare(server.repository.commit("one"), "one")

    assert server.calls[-1].query == {"per_page": "1", "page": "2"}


# ── what goes wrong: lost answers ──


@pytest.mark.parametrize("fault", [DONE_UNAVAILABLE, DONE_RESET])
def test_a_comment_whose_answer_was_lost_is_found_and_not_posted_twice(server, github, fault):
    server.on("POST", "/comments", fault)

    assert github.comment(5, KEY, "once").how is Telling.CREATED
    assert bodies(server) == [f"{MARKER}once"]
    assert github.comment(5, KEY, "twice").how is Telling.EDITED


@pytest.mark.parametrize("fault", [UNAVAILABLE, RESET])
def test_a_comment_that_was_not_created_is_looked_for_and_posted_again(server, github, fault):
    server.on("POST", "/comments", fault)

    assert github.comment(5, KEY, "once").how is Telling.CREATED
    asked = [f"{call.method} {call.path.rpartition('/')[2]}" for call in server.calls]
    first, second = (number for number, each in enumerate(asked) if each == "POST comments")
    assert "GET 5" in asked[first:second], "GitHub was not asked before the second POST"


def test_a_comment_is_not_posted_again_while_nobody_knows_about_the_first(server, github):
    server.on("POST", "/comments", DONE_UNAVAILABLE)
    github.find(5, KEY)
    server.on("GET", "/pulls", UNAVAILABLE, times=9)

    assert github.comment(5, KEY, "once").how is Telling.FAILED
    assert bodies(server) == [f"{MARKER}once"]
    assert github.warnings == ("the comment on pull request #5 is not up to date: GitHub answered 502",)


@pytest.mark.parametrize("fault", [DONE_UNAVAILABLE, DONE_RESET])
def test_a_check_run_whose_answer_was_lost_is_found_by_its_id(server, github, fault):
    server.on("POST", "/check-runs", fault)

    assert github.check(check(annotations=annotations(60))).how is Telling.CREATED
    (made,) = server.repository.checks
    assert len(made.annotations) == 60


def test_the_check_run_of_an_earlier_attempt_is_not_taken_for_the_lost_one(server, github):
    values = {"head_sha": HEAD, "external_id": "run-1", "name": "kustodian / production"}
    server.repository.check(status="completed", conclusion="failure", **values)
    server.on("POST", "/check-runs", UNAVAILABLE)

    assert github.check(check()).how is Telling.CREATED
    assert len(server.repository.checks) == 2


@pytest.mark.parametrize("fault", [DONE_UNAVAILABLE, DONE_RESET, UNAVAILABLE, RESET])
def test_a_status_whose_answer_was_lost_is_there_once(server, github, fault):
    server.on("POST", "/statuses", fault)

    assert github.status(check(url="https://ci.example/1")).how is Telling.CREATED
    assert len(server.repository.statuses) == 1


def test_an_older_status_is_not_taken_for_the_lost_one(server, github):
    older = {"sha": HEAD, "context": "kustodian / production", "state": "pending", "description": "2 changes"}
    server.repository.statuses.append({"id": 1, **older})
    server.on("POST", "/statuses", UNAVAILABLE)

    github.status(check(conclusion=Conclusion.SUCCESS))
    assert [each["state"] for each in server.repository.statuses] == ["pending", "success"]


@pytest.mark.parametrize("fault", [DONE_UNAVAILABLE, DONE_RESET, UNAVAILABLE, RESET])
def test_annotations_are_appended_once_whatever_became_of_the_answer(server, github, fault):
    server.on("PATCH", "/check-runs", fault)

    github.check(check(annotations=annotations(60)))
    assert len(server.repository.checks[0].annotations) == 60
    assert github.warnings == ()


@pytest.mark.parametrize("fault", [DONE_UNAVAILABLE, UNAVAILABLE, RESET])
def test_an_edit_is_simply_repeated(server, github, fault):
    server.repository.say(5, f"{MARKER}old", ROBOT)
    server.on("PATCH", "/issues/comments", fault)

    assert github.comment(5, KEY, "new").how is Telling.EDITED
    assert bodies(server) == [f"{MARKER}new"]


@pytest.mark.parametrize("fault", [UNAVAILABLE, RESET, Fault(500, "Server Error"), Fault(503)])
def test_a_question_is_repeated_with_growing_pauses(server, github, clock, fault):
    server.on("GET", "/pulls", fault, times=3)

    assert github.pull(5).head == HEAD
    assert [int(pause) for pause in clock.pauses] == [1, 2, 4]


def test_a_server_that_stays_away_is_given_up(server, github, clock):
    server.on("GET", "/pulls", UNAVAILABLE, times=9)

    assert github.pull(5) is None
    assert len(server.calls) == 4
    assert github.warnings == ("pull request #5 is not known: GitHub answered 502",)


def test_a_server_that_is_not_there(clock):
    gone = Server()
    gone._http.server_close()  # noqa: SLF001 -- nobody listens at its port any more
    with client(gone, clock) as github:
        assert github.comment(5, KEY, "text") == Told(Telling.FAILED)
        assert github.warnings == (
            "the comment on pull request #5 is not up to date: GitHub cannot be reached",
        )


def test_a_server_that_says_nothing(server, clock):
    server.on("GET", "/pulls", Fault(silent=True), times=9)
    with client(server, clock, timeout=0.05) as github:
        started = time.monotonic()
        assert github.pull(5) is None
        assert time.monotonic() - started < 5
        assert github.warnings == ("pull request #5 is not known: GitHub did not answer in time",)


def test_an_answer_that_drips_is_given_up(server, github, clock):
    def later():
        clock.passed += 7

    server.on("GET", "/pulls", Fault(drip=later), times=9)

    assert github.pull(5) is None
    assert github.warnings == ("pull request #5 is not known: GitHub did not answer in time",)


def test_an_answer_in_many_pieces_is_read_whole(server, github):
    server.on("GET", "/pulls", Fault(drip=lambda: None))

    assert github.pull(5).head == HEAD


def test_a_page_that_is_not_of_github_s_api(server, github):
    server.on("GET", "/pulls", Fault(200, page="<html>log in to the network</html>"))
    server.on("GET", "/compare", Fault(200, page="{half"))

    assert github.pull(5) is None
    assert github.compare(HEAD, HEAD) is Ancestry.UNKNOWN
    assert github.warnings == (
        "pull request #5 is not known: GitHub's answer is not understood (KeyError)",
        f"{HEAD} and {HEAD} cannot be compared: GitHub's answer is not understood (JSONDecodeError)",
    )


# ── what goes wrong: the token ──


def test_a_missing_permission_is_one_warning_that_names_the_line(server, github):
    server.withhold("checks")
    for name in ("apps", "infra"):
        assert github.check(check(id=name, name=name)).how is Telling.FAILED

    (warning,) = github.warnings
    assert warning.startswith("the token may not write checks: `checks: write` is missing in the job's")
    assert len(server.calls) == 1, "the second check could not succeed either"


@pytest.mark.parametrize("level", ["", "read"])
def test_a_comment_that_may_not_be_written(server, github, level):
    server.withhold("pull-requests", level)

    assert github.comment(5, KEY, "text") == Told(Telling.FAILED)
    (warning,) = github.warnings
    assert "`pull-requests: write`" in warning
    assert github.status(check()).how is Telling.CREATED, "another permission is another matter"


@pytest.mark.parametrize(
    ("scope", "ask", "line"),
    [
        ("statuses", lambda github: github.status(check()), "statuses: write"),
        ("contents", lambda github: github.compare(HEAD, HEAD), "contents: read"),
        ("pull-requests", lambda github: github.pulls(HEAD), "pull-requests: read"),
    ],
)
def test_other_missing_permissions(server, github, scope, ask, line):
    server.withhold(scope)
    ask(github)

    (warning,) = github.warnings
    assert f"`{line}`" in warning


def test_a_token_that_is_not_accepted_is_not_tried_again(server, clock):
    with client(server, clock, token="ghs_expired") as github:
        assert github.comment(5, KEY, "text").how is Telling.FAILED
        assert github.check(check()).how is Telling.FAILED
        assert github.pulls(HEAD) == ()
        assert github.warnings == ("GitHub does not accept the token (Bad credentials)",)
    assert len(server.calls) == 1


def test_a_refusal_is_told_in_github_s_words(server, github):
    errors = "Unable to create comment because issue is locked."
    server.on("POST", "/comments", Fault(403, errors))
    assert github.comment(5, KEY, "text").how is Telling.FAILED
    assert github.check(check(commit="f" * 40)).how is Telling.FAILED

    assert github.warnings == (
        f"the comment on pull request #5 is not up to date: GitHub answered 403: {errors}",
        f"{STALE_CHECK}: GitHub answered 422: No commit found for SHA: {'f' * 40}",
    )


def test_the_errors_about_fields_are_told(server, github):
    github.check(check(url="ftp://example.org"))

    (warning,) = github.warnings
    assert warning.endswith("422: Validation Failed; details_url must use http or https scheme")


# ── what goes wrong: limits ──


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize("message", [SECONDARY, "Too Many Requests"])
def test_a_rate_limit_that_says_how_long_is_waited_for(server, github, clock, status, message):
    server.on("POST", "/comments", Fault(status, message, {"Retry-After": "17"}))

    assert github.comment(5, KEY, "text").how is Telling.CREATED
    assert len(bodies(server)) == 1
    assert [17 <= pause < 18 for pause in clock.pauses] == [True]


@pytest.mark.parametrize("status", [403, 429])
def test_one_that_does_not_is_waited_for_a_minute(server, github, clock, status):
    server.on("PATCH", "/issues/comments", Fault(status, SECONDARY))
    server.repository.say(5, f"{MARKER}old", ROBOT)

    assert github.comment(5, KEY, "new").how is Telling.EDITED
    assert [60 <= pause < 61 for pause in clock.pauses] == [True]


def test_the_primary_limit_is_waited_for_until_its_reset(server, github, clock):
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(clock.now()) + 40)}
    server.on("GET", "/pulls", Fault(403, PRIMARY, headers))

    assert github.pull(5).head == HEAD
    assert [41 <= pause < 42 for pause in clock.pauses] == [True]


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "3600"}, "3600"),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1767314400"}, "2401"),
    ],
)
def test_nobody_waits_for_an_hour(server, github, clock, headers, wait):
    server.on("GET", "/pulls", Fault(403, PRIMARY, headers))

    assert github.pull(5) is None
    assert github.compare(HEAD, HEAD) is Ancestry.UNKNOWN
    first, second = github.warnings
    assert first.endswith(f"GitHub answered 403: {PRIMARY} (to be tried again in {wait} s)")
    assert "GitHub wants to be left alone for" in second
    assert (clock.pauses, len(server.calls)) == ([], 1), "who was told to wait must not go on asking"


def test_a_run_waits_for_two_minutes_in_all(server, github, clock):
    server.on("GET", "/", Fault(429, "Too Many Requests", {"Retry-After": "50"}), times=9)

    assert github.pull(5) is None
    assert github.compare(HEAD, HEAD) is Ancestry.UNKNOWN
    assert 100 <= sum(clock.pauses) <= 120


def test_a_run_sends_fifteen_requests_and_not_one_more(server, github):
    for number in range(MOST_CALLS + 3):
        github.compare(server.repository.commit(f"c{number}"), f"c{number}")

    assert len(server.calls) == MOST_CALLS
    assert github.warnings == ("this run has sent its 15 requests to GitHub",)


def test_repetitions_count(server, github, clock):
    server.on("GET", "/compare", UNAVAILABLE, times=99)
    for number in range(8):
        github.compare(server.repository.commit(f"c{number}"), f"c{number}")

    assert len(server.calls) <= MOST_CALLS


def test_a_second_lies_between_writes(server, github, clock):
    github.comment(5, KEY, "one")
    github.status(check())

    assert clock.pauses == [1.0]


def test_an_interrupted_run_waits_for_nothing(server, clock):
    server.on("GET", "/pulls", Fault(429, "Too Many Requests", {"Retry-After": "50"}))
    with client(server, clock, pause=None) as github:
        github.cancel()
        assert github.pull(5) is None
        assert github.status(check()).how is Telling.FAILED
    assert len(server.calls) == 1


def test_an_interruption_while_waiting_gets_through(server, clock):
    def interrupted(_seconds):
        raise Interrupted("interrupted", signal=15)

    server.on("GET", "/pulls", UNAVAILABLE)
    with client(server, clock, pause=interrupted) as github, pytest.raises(Interrupted):
        github.pull(5)


# ── places ──


@pytest.mark.parametrize("prefix", ["", "/api/v3"])
def test_an_enterprise_server_has_its_api_below_a_prefix(clock, prefix):
    with Server(prefix=prefix) as server, client(server, clock) as github:
        server.repository.pull(5, HEAD)
        server.repository.say(5, f"{MARKER}old", ROBOT)

        assert github.comment(5, KEY, "new").how is Telling.EDITED
        assert github.check(check()).how is Telling.CREATED
        urls = [call.url for call in server.calls]
        assert f"{prefix.removesuffix('/v3')}/graphql" in urls
        assert sum(url.startswith(f"{prefix}/repos/") for url in urls) == len(urls) - 1


def test_a_repository_that_was_renamed_is_followed(server, clock):
    server.renamed_from = "acme/old"
    for _ in range(150):
        server.repository.say(5, "hm")
    server.repository.say(5, f"{MARKER}plan", ROBOT)
    with client(server, clock, repository="acme/old") as github:
        assert github.find(5, KEY).body == "plan"
        assert github.status(check()).how is Telling.CREATED
        assert github.warnings == ()


def test_every_redirection_counts(server, clock):
    server.renamed_from = "acme/old"
    with client(server, clock, repository="acme/old") as github:
        for number in range(MOST_CALLS):
            github.compare(server.repository.commit(f"c{number}"), f"c{number}")
    assert len(server.calls) == MOST_CALLS


def test_another_server_is_never_given_the_token(server, github):
    with Server() as other:
        for status in (301, 302, 307, 308):
            server.on(
                "GET", "/pulls", Fault(status, headers={"Location": f"{other.url}/repos/acme/fleet/pulls/5"})
            )
            assert github.pull(5) is None
        assert not other.calls
    assert github.warnings == (
        "pull request #5 is not known: GitHub redirects to another server: is GITHUB_API_URL right?",
    )


def test_a_circle_of_redirections_ends(server, github):
    server.on("GET", "/pulls", Fault(301, headers={"Location": "/repos/acme/fleet/pulls/5"}), times=99)

    assert github.pull(5) is None
    assert len(server.calls) == 2


def test_the_proxy_of_the_environment_is_used(server, clock, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    with client(server, clock, api_url="http://github.invalid") as github:
        assert github.pull(5).head == HEAD
    assert [call.url for call in server.calls] == ["http://github.invalid/repos/acme/fleet/pulls/5"]


def test_a_proxy_that_is_not_there(server, clock, monkeypatch):
    gone = Server()
    gone._http.server_close()  # noqa: SLF001 -- nobody listens at its port any more
    monkeypatch.setenv("http_proxy", gone.url.replace("//", "//someone:hunter2@"))
    with client(server, clock, api_url="http://github.invalid") as github:
        assert github.pull(5) is None
        assert github.warnings == ("pull request #5 is not known: the proxy to GitHub does not work",)


def test_a_netrc_does_not_replace_the_token(server, github, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    assert github.pull(5).head == HEAD


# ── the token ──


def test_the_token_is_nowhere_to_be_seen(server, github, caplog):
    caplog.set_level(logging.DEBUG)
    server.on("GET", "/pulls", Fault(400, f"what is {TOKEN}?"))
    server.on("GET", "/pulls", RESET)
    for _ in range(2):
        github.pull(5)
    github.comment(5, KEY, "text")

    assert caplog.text, "nothing was logged: this proves nothing"
    assert "what is ‹hidden›?" in github.warnings[0]
    shown = [caplog.text, repr(github), str(vars(github)), *github.warnings]
    assert not [text for text in shown if TOKEN in text]


def test_no_child_process_is_given_the_token(server, github):
    github.pull(5)

    assert TOKEN not in str(os.environ)


def test_pygithub_is_loaded_when_it_is_needed():
    code = "import sys, runner.clients.github; print({'github', 'requests'} & sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout == "set()\n"


# ── threads ──


def test_threads_take_turns(server, github):
    for name in ("apps", "infra", "tenants"):
        server.repository.commit(name)
    threads = [
        threading.Thread(target=github.check, args=(check(id=name, name=name),))
        for name in ("apps", "infra", "tenants")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert len(server.repository.checks) == 3
    assert len(server.sent("GET")) == 1
    assert github.warnings == ()


# ── the server itself ──


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("GET", "/repos/acme/fleet/labels", None, "not described"),
        ("GET", "/repos/acme/other", None, "not described"),
        ("DELETE", "/repos/acme/fleet/issues/comments/1", None, "not described"),
        ("GET", "/repos/acme/fleet/pulls/five", None, "pull_number: $: 'five' is not of type 'integer'"),
        ("GET", "/repos/acme/fleet/pulls/5?expand=1", None, "query parameter expand is not known"),
        ("POST", "/repos/acme/fleet/issues/5/comments", {"text": "hm"}, "'body' is a required property"),
        ("POST", "/repos/acme/fleet/issues/5/comments", {"body": "", "pin": 1}, "body: pin is not known"),
        ("POST", f"/repos/acme/fleet/statuses/{HEAD}", {"state": "good"}, "'good' is not one of"),
        ("POST", "/graphql", {"query": "{ viewer { email } }"}, "this query is not expected"),
    ],
)
def test_the_server_fails_a_test_that_sends_what_github_does_not_know(method, path, body, said):
    with pytest.raises(AssertionError) as raised, Server() as server:
        raw(server, method, path, body)
    assert said in str(raised.value)


def test_the_server_fails_a_test_without_the_permission(clock):
    server = Server()
    del server.granted["checks"]
    with pytest.raises(AssertionError, match="lacks checks"), server, client(server, clock) as github:
        github.check(check())


def test_the_server_fails_a_run_with_a_sixteenth_call():
    running = Server()
    with pytest.raises(AssertionError, match="call 16 of one run"), running:
        list(map(raw, [running] * 16, ["GET"] * 16, ["/repos/acme/fleet"] * 16))


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/issues/5/comments", {"body": "x" * 65_537}, "Body is too long (maximum is 65536 characters)"),
        (
            f"/statuses/{HEAD}",
            {"state": "success", "description": "x" * 141},
            "description is too long (maximum is 140 characters)",
        ),
        (
            "/check-runs",
            {"name": "a", "head_sha": HEAD, "output": {"title": "x" * 256, "summary": ""}},
            "title is too long (maximum is 255 characters)",
        ),
    ],
)
def test_the_server_refuses_what_github_is_known_to_refuse(server, path, body, said):
    answer = raw(server, "POST", f"/repos/acme/fleet{path}", body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["message"] == said


@pytest.mark.parametrize(
    "output", [{"annotations": [{}] * 51}, {"summary": "x" * 65_536}, {"text": "x" * 65_536}, {"title": 5}]
)
def test_the_server_fails_a_test_that_exceeds_what_github_describes(output):
    body = {"name": "a", "head_sha": HEAD, "output": {"title": "a", "summary": "", **output}}
    with pytest.raises(AssertionError, match="output"), Server() as server:
        raw(server, "POST", "/repos/acme/fleet/check-runs", body)
