"""What may be deleted to be made anew."""

from __future__ import annotations

import pytest

from runner import recreation
from runner.errors import Refused

SAID = [
    ("spec.selector: Invalid value: {}: field is immutable", True),
    ("data: Forbidden: field is immutable when `immutable` is set", True),
    ("spec: Forbidden: spec is immutable after creation except resources.requests", True),
    ("an immutable field was changed", True),
    ("spec: Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden", True),
    ("roleRef: Invalid value: {}: cannot change roleRef", True),
    ("spec.replicas: Invalid value: -1: must be greater than or equal to 0", False),
    ("spec.resources.requests.storage: Forbidden: field can not be less than previous value", False),
    ("Operation cannot be fulfilled: the object has been modified", False),
]


@pytest.mark.parametrize(("message", "expected"), SAID)
def test_only_what_is_called_immutable_goes(message, expected):
    assert recreation.is_immutable(Refused(message, code=422, reason="Invalid")) is expected


def test_the_reason_names_fields_and_no_value():
    refusal = Refused("data: Invalid value: secret: field is immutable", fields=("data", "type", "data"))
    assert recreation.reason(refusal) == "made anew (force): data, type cannot be changed"
    assert recreation.reason(Refused("is immutable")) == "made anew (force): it is immutable"


def service(**spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": spec}


def test_a_service_is_tried_without_what_the_live_one_holds():
    live = service(clusterIP="10.0.0.1", ports=[{"port": 80, "nodePort": 30080}], healthCheckNodePort=1)
    wanted = service(
        clusterIP="10.0.0.2", ports=[{"port": 80, "nodePort": 30080}, {"port": 81, "nodePort": 30081}],
        healthCheckNodePort=1,
    )  # fmt: skip
    assert recreation.trial(wanted, live)["spec"] == {
        "clusterIP": "10.0.0.2",
        "ports": [{"port": 80}, {"port": 81, "nodePort": 30081}],
    }
    other = {**wanted, "kind": "Thing"}
    assert recreation.trial(other, live) is other
