"""What decides about an object: expressions, and the time it is given to get a status."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
import yaml

from runner.health import STATUS_GRACE, Judge, wait
from runner.model import HealthCheckExpr, ResourceRef, Status

ALL = HealthCheckExpr("example.com", "Db", "data.current", "data.inProgress", "data.failed")
READY = "status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True')"
BROKEN = "status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'False')"
BOTH = HealthCheckExpr("example.com", "Db", READY, failed=BROKEN)
OBSERVED = "has(status.observedGeneration) && metadata.generation != status.observedGeneration"
THREE = HealthCheckExpr("example.com", "Db", READY, OBSERVED, BROKEN)
NO_KEY = "failed to evaluate the CEL expression '{}': no such key: {}"
NO_VARIABLE = "failed to evaluate the CEL expression '{}': no such attribute(s): status"


def one(text):
    return {"apiVersion": "example.com/v1", "kind": "Db", **yaml.safe_load(text)}


def expressions(**texts):
    return HealthCheckExpr("example.com", "Db", **{"current": "data.current", **texts})


CASES = [
    pytest.param(
        ALL, "data: {current: false, inProgress: false, failed: false}", "InProgress", id="none is true"
    ),
    pytest.param(
        ALL, "data: {current: true, inProgress: true, failed: true}", "InProgress", id="all are true"
    ),
    pytest.param(
        ALL, "data: {current: true, inProgress: false, failed: true}", "Failed", id="failed and current"
    ),
    pytest.param(
        ALL, "data: {current: true, inProgress: false, failed: false}", "Current", id="only current"
    ),
    pytest.param(expressions(), "data: {current: true}", "Current", id="nothing else is given"),
    pytest.param(BOTH, "status: {conditions: []}", "Failed", id="all of no conditions are anything"),
    pytest.param(THREE, "status: {conditions: []}", "Failed", id="all of none, with inProgress"),
    pytest.param(
        BOTH,
        "{metadata: {generation: 2}, status: {observedGeneration: 1}}",
        "InProgress",
        id="an older generation comes before the expressions",
    ),
    pytest.param(
        expressions(current="status.observedGeneration == '2'"),
        "{metadata: {generation: 2}, status: {observedGeneration: '2'}}",
        "Current",
        id="a generation that is observed as text is for the expressions",
    ),
    pytest.param(
        expressions(current="metadata.generation == '2'"),
        "{metadata: {generation: '2'}, status: {observedGeneration: 2}}",
        "Current",
        id="a generation that is text is for the expressions",
    ),
    pytest.param(
        expressions(current="status.done"),
        "{metadata: {deletionTimestamp: '2026-03-01T12:00:00Z'}, status: {done: true}}",
        "Current",
        id="one that is being deleted is asked all the same",
    ),
]
"""fluxcd/pkg runtime 0.110.3, cel/status_evaluator_test.go, but for the last."""

SET = "data: {current: true}"
NO_TRUTH = "failed to evaluate CEL expression as boolean: 'data.current'"
UNKNOWN = [
    pytest.param(expressions(current="data.x"), SET, NO_KEY.format("data.x", "x"), id="current"),
    pytest.param(expressions(in_progress="data.x"), SET, NO_KEY.format("data.x", "x"), id="inProgress"),
    pytest.param(expressions(failed="data.x"), SET, NO_KEY.format("data.x", "x"), id="failed"),
    pytest.param(THREE, "{}", NO_VARIABLE.format(OBSERVED), id="no status, for inProgress"),
    pytest.param(BOTH, "{}", NO_VARIABLE.format(BROKEN), id="no status, for failed"),
    pytest.param(THREE, "status: {}", NO_KEY.format(BROKEN, "conditions"), id="no conditions"),
    pytest.param(expressions(), "data: {current: yes please}", NO_TRUTH, id="a text"),
    pytest.param(expressions(), "data: {current: null}", NO_TRUTH, id="null"),
]


def ref(manifest, name="x"):
    group, _, version = manifest["apiVersion"].rpartition("/")
    return ResourceRef("apps", name, group, manifest["kind"], version)


@pytest.mark.parametrize(("entry", "text", "status"), CASES)
def test_the_first_expression_that_is_true_decides(entry, text, status):
    manifest = one(text)
    assert Judge([entry]).judge(ref(manifest), manifest)[0] == status


@pytest.mark.parametrize(("entry", "text", "why"), UNKNOWN)
def test_an_expression_that_has_no_answer_leaves_it_unknown(entry, text, why):
    manifest = one(text)
    assert Judge([entry]).judge(ref(manifest), manifest) == (Status.UNKNOWN, why)


@pytest.mark.parametrize(
    ("api_version", "kind", "status"),
    [
        pytest.param("example.com/v1", "Db", "Failed", id="the kind's own"),
        pytest.param("example.com/v2", "Db", "Failed", id="whatever the version"),
        pytest.param("example.com/v1", "Other", "InProgress", id="else the group's"),
        pytest.param("apps/v1", "Deployment", "InProgress", id="for a kind that Kubernetes knows too"),
        pytest.param("batch/v1", "Job", "Current", id="but Jobs have Flux's rule"),
        pytest.param("other.example/v1", "Db", "Current", id="another group has none"),
    ],
)
def test_an_entry_is_for_a_kind_or_for_a_group(api_version, kind, status):
    judge = Judge(
        [
            HealthCheckExpr("example.com", "", "false"),
            HealthCheckExpr("example.com", "Db", "false", failed="true"),
            HealthCheckExpr("apps", "Deployment", "false"),
            HealthCheckExpr("batch", "Job", "false"),
        ]
    )
    manifest = {"apiVersion": api_version, "kind": kind, "spec": {"suspend": True}}
    assert judge.judge(ref(manifest), manifest)[0] == status


MADE = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC).timestamp()
NEW = "metadata: {creationTimestamp: '2026-03-01T12:00:00Z'}"
NO_STATUS = (Status.IN_PROGRESS, "no controller has written a status yet")
CURRENT = (Status.CURRENT, "Resource is current")


@pytest.mark.parametrize(
    ("text", "age", "waited", "judged"),
    [
        pytest.param(NEW, 1, 1, NO_STATUS, id="a new object is given time"),
        pytest.param(NEW, -300, 1, NO_STATUS, id="also where our clock is slow"),
        pytest.param(NEW, -300, STATUS_GRACE, CURRENT, id="but no more than it is waited for"),
        pytest.param(NEW, STATUS_GRACE, 0, CURRENT, id="an old one is what Flux calls it"),
        pytest.param("metadata: {}", 0, 0, CURRENT, id="one of unknown age is old"),
        pytest.param(f"{{{NEW}, status: {{}}}}", 1, 1, NO_STATUS, id="an empty status says nothing"),
        pytest.param(f"{{{NEW}, status: {{phase: Up}}}}", 1, 1, CURRENT, id="any status is one"),
    ],
)
def test_a_custom_resource_is_given_time_to_get_a_status(text, age, waited, judged):
    manifest = one(text)
    judge = Judge(reports=lambda _: True)
    assert judge.judge(ref(manifest), manifest, now=MADE + age, waited=waited) == judged


@pytest.mark.parametrize(
    ("manifest", "reports"),
    [
        pytest.param(one(NEW), False, id="its kind has no status of its own"),
        pytest.param({**one(NEW), "apiVersion": "networking.k8s.io/v1"}, True, id="its kind is Kubernetes'"),
        pytest.param({**one(NEW), "apiVersion": "v1"}, True, id="its kind is of the core"),
    ],
)
def test_what_never_gets_a_status_is_not_waited_for(manifest, reports):
    judge = Judge(reports=lambda _: reports)
    assert judge.judge(ref(manifest), manifest, now=MADE, waited=0) == CURRENT


@dataclass
class Still:
    """A cluster in which nothing ever happens, and its clock."""

    manifest: dict
    elapsed: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def now(self):
        return MADE + self.elapsed

    def monotonic(self):
        return self.elapsed

    @contextmanager
    def observe(self, _) -> Iterator[Still]:
        yield self

    def changed(self, timeout):
        self.pauses.append(timeout)
        if len(self.pauses) == 1:
            return {ref(self.manifest): self.manifest}
        assert timeout < math.inf
        self.elapsed += timeout
        return {}


def test_a_wait_for_a_status_is_no_longer_than_the_grace():
    cluster = Still(one(NEW))
    verdict = wait([ref(cluster.manifest)], cluster, cluster, timeout=60, judge=Judge(reports=lambda _: True))
    assert verdict.ok
    assert cluster.pauses == [60, STATUS_GRACE]


def test_a_wait_by_expression_lasts_as_long_as_it_is_not_true():
    cluster = Still(one("status: {}"))
    verdict = wait([ref(cluster.manifest)], cluster, cluster, timeout=60, judge=Judge([BOTH]))
    assert verdict.error == (
        "timeout waiting for: [Db/apps/x status: 'Unknown': " + NO_KEY.format(BROKEN, "conditions") + "]"
    )
    assert cluster.elapsed == 60
