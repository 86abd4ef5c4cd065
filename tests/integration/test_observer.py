"""The observer against a real API server, with a proxy in between where something must go wrong."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from runner.clients.kubernetes import KubernetesCluster, WatchingObserver, connect
from runner.clients.kubernetes.feed import Pace
from runner.errors import ClusterError
from runner.model import Manifest, ResourceRef
from runner.ports import Observation
from tests.cluster import ControlPlane, wait_until
from tests.integration.faults import Fault, FaultyProxy, Seen, status

pytestmark = pytest.mark.cluster
pytest_plugins = ["tests.cluster.fixture"]

QUICK = Pace(rediscovery=0.3)
State = Mapping[ResourceRef, Manifest | None]


def ref(namespace: str, name: str = "app", kind: str = "ConfigMap") -> ResourceRef:
    return ResourceRef(namespace, name, "", kind, "v1")


def config_map(ref: ResourceRef, value: object = "") -> Manifest:
    meta = {"name": ref.name, "namespace": ref.namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"value": str(value)}}


def values(state: State) -> dict[str, str | None]:
    return {ref.name: manifest["data"]["value"] if manifest else None for ref, manifest in state.items()}


def until(observation: Observation, condition: Callable[[State], bool], seconds: float = 20.0) -> State:
    """All that has changed by the time that a condition holds for it."""
    state: dict[ResourceRef, Manifest | None] = {}
    deadline = time.monotonic() + seconds
    while not condition(state):
        assert time.monotonic() < deadline, values(state)
        state |= observation.changed(0.5)
    return state


def lists(request: Seen) -> bool:
    return request.method == "GET" and request.path.endswith("/configmaps") and not request.watches


def watches(request: Seen) -> bool:
    return request.watches


@pytest.fixture
def cluster(control_plane: ControlPlane) -> Iterator[KubernetesCluster]:
    with closing(connect(kubeconfig=str(control_plane.kubeconfig), context=None)) as connected:
        yield connected


@pytest.fixture
def make_namespace(cluster: KubernetesCluster) -> Callable[[], str]:
    def make() -> str:
        name = f"observer-{uuid.uuid4().hex[:12]}"
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        return name

    return make


@pytest.fixture
def namespace(make_namespace: Callable[[], str]) -> str:
    return make_namespace()


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[FaultyProxy]:
    with FaultyProxy(control_plane.kubeconfig) as running:
        yield running


@pytest.fixture
def observer(proxy: FaultyProxy, tmp_path: Path) -> Iterator[WatchingObserver]:
    """Sees the cluster through the proxy."""
    with closing(connect(kubeconfig=str(proxy.kubeconfig(tmp_path)), context=None)) as connected:
        yield WatchingObserver(connected.impatient(), pace=QUICK)
    assert not feed_threads()


def feed_threads() -> Collection[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("feed of")]


def delete(cluster: KubernetesCluster, ref: ResourceRef) -> None:
    live = cluster.get(ref)
    assert live is not None
    cluster.delete(ref, uid=live["metadata"]["uid"])


def restricted(
    control_plane: ControlPlane, cluster: KubernetesCluster, namespaces: Collection[str], *verbs: str
) -> KubernetesCluster:
    """Somebody who may do this with ConfigMaps of some namespaces, and nothing else."""
    name = f"user-{uuid.uuid4().hex[:8]}"
    group = "rbac.authorization.k8s.io"
    for namespace in namespaces:
        role = {
            "apiVersion": f"{group}/v1",
            "kind": "Role",
            "metadata": {"name": name, "namespace": namespace},
        }
        cluster.apply(
            role | {"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": list(verbs)}]}
        )
        bound = {
            "subjects": [{"kind": "User", "name": name, "apiGroup": group}],
            "roleRef": {"kind": "Role", "name": name, "apiGroup": group},
        }
        cluster.apply(role | {"kind": "RoleBinding"} | bound)
    return connect(kubeconfig=str(control_plane.user_kubeconfig(name)), context=None)


def test_the_first_answer_is_complete_then_only_changes(cluster, observer, namespace):
    one, two, absent = ref(namespace, "one"), ref(namespace, "two"), ref(namespace, "absent")
    cluster.apply(config_map(one, 1))
    cluster.apply(config_map(two, 1))
    with observer.observe([one, two, absent]) as observation:
        assert values(observation.changed(10)) == {"one": "1", "two": "1", "absent": None}
        assert observation.changed(0.2) == {}
        cluster.apply(config_map(two, 2))
        assert values(observation.changed(10)) == {"two": "2"}
        cluster.apply(config_map(absent, 3))
        assert values(observation.changed(10)) == {"absent": "3"}
        delete(cluster, one)
        assert values(observation.changed(10)) == {"one": None}


def test_a_change_arrives_at_once(cluster, observer, namespace):
    with observer.observe([ref(namespace)]) as observation, ThreadPoolExecutor(1) as pool:
        observation.changed(10)
        waiting = pool.submit(observation.changed, 10)
        started = time.monotonic()
        cluster.apply(config_map(ref(namespace), 1))
        assert values(waiting.result()) == {"app": "1"}
        assert time.monotonic() - started < 0.5


def test_nothing_is_lost_under_load(cluster, observer, namespace):
    refs = [ref(namespace, f"cm-{n}") for n in range(20)]
    with observer.observe(refs) as observation, ThreadPoolExecutor(8) as pool:
        observation.changed(10)
        for value in range(1, 11):
            list(pool.map(lambda r, v=value: cluster.apply(config_map(r, v)), refs))
        until(observation, lambda state: list(values(state).values()) == ["10"] * 20)


def test_one_watch_serves_all_observations(cluster, proxy, observer, make_namespace):
    first, second = make_namespace(), make_namespace()
    refs = [ref(first), ref(second)]
    with (
        observer.observe(refs) as one,
        observer.observe(refs[:1]) as two,
        observer.observe(refs[1:]) as three,
    ):
        for observation in (one, two, three):
            observation.changed(10)
        cluster.apply(config_map(refs[0], 1))
        cluster.apply(config_map(refs[1], 2))
        until(one, lambda state: len(state) == 2)
        assert set(two.changed(10)) == {refs[0]}
        assert set(three.changed(10)) == {refs[1]}
    assert [r.path for r in proxy.seen if watches(r)] == ["/api/v1/configmaps"]
    begun = [r for r in proxy.seen if lists(r) and "continue" not in r.query]
    assert len(begun) == 1  # in chunks, where other tests have left many


def test_one_namespace_is_watched_alone(proxy, observer, namespace):
    with observer.observe([ref(namespace, "a"), ref(namespace, "b")]) as observation:
        observation.changed(10)
        proxy.wait_until_seen(watches)
    assert [r.path for r in proxy.seen if watches(r)] == [f"/api/v1/namespaces/{namespace}/configmaps"]


def test_cluster_scoped_objects(cluster, observer, namespace):
    here = ResourceRef("", namespace, "", "Namespace", "v1")
    with observer.observe([here]) as observation:
        assert observation.changed(10)[here]["status"]["phase"] == "Active"
        delete(cluster, here)
        until(observation, lambda state: here in state and state[here] is None, 60)


def test_closing_is_prompt_and_leaves_no_thread(observer, namespace):
    with observer.observe(
        [ref(namespace), ref(namespace, "x", "Secret"), ref("", "y", "Namespace")]
    ) as observation:
        observation.changed(10)
        assert len(feed_threads()) == 3
        started = time.monotonic()
    assert time.monotonic() - started < 0.5
    assert not feed_threads()


@pytest.mark.parametrize("length", [0, 10, 700], ids=["at the start", "in the first line", "later"])
def test_cut_streams(cluster, proxy, observer, namespace, length):
    proxy.on(watches, Fault(cut_after=length, first=b" " if length == 0 else b""), times=4)
    with observer.observe([ref(namespace)]) as observation:
        observation.changed(10)
        for value in range(6):
            cluster.apply(config_map(ref(namespace), value))
            until(observation, lambda state, v=value: values(state) == {"app": str(v)})
    assert len([r for r in proxy.seen if lists(r)]) == 1, "a cut is no reason to list again"


def test_connections_that_break_again_and_again(cluster, proxy, observer, namespace):
    done = threading.Event()

    def cut() -> None:
        while not done.wait(0.05):
            proxy.cut_all()

    with observer.observe([ref(namespace)]) as observation, ThreadPoolExecutor(1) as pool:
        observation.changed(10)
        pool.submit(cut)
        for value in range(30):
            cluster.apply(config_map(ref(namespace), value))
        done.set()
        until(observation, lambda state: values(state) == {"app": "29"})


def test_an_expired_version_is_listed_anew_deletions_included(cluster, proxy, observer, namespace):
    refs = [ref(namespace, name) for name in ("kept", "changed", "deleted", "created")]
    for one in refs[:3]:
        cluster.apply(config_map(one, 1))
    expired = status(410, "Expired", "too old")
    resumed = threading.Event()
    with observer.observe(refs) as observation:
        observation.changed(10)
        proxy.wait_until_seen(watches)
        proxy.on(watches, Fault(hold=resumed, answer=expired.answer))
        proxy.cut_all()
        proxy.wait_until_seen(watches, 2)
        cluster.apply(config_map(refs[1], 2))
        delete(cluster, refs[2])
        cluster.apply(config_map(refs[3], 1))
        resumed.set()
        changed = until(observation, lambda state: len(state) == 3)
        assert values(changed) == {"changed": "2", "deleted": None, "created": "1"}


@pytest.mark.parametrize(
    "line",
    [
        json.dumps(
            {"type": "ERROR", "object": json.loads(status(410, "Expired", "too old").answer[2])}
        ).encode(),
        json.dumps(
            {"type": "ERROR", "object": json.loads(status(500, "InternalError", "oops").answer[2])}
        ).encode(),
        b'{"type": "ADDED", "object": {"kind',
        b'{"type": "SURPRISE", "object": {}}',
        b'{"type": "ADDED", "object": {"metadata": {}}}',
    ],
    ids=["expired", "another error", "half a line", "an unknown event", "an object without a name"],
)
def test_streams_that_make_no_sense(cluster, proxy, observer, namespace, line):
    proxy.on(watches, Fault(first=line + b"\n"), times=2)
    with observer.observe([ref(namespace)]) as observation:
        observation.changed(10)
        proxy.wait_until_seen(lists, 3)
        cluster.apply(config_map(ref(namespace), 1))
        assert values(until(observation, bool)) == {"app": "1"}


def test_bookmarks_move_the_version(cluster, proxy, observer, namespace):
    version = cluster.apply(config_map(ref("default", namespace))).manifest["metadata"]["resourceVersion"]
    delete(cluster, ref("default", namespace))
    bookmark = {"type": "BOOKMARK", "object": {"kind": "ConfigMap", "metadata": {"resourceVersion": version}}}
    line = json.dumps(bookmark).encode() + b"\n"
    proxy.on(watches, Fault(first=line, cut_after=len(line)))
    with observer.observe([ref(namespace)]) as observation:
        observation.changed(10)
        assert proxy.wait_until_seen(watches, 2)[1].query["resourceVersion"] == version
        cluster.apply(config_map(ref(namespace), 1))
        assert values(until(observation, bool)) == {"app": "1"}


def test_a_server_that_comes_and_goes(fresh_control_plane):
    with fresh_control_plane(controllers=False) as plane:
        cluster = connect(kubeconfig=str(plane.kubeconfig), context=None)
        here = ref("default")
        with WatchingObserver(cluster.impatient()).observe([here]) as observation:
            assert values(observation.changed(10)) == {"app": None}
            for value in range(2):
                plane.restart_apiserver()
                cluster.apply(config_map(here, value))
                until(observation, lambda state, v=value: values(state) == {"app": str(v)})
            plane.stop_apiserver()
            assert observation.changed(1) == {}
            started = time.monotonic()
        assert time.monotonic() - started < 0.5
        assert not feed_threads()


def test_a_server_that_stays_away_is_an_error(proxy, tmp_path):
    cluster = connect(kubeconfig=str(proxy.kubeconfig(tmp_path)), context=None)
    observer = WatchingObserver(cluster.impatient(), pace=Pace(patience=1.0))
    proxy.on(lists, status(503, "ServiceUnavailable", "away"), times=99)
    with observer.observe([ref("default")]) as observation:
        assert observation.changed(0.2) == {}
        with pytest.raises(ClusterError, match="away"):
            observation.changed(10)
        proxy.clear()
        assert values(until_recovered(observation)) == {"app": None}


def until_recovered(observation: Observation) -> State:
    def answer() -> State:
        try:
            return observation.changed(0.5)
        except ClusterError:
            return {}

    return wait_until(answer, "the observation works again")


def test_namespaces_are_watched_one_by_one_where_all_are_forbidden(control_plane, cluster, make_namespace):
    first, second = make_namespace(), make_namespace()
    refs = [ref(first), ref(second, "other")]
    somebody = restricted(control_plane, cluster, [first, second], "list", "watch")
    observer = WatchingObserver(somebody.impatient())
    with observer.observe(refs) as observation:
        assert values(observation.changed(10)) == {"app": None, "other": None}
        cluster.apply(config_map(refs[0], 1))
        cluster.apply(config_map(refs[1], 2))
        assert values(until(observation, lambda state: len(state) == 2)) == {"app": "1", "other": "2"}
        assert sorted(feed_threads()) == sorted(f"feed of ConfigMap {n}" for n in (first, second))
        with observer.observe(refs) as another:
            assert values(another.changed(10)) == {"app": "1", "other": "2"}
    assert not feed_threads()


@pytest.mark.parametrize("verbs", [("get",), ("get", "list")], ids=["no list", "no watch"])
def test_objects_are_read_where_watching_is_forbidden(control_plane, cluster, make_namespace, verbs):
    first, second = make_namespace(), make_namespace()
    refs = [ref(first), ref(second, "other"), ref(first, "late")]
    somebody = restricted(control_plane, cluster, [first, second], *verbs)
    observer = WatchingObserver(somebody.impatient(), pace=Pace(poll=(0.05, 0.5)))
    with observer.observe(refs[:2]) as observation:
        assert values(until(observation, lambda state: len(state) == 2)) == {"app": None, "other": None}
        cluster.apply(config_map(refs[0], 1))
        assert values(until(observation, bool)) == {"app": "1"}
        with observer.observe(refs[2:]) as another:
            assert values(another.changed(10)) == {"late": None}
        delete(cluster, refs[0])
        assert values(until(observation, bool)) == {"app": None}
    assert not feed_threads()


def test_what_may_not_be_seen_at_all_is_an_error(control_plane, cluster, make_namespace):
    allowed, hidden = make_namespace(), make_namespace()
    somebody = restricted(control_plane, cluster, [allowed], "get", "list", "watch")
    observer = WatchingObserver(somebody.impatient())
    with (
        observer.observe([ref(allowed), ref(hidden)]) as mixed,
        observer.observe([ref(allowed)]) as permitted,
    ):
        with pytest.raises(ClusterError, match="forbidden") as caught:
            until(mixed, lambda state: len(state) == 2)
        assert caught.value.code == 403
        assert values(permitted.changed(10)) == {"app": None}


def test_a_kind_that_is_served_later(cluster, proxy, observer, namespace):
    group = f"{namespace}.example.com"
    gadget = ResourceRef(namespace, "g", group, "Gadget", "v1")
    with observer.observe([gadget, ref(namespace)]) as observation:
        assert observation.changed(10) == {gadget: None, ref(namespace): None}
        names = {"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList"}
        schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
        versions = [{"name": "v1", "served": True, "storage": True, "schema": schema}]
        definition = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"gadgets.{group}"},
            "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": versions},
        }
        cluster.apply(definition)

        def served() -> bool:
            cluster.rediscover()
            return cluster.api(group, "Gadget") is not None

        wait_until(served, "the kind is served")
        meta = {"name": "g", "namespace": namespace}
        cluster.apply({"apiVersion": f"{group}/v1", "kind": "Gadget", "metadata": meta})
        assert until(observation, bool)[gadget]["kind"] == "Gadget"
        delete(cluster, ResourceRef.of(definition))
        assert until(observation, bool)[gadget] is None
        discoveries = len([r for r in proxy.seen if r.path == "/apis"])
        assert observation.changed(1.0) == {}
        assert len([r for r in proxy.seen if r.path == "/apis"]) - discoveries <= 5


def test_an_idle_observation_asks_nothing(proxy, observer, namespace):
    with observer.observe([ref(namespace)]) as observation:
        observation.changed(10)
        proxy.wait_until_seen(watches)
        before = len(proxy.seen)
        spent = time.process_time()
        assert observation.changed(2.0) == {}
        assert len(proxy.seen) == before
        assert time.process_time() - spent < 0.2


def test_an_interrupt_ends_an_observation(proxy, tmp_path, namespace):
    cluster = connect(kubeconfig=str(proxy.kubeconfig(tmp_path)), context=None)
    with WatchingObserver(cluster.impatient()).observe([ref(namespace)]) as observation:
        observation.changed(10)
        proxy.wait_until_seen(watches)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(observation.changed, 30)
            started = time.monotonic()
            cluster.cancel()
            with pytest.raises(ClusterError, match="cancelled"):
                waiting.result()
            assert time.monotonic() - started < 1


def test_many_observations_come_and_go(cluster, observer, make_namespace):
    namespaces = [make_namespace() for _ in range(4)]
    refs = [ref(namespace, f"cm-{n}") for namespace in namespaces for n in range(5)]

    def follow(number: int) -> dict[str, str | None]:
        mine = refs[number % 20 :][:5]
        with observer.observe(mine) as observation:
            observation.changed(20)
            for one in mine[:1]:
                cluster.apply(config_map(one, number))
            return values(until(observation, bool))

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(follow, range(60)))
    assert not feed_threads()
