"""What is taken off an object that others made."""

from __future__ import annotations

import pytest

from runner import handover
from runner.handover import LAST_APPLIED, MANAGED_BY, RELEASE, RELEASE_NAMESPACE, Origin
from runner.model import FLUX, ResourceRef

REF = ResourceRef("apps", "web", "", "ConfigMap", "v1")
HELM = {RELEASE: "web", RELEASE_NAMESPACE: "apps"}


def entry(manager, fields, operation="Update", **more):
    return {"manager": manager, "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": fields, **more}


def live(*entries, labels=None, annotations=None):
    meta = {
        "name": "web",
        "namespace": "apps",
        "resourceVersion": "7",
        "labels": labels or {},
        "annotations": annotations or {},
        "managedFields": list(entries),
    }
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"a": "1"}}


def wanted(**meta):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", "namespace": "apps", **meta}}


def adoption(of, manifest=None):
    return handover.adoption(REF, manifest or wanted(), of, "flux-system/web")


@pytest.mark.parametrize(
    "nobody",
    [
        live(),
        live(entry("kustomize-controller", {}, "Apply")),
        live(entry("kubectl-edit", {}, subresource="status")),
        live(entry("some-operator", {})),
    ],
)
def test_what_nobody_else_made_is_no_adoption(nobody):
    assert adoption(nobody) is None


@pytest.mark.parametrize(
    ("one", "origin"),
    [
        (live(annotations={LAST_APPLIED: "{}"}), Origin.KUBECTL),
        (live(entry("kubectl-client-side-apply", {})), Origin.KUBECTL),
        (live(entry("before-first-apply", {})), Origin.KUBECTL),
        (live(annotations=HELM), Origin.HELM),
        (live(entry("Helm", {}, "Apply")), Origin.HELM),
        (live(entry("helm", {}), entry("kubectl-edit", {})), Origin.HELM),
    ],
)
def test_origins_are_told_by_what_they_leave(one, origin):
    found = adoption(one)
    assert found is not None
    assert found.origin is origin


def test_what_git_has_itself_is_not_taken_off():
    one = live(labels={MANAGED_BY: "Helm"}, annotations=HELM)
    found = adoption(one, wanted(labels={MANAGED_BY: "Helm"}, annotations={RELEASE: "web"}))
    assert found is not None
    assert (found.labels, found.annotations) == ((), (RELEASE_NAMESPACE,))


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ({f"{FLUX}/name": "other", f"{FLUX}/namespace": "apps"}, "it belongs to Kustomization apps/other"),
        ({f"{FLUX}/name": "web", f"{FLUX}/namespace": "flux-system"}, ""),
        (
            {"helm.toolkit.fluxcd.io/name": "web", "helm.toolkit.fluxcd.io/namespace": "apps"},
            "it belongs to HelmRelease apps/web",
        ),
    ],
)
def test_what_has_another_owner_is_left_alone(labels, why):
    found = adoption(live(annotations=HELM, labels=labels))
    assert found is not None
    assert found.refused == why


def test_fields_of_others_become_ours_and_the_rest_stays():
    one = live(
        entry("kustomize-controller", {"f:data": {"f:a": {}}}, "Apply"),
        entry("kubectl-edit", {"f:data": {"f:b": {}}, "f:metadata": {"f:annotations": {"f:x": {}}}}),
        entry("kubectl", {}, subresource="scale"),
        entry("an-operator", {"f:data": {"f:c": {}}}),
        annotations={LAST_APPLIED: "{}"},
    )
    found = adoption(one)
    assert found is not None
    test, annotation, managed = handover.operations(found, one, "2026-01-01T00:00:00Z")
    assert test == {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}
    assert annotation["path"] == "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"
    ours, scale, operator = managed["value"]
    assert (ours["manager"], ours["operation"]) == ("kustomize-controller", "Apply")
    assert ours["fieldsV1"] == {
        "f:data": {"f:a": {}, "f:b": {}},
        "f:metadata": {"f:annotations": {"f:x": {}}},
    }
    assert (scale["subresource"], operator["manager"]) == ("scale", "an-operator")
