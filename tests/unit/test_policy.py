"""What is done about drift, and when."""

from __future__ import annotations

import pytest

from runner import policy
from runner.changes import FieldChange, Touch
from runner.drift import Difference, Drifted, Kind, Writer
from runner.model import Kustomization, ResourceRef, SourceRef

NOON = 1767268800.0  # 2026-01-01T12:00:00Z
REF = ResourceRef("ns", "x", "", "ConfigMap", "v1")


def changed(time: str, touched: str = "") -> Difference:
    writer = Writer("kubectl", "Update", "", time)
    field = Drifted(FieldChange("data.a", Touch.CHANGED, "1", "2"), writer)
    return Difference("ns/app", REF, Kind.CHANGED, fields=(field,), touched_at=touched)


DELETED, EXTRA = Difference("ns/app", REF, Kind.DELETED), Difference("ns/app", REF, Kind.EXTRA)


@pytest.mark.parametrize("text", ["report", "correct", "ignore", "correct-after=10m", " correct "])
def test_policies_are_read(text):
    assert str(policy.parse(text)) == text.strip()


@pytest.mark.parametrize(
    "text", ["", "repair", "correct=10m", "correct-after", "correct-after=", "correct-after=x"]
)
def test_others_are_refused(text):
    with pytest.raises(ValueError, match=r"is not (report|a duration)"):
        policy.parse(text)


@pytest.mark.parametrize(
    ("given", "found", "corrects"),
    [
        ("report", [DELETED], False),
        ("ignore", [DELETED], False),
        ("correct", [DELETED], True),
        ("correct", [EXTRA], False),
        ("correct", [], False),
        ("correct", [changed("2026-01-01T12:00:00Z")], True),
        ("correct-after=10m", [changed("2026-01-01T11:51:00Z")], False),
        ("correct-after=10m", [changed("2026-01-01T11:50:00Z")], True),
        ("correct-after=10m", [changed("2026-01-01T11:50:00Z"), changed("2026-01-01T11:59:00Z")], False),
        ("correct-after=10m", [DELETED], True),
        ("correct-after=10m", [changed("", "2026-01-01T11:59:00Z")], False),
        ("correct-after=10m", [changed("", "2026-01-01T11:00:00Z"), EXTRA], True),
    ],
)
def test_when_drift_is_corrected(given, found, corrects):
    assert policy.parse(given).corrects(found, NOON) is corrects


def kustomization(**annotations: str) -> Kustomization:
    manifest = {"metadata": {"name": "app", "namespace": "ns", "annotations": annotations}}
    return Kustomization("ns", "app", manifest, SourceRef("GitRepository", "ns", "fleet"))


def test_the_annotation_beats_the_default_and_a_wrong_one_only_reports():
    default = policy.parse("correct")
    assert policy.of(kustomization(), default) == (default, "")
    own, wrong = policy.of(kustomization(**{policy.ANNOTATION: "ignore"}), default)
    assert (str(own), wrong) == ("ignore", "")
    own, wrong = policy.of(kustomization(**{policy.ANNOTATION: "fix it"}), default)
    assert str(own) == "report"
    assert wrong.startswith("ns/app: annotation kustodian.io/drift: 'fix it' is not report, correct,")


@pytest.mark.parametrize(
    ("seen", "due"), [(None, True), (0.0, True), (NOON - 600, True), (NOON - 545, True), (NOON - 500, False)]
)
def test_who_is_due(seen, due):
    assert policy.is_due(600.0, seen, NOON) is due
