"""The Secret of `spec.kubeConfig`: which key of it counts, and where it comes from."""

from __future__ import annotations

import base64

import pytest

from runner.discover import parse
from runner.errors import Refused
from runner.fleet import Produced
from runner.model import ResourceRef
from runner.render import NotRead
from runner.render.remote import find


def app(key=""):
    where = {"name": "spoke", **({"key": key} if key else {})}
    return parse(
        {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": "app", "namespace": "fleet"},
            "spec": {
                "interval": "10m",
                "prune": True,
                "sourceRef": {"kind": "GitRepository", "name": "fleet"},
                "kubeConfig": {"secretRef": where},
            },
        }
    )


def secret(**data):
    values = {
        name.replace("_", "."): base64.b64encode(value.encode()).decode() for name, value in data.items()
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "spoke", "namespace": "fleet"},
        "data": values,
    }


@pytest.mark.parametrize(
    ("key", "data", "expected"),
    [
        ("", {"value": "a", "value_yaml": "b"}, b"a"),
        ("", {"value_yaml": "b"}, b"b"),
        ("mine", {"value": "a", "mine": "c"}, b"c"),
    ],
)
def test_the_key_that_is_named_counts_else_flux_s_own(key, data, expected):
    way, producers = find(app(key), {}, lambda _: secret(**data))
    assert way is not None
    assert (way.kubeconfig, way.why, way.live) == (expected, "", True)
    assert not producers


@pytest.mark.parametrize(
    ("key", "found", "why"),
    [
        ("mine", secret(value="a"), "Secret/fleet/spoke has no key mine with a kubeconfig"),
        ("", secret(other="a"), "Secret/fleet/spoke has no key value or value.yaml with a kubeconfig"),
        ("", None, "Secret/fleet/spoke has the kubeconfig, and there is no such Secret"),
        ("", {**secret(), "data": {"value": "s3cret!"}}, "Secret/fleet/spoke: data.value is not in base64"),
    ],
)
def test_what_is_missing_is_named(key, found, why):
    way, _ = find(app(key), {}, lambda _: found)
    assert way is not None
    assert (way.kubeconfig, way.why) == (b"", why)


def test_one_that_this_run_makes_counts_before_the_cluster_s_and_its_maker_comes_first():
    made = {**secret(), "data": {}, "stringData": {"value": "git"}}
    desired = {ResourceRef.of(made): Produced("fleet/access", made)}
    way, producers = find(app(), desired, lambda _: secret(value="live"))
    assert way is not None
    assert (way.kubeconfig, way.live, producers) == (b"git", False, {"fleet/access"})


def test_a_preview_reads_none():
    way, _ = find(app(), {}, lambda _: NotRead.NOT_READ)
    assert way is not None
    assert (way.asked, way.kubeconfig) == (False, b"")


def test_one_that_may_not_be_read_is_its_own_failure():
    def refused(_):
        raise Refused("Secret/fleet/spoke get failed: forbidden", code=403)

    way, _ = find(app(), {}, refused)
    assert way is not None
    assert way.why == "Secret/fleet/spoke get failed: forbidden"
