"""What applying would do to each object, and why some are left alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType

import pytest
import yaml

from runner import plan
from runner.errors import Refused
from runner.markers import marked
from runner.model import FLUX, Action, ResourceRef
from runner.plan import BOOTSTRAP, VIRTUAL, Ground, drifted, scoped, skipped
from tests.fakes.cluster import FakeCluster

FLUX_LABELS = MappingProxyType({plan.PART_OF: "flux", plan.INSTANCE: "flux-system"})
NOWHERE = Ground()


def make(kind="ConfigMap", name="x", api_version="v1", namespace="apps", **fields):
    meta = {"name": name, **({"namespace": namespace} if namespace else {}), **fields.pop("metadata", {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, **fields}


def labelled(labels, **rest):
    return make(**rest, metadata={"labels": dict(labels)})


def annotated(**markers):
    return {"annotations": {f"{FLUX}/{name}": value for name, value in markers.items()}}


def kustomization(name="web"):
    return make("Kustomization", name, f"{FLUX}/v1", "flux-system")


GIT = make("GitRepository", "fleet", "source.toolkit.fluxcd.io/v1", "flux-system")
GENERATOR = make("ArtifactGenerator", "x", "source.extensions.fluxcd.io/v1beta1", "flux-system")
RELEASE = make("HelmRelease", "redis", "helm.toolkit.fluxcd.io/v2")
APPS = make("Namespace", "apps", namespace="")


@pytest.fixture
def cluster():
    return FakeCluster().put(APPS)


@pytest.fixture
def assess(cluster):
    with ThreadPoolExecutor(4) as pool:
        yield lambda *manifests, ground=NOWHERE: plan.assess(manifests, cluster, pool, ground)


def test_fluxs_kinds_that_the_cluster_lacks_are_virtual(cluster):
    everything = [kustomization(), GIT, GENERATOR, RELEASE, make(), make(api_version="a.io/v1")]
    assert plan.virtual_kinds(everything, cluster) == {
        (FLUX, "Kustomization"),
        ("source.toolkit.fluxcd.io", "GitRepository"),
        ("source.extensions.fluxcd.io", "ArtifactGenerator"),
    }
    cluster.serve(FLUX, "Kustomization")
    assert (FLUX, "Kustomization") not in plan.virtual_kinds(everything, cluster)
    assert plan.virtual_kinds([make()], cluster) == frozenset()


CONTROLLER = labelled(FLUX_LABELS, kind="Deployment", name="source-controller", api_version="apps/v1")
KUSTOMIZE = labelled(FLUX_LABELS, kind="Deployment", name="kustomize-controller", api_version="apps/v1")
BINDING = labelled(FLUX_LABELS, kind="ServiceAccount", name="kustomize-controller")
SPACE = labelled(FLUX_LABELS, kind="Namespace", name="flux-system", namespace="")
INSTALL = Ground(install_flux=True)
VIRTUAL_GROUND = Ground(virtual=frozenset({(FLUX, "Kustomization")}))
SKIPPED = [
    pytest.param(make(), NOWHERE, "", id="nothing speaks against an ordinary object"),
    pytest.param(kustomization(), VIRTUAL_GROUND, VIRTUAL, id="a virtual kind"),
    pytest.param(kustomization(), NOWHERE, "", id="the same kind where it is served"),
    pytest.param(CONTROLLER, NOWHERE, BOOTSTRAP, id="a controller of Flux's"),
    pytest.param(SPACE, NOWHERE, "", id="but its Namespace is applied"),
    pytest.param(CONTROLLER, INSTALL, "", id="a controller is applied when asked"),
    pytest.param(KUSTOMIZE, INSTALL, BOOTSTRAP, id="kustomize-controller is not even then"),
    pytest.param(BINDING, INSTALL, BOOTSTRAP, id="nor what belongs to it"),
    pytest.param(
        labelled({plan.PART_OF: "flux"}, name="fluxish"), NOWHERE, "", id="one of both labels is not enough"
    ),
    pytest.param(
        labelled({plan.INSTANCE: "flux"}, name="fluxish"), NOWHERE, "", id="nor is the other one"
    ),
    pytest.param(
        labelled({plan.PART_OF: "web", plan.INSTANCE: "x"}, name="fluxish"), NOWHERE, "", id="nor another"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("manifest", "ground", "reason"), SKIPPED)
def test_what_is_skipped_whatever_the_cluster_holds(manifest, ground, reason, assess, cluster):
    assert skipped(manifest, ground) == reason
    if reason:
        (found,) = assess(manifest, ground=ground)
        assert (found.action, found.reason) == (Action.SKIPPED, reason)
        assert cluster.requests == {}


def test_a_live_object_of_fluxs_installation_is_left_alone_although_git_has_no_labels(assess, cluster):
    cluster.put(CONTROLLER)
    desired = make("Deployment", "source-controller", "apps/v1", spec={"replicas": 0})
    (found,) = assess(desired)
    assert (found.action, found.reason) == (Action.SKIPPED, BOOTSTRAP)
    assert assess(desired, ground=INSTALL)[0].action is Action.CONFIGURED


MARKED = [
    ({"reconcile": "disabled"}, True, True),
    ({"reconcile": "Disabled"}, True, True),
    ({"ssa": "Ignore"}, True, True),
    ({"ssa": "ignore"}, True, True),
    ({"ssa": "IfNotPresent"}, True, False),
    ({"ssa": "Merge"}, False, False),
    ({"reconcile": "enabled"}, False, False),
    ({"prune": "disabled"}, False, False),
]


@pytest.mark.parametrize("where", ["labels", "annotations"])
@pytest.mark.parametrize(("markers", "on_desired", "on_live"), MARKED)
def test_a_marker_keeps_a_live_object_as_it_is(markers, on_desired, on_live, where, assess, cluster):
    marked = {where: annotated(**markers)["annotations"]}
    for desired, live, expected in [(marked, {}, on_desired), ({}, marked, on_live)]:
        cluster.put(make(data={"a": "live"}, metadata=live))
        (found,) = assess(make(data={"a": "git"}, metadata=desired))
        assert (found.action is Action.SKIPPED) == expected
        assert found.live is not None
        if expected:
            (name,) = markers
            assert f"{FLUX}/{name}" in found.reason


@pytest.mark.parametrize(
    ("markers", "action"),
    [
        ({"ssa": "IfNotPresent"}, Action.CREATED),
        ({"reconcile": "disabled"}, Action.SKIPPED),
        ({"ssa": "Ignore"}, Action.SKIPPED),
    ],
)
def test_a_marked_object_that_is_absent_is(markers, action, assess):
    assert assess(make(metadata=annotated(**markers)))[0].action is action


def test_a_marker_is_a_label_or_an_annotation_in_whatever_case():
    assert marked(make(metadata=annotated(ssa="mErge")), "ssa", "Merge")
    assert marked(labelled({f"{FLUX}/ssa": "merge"}), "ssa", "Merge")
    assert not marked(make(), "ssa", "Merge")
    assert not marked(None, "ssa", "Merge")
    both = make(metadata={"labels": {f"{FLUX}/ssa": "Merge"}, **annotated(ssa="Ignore")})
    assert marked(both, "ssa", "Merge")
    assert marked(both, "ssa", "Ignore"), "one of the two is enough, whatever the other says"


LIVE = yaml.safe_load("""
metadata: {name: x, labels: {a: b}, annotations: {c: d}, uid: "1", generation: 1, finalizers: [x]}
spec: {n: 1, list: [1, 2]}
status: {ready: true}
data: {a: b}
""")
DRIFT = [
    pytest.param({}, "", id="nothing"),
    pytest.param({"status": {"ready": False}}, "", id="the status does not count"),
    pytest.param(
        {"metadata": {**LIVE["metadata"], "generation": 2, "finalizers": [], "managedFields": [1]}}, "",
        id="nor does other metadata",
    ),
    pytest.param(
        {"metadata": {**LIVE["metadata"], "labels": {"a": "c"}}}, "metadata.labels changed", id="a label"
    ),
    pytest.param(
        {"metadata": {**LIVE["metadata"], "annotations": None}}, "metadata.annotations changed",
        id="annotations that are gone",
    ),
    pytest.param({"spec": {"n": 2, "list": [1, 2]}, "data": {}}, "data, spec changed", id="two fields"),
    pytest.param({"spec": {"n": 1, "list": [2, 1]}}, "spec changed", id="the order of a list"),
    pytest.param({"spec": {"list": [1, 2], "n": 1}}, "", id="not the order of keys"),
    pytest.param({"spec": {"n": True, "list": [1, 2]}}, "spec changed", id="true is not 1"),
    pytest.param({"type": "Opaque"}, "type changed", id="a field that is new"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), DRIFT)
def test_drift(changes, expected):
    assert drifted(LIVE, {**LIVE, **changes}) == expected


def test_the_metrics_of_an_autoscaler_that_an_old_servers_dry_run_repeats_are_no_drift():
    one, other = {"type": "Resource", "resource": {"name": "cpu"}}, {"type": "Pods"}

    def scaler(*metrics):
        return make("HorizontalPodAutoscaler", api_version="autoscaling/v2", spec={"metrics": list(metrics)})

    assert drifted(scaler(one, other), scaler(one, one, other, {"type": ""})) == ""
    assert drifted(scaler(one, other), scaler(one)) == "spec changed"


def test_missing_and_empty_labels_are_the_same():
    assert drifted(make(metadata={"labels": {}}), make(metadata={"annotations": {}})) == ""


def test_an_object_is_created_configured_or_unchanged_and_nothing_is_written(assess, cluster):
    cluster.put(make(name="same", data={"a": "b"}), make(name="other", data={"a": "c"}))
    cluster.warnings[ResourceRef.of(make(name="other"))] = ("deprecated",)
    wanted = [make(name=name, data={"a": "b"}) for name in ("new", "same", "other")]
    found = assess(*wanted)
    assert [(a.ref.name, a.action, a.reason) for a in found] == [
        ("new", Action.CREATED, ""), ("same", Action.UNCHANGED, ""),
        ("other", Action.CONFIGURED, "data changed"),
    ]  # fmt: skip
    assert [a.manifest for a in found] == wanted
    assert found[2].warnings == ("ConfigMap/apps/other: deprecated",)
    assert (found[2].change.ref, found[2].change.action) == (found[2].ref, Action.CONFIGURED)
    assert (cluster.writes, cluster.requests["DRYRUN"]) == ([], 3)


class NothingKnown(plan.NoProofs):
    """Of a cluster that no run has written to."""

    def known(self, _ref):
        return False


FIRST_TIME = [
    pytest.param(
        {}, None, Action.CREATED, {"DRYRUN": 1}, id="a dry-run that creates says that it is not there"
    ),
    pytest.param({}, "b", Action.UNCHANGED, {"DRYRUN": 1, "GET": 1}, id="what is there is read"),
    pytest.param({}, "c", Action.CONFIGURED, {"DRYRUN": 1, "GET": 1}, id="also to see what differs"),
    pytest.param({"ssa": "IfNotPresent"}, "c", Action.SKIPPED, {"GET": 1}, id="first where that decides"),
    pytest.param(
        {"ssa": "IfNotPresent"}, None, Action.CREATED, {"DRYRUN": 1, "GET": 1}, id="to be made once"
    ),
]


@pytest.mark.parametrize(("markers", "live", "action", "requests"), FIRST_TIME)
def test_what_is_not_on_record_is_asked_for_only_where_it_is_there(
    markers, live, action, requests, assess, cluster
):
    if live is not None:
        cluster.put(make(data={"a": live}))
    wanted = make(data={"a": "b"}, metadata=annotated(**markers) if markers else {})
    (found,) = assess(wanted, ground=Ground(proofs=NothingKnown()))
    assert (found.action, found.live is not None) == (action, live is not None)
    assert cluster.requests == requests


def test_a_refusal_of_what_is_not_on_record_is_told_once(assess, cluster):
    cluster.refusals[ResourceRef.of(make())] = Refused("ConfigMap/apps/x is invalid", code=422, hint="look")
    (found,) = assess(make(), ground=Ground(proofs=NothingKnown()))
    assert (found.action, found.error, found.hint) == (
        Action.UNKNOWN, "ConfigMap/apps/x is invalid", "look",
    )  # fmt: skip


def test_a_secret_is_not_read_unless_it_may_be(assess, cluster):
    cluster.put(make("Secret"))
    (unread,) = assess(make("Secret"), ground=Ground(read_secrets=False))
    assert (unread.action, bool(unread.reason), cluster.requests) == (Action.UNKNOWN, True, {})
    assert assess(make("Secret"))[0].action is Action.UNCHANGED
    custom = make("Secret", api_version="x.io/v1")
    cluster.serve("x.io", "Secret")
    assert assess(custom, ground=Ground(read_secrets=False))[0].action is Action.CREATED


def test_what_is_not_fully_known_is_not_asked_for(assess, cluster):
    (found,) = assess(make(), ground=Ground(unresolved={ResourceRef.of(make()): ("a", "b")}))
    assert (found.action, found.reason) == (Action.UNKNOWN, "not fully known: a, b")
    assert cluster.requests == {}


def test_what_this_run_makes_possible_is_not_yet_checked(assess):
    database = make("Database", api_version="x.io/v1")
    elsewhere = make(namespace="new")
    ground = Ground(kinds=frozenset({("x.io", "Database")}), namespaces=frozenset({"new"}))
    found = assess(database, elsewhere, ground=ground)
    assert [(a.action, a.error, a.reason.split(":")[0]) for a in found] == [
        (Action.CREATED, "", "not yet checked")
    ] * 2
    assert [(a.action, bool(a.error)) for a in assess(database, elsewhere)] == [(Action.UNKNOWN, True)] * 2


def test_a_kind_that_nobody_defines_is_an_error_of_its_object_alone_with_a_hint(assess):
    found = assess(RELEASE, make("Database", api_version="x.io/v1"), make())
    assert [bool(a.error) for a in found] == [True, True, False]
    assert "helm-controller" in found[0].hint
    assert "install what defines this kind" in found[1].hint


def test_a_refusal_is_an_error_of_its_object_alone(assess, cluster):
    cluster.refusals[ResourceRef.of(make())] = Refused("ConfigMap/apps/x is invalid", code=422, hint="look")
    ground = Ground(namespaces=frozenset({"apps"}))
    bad, good = assess(make(), make(name="y"), ground=ground)
    assert (bad.action, bad.error, bad.hint) == (Action.UNKNOWN, "ConfigMap/apps/x is invalid", "look")
    assert good.action is Action.CREATED


def test_a_namespace_where_the_kind_has_none_is_dropped(cluster):
    role = make("ClusterRole", api_version="rbac.authorization.k8s.io/v1")
    unknown = make("Database", api_version="x.io/v1")
    made = scoped([role, make(), APPS, unknown], cluster)
    assert made[0] == {**role, "metadata": {"name": "x"}}
    assert made[1:] == (make(), APPS, unknown)
    assert role["metadata"]["namespace"] == "apps"


def test_what_a_run_defines():
    definition = make(
        "CustomResourceDefinition", "d", "apiextensions.k8s.io/v1", "",
        spec={"group": "x.io", "names": {"kind": "Database"}},
    )  # fmt: skip
    assert plan.defines([definition, make()]) == {("x.io", "Database")}


def test_what_can_be_had_by_definitions():
    versions = [
        {"name": "v1", "served": True},
        {"name": "v1alpha1", "served": False},
        {"name": "v2", "served": True},
    ]
    definition = make(
        "CustomResourceDefinition", "d", "apiextensions.k8s.io/v1", "",
        spec={"group": "x.io", "names": {"kind": "Database"}, "versions": versions},
    )  # fmt: skip
    assert plan.served([definition, make()]) == {("x.io", "Database", "v1"), ("x.io", "Database", "v2")}
