"""What is cleaned up of a live object, and the patch that does it."""

from __future__ import annotations

import pytest

from runner import cleaning
from runner.model import FIELD_MANAGER, FLUX


def entry(manager, operation="Update", subresource="", **data):
    fields = {"f:data": {f"f:{name}": {} for name in data}} if data else {}
    made = {"manager": manager, "operation": operation, "time": "t", "fieldsV1": fields}
    return {**made, "subresource": subresource} if subresource else made


def live(*entries, **meta):
    return {"metadata": {"name": "x", "resourceVersion": "7", "managedFields": list(entries), **meta}}


OWN = entry(FIELD_MANAGER, "Apply", a=1)
NEEDED = [
    pytest.param(entry("kubectl-edit"), True, id="kubectl-*, Update"),
    pytest.param(entry("kubectl", "Apply"), True, id="kubectl, Apply"),
    pytest.param(entry("before-first-apply"), True, id="before-first-apply, Update"),
    pytest.param(entry("before-first-apply", "Apply"), False, id="before-first-apply, Apply"),
    pytest.param(entry(FIELD_MANAGER), True, id="our name, Update"),
    pytest.param(OWN, False, id="our own"),
    pytest.param(entry("my-kubectl"), False, id="a name that begins otherwise"),
    pytest.param(entry("kubectl", subresource="scale"), False, id="a subresource"),
]


@pytest.mark.parametrize(("found", "needed"), NEEDED)
def test_whom_is_cleaned_up_after(found, needed):
    assert cleaning.needed(live(found)) is needed


def test_the_patch_holds_for_one_version_and_makes_the_fields_ours():
    other, scaled = entry("helm", b=1), entry("kubectl", subresource="scale")
    found = live(
        entry("kubectl-edit", c=1), OWN, other, scaled, entry("before-first-apply", d=1),
        annotations={cleaning.ANNOTATIONS[0]: "{}", "kept": ""}, labels={cleaning.LABELS[0]: ""},
    )  # fmt: skip
    test, *removes, replaced = cleaning.patch(found)
    assert test == {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}
    assert removes == [
        {"op": "remove", "path": "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"},
        {"op": "remove", "path": "/metadata/labels/fluxcd.io~1sync-gc-mark"},
    ]
    assert replaced["path"] == "/metadata/managedFields"
    assert replaced["value"] == [other, scaled, entry(FIELD_MANAGER, "Apply", a=1, c=1, d=1)]


def test_without_an_entry_of_ours_the_first_becomes_it():
    found = live(entry("kubectl-edit", c=1), entry("kubectl-patch", d=1))
    assert cleaning.patch(found)[-1]["value"] == [entry(FIELD_MANAGER, "Apply", c=1, d=1)]


@pytest.mark.parametrize("where", ["labels", "annotations"])
def test_ssa_merge_on_either_object_keeps_everything(where):
    plain, merges = live(), live(**{where: {f"{FLUX}/ssa": "MERGE"}})
    assert cleaning.unwanted(plain, merges)
    assert cleaning.unwanted(merges, plain)
    assert not cleaning.unwanted(plain, plain)


def test_what_a_dry_run_still_has_and_the_apply_takes_away():
    found = live(OWN, entry("kubectl-edit", a=1, c=1, b=1), annotations={cleaning.ANNOTATIONS[0]: "{}"})
    merged = live(
        OWN, entry("kubectl-edit", c=1, b=1), entry("helm", b=1), annotations={cleaning.ANNOTATIONS[0]: "{}"}
    )
    foreseen = cleaning.foreseen(found, {**merged, "data": {"a": 1, "b": 2, "c": 3}})
    assert foreseen["data"] == {"a": 1, "b": 2}
    assert foreseen["metadata"]["annotations"] == {}
