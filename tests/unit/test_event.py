"""Events: which of them deploy, which only preview, and which are refused."""

from __future__ import annotations

import pytest

from runner import event
from runner.errors import UsageError
from runner.event import Mode, Sides

BASE, HEAD, MERGE, OTHER = "ba" * 20, "4e" * 20, "3e" * 20, "07" * 20


def pull_request(**head):
    return {"number": 7, "pull_request": {"base": {"sha": BASE}, "head": {"sha": HEAD, **head}}}


class TestDecision:
    @pytest.mark.parametrize(
        ("name", "payload", "dry_run", "expected"),
        [
            ("push", {"ref": "refs/heads/main", "deleted": False, "after": "3f" * 20}, False, Mode.DEPLOY),
            ("push", {"ref": "refs/heads/main", "deleted": False}, True, Mode.PREVIEW),
            ("push", {"ref": "refs/heads/x", "deleted": True, "after": "0" * 40}, False, Mode.NOTHING),
            ("push", {"ref": "refs/tags/v1", "deleted": True, "head_commit": None}, True, Mode.NOTHING),
            ("workflow_dispatch", {"inputs": None}, False, Mode.DEPLOY),
            ("workflow_dispatch", {}, True, Mode.PREVIEW),
            ("pull_request", {"action": "opened", "number": 7}, False, Mode.PREVIEW),
            ("pull_request", {"action": "closed"}, True, Mode.NOTHING),
            ("workflow_run", {"action": "completed"}, False, Mode.COMMENT),
            ("merge_group", {"action": "checks_requested"}, False, Mode.PREVIEW),
            ("schedule", {"schedule": "0 * * * *"}, True, Mode.PREVIEW),
            ("schedule", {"schedule": "0 * * * *"}, False, Mode.DRIFT),
            ("issue_comment", {}, True, Mode.PREVIEW),
        ],
    )
    def test_it_decides_what_a_run_may_do(self, name, payload, dry_run, expected):
        assert event.decide(name, payload, dry_run=dry_run)[0] is expected

    @pytest.mark.parametrize("name", ["issue_comment", "release"])
    def test_others_are_refused_by_name(self, name):
        with pytest.raises(UsageError, match=f"^event {name} ") as caught:
            event.decide(name, {}, dry_run=False)
        assert "dry-run: true" in caught.value.hint

    @pytest.mark.parametrize("name", ["schedule", "workflow_dispatch", "repository_dispatch", "push"])
    @pytest.mark.parametrize("dry_run", [True, False])
    def test_drift_can_be_asked_for(self, name, dry_run):
        assert event.decide(name, {}, dry_run=dry_run, drift=True) == (Mode.DRIFT, "")

    @pytest.mark.parametrize("name", ["pull_request", "pull_request_target", "merge_group", "issues"])
    def test_drift_is_not_looked_for_on_behalf_of_a_change(self, name):
        with pytest.raises(UsageError, match=f"^mode: drift, on event {name}: "):
            event.decide(name, {}, dry_run=False, drift=True)

    @pytest.mark.parametrize("dry_run", [True, False])
    def test_pull_request_target_is_refused_whatever_else_is_said(self, dry_run):
        with pytest.raises(UsageError, match="secrets"):
            event.decide("pull_request_target", {}, dry_run=dry_run)

    @pytest.mark.parametrize("dry_run", [True, False])
    def test_a_preview_of_a_change_says_that_it_is_one(self, dry_run):
        mode, note = event.decide("pull_request", {}, dry_run=dry_run)

        assert (mode, note) == (Mode.PREVIEW, "pull_request: this is a preview, nothing is written")

    def test_a_deploy_needs_no_words(self):
        assert event.decide("push", {}, dry_run=False) == (Mode.DEPLOY, "")

    def test_no_event_at_all_is_named_too(self):
        with pytest.raises(UsageError, match=r"^GITHUB_EVENT_NAME is not set$"):
            event.decide("", {}, dry_run=False)


class TestPayload:
    def test_an_object_is_one(self):
        assert event.payload({"deleted": True}, "event.json") == {"deleted": True}

    @pytest.mark.parametrize("document", [None, [], "push", 1, True])
    def test_anything_else_is_refused_with_its_origin(self, document):
        with pytest.raises(UsageError, match=r"^event\.json is no event"):
            event.payload(document, "event.json")


class TestSides:
    @pytest.mark.parametrize(
        ("name", "payload", "parents", "head", "expected"),
        [
            # The merge commit that GitHub made: its own base may be newer than the one of the event.
            ("pull_request", pull_request(), (BASE, HEAD), MERGE, Sides(BASE, MERGE)),
            ("pull_request", pull_request(), (OTHER, HEAD), MERGE, Sides(OTHER, MERGE)),
            # The head of the pull request, which may be a merge of the base into it.
            ("pull_request", pull_request(), (OTHER,), HEAD, Sides(BASE, HEAD, merge=True)),
            ("pull_request", pull_request(), (OTHER, BASE), HEAD, Sides(BASE, HEAD, merge=True)),
            ("pull_request", pull_request(), (), HEAD, Sides(BASE, HEAD, merge=True)),
            # Something else: an older or newer merge commit, an octopus, the base.
            ("pull_request", pull_request(), (BASE, OTHER), MERGE, Sides(BASE, HEAD, merge=True)),
            ("pull_request", pull_request(), (BASE, HEAD, OTHER), MERGE, Sides(BASE, HEAD, merge=True)),
            ("pull_request", pull_request(), (HEAD, BASE), MERGE, Sides(BASE, HEAD, merge=True)),
            ("pull_request", pull_request(), (OTHER,), BASE, Sides(BASE, HEAD, merge=True)),
            # A fork, and one that was deleted since.
            (
                "pull_request",
                pull_request(repo={"fork": True, "full_name": "someone/fleet"}),
                (BASE, HEAD),
                MERGE,
                Sides(BASE, MERGE),
            ),
            ("pull_request", pull_request(repo=None), (OTHER,), HEAD, Sides(BASE, HEAD, merge=True)),
            (
                "merge_group",
                {"merge_group": {"base_sha": BASE, "head_sha": HEAD}},
                (OTHER, BASE),
                HEAD,
                Sides(BASE, HEAD),
            ),
        ],
    )
    def test_it_finds_what_is_compared(self, name, payload, parents, head, expected):
        assert event.sides(name, payload, parents, head) == expected

    @pytest.mark.parametrize(
        ("name", "payload", "message"),
        [
            ("pull_request", {}, "pull_request.head.sha is missing"),
            ("pull_request", {"pull_request": None}, "pull_request.head.sha is missing"),
            ("pull_request", {"pull_request": {"head": "x"}}, "pull_request.head.sha is missing"),
            ("pull_request", {"pull_request": {"head": {"sha": HEAD}}}, "pull_request.base.sha is missing"),
            ("pull_request", pull_request(sha="--upload-pack=x"), "pull_request.head.sha is not a commit"),
            ("pull_request", pull_request(sha=7), "pull_request.head.sha is not a commit"),
            ("merge_group", {"merge_group": {}}, "merge_group.base_sha is missing"),
            ("merge_group", {"merge_group": {"base_sha": BASE}}, "merge_group.head_sha is missing"),
        ],
    )
    def test_what_is_missing_is_named(self, name, payload, message):
        with pytest.raises(UsageError) as caught:
            event.sides(name, payload, (OTHER,), HEAD)
        assert caught.value.message == f"event {name}: {message}"
        assert caught.value.hint

    @pytest.mark.parametrize("name", ["push", "workflow_dispatch", "schedule", ""])
    def test_other_events_have_no_base(self, name):
        with pytest.raises(UsageError, match="has no base to compare with"):
            event.sides(name, {"before": BASE, "after": HEAD}, (OTHER,), HEAD)

    def test_a_merge_commit_needs_no_base_of_the_event(self):
        payload = {"pull_request": {"head": {"sha": HEAD}}}
        assert event.sides("pull_request", payload, (BASE, HEAD), MERGE) == Sides(BASE, MERGE)


@pytest.mark.parametrize(
    ("payload", "ref", "expected"),
    [
        ({}, "refs/heads/main", "main"),
        ({}, "refs/tags/v1", ""),
        ({}, "", ""),
        ({"pull_request": {"base": {"ref": "team/main"}}}, "refs/pull/7/merge", "team/main"),
        ({"pull_request": {"base": {"ref": None}}}, "refs/heads/x", ""),
        ({"merge_group": {"base_ref": "refs/heads/main"}}, "refs/heads/gh-readonly-queue/main/1", "main"),
        ({"merge_group": {}}, "refs/heads/x", ""),
    ],
)
def test_the_branch_is_the_one_that_is_merged_into(payload, ref, expected):
    assert event.branch(payload, ref) == expected
