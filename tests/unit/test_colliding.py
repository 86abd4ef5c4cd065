"""Items of lists that somebody gave another key."""

from __future__ import annotations

import pytest

from runner import colliding

OURS = {
    "manager": "kustomize-controller",
    "operation": "Apply",
    "fieldsV1": {"f:spec": {"f:ports": {".": {}, 'k:{"port":90,"protocol":"TCP"}': {"f:name": {}}}}},
}
KEY = 'k:{"port":81,"protocol":"TCP"}'


def wanted(*ports):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"ports": list(ports)}}


def live(manager="somebody", name="http", operation="Update"):
    owned = {"f:spec": {"f:ports": {KEY: {".": {}, "f:name": {}, "f:port": {}}}, "f:selector": {"f:x": {}}}}
    theirs = {"manager": manager, "operation": operation, "fieldsV1": owned}
    ports = [{"port": 81, "protocol": "TCP", "name": name}, {"port": 90, "protocol": "TCP", "name": "m"}]
    meta = {"name": "x", "resourceVersion": "7", "managedFields": [OURS, theirs]}
    return wanted(*ports) | {"metadata": meta}


HTTP, METRICS = {"port": 80, "name": "http"}, {"port": 90, "name": "m"}


@pytest.mark.parametrize(
    ("manifest", "found"),
    [
        (wanted(HTTP, METRICS), True),
        (wanted(METRICS), False),  # nobody wants the name
        (wanted({"port": 81, "name": "http"}, METRICS), False),  # nor is it another key
        (wanted({"port": 80, "name": "web"}, METRICS), False),  # a port beside ours: it may stay
    ],
)
def test_what_stands_in_the_way(manifest, found):
    assert colliding.found(manifest, live()) is found


@pytest.mark.parametrize("manager", ["somebody", "kubectl-edit"])
def test_it_becomes_ours_and_nobody_elses_of_this_version_alone(manager):
    test, replace = colliding.patch(wanted(HTTP, METRICS), live(manager))

    assert test == {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}
    entries = {each["manager"]: each["fieldsV1"]["f:spec"] for each in replace["value"]}
    assert KEY in entries["kustomize-controller"]["f:ports"]
    assert 'k:{"port":90,"protocol":"TCP"}' in entries["kustomize-controller"]["f:ports"]
    assert entries.get("somebody", {"f:selector": {"f:x": {}}}) == {"f:selector": {"f:x": {}}}


def test_a_port_without_a_name_collides_with_one_without():
    object_ = live(name=None)
    assert colliding.found(wanted({"port": 80}, METRICS), object_)
    assert [each["port"] for each in colliding.foreseen(wanted({"port": 80}), object_)["spec"]["ports"]] == [
        90
    ]
