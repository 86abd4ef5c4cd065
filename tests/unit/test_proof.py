"""What a proof covers, and when there can be none."""

from __future__ import annotations

import copy

import pytest

from runner import cleaning, proof
from runner.inventory import Entry, alike, of, unproven
from runner.model import FIELD_MANAGER, ResourceRef
from runner.proof import Proof

OWN = {
    "manager": FIELD_MANAGER,
    "operation": "Apply",
    "apiVersion": "v1",
    "time": "2026-01-01T00:00:00Z",
    "fieldsV1": {"f:data": {"f:a": {}}},
}
WANTED = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "x", "namespace": "apps", "labels": {"tier": "app"}, "annotations": {"note": "n"}},
    "data": {"a": "1"},
}
SPECIFIED = {**{k: v for k, v in WANTED.items() if k != "data"}, "spec": {"a": 1}}


def live(*others, own=OWN, **meta):
    """Metadata as the server has it."""
    mine = [own] if own else []
    common = {"uid": "u", "resourceVersion": "7", "generation": 2, "managedFields": [*mine, *others]}
    return {"metadata": {**WANTED["metadata"], **common, **meta}}


def made(manifest=WANTED, found=None, rules="r", key=b""):
    return proof.make(manifest, found or live(), rules, key)


def entry(manager, operation="Update", **rest):
    return {"manager": manager, "operation": operation, **rest}


UNSPOKEN = [
    pytest.param(live(resourceVersion="8"), id="another version, where there is a generation"),
    pytest.param(live(entry("hpa")), id="somebody else's fields"),
    pytest.param(live(entry(FIELD_MANAGER, subresource="status")), id="our own status"),
    pytest.param(live(entry("kubectl", subresource="scale")), id="a scale by hand"),
    pytest.param(live(labels={"tier": "app", "theirs": "x"}), id="somebody else's label"),
    pytest.param(live(ownerReferences=[{"uid": "o"}]), id="an owner"),
]


@pytest.mark.parametrize("found", UNSPOKEN)
def test_a_proof_does_not_depend_on(found):
    assert made(SPECIFIED, found) == made(SPECIFIED)
    assert made(SPECIFIED) is not None


DIFFERENT = [
    pytest.param({"found": live(own={**OWN, "time": "2026-01-01T00:00:01Z"})}, id="the time of our apply"),
    pytest.param({"found": live(own={**OWN, "fieldsV1": {}})}, id="our fields"),
    pytest.param({"found": live(own={**OWN, "apiVersion": "v2"})}, id="the version of our fields"),
    pytest.param({"found": live(generation=3)}, id="the generation"),
    pytest.param({"found": live(labels={"tier": "other"})}, id="one of our labels"),
    pytest.param({"found": live(annotations={})}, id="one of our annotations"),
    pytest.param({"manifest": {**SPECIFIED, "spec": {"a": True}}}, id="what is wanted"),
    pytest.param({"rules": "s"}, id="what the server does"),
    pytest.param({"key": b"k"}, id="the key"),
]


@pytest.mark.parametrize("other", DIFFERENT)
def test_a_proof_depends_on(other):
    assert made(**{"manifest": SPECIFIED, **other}) not in {None, made(SPECIFIED)}


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(WANTED, id="content beside the spec"),
        pytest.param({**SPECIFIED, "webhooks": []}, id="both"),
    ],
)
def test_where_the_generation_does_not_count_everything_the_version_does(manifest):
    assert made(manifest, live(generation=9)) == made(manifest)
    assert made(manifest, live(resourceVersion="8")) != made(manifest)


def test_an_object_without_a_generation_goes_by_its_version():
    found = live()
    del found["metadata"]["generation"]
    newer = copy.deepcopy(found)
    newer["metadata"]["resourceVersion"] = "8"
    assert made(SPECIFIED, found) != made(SPECIFIED, newer)


NONE = [
    pytest.param(live(own=None), id="we own nothing"),
    pytest.param(live({**OWN, "fieldsV1": {}}), id="we are there twice"),
    pytest.param(live(managedFields=None), id="managedFields are not kept"),
    pytest.param(live(deletionTimestamp="2026-01-01T00:00:00Z"), id="it is being deleted"),
    pytest.param(live(entry("kubectl-edit")), id="kubectl edit"),
    pytest.param(live(entry("kubectl", "Apply")), id="kubectl apply --server-side"),
    pytest.param(live(entry("before-first-apply")), id="what was there before"),
    pytest.param(live(entry(FIELD_MANAGER)), id="an update under our name"),
    pytest.param(live(annotations={cleaning.ANNOTATIONS[0]: ""}), id="last-applied"),
    pytest.param(live(labels={"fluxcd.io/sync-gc-mark": ""}), id="a label of Flux 1"),
]


@pytest.mark.parametrize("found", NONE)
def test_there_is_no_proof_when(found):
    assert made(found=found) is None


def test_there_is_no_proof_while_it_is_unknown_what_the_server_does():
    assert made(rules="") is None


def test_it_keeps_its_fields_when_an_apply_would_own_the_same():
    assert proof.keeps(live(), live(entry("other"), resourceVersion="9"))
    assert not proof.keeps(live(own={**OWN, "fieldsV1": {}}), live())
    assert not proof.keeps(live(own=None), live(own=None))


def test_a_proof_comes_back_from_its_text():
    found = made()
    assert Proof.read(str(found)) == found
    with pytest.raises(ValueError, match="unpack"):
        Proof.read("a.b")


A, B = (ResourceRef("apps", name, "", "ConfigMap", "v1") for name in "ab")
PROOF = Proof("w", "h", "g1")
PROVEN = of([Entry(A, "1", PROOF), Entry(B, "2")])
ALIKE = [
    pytest.param([Entry(A, "1", Proof("w", "h", "g2")), Entry(B, "2")], True, id="the moment"),
    pytest.param([Entry(A, "1"), Entry(B, "2")], True, id="a proof less"),
    pytest.param([Entry(A, "1", PROOF), Entry(B, "2", PROOF)], False, id="a proof more"),
    pytest.param([Entry(A, "1", Proof("v", "h", "g1")), Entry(B, "2")], False, id="another object"),
    pytest.param([Entry(A, "1", Proof("w", "i", "g1")), Entry(B, "2")], False, id="other rules"),
    pytest.param([Entry(A, "3", PROOF), Entry(B, "2")], False, id="another uid"),
    pytest.param([Entry(A, "1", PROOF)], False, id="an object less"),
]


@pytest.mark.parametrize(("new", "same"), ALIKE)
def test_an_inventory_that_differs_in(new, same):
    assert alike(PROVEN, of(new)) is same


def test_what_is_about_to_be_written_is_not_proven():
    assert unproven(PROVEN) == of([Entry(A, "1"), Entry(B, "2")])
