"""Flux's inventory ids, and the arithmetic on what is owned."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.inventory import RBAC, Entry, decode, encode, of, union, without
from runner.model import ResourceRef

IDS = [
    pytest.param(
        ResourceRef("flux-system", "podinfo", "apps", "Deployment", "v1"),
        "flux-system_podinfo_apps_Deployment",
        id="namespace, name, group and kind in this order",
    ),
    pytest.param(
        ResourceRef("default", "podinfo", "", "Service", "v1"),
        "default_podinfo__Service",
        id="the core group is empty",
    ),
    pytest.param(
        ResourceRef("", "apps", "", "Namespace", "v1"),
        "_apps__Namespace",
        id="a cluster-wide object has no namespace",
    ),
    pytest.param(
        ResourceRef("", "system:coredns", RBAC, "ClusterRole", "v1"),
        "_system__coredns_rbac.authorization.k8s.io_ClusterRole",
        id="a colon in the name of a role is written as two underscores",
    ),
    pytest.param(
        ResourceRef("n", "a_b__c", "example.com", "Thing", "v1"),
        "n_a_b__c_example.com_Thing",
        id="underscores in the name of anything else stay",
    ),
    pytest.param(
        ResourceRef("n", "a:b", "example.com", "Thing", "v1"),
        "n_a:b_example.com_Thing",
        id="and so do colons",
    ),
]


@pytest.mark.parametrize(("ref", "id_"), IDS)
def test_an_id_is_the_one_that_flux_writes_and_reads(ref, id_):
    assert encode(ref) == id_
    assert decode(id_, "v1") == ref
    assert decode(id_, "v7").version == "v7"


@pytest.mark.parametrize(
    "id_",
    [
        pytest.param("", id="nothing"),
        pytest.param("a", id="no separator"),
        pytest.param("a_b", id="one separator"),
        pytest.param("a_b_c", id="two separators"),
        pytest.param("n__apps_Deployment", id="no name"),
        pytest.param("n_x_apps_", id="no kind"),
    ],
)
def test_what_is_no_id_is_an_error(id_):
    with pytest.raises(ValueError, match="is not an inventory id"):
        decode(id_, "v1")


LOWER = st.text(string.ascii_lowercase + string.digits + "-.", min_size=1, max_size=12)
SPACES = st.just("") | LOWER
ROLES = st.builds(":".join, st.lists(LOWER, min_size=1, max_size=3))
KINDS = st.text(string.ascii_letters, min_size=1, max_size=12)
REFS = st.builds(
    ResourceRef, SPACES, st.text(string.ascii_lowercase + "-._", min_size=1), SPACES, KINDS, st.just("v1")
) | st.builds(ResourceRef, SPACES, ROLES, st.just(RBAC), KINDS, st.just("v1"))


@given(REFS)
def test_every_object_survives_the_way_through_an_id(ref):
    assert decode(encode(ref), ref.version) == ref


def entry(name, uid="", version="v1"):
    return Entry(ResourceRef("n", name, "apps", "Deployment", version), uid)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([entry("a"), entry("a", "1")], [entry("a", "1")], id="an entry with a uid comes later"),
        pytest.param(
            [entry("a", "1"), entry("a")], [entry("a", "1")], id="an entry without a uid comes later"
        ),
        pytest.param([entry("a", "1"), entry("a", "2")], [entry("a", "2")], id="the later uid counts"),
        pytest.param(
            [entry("a", "1"), entry("b")], [entry("a", "1"), entry("b")], id="two objects are two entries"
        ),
        pytest.param(
            [entry("a", "1", "v1beta1"), entry("a", "2")],
            [entry("a", "2")],
            id="two versions of one object are one entry",
        ),
    ],
)
def test_of_keeps_one_entry_for_an_object(entries, expected):
    assert list(of(entries).values()) == expected


def test_a_union_holds_both_and_forgets_no_uid():
    old = of([entry("a", "1"), entry("b", "2"), entry("c")])
    new = of([entry("a"), entry("b", "3"), entry("d", "4")])
    assert list(union(old, new).values()) == [entry("a", "1"), entry("b", "3"), entry("c"), entry("d", "4")]


ENTRIES = st.builds(entry, st.sampled_from("abcdef"), st.sampled_from(["", "1", "2"]))


@given(st.lists(ENTRIES), st.lists(ENTRIES))
def test_a_union_loses_no_object_and_invents_none(old, new):
    both = union(of(old), of(new))
    assert set(both) == {e.ref for e in [*old, *new]}
    assert all(bool(both[e.ref].uid) or not e.uid for e in [*old, *new])


def test_without_takes_exactly_these_out():
    owned = of([entry("a", "1"), entry("b")])
    assert without(owned, [entry("a", version="v2").ref, entry("z").ref]) == of([entry("b")])
    assert without(owned, []) == owned
