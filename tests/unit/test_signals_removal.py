"""What goes away is told: deleted, or left behind and why."""

from __future__ import annotations

import pytest
import yaml

from runner.model import FLUX, Action, DeletionPolicy
from tests.unit.test_signals import APPS, changed, gone, load, told, unit

GONE = [
    pytest.param("ConfigMap", "v1", "{}", "note prune: ConfigMap/default/x is deleted", id="nothing more"),
    pytest.param(
        "PersistentVolumeClaim",
        "v1",
        "{}",
        "caution prune: PersistentVolumeClaim/default/x is deleted: and its data",
        id="data",
    ),
    pytest.param("PersistentVolume", "v1", "{}", "caution prune: PersistentVolume/", id="a volume"),
    pytest.param(
        "StatefulSet",
        "apps/v1",
        "{}",
        "caution prune: StatefulSet/default/x is deleted: its volume claims stay",
        id="state",
    ),
    pytest.param(
        "StatefulSet",
        "apps/v1",
        "spec: {persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}}",
        "caution prune: StatefulSet/default/x is deleted: and its volume claims with it",
        id="state with its claims",
    ),
    pytest.param("Namespace", "v1", "{}", "caution prune: Namespace/", id="a namespace"),
    pytest.param(
        "CustomResourceDefinition",
        "apiextensions.k8s.io/v1",
        "spec: {names: {kind: Thing}}",
        "caution prune: CustomResourceDefinition/default/x is deleted: and every Thing in the cluster",
        id="a definition",
    ),
    pytest.param(
        "NetworkPolicy", "networking.k8s.io/v1", "{}", "caution prune: NetworkPolicy/", id="a policy"
    ),
    pytest.param(
        "PodDisruptionBudget", "policy/v1", "{}", "caution prune: PodDisruptionBudget/", id="a budget"
    ),
    pytest.param(
        "HorizontalPodAutoscaler",
        "autoscaling/v2",
        "spec: {scaleTargetRef: {kind: Deployment, name: web}}",
        "caution prune: HorizontalPodAutoscaler/default/x is deleted: Deployment/web is not scaled any more",
        id="an autoscaler",
    ),
    pytest.param(
        "HelmRelease", "helm.toolkit.fluxcd.io/v2", "{}", "caution prune: HelmRelease/", id="a release"
    ),
]


@pytest.mark.parametrize(("kind", "api_version", "text", "expected"), GONE)
def test_of_what_goes_is_told_what_is_lost_with_it(kind, api_version, text, expected):
    [line] = told(gone(kind, api_version, text))
    assert line.startswith(expected)
    [kept] = told(gone(kind, api_version, text), head=[unit(prune=False)])
    assert kept.startswith(f"note orphan: {kind}/")


ORPHAN = unit(deletion_policy=DeletionPolicy.ORPHAN, manifest={"spec": {"deletionPolicy": "Orphan"}})
STAYS = [
    pytest.param({}, [unit()], [unit(prune=False)], f"{APPS} has prune: false", id="prune: false"),
    pytest.param({}, [unit()], [unit(suspend=True)], f"{APPS} is suspended", id="suspended"),
    pytest.param({}, [unit()], [ORPHAN], "", id="the policy is for when the Kustomization goes"),
    pytest.param({}, [ORPHAN], [], f"{APPS} has deletionPolicy: Orphan", id="as it does here"),
    pytest.param({}, [unit(prune=False)], [], f"{APPS} has prune: false", id="gone with prune: false"),
    pytest.param({}, [unit()], [], "", id="gone with prune: true"),
    pytest.param({}, [], [], "", id="nothing is known"),
    pytest.param({"prune": "disabled"}, [unit()], [unit()], f"{FLUX}/prune: disabled", id="a marker"),
    pytest.param({"prune": "Disabled"}, [unit()], [], f"{FLUX}/prune: disabled", id="a marker, gone too"),
    pytest.param({"ssa": "Ignore"}, [unit()], [unit()], f"{FLUX}/ssa: ignore", id="another marker"),
    pytest.param({"ssa": "Merge"}, [unit()], [unit()], "", id="a marker that keeps nothing"),
]


@pytest.mark.parametrize("where", ["labels", "annotations"])
@pytest.mark.parametrize(("markers", "base", "head", "reason"), STAYS)
def test_what_stays_is_told_apart_from_what_is_deleted(markers, base, head, reason, where):
    marked = {f"{FLUX}/{name}": value for name, value in markers.items()}
    text = yaml.safe_dump({"metadata": {where: marked}})
    stays = f"note orphan: ConfigMap/default/x is no longer wanted, but stays in the cluster: {reason}"
    expected = stays if reason else "note prune: ConfigMap/default/x is deleted"
    assert told(gone(text=text), base=base, head=head) == [expected]


def test_what_the_plan_leaves_alone_stays():
    [line] = told(gone(action=Action.SKIPPED, reason="part of Flux"))
    assert line.endswith("stays in the cluster: part of Flux")


def named(name):
    return gone(text=f"metadata: {{name: {name}}}")


def test_what_goes_is_told_together():
    lines = told(*[named(name) for name in "abcde"])
    names = ", ".join(f"ConfigMap/default/{name}" for name in "abc")
    assert lines == [f"note prune: 5 objects are deleted: {names} and 2 more"]
    [line] = told(named("a"), named("b"), head=[unit(prune=False)])
    assert line.startswith("note orphan: 2 objects are no longer wanted, but stay in the cluster: ")


KUSTOMIZATION = f"{FLUX}/v1"
SPEC = "spec: {path: ./apps, sourceRef: {kind: GitRepository, name: flux-system}}"


def flux(before, after, name, owner="flux-system/flux-system"):
    meta = f"metadata: {{name: {name}, namespace: flux-system}}\n"
    sides = (None if text is None else meta + text for text in (before, after))
    return changed(*(load(side, "Kustomization", KUSTOMIZATION) for side in sides), owner=owner)


ROOT = unit("flux-system/flux-system")


def test_of_a_kustomization_that_goes_is_told_what_becomes_of_its_objects():
    change = flux(SPEC, None, "apps")
    [line] = told(change, base=[ROOT, unit()], head=[ROOT])
    assert line == "caution prune: Kustomization/flux-system/apps is deleted: and what it deployed with it"
    [line] = told(change, base=[ROOT, unit(prune=False)], head=[ROOT])
    assert line.startswith(
        "caution prune: Kustomization/flux-system/apps is deleted: what it deployed stays: "
    )


def test_the_objects_of_a_kustomization_stay_where_it_stays_itself():
    changes = [flux(SPEC, None, "apps"), gone()]
    lines = told(*changes, base=[ROOT, unit()], head=[unit("flux-system/flux-system", prune=False)])
    reason = "no longer wanted, but stays in the cluster: flux-system/flux-system has prune: false"
    assert lines == [
        f"note orphan: ConfigMap/default/x is {reason}",
        f"note orphan: Kustomization/flux-system/apps is {reason}",
    ]


def test_kustomizations_that_hold_each_other_are_no_endless_story():
    changes = [flux(SPEC, None, "a", "flux-system/b"), flux(SPEC, None, "b", "flux-system/a")]
    assert len(told(*changes, base=[unit("flux-system/a"), unit("flux-system/b")], head=[])) == 2


RENAMED = [
    pytest.param(SPEC, SPEC, unit(), True, id="the same source and path"),
    pytest.param(SPEC, SPEC.replace("./apps", "apps/"), unit(), True, id="written otherwise"),
    pytest.param(SPEC, SPEC.replace("./apps", "other"), unit(), False, id="another path"),
    pytest.param(SPEC, SPEC, unit(prune=False), False, id="nothing would be deleted"),
]


@pytest.mark.parametrize(("before", "after", "old", "expected"), RENAMED)
def test_a_renamed_kustomization_is_told(before, after, old, expected):
    changes = [flux(before, None, "apps"), flux(None, after, "new")]
    lines = [line for line in told(*changes, base=[ROOT, old], head=[ROOT]) if " renamed: " in line]
    assert bool(lines) is expected
    assert all(
        "new has the source and path of Kustomization/flux-system/apps, which goes" in x for x in lines
    )
