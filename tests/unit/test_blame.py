"""Who wrote a field, and where a path leads."""

from __future__ import annotations

import pytest

from runner import blame
from runner.diff import fields, steps
from runner.drift import Writer


def entry(
    manager: str, owned: dict, time: str = "2026-01-01T00:00:00Z", operation: str = "Update", sub: str = ""
):
    return {
        "manager": manager,
        "operation": operation,
        "subresource": sub,
        "time": time,
        "fieldsType": "FieldsV1",
        "fieldsV1": owned,
    }


def live(*entries, **content):
    return {"metadata": {"name": "x", "managedFields": list(entries)}, **content}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("spec.a", ("spec", "a")),
        ('metadata.labels["a.b/c"]', ("metadata", "labels", "a.b/c")),
        ("spec.list[0].x", ("spec", "list", 0, "x")),
        ("a[name=web].b", ("a", {"name": "web"}, "b")),
        ("a[port=80,protocol=UDP]", ("a", {"port": 80, "protocol": "UDP"})),
        ('a[port="80"]', ("a", {"port": "80"})),
        ('a[name="x],y=1"].b', ("a", {"name": "x],y=1"}, "b")),
        ("a[metadata.name=data]", ("a", {"metadata.name": "data"})),
        ("a[key=true-x]", ("a", {"key": "true-x"})),
    ],
)
def test_a_path_is_read_as_it_is_written(path, found):
    assert steps.steps(path) == found


@pytest.mark.parametrize("path", ["v1: spec.a", "a[", "a[name=", "a[]", "a b"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ValueError, match="is no path"):
        steps.steps(path)


def test_every_path_of_a_difference_leads_to_what_it_tells():
    before = {
        "spec": {
            "ports": [{"port": 80, "protocol": "UDP"}, {"port": 80}],
            "containers": [{"name": "a b", "args": ["x", "y"]}],
            "claims": [{"metadata": {"name": "one"}, "v": 1}],
        },
        "metadata": {"annotations": {"x/y": "1", "]": "2"}},
    }
    after = {
        "spec": {
            "ports": [{"port": 80, "protocol": "UDP", "name": "u"}, {"port": 80, "name": "t"}],
            "containers": [{"name": "a b", "args": ["x", "z"]}],
            "claims": [{"metadata": {"name": "one"}, "v": 2}],
        },
        "metadata": {"annotations": {"x/y": "3", "]": "4"}},
    }
    for change in fields(before, after):
        value, _ = steps.resolve(after, steps.steps(change.path))
        assert value == change.after


def test_the_last_of_the_others_counts_and_we_only_alone():
    object_ = live(
        entry("kustomize-controller", {"f:spec": {"f:a": {}, "f:b": {}}}, "2026-09-09T00:00:00Z", "Apply"),
        entry("early", {"f:spec": {"f:a": {}}}, "2026-01-01T00:00:00Z"),
        entry("late", {"f:spec": {"f:a": {}}}, "2026-01-02T00:00:00Z", "Apply"),
        spec={"a": 1, "b": 2},
    )
    assert blame.writer(object_, "spec.a") == Writer("late", "Apply", "", "2026-01-02T00:00:00Z")
    assert blame.writer(object_, "spec.b").manager == "kustomize-controller"
    assert blame.writer(object_, "spec.c") is None


@pytest.mark.parametrize(
    ("owned", "path", "owns"),
    [
        ({"f:l": {'k:{"name":"web"}': {"f:image": {}}}}, "l[name=web].image", True),
        ({"f:l": {'k:{"name":"web"}': {"f:image": {}}}}, "l[name=web]", True),
        ({"f:l": {'k:{"name":"other"}': {"f:image": {}}}}, "l[name=web].image", False),
        ({"f:l": {}}, "l[name=web].image", True),  # atomic
        ({"f:s": {'v:"y"': {}}}, "s[1]", True),
        ({"f:s": {'v:"x"': {}}}, "s[1]", False),
        ({"f:l": {".": {}}}, "l[name=web].image", False),
        ({"f:o": {".": {}}}, "o.x", False),
    ],
)
def test_items_and_what_is_owned_as_a_whole(owned, path, owns):
    object_ = live(entry("somebody", owned), l=[{"name": "web", "image": "x"}], s=["x", "y"], o={"x": 1})
    assert bool(blame.writer(object_, path)) is owns


def test_a_schema_is_owned_as_a_whole():
    owned = {"f:spec": {"f:versions": {}}}
    versions = [{"name": "v1", "schema": {"openAPIV3Schema": {}}}]
    object_ = live(entry("somebody", owned), spec={"versions": versions})
    assert blame.writer(object_, "v1: spec.size").manager == "somebody"
