"""Which objects a rule of `spec.ignore` is for, and what it does to them."""

from __future__ import annotations

import copy

import pytest

from runner import ignoring, selector
from runner.model import FIELD_MANAGER, IgnoreRule

WEB = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "web",
        "namespace": "shop",
        "labels": {"app": "web", "tier": "a", "number": "5"},
        "annotations": {"note": "x"},
    },
}
TARGETS = [
    ({}, True),
    ({"kind": "Deploy.*", "group": "apps", "version": "v1", "name": "web", "namespace": "shop"}, True),
    ({"kind": "Deploy"}, False),
    ({"name": "we|web"}, True),
    ({"name": "(?i)WEB"}, True),
    ({"name": "[[:alpha:]]+"}, True),
    ({"group": "apps", "kind": "Service"}, False),
    ({"annotationSelector": "note=x"}, True),
    ({"annotationSelector": "app"}, False),
    *(
        ({"labelSelector": text}, expected)
        for text, expected in [
            ("app=web", True), ("app==web,tier=a", True), ("app = web , tier!=b", True), ("app!=web", False),
            ("gone!=x", True), ("app in (web, db)", True), ("app notin (web)", False),
            ("gone notin (x)", True),
            ("app", True), ("!app", False), ("!gone", True), ("number>4", True), ("number < 5", False),
            ("app>1", False), ("app=", False), ("in", False),
        ]
    ),
]  # fmt: skip


@pytest.mark.parametrize(("target", "expected"), TARGETS)
def test_a_target_selects(target, expected):
    assert selector.problems(target) == {}
    assert selector.selects(target, WEB) is expected


@pytest.mark.parametrize(
    "target",
    [
        {"name": "("}, {"kind": "a(?=b)"}, {"labelSelector": "a in"}, {"labelSelector": "a=b c"},
        {"labelSelector": "a,"}, {"labelSelector": "a>x"}, {"annotationSelector": "=x"},
    ],
)  # fmt: skip
def test_a_target_that_is_none(target):
    assert list(selector.problems(target)) == list(target)


def test_an_expression_takes_no_longer_for_being_nasty():
    assert selector.selects({"name": "(a*)*b"}, {**WEB, "metadata": {"name": "a" * 5000}}) is False


def thing(owner="", **spec):
    entries = [{"manager": owner, "operation": "Apply", "fieldsV1": {"f:spec": {"f:n": {}}}}] if owner else []
    return {**WEB, "metadata": {"name": "web", "managedFields": entries}, "spec": spec}


ALL = (IgnoreRule(("/spec/n", "/spec/gone", "bad", "/spec/list/0")),)


def test_only_what_differs_is_of_interest():
    live, merged = thing(n=5, list=["a"]), thing(n=3, list=["a"])
    assert ignoring.drifted(ALL, live, merged) == ("/spec/n",)
    assert ignoring.drifted(ALL, thing(n=1), thing(n=True)) == ("/spec/n",), "1 is not true"
    assert ignoring.drifted((IgnoreRule(("/spec/n",), {"kind": "Service"}),), live, merged) == ()


def test_the_live_value_is_kept_in_what_is_compared():
    live = thing(n=5)
    assert ignoring.kept(["/spec/n"], live, thing(n=3, m=1))["spec"] == {"n": 5, "m": 1}
    assert ignoring.kept(["/spec/m"], live, thing(n=3, m=1))["spec"] == {"n": 3}


@pytest.mark.parametrize(
    ("owner", "expected"),
    [("autoscaler", {"m": 1}), (FIELD_MANAGER, {"n": 5, "m": 1}), ("", {"n": 5, "m": 1})],
)
def test_what_is_applied_of_an_ignored_field(owner, expected):
    wanted = thing(n=3, m=1)
    before = copy.deepcopy(wanted)
    assert ignoring.payload(["/spec/n"], thing(owner, n=5), wanted)["spec"] == expected
    assert wanted == before


def test_what_git_does_not_have_is_not_added_and_what_is_not_live_is_not_sent():
    assert ignoring.payload(["/spec/n"], thing(n=5), thing(m=1))["spec"] == {"m": 1}
    assert ignoring.payload(["/spec/n"], thing(), thing(n=3, m=1))["spec"] == {"m": 1}


@pytest.mark.parametrize("path", ["", "spec/n", "/spec/n/deep", "/~2", "/spec/list/-", "/spec/list/x"])
def test_a_path_that_leads_nowhere_changes_nothing(path):
    live, merged = thing(n=5, list=["a"]), thing(n=3, list=["b"])
    assert ignoring.drifted((IgnoreRule((path,)),), live, merged) == ()
    assert ignoring.kept([path], live, merged) == merged
    assert ignoring.payload([path], live, merged) == merged
