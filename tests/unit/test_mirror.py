"""Flux's status as its controller writes it: conditions, history, and what is no news."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runner import inventory, mirror
from runner.inventory import Entry
from runner.mirror import Ending, Reason
from runner.model import ResourceRef

REF = ResourceRef("apps", "web", "apps", "Deployment", "v1")
OWNED = inventory.of([Entry(REF, "uid")])
DONE = Ending(
    Reason.SUCCEEDED, revision="main@sha1:1", digest="sha256:a", owned=OWNED, timeout=90, seconds=1.5
)


def live(status=None, generation=3, annotations=None):
    meta = {"name": "web", "namespace": "apps", "generation": generation, "annotations": annotations or {}}
    return {"metadata": meta, "status": status or {}}


def ended(reason, message="", **fields):
    return Ending(reason, message, revision="main@sha1:2", digest="sha256:b", timeout=90, **fields)


def kinds(status):
    return [(c["type"], c["status"], c["reason"]) for c in status["conditions"]]


def test_the_same_end_is_no_news_whenever_it_comes():
    left = mirror.status(live(), DONE, 1000.0)
    assert mirror.patch(live(left), DONE, 2000.0) == {}


@pytest.mark.parametrize(
    "now",
    [
        live({}, 4),
        live({}, 3, {mirror.REQUESTED: "now"}),
    ],
)
def test_a_new_generation_and_a_request_are_news(now):
    left = mirror.status(live(), DONE, 1000.0)
    assert mirror.patch({**now, "status": left}, DONE, 2000.0)


def test_a_failure_keeps_what_was_applied_and_stays_at_its_generation():
    left = mirror.status(live(), DONE, 1000.0)
    failed = mirror.status(live(left, 4), ended(Reason.BUILD, "broken"), 2000.0)
    assert failed["lastAppliedRevision"] == "main@sha1:1"
    assert failed["lastAttemptedRevision"] == "main@sha1:2"
    assert failed["observedGeneration"] == 3
    assert failed["inventory"] == left["inventory"]
    assert failed["history"] == left["history"], "nothing was applied"
    assert kinds(failed) == [
        ("Reconciling", "True", "ProgressingWithRetry"),
        ("Ready", "False", "BuildFailed"),
    ]


def test_a_failed_health_check_is_no_news_for_taking_longer():
    one = mirror.status(live(), ended(Reason.HEALTH, "health check failed: late", checked=1.0), 1000.0)
    assert mirror.patch(live(one), ended(Reason.HEALTH, "health check failed: late", checked=2.0), 2.0) == {}
    assert kinds(one)[-1] == ("Healthy", "False", "HealthCheckFailed")
    said = {c["type"]: c["message"] for c in one["conditions"]}
    assert (said["Ready"], said["Healthy"]) == ("health check failed after 1s: late", "late")


def test_a_passed_health_check_is_no_news_for_taking_longer():
    left = mirror.status(live(), replace(DONE, checked=1.0), 1000.0)
    assert mirror.patch(live(left), replace(DONE, checked=2.5), 2000.0) == {}
    assert left["conditions"][-1]["message"] == "Health check passed in 1s"


def test_success_takes_what_went_before_away():
    failed = mirror.status(live(), ended(Reason.HEALTH, "health check failed: late", checked=1.0), 1000.0)
    left = mirror.status(live(failed), DONE, 2000.0)
    assert kinds(left) == [("Ready", "True", "ReconciliationSucceeded")]
    assert left["conditions"][0]["lastTransitionTime"] == "1970-01-01T00:33:20Z"


def test_history_counts_equal_ends_and_moves_them_to_the_front():
    status = mirror.status(live(), DONE, 1000.0)
    status = mirror.status(live(status), ended(Reason.HEALTH, "x", checked=1.0), 2000.0)
    status = mirror.status(live(status), DONE, 3000.0)
    first, second = status["history"]
    assert (first["digest"], first["totalReconciliations"]) == ("sha256:a", 2)
    assert first["firstReconciled"] == "1970-01-01T00:16:40Z"
    assert first["lastReconciled"] == "1970-01-01T00:50:00Z"
    assert first["lastReconciledDuration"] == "1.5s"
    assert second["lastReconciledStatus"] == "HealthCheckFailed"
    for number in range(9):
        again = Ending(Reason.APPLY, "x", revision="r", digest=f"sha256:{number}")
        status = mirror.status(live(status), again, 4000.0 + number)
    assert len(status["history"]) == 5


def test_foreign_conditions_stay():
    mine = {"type": "Checked", "status": "True", "reason": "X", "message": "", "observedGeneration": 1}
    left = mirror.status(live({"conditions": [mine]}), DONE, 1.0)
    assert left["conditions"][-1] == mine


def test_what_is_gone_is_taken_out_by_name():
    before = {"lastAppliedOriginRevision": "old", "conditions": []}
    assert mirror.patch(live(before), DONE, 1.0)["lastAppliedOriginRevision"] is None


@pytest.mark.parametrize(
    ("reason", "before", "told"),
    [
        (Reason.BUILD, {}, None),
        (Reason.APPLY, {}, None),
        (Reason.APPLY, {"inventory": {"entries": [{"id": "_old__Namespace", "v": "v1"}]}}, []),
        (Reason.HEALTH, {}, []),
        (Reason.SUCCEEDED, {}, []),
    ],
)
def test_an_empty_inventory_is_told_once_everything_was_applied(reason, before, told):
    left = mirror.status(live(before), ended(reason, owned={}), 1.0)
    assert (left.get("inventory") or {}).get("entries") == told


def test_an_inventory_comes_back():
    assert mirror.imported(live(mirror.status(live(), DONE, 1.0))) == {REF: Entry(REF)}
    assert mirror.imported(live({"inventory": {"entries": [{"id": "nonsense", "v": "v1"}]}})) == {}
    assert mirror.listed(live(mirror.status(live(), DONE, 1.0)), OWNED) == {}
    assert mirror.listed(live(mirror.status(live(), DONE, 1.0)), {}) == {"inventory": {"entries": []}}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.34, "340ms"),
        (0.0000015, "1.5µs"),
        (0.000000002, "2ns"),
        (1, "1s"),
        (2.5, "2.5s"),
        (90, "1m30s"),
        (570, "9m30s"),
        (3600, "1h0m0s"),
        (3661.25, "1h1m1.25s"),
    ],
)
def test_durations_are_written_as_go_writes_them(seconds, text):
    assert mirror.duration(seconds) == text
