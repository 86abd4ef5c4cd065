"""What may be deleted, what a guard holds back, and what is lost with it."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import MappingProxyType

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runner.apply import deletion_order
from runner.errors import ClusterError
from runner.inventory import Entry
from runner.model import FLUX, Action, ResourceRef
from runner.options import PruneLimit
from runner.prune import Stale, Verdict, approval, delete, guard, holds, judge, wait_until_gone
from tests.fakes.cluster import FakeCluster

OWNER = MappingProxyType({f"{FLUX}/namespace": "flux-system", f"{FLUX}/name": "apps"})
REF = ResourceRef("apps", "x", "", "ConfigMap", "v1")


def live(kind="ConfigMap", name="x", namespace="apps", api_version="v1", **meta):
    space = {"namespace": namespace} if namespace else {}
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **space, **meta}}


def owned(labels=None, annotations=None, uid="1", **meta):
    return live(labels={**OWNER, **(labels or {})}, annotations=annotations, uid=uid, **meta)


def verdict(manifest, *, uid="1", desired=(), protected=(), bootstrap=False):
    return judge(
        Entry(REF, uid),
        manifest,
        owner="flux-system/apps",
        desired_uids=desired,
        protected=protected,
        bootstrap=bootstrap,
    )


JUDGED = [
    pytest.param(owned(), {}, Verdict.DELETE, "", id="ours, unmarked and the one we recorded goes"),
    pytest.param(owned(), {"uid": ""}, Verdict.DELETE, "", id="without a recorded uid the label decides"),
    pytest.param(None, {}, Verdict.GONE, "already gone", id="what is gone leaves the inventory"),
    pytest.param(owned(uid="2"), {}, Verdict.GONE, "another object has its name", id="a new object"),
    pytest.param(
        owned(), {"desired": ["1"]}, Verdict.GONE, "desired under another kind", id="the same object renamed"
    ),
    pytest.param(live(uid="1"), {}, Verdict.GONE, "belongs to nobody", id="without labels it is nobody's"),
    pytest.param(
        owned({f"{FLUX}/name": "web"}), {}, Verdict.GONE, "belongs to flux-system/web", id="another took it"
    ),
    pytest.param(
        owned({f"{FLUX}/namespace": "team"}), {}, Verdict.GONE, "belongs to team/apps", id="another space's"
    ),
    pytest.param(
        owned(), {"protected": [REF]}, Verdict.KEEP, "kustodian's own state", id="our own state stays"
    ),
    pytest.param(owned(), {"bootstrap": True}, Verdict.KEEP, "Flux's own installation", id="Flux stays"),
    pytest.param(
        owned(uid="2"), {"protected": [REF]}, Verdict.KEEP, "own state", id="own state, any uid"
    ),
    *(
        pytest.param(
            owned(**{where: {f"{FLUX}/{marker}": value}}), {}, Verdict.GONE, f"kept by {FLUX}/{marker}",
            id=f"{marker}: {value} among the {where} keeps it",
        )
        for where in ("labels", "annotations")
        for marker, value in [("prune", "disabled"), ("prune", "Disabled"), ("reconcile", "disabled"),
                              ("ssa", "Ignore"), ("ssa", "ignore")]
    ),
    pytest.param(
        owned(annotations={f"{FLUX}/ssa": "IfNotPresent"}), {}, Verdict.DELETE, "", id="IfNotPresent"
    ),
    pytest.param(owned(annotations={f"{FLUX}/prune": "enabled"}), {}, Verdict.DELETE, "", id="another value"),
]  # fmt: skip


@pytest.mark.parametrize(("manifest", "options", "expected", "reason"), JUDGED)
def test_a_stale_object(manifest, options, expected, reason):
    found = verdict(manifest, **options)
    assert found.verdict is expected
    assert reason in found.reason
    assert found.uid == ("1" if expected is Verdict.DELETE else "")


KEYS = st.sampled_from([f"{FLUX}/{name}" for name in ("name", "namespace", "prune", "reconcile", "ssa")])
WORDS = st.sampled_from(["apps", "flux-system", "disabled", "Disabled", "Ignore", "Merge", "x"])
META = st.dictionaries(KEYS, WORDS)
UIDS = st.sampled_from(["", "1", "2"])


@given(
    META | META.map(lambda labels: {**labels, **OWNER}),
    META,
    st.tuples(UIDS, UIDS, st.sets(UIDS)),
    st.booleans(),
    st.booleans(),
)
def test_nothing_is_deleted_but_what_is_ours_unmarked_and_the_very_object(
    labels, annotations, uids, safe, bootstrap
):
    recorded, uid, desired = uids
    manifest = live(labels=labels, annotations=annotations, uid=uid)
    protected = [] if safe else [REF]
    found = verdict(manifest, uid=recorded, desired=desired, protected=protected, bootstrap=bootstrap)
    marked = any(
        str(where.get(f"{FLUX}/{marker}", "")).lower() == value
        for where in (labels, annotations)
        for marker, value in (("prune", "disabled"), ("reconcile", "disabled"), ("ssa", "ignore"))
    )
    mine = labels.items() >= OWNER.items()
    same = uid not in desired and recorded in {"", uid}
    assert (found.verdict is Verdict.DELETE) == (mine and same and not marked and safe and not bootstrap)


def entries(count, prefix="x"):
    return [Entry(ResourceRef("apps", f"{prefix}{n}", "", "ConfigMap", "v1")) for n in range(count)]


def guarded(stale, *, emptied=(), owned=100, limit=None, approved=()):
    return guard(stale, emptied=emptied, owned=owned, limit=limit or PruneLimit(), approved=approved)


def test_few_deletions_pass():
    assert guarded({"n/a": entries(10)}, owned=11) == ()
    assert guarded({}) == ()


def test_too_many_deletions_are_held_everywhere_under_one_digest():
    held = guarded({"n/b": entries(15, "b"), "n/a": entries(6, "a"), "n/c": []})
    assert [(h.kustomization, len(h.refs)) for h in held] == [("n/a", 6), ("n/b", 15)]
    assert len({h.digest for h in held}) == 1
    assert held[0].reason.startswith("21 of 100 objects would be deleted")


def test_an_empty_build_is_held_however_little_it_had():
    (held,) = guarded({"n/a": entries(1), "n/b": entries(1, "b")}, emptied=["n/a", "n/nothing"])
    assert (held.kustomization, held.refs) == ("n/a", (entries(1)[0].ref,))
    assert "renders no object" in held.reason


def test_a_digest_lets_exactly_its_set_through():
    few, more = {"n/a": entries(30)}, {"n/a": entries(31)}
    digest = guarded(few)[0].digest
    assert guarded(few, approved=[digest]) == ()
    assert guarded(few, approved=["0" * 12]) != ()
    assert [h.digest == digest for h in guarded(more, approved=[digest])] == [False]


def test_the_digest_of_one_empty_build_is_not_that_of_another():
    first, second = (guarded({k: entries(2)}, emptied=[k])[0].digest for k in ("n/a", "n/b"))
    assert first != second
    assert guarded({"n/a": entries(2)}, emptied=["n/a"], approved=[second]) != ()
    assert guarded({"n/a": entries(2)}, emptied=["n/a"], approved=[first]) == ()


def test_a_digest_is_the_same_in_every_release_and_order():
    refs = [e.ref for e in entries(3)]
    assert {approval("limit", order) for order in itertools.permutations(refs)} == {"0c6e18b11744"}
    assert approval("other", refs) != approval("limit", refs) != approval("limit", refs[:2])


STALE = st.dictionaries(st.sampled_from(["n/a", "n/b", "n/c"]), st.integers(0, 20), max_size=3)


@given(STALE, st.sets(st.sampled_from(["n/a", "n/b", "n/c"])), st.integers(0, 80), st.integers(0, 30))
def test_a_guard_never_lets_more_than_the_limit_through(counts, emptied, owned, objects):
    limit = PruneLimit(objects, 20)
    stale = {k: entries(count, k[-1]) for k, count in counts.items()}
    held = {ref for h in guarded(stale, emptied=emptied, owned=owned, limit=limit) for ref in h.refs}
    passed = [e.ref for group in stale.values() for e in group if e.ref not in held]
    assert not limit.exceeded(len(passed), owned)
    assert not any(e.ref in passed for k in emptied for e in stale.get(k, ()))


NAMESPACE = ResourceRef("", "apps", "", "Namespace", "v1")
CLAIM = ResourceRef("apps", "data", "", "PersistentVolumeClaim", "v1")
CRD = ResourceRef("", "databases.x.io", "apiextensions.k8s.io", "CustomResourceDefinition", "v1")
DEFINITION = yaml.safe_load("spec: {group: x.io, names: {kind: Database}}")
BOUND = yaml.safe_load("{spec: {volumeName: pv-7}, status: {phase: Bound}}")


def containing(*manifests):
    made = FakeCluster()
    made.serve("x.io", "Database")
    return made.put(*manifests)


HOLDS = [
    pytest.param(NAMESPACE, {}, containing(), "", id="an empty Namespace holds nothing"),
    pytest.param(NAMESPACE, {}, containing(live(namespace="other")), "", id="another Namespace's objects"),
    pytest.param(
        NAMESPACE, {}, containing(live(name="mine")), "ConfigMap/apps/mine", id="a Namespace with an object"
    ),
    pytest.param(NAMESPACE, {}, containing(live()), "", id="objects that are leaving too"),
    pytest.param(
        NAMESPACE, {},
        containing(
            live(name="kube-root-ca.crt"), live("ServiceAccount", "default"), live("Event", "e"),
            live("Endpoints", "web"), live("Pod", "p", ownerReferences=[{"uid": "1"}]),
            live(name="going", deletionTimestamp="2026-03-01T12:00:00Z"),
        ),
        "", id="what every Namespace has, children, and what is going anyway",
    ),
    pytest.param(
        NAMESPACE, {}, containing(*(live(name=f"c{n}") for n in range(5))),
        "ConfigMap/apps/c0, ConfigMap/apps/c1, ConfigMap/apps/c2 and 2 more", id="only the first are named",
    ),
    pytest.param(CLAIM, BOUND, containing(), "volume pv-7", id="a claim that is bound holds its volume"),
    pytest.param(CLAIM, {"status": {"phase": "Pending"}}, containing(), "", id="a claim that is not bound"),
    pytest.param(CLAIM, {}, containing(), "", id="a claim without a status"),
    pytest.param(CRD, DEFINITION, containing(), "", id="a definition without objects"),
    pytest.param(
        CRD, DEFINITION, containing(live("Database", "db", "prod", "x.io/v1")), "Database/prod/db",
        id="a definition with objects in any namespace",
    ),
    pytest.param(CRD, DEFINITION, FakeCluster(), "", id="a definition that is not served"),
    pytest.param(REF, {}, containing(live(name="y")), "", id="anything else holds nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("ref", "manifest", "cluster", "expected"), HOLDS)
def test_what_would_be_lost_with(ref, manifest, cluster, expected):
    assert holds(ref, manifest, cluster, leaving=[REF]) == expected


def test_what_cannot_be_listed_is_an_error_unless_it_is_not_there():
    cluster = containing()
    cluster.unlisted["", "ConfigMap"] = ClusterError("gone since", code=404)
    assert holds(NAMESPACE, {}, cluster, []) == ""
    cluster.unlisted["", "ConfigMap"] = ClusterError("forbidden", code=403)
    with pytest.raises(ClusterError, match="forbidden"):
        holds(NAMESPACE, {}, cluster, [])


@pytest.fixture
def pool():
    with ThreadPoolExecutor(4) as made:
        yield made


def stale(manifest, what=Verdict.DELETE, reason=""):
    return Stale(Entry(ResourceRef.of(manifest)), what, reason, manifest["metadata"]["uid"])


CONFIG, DEPLOYMENT = live(uid="c"), live("Deployment", "d", api_version="apps/v1", uid="d")
SECRET = live("Secret", "s", uid="s")


def test_what_may_go_is_deleted_in_order_and_only_that(pool):
    cluster = FakeCluster().put(CONFIG, DEPLOYMENT, SECRET)
    judged = [stale(CONFIG), stale(SECRET, Verdict.KEEP, "precious"), stale(DEPLOYMENT)]
    done = delete(judged, cluster, pool, deletion_order, lambda: False)
    assert cluster.writes == ["DELETE Deployment/apps/d", "DELETE ConfigMap/apps/x"]
    assert [(str(c.ref), c.action, c.reason) for c in done.changes] == [
        ("Deployment/apps/d", Action.DELETED, ""),
        ("ConfigMap/apps/x", Action.DELETED, ""),
        ("Secret/apps/s", Action.SKIPPED, "precious"),
    ]
    assert done.gone == {ResourceRef.of(CONFIG), ResourceRef.of(DEPLOYMENT)}


def test_an_object_that_was_replaced_since_it_was_judged_is_not_deleted_and_the_others_are(pool):
    cluster = FakeCluster().put(CONFIG, {**DEPLOYMENT, "metadata": {**DEPLOYMENT["metadata"], "uid": "new"}})
    done = delete([stale(CONFIG), stale(DEPLOYMENT)], cluster, pool, deletion_order, lambda: False)
    assert done.errors == ("Deployment/apps/d is another object",)
    assert done.gone == {ResourceRef.of(CONFIG)}
    assert cluster.writes == ["DELETE ConfigMap/apps/x"]


def test_a_stopped_run_deletes_no_further_kind(pool):
    cluster = FakeCluster().put(CONFIG, DEPLOYMENT)
    stops = iter([False, True])
    done = delete([stale(CONFIG), stale(DEPLOYMENT)], cluster, pool, deletion_order, lambda: next(stops))
    assert cluster.writes == ["DELETE Deployment/apps/d"]
    assert done.gone == {ResourceRef.of(DEPLOYMENT)}


class Departure:
    """An observer of what leaves; it is its own clock, and each look takes as long as it may."""

    def __init__(self, *looks):
        self.looks, self.elapsed, self.closed = list(looks), 0.0, False

    @contextmanager
    def observe(self, refs):
        yield self
        self.closed = True

    def monotonic(self):
        return self.elapsed

    def changed(self, timeout):
        self.elapsed += timeout
        return self.looks.pop(0) if self.looks else {}


OTHER = ResourceRef("apps", "y", "", "ConfigMap", "v1")
HELD = live(uid="1", finalizers=["x.io/cleanup", "x.io/backup"])
WAITS = [
    pytest.param([{REF: None, OTHER: None}], {}, 1, id="until all are gone, and no longer"),
    pytest.param([{REF: None}, {}, {OTHER: None}], {}, 3, id="for the last one"),
    pytest.param([{REF: live(uid="new"), OTHER: None}], {}, 1, id="not for a new object of the name"),
    pytest.param(
        [{REF: HELD, OTHER: None}], {REF: "it waits for its finalizers: x.io/cleanup, x.io/backup"}, 5,
        id="in vain for what a finalizer holds",
    ),
    pytest.param(
        [{REF: {**live(uid="1"), "spec": {"finalizers": ["kubernetes"]}}, OTHER: None}],
        {REF: "it waits for its finalizers: kubernetes"}, 5, id="in vain for a Namespace that is emptied",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("looks", "left", "elapsed"), WAITS)
def test_a_deletion_is_waited_for(looks, left, elapsed):
    world = Departure(*looks)
    uids = {REF: "1", OTHER: "2"}
    assert wait_until_gone(uids, world, world, timeout=5, stopped=lambda: False) == left
    assert (world.elapsed, world.closed) == (elapsed, True)


def test_a_stopped_run_waits_for_no_deletion():
    world = Departure()
    assert list(wait_until_gone({REF: "1"}, world, world, timeout=5, stopped=lambda: True)) == [REF]
    assert world.elapsed == 0
