"""A dependency whose readiness an expression decides."""

from __future__ import annotations

import pytest

from runner import readiness
from runner.graph import Edge, Milestone, Need, Node
from runner.model import Outcome, State
from tests.fakes.play import Play

FLUX_DOCS = (
    "dep.metadata.labels['app/version'] == self.metadata.labels['app/version'] && "
    "dep.status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True') && "
    "dep.metadata.generation == dep.status.observedGeneration"
)
NOT_READY = "dependency 'apps/backend' is not ready according to readyExpr eval"


def kustomization(name, version):
    return {"metadata": {"namespace": "apps", "name": name, "labels": {"app/version": version}}}


BACKEND = kustomization("backend", "v1.2.3")


@pytest.mark.parametrize(
    ("dependency", "why"),
    [
        pytest.param(readiness.ended(BACKEND, State.READY), "", id="ready"),
        pytest.param(readiness.begun(BACKEND), NOT_READY, id="being reconciled"),
        pytest.param(readiness.ended(BACKEND, State.FAILED), NOT_READY, id="failed"),
        pytest.param(readiness.ended(BACKEND, State.BLOCKED), NOT_READY, id="blocked"),
        pytest.param(
            readiness.ended(kustomization("backend", "v1"), State.READY), NOT_READY, id="ready, but older"
        ),
        pytest.param(readiness.ended(BACKEND, None), NOT_READY, id="never reconciled"),
    ],
)
def test_the_expression_of_flux_s_documentation(dependency, why):
    itself = readiness.begun(kustomization("frontend", "v1.2.3"))
    assert readiness.why_not(FLUX_DOCS, itself, dependency) == why


def test_what_has_no_answer_is_not_ready():
    expression = "dep.status.conditions.size() > 0"
    assert readiness.why_not(expression, BACKEND, readiness.ended(BACKEND, None)) == (
        f"dependency 'apps/backend': failed to evaluate the CEL expression '{expression}': "
        "no such key: conditions"
    )


def test_the_status_is_the_one_that_flux_writes():
    status = readiness.ended(BACKEND, State.READY, revision="main@sha1:abc")["status"]
    assert status["lastAppliedRevision"] == "main@sha1:abc"
    assert status["conditions"][0]["message"] == "Applied revision: main@sha1:abc"


def gated(*ids):
    return Node(frozenset(Need(id_, Milestone.STARTED, Edge.DEPENDS_ON, "…") for id_ in ids))


class Asked:
    """Answers for expressions: true once the dependency came this far."""

    def __init__(self, milestone):
        self.milestone = milestone
        self.questions = []

    def __call__(self, id_, need, reached, outcome):
        self.questions.append((id_, need.id, reached, outcome and outcome.state))
        if self.milestone is None:
            return outcome is not None and outcome.state is State.FAILED
        return (reached or Milestone.STARTED) >= self.milestone


def test_it_is_not_asked_before_the_dependency_starts():
    asked = Asked(Milestone.STARTED)
    first = Node(frozenset({Need("a", Milestone.READY, Edge.DEPENDS_ON)}))
    play = Play({"a": Node(), "b": first, "c": gated("b")}, holds=asked)
    play.starts("a")
    assert play.allowed() == {"a"}
    assert asked.questions == []
    play.ready("a")
    play.starts("b", "c")
    for id_ in "abc":
        play.ends(id_)
    assert play.over()["c"].ok


def test_the_dependent_starts_the_moment_it_is_true():
    play = Play({"a": Node(), "b": gated("a")}, holds=Asked(Milestone.APPLIED))
    play.starts("a")
    assert play.allowed() == {"a"}
    play.applied("a")
    play.starts("b")
    for id_ in "ab":
        play.ends(id_)
    assert play.over()["b"].ok


def test_it_may_be_true_of_a_failure():
    play = Play({"a": Node(), "b": gated("a")}, holds=Asked(None))
    play.starts("a")
    play.ends("a", State.FAILED)
    play.starts("b")
    play.ends("b")
    assert play.over()["b"].state is State.READY


def test_what_is_not_true_in_the_end_blocks():
    play = Play({"a": Node(), "b": gated("a")}, holds=lambda *_: False)
    play.starts("a")
    play.ends("a")
    assert play.over()["b"] == Outcome("b", State.BLOCKED, blocked_by=("a",))
