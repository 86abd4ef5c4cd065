"""Fields that the server does not know, in its own words."""

from __future__ import annotations

import pytest

from runner import undeclared
from runner.model import ResourceRef

FAILED = "x dry-run failed: failed to create typed patch object (a/x; apps/v1, Kind=Deployment)"
SEVERAL = f"""{FAILED}: errors:
  .metadata.foo: field not declared in schema
  .spec.containers[name="a b"].bar: field not declared in schema
  .spec.replicas: expected numeric (int or float), got string"""
ONE = f"{FAILED}: .bar: field not declared in schema"


def test_the_places_that_a_refusal_names():
    assert undeclared.named(SEVERAL) == (".metadata.foo", '.spec.containers[name="a b"].bar')
    assert undeclared.named(ONE) == (".bar",)
    assert undeclared.named("something else") == ()


OBJECT = {
    "a": 1,
    "b": {"c": 2},
    "l": [{"name": "x", "p": 1, "bad": 1}, {"name": "x", "p": 2, "bad": 2}],
    "i": [{"bad": 1}, {"bad": 2}],
}
PATHS = [
    (".a", {"a": None}),
    (".b.c", {"b": {}}),
    ('.l[name="x",p=2].bad', {"l": [OBJECT["l"][0], {"name": "x", "p": 2}]}),
    (".i[1].bad", {"i": [{"bad": 1}, {}]}),
    (".i[7].bad", {}),
    (".gone.deep", {}),
    (".a.deep", {}),
    ('.l[name="z"].bad', {}),
]


@pytest.mark.parametrize(("path", "changed"), PATHS)
def test_a_place_is_taken_out(path, changed):
    expected = {key: value for key, value in {**OBJECT, **changed}.items() if value is not None}
    assert undeclared.without(OBJECT, [path]) == expected


@pytest.mark.parametrize(
    ("group", "kind", "dropped"),
    [
        ("apps", "Deployment", True), ("", "Pod", True), ("networking.k8s.io", "Ingress", True),
        ("rbac.authorization.k8s.io", "RoleBinding", True), ("rbac.authorization.k8s.io", "Role", False),
        ("rbac.authorization.k8s.io", "ClusterRole", False),
        ("apiextensions.k8s.io", "CustomResourceDefinition", False),
        ("gateway.networking.k8s.io", "Gateway", False),
    ],
)  # fmt: skip
def test_fields_are_dropped_from_kinds_that_flux_turns_into_types(group, kind, dropped):
    assert undeclared.is_dropped_from(ResourceRef("a", "x", group, kind, "v1")) is dropped
