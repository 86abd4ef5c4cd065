"""The order in which objects are sent, and what happens when one is refused."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import apply
from runner.apply import Order, deletion_order, is_waited_for, stages
from runner.errors import Refused
from runner.model import ResourceRef
from tests.fakes.cluster import FakeCluster

RBAC = "rbac.authorization.k8s.io/v1"
EXTENSIONS = "apiextensions.k8s.io/v1"
DEFINITIONS = [
    (EXTENSIONS, "CustomResourceDefinition"),
    ("v1", "Namespace"),
    (RBAC, "ClusterRole"),
]
CLASSES = [
    ("cluster.x-k8s.io/v1beta1", "ClusterClass"),
    ("node.k8s.io/v1", "RuntimeClass"),
    ("scheduling.k8s.io/v1", "PriorityClass"),
    ("storage.k8s.io/v1", "StorageClass"),
    ("snapshot.storage.k8s.io/v1", "VolumeSnapshotClass"),
    ("networking.k8s.io/v1", "IngressClass"),
    ("gateway.networking.k8s.io/v1", "GatewayClass"),
    ("example.com/v1", "BackupClass"),
]
ROLES = [(RBAC, "Role")]
REST = [
    (RBAC, "ClusterRoleBinding"),
    ("v1", "ResourceQuota"),
    ("v1", "ServiceAccount"),
    (RBAC, "RoleBinding"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("v1", "LimitRange"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("batch/v1", "CronJob"),
    ("policy/v1", "PodDisruptionBudget"),
    ("v1", "Pod"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "Job"),
    ("example.com/v1", "Database"),
    ("example.com/v1", "Namespace"),
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
]
"""Every kind that Flux names, in its order, and some that it does not."""
# A kind is ranked by its name alone, so that somebody else's Namespace goes before what has no rank.
REST_ORDERED = [("example.com/v1", "Namespace"), *(pair for pair in REST if pair[1] != "Namespace")]


def make(api_version, kind, name="x", namespace="apps"):
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}}


def kinds(manifests):
    return [(manifest["apiVersion"], manifest["kind"]) for manifest in manifests]


@pytest.mark.parametrize("seed", range(5))
def test_everything_goes_in_stages_and_in_fluxs_order(seed):
    given_ = [make(*pair) for pair in [*DEFINITIONS, *CLASSES, *ROLES, *REST]]
    random.Random(seed).shuffle(given_)  # noqa: S311 -- an order, not a secret
    assert [kinds(stage) for stage in stages(given_)] == [DEFINITIONS, CLASSES, ROLES, REST_ORDERED]


def test_objects_of_one_kind_go_by_namespace_and_name():
    places = [("b", "a"), ("a", "a"), ("b", ""), ("a", "b")]
    (stage,) = stages([make("v1", "ConfigMap", name, namespace) for name, namespace in places])
    assert [(m["metadata"]["namespace"], m["metadata"]["name"]) for m in stage] == [
        ("", "b"), ("a", "a"), ("a", "b"), ("b", "a"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("manifests", "waited"),
    [
        pytest.param([make("v1", "Namespace")], True, id="Namespaces"),
        pytest.param([make(EXTENSIONS, "CustomResourceDefinition")], True, id="definitions"),
        pytest.param([make(RBAC, "ClusterRole")], True, id="cluster roles"),
        pytest.param([make("storage.k8s.io/v1", "StorageClass")], True, id="classes"),
        pytest.param([make("apps/v1", "Deployment")], False, id="not the rest"),
        pytest.param([make("example.com/v1", "Namespace")], False, id="not a Namespace of another group"),
        pytest.param([make("example.com/v1", "ClusterRole")], False, id="not a role of another group"),
    ],
)
def test_later_stages_wait_for(manifests, waited):
    (stage,) = stages(manifests)
    assert is_waited_for(stage) is waited


def test_nothing_has_no_stages():
    assert stages([]) == ()


OBJECTS = st.builds(
    make, st.sampled_from(["v1", "apps/v1", "x.io/v1"]), st.sampled_from([k for _, k in DEFINITIONS + REST]),
    st.sampled_from("ab"), st.sampled_from("cd"),
)  # fmt: skip


def place(manifest):
    return manifest["kind"], *manifest["metadata"].values()


@given(st.lists(OBJECTS, unique_by=place), st.randoms())
def test_the_order_does_not_depend_on_the_order_given_and_nothing_is_lost(manifests, rng):
    shuffled = list(manifests)
    rng.shuffle(shuffled)
    assert stages(shuffled) == stages(manifests)
    assert {ResourceRef.of(m) for stage in stages(manifests) for m in stage} == set(
        map(ResourceRef.of, manifests)
    )


def test_objects_are_deleted_in_the_reverse_order():
    refs = [ResourceRef.of(make(*pair)) for pair in [*DEFINITIONS, *REST]]
    (first, *_, last) = deletion_order(refs)
    assert (first.kind, last.kind) == ("ValidatingWebhookConfiguration", "CustomResourceDefinition")
    applied = [ResourceRef.of(m) for m in stages([make(*pair) for pair in REST])[0]]
    assert list(deletion_order(applied)) == applied[::-1]
    two = [ResourceRef.of(make("v1", "ConfigMap", name)) for name in "ab"]
    assert [ref.name for ref in deletion_order(two)] == ["b", "a"]


@pytest.fixture
def pool():
    with ThreadPoolExecutor(4) as made:
        yield made


@pytest.fixture
def cluster():
    return FakeCluster().put(make("v1", "Namespace", "apps", ""))


def go():
    return False


def send(manifests, cluster, pool, stopped):
    return apply.send([Order(manifest) for manifest in manifests], cluster, pool, stopped)


MAPS = [make("v1", "ConfigMap", name) for name in "abc"]
SERVICE, DEPLOYMENT = make("v1", "Service"), make("apps/v1", "Deployment")


def test_what_is_sent_comes_back_with_uid_version_and_warnings(cluster, pool):
    ref = ResourceRef.of(SERVICE)
    cluster.warnings[ref] = ("deprecated",)
    (sent,) = send([SERVICE], cluster, pool, go)
    assert (sent.ref, sent.error, sent.warnings) == (ref, "", (f"{ref}: deprecated",))
    assert sent.uid == cluster.get(ref)["metadata"]["uid"]
    assert sent.version == cluster.get(ref)["metadata"]["resourceVersion"]


def test_ranks_go_one_after_the_other(cluster, pool):
    (stage,) = stages([DEPLOYMENT, SERVICE, *MAPS])
    sent = send(stage, cluster, pool, go)
    assert [s.ref.kind for s in sent] == ["ConfigMap"] * 3 + ["Service", "Deployment"]
    assert sorted(cluster.writes[:3]) == [f"PATCH ConfigMap/apps/{name}" for name in "abc"]
    assert cluster.writes[3:] == ["PATCH Service/apps/x", "PATCH Deployment/apps/x"]


def test_a_refusal_lets_its_own_rank_finish_and_begins_no_other(cluster, pool):
    broken = ResourceRef.of(MAPS[0])
    cluster.refusals[broken] = Refused("ConfigMap/apps/a is invalid", code=422, hint="look at it")
    sent = send([*MAPS, SERVICE, DEPLOYMENT], cluster, pool, go)
    assert [(s.ref.name, bool(s.error)) for s in sent] == [("a", True), ("b", False), ("c", False)]
    assert (sent[0].error, sent[0].hint, sent[0].uid) == ("ConfigMap/apps/a is invalid", "look at it", "")
    assert sorted(cluster.writes) == ["PATCH ConfigMap/apps/b", "PATCH ConfigMap/apps/c"]


def test_those_of_one_rank_are_sent_at_the_same_time(cluster, pool):
    together = threading.Barrier(len(MAPS))

    class Meeting:
        def apply(self, manifest):
            together.wait(10)
            return cluster.apply(manifest)

    assert [sent.error for sent in send(MAPS, Meeting(), pool, go)] == ["", "", ""]


def test_a_run_that_is_stopped_begins_no_other_rank(cluster, pool):
    stops = iter([False, True])
    sent = send([*MAPS, SERVICE], cluster, pool, lambda: next(stops))
    assert [s.ref.kind for s in sent] == ["ConfigMap"] * 3
