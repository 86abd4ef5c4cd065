"""Records and the lock on the real API server: size, concurrent writers, expiry, loss."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from pathlib import Path

import pytest

from runner import inventory, lock, state
from runner.clients.clock import SystemClock
from runner.clients.kubernetes import KubernetesCluster, WatchingObserver, connect
from runner.errors import ClusterError, GuardError, LockError, LockLost
from runner.inventory import Entry
from runner.lock import LockOptions
from runner.model import ResourceRef, State
from runner.proof import Proof
from runner.state import Deployment, Record, Snapshot
from runner.store import Store
from tests.cluster import ControlPlane, wait_until
from tests.integration.faults import Fault, FaultyProxy, writes

pytestmark = pytest.mark.cluster


@pytest.fixture
def cluster(control_plane: ControlPlane) -> Iterator[KubernetesCluster]:
    with closing(connect(kubeconfig=str(control_plane.kubeconfig), context=None)) as connected:
        yield connected


@pytest.fixture
def proxied(control_plane: ControlPlane, tmp_path: Path) -> Iterator[tuple[FaultyProxy, KubernetesCluster]]:
    """A client behind a proxy that misbehaves when it is told to."""
    with FaultyProxy(control_plane.kubeconfig) as proxy:
        config = proxy.kubeconfig(tmp_path)
        with closing(connect(kubeconfig=str(config), context=None)) as cluster:
            yield proxy, cluster


@pytest.fixture
def namespace(control_plane: ControlPlane, cluster: KubernetesCluster) -> Iterator[str]:
    """One whose records are gone after the test: every run on this control plane reads all there are."""
    name = f"store-{uuid.uuid4().hex[:8]}"
    Store(cluster).ensure_namespace(name)
    yield name
    path = f"/api/v1/namespaces/{name}/configmaps?labelSelector={state.SELECTOR}"
    control_plane.api().request("DELETE", path)


def record(namespace: str, objects: int = 1, **fields: object) -> Record:
    owned = inventory.of(
        Entry(ResourceRef(namespace, f"some-application-{n}", "apps", "Deployment", "v1"), str(uuid.uuid4()))
        for n in range(objects)
    )
    made = Record(
        f"{namespace}/fleet",
        repository="github.com/acme/fleet",
        entry="clusters/test",
        manifest={"spec": {"path": "./x"}},
        inventory=owned,
        digest="hmac-sha256:0",
        state=State.READY,
        history=(Snapshot("d", "main@sha1:0", State.READY, 1.5),),
        deployment=Deployment("main@sha1:0", "0" * 40, done=True, started_at=1.0),
        fence=1,
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def read(cluster: KubernetesCluster, namespace: str) -> Record | None:
    return Store(cluster).load().get(f"{namespace}/fleet")


def test_ten_thousand_objects_come_back(cluster: KubernetesCluster, namespace: str):
    written = record(namespace, 10_000)
    Store(cluster).write(written)
    assert read(cluster, namespace) == written


def test_an_equal_record_is_not_written_again(cluster: KubernetesCluster, namespace: str):
    store = Store(cluster)
    store.write(record(namespace, inventory={}))
    before = dict(cluster.requests)
    store.write(record(namespace, inventory={}))
    assert dict(cluster.requests) == before


def test_a_record_that_does_not_exist_is_none(cluster: KubernetesCluster, namespace: str):
    assert read(cluster, namespace) is None


def test_a_foreign_edit_between_read_and_write_does_no_harm(cluster: KubernetesCluster, namespace: str):
    store = Store(cluster)
    store.write(record(namespace))
    ref = state.config_map_ref(f"{namespace}/fleet")
    cluster.patch(ref, [{"op": "add", "path": "/metadata/annotations", "value": {"somebody": "was here"}}])
    newer = record(namespace, state=State.FAILED)
    store.write(newer)
    assert read(cluster, namespace) == newer


@pytest.mark.parametrize(
    ("fault", "sent"), [(Fault(lose=True), 1), (Fault(drop=True), 2)], ids=["written", "not-written"]
)
@pytest.mark.parametrize("before", [0, 1], ids=["create", "replace"])
def test_a_write_without_an_answer_is_looked_for_and_made_again(
    proxied: tuple[FaultyProxy, KubernetesCluster], namespace: str, before: int, fault: Fault, sent: int
):
    """Such as when the server is restarted: nothing is left in doubt, and nothing is written twice."""
    proxy, cluster = proxied
    store, wanted = Store(cluster), record(namespace)
    if before:
        store.write(record(namespace, state=State.FAILED))
    proxy.on(writes, fault)
    store.write(wanted)
    assert read(cluster, namespace) == store.records[wanted.kustomization] == wanted
    assert len(list(filter(writes, proxy.seen))) == before + sent

    store.write(replace(wanted, state=State.FAILED))
    assert read(cluster, namespace) == replace(wanted, state=State.FAILED)


def test_a_write_that_never_has_an_answer_says_so(
    proxied: tuple[FaultyProxy, KubernetesCluster], namespace: str
):
    proxy, cluster = proxied
    proxy.on(writes, Fault(drop=True), times=99)
    with pytest.raises(ClusterError, match=r"kustodian-fleet create failed: .* cut the connection$"):
        Store(cluster).write(record(namespace))


def test_an_earlier_holder_never_overwrites_a_later_one(cluster: KubernetesCluster, namespace: str):
    earlier, later = Store(cluster), Store(cluster)
    earlier.write(record(namespace, fence=1))
    later.load()
    later.write(record(namespace, fence=2))
    with pytest.raises(LockLost):
        earlier.write(record(namespace, fence=1, state=State.FAILED))
    found = read(cluster, namespace)
    assert found is not None
    assert found.fence == 2


def test_an_earlier_holder_never_deletes_what_a_later_one_wrote(cluster: KubernetesCluster, namespace: str):
    earlier, later = Store(cluster), Store(cluster)
    earlier.write(record(namespace, fence=1))
    later.load()
    later.write(record(namespace, fence=2))
    with pytest.raises(LockLost):
        earlier.forget(f"{namespace}/fleet", 1)
    assert read(cluster, namespace) is not None
    later.forget(f"{namespace}/fleet", 2)
    assert read(cluster, namespace) is None


def test_writers_of_different_kustomizations_do_not_meet(cluster: KubernetesCluster, namespace: str):
    store = Store(cluster)
    wanted = [replace(record(namespace), kustomization=f"{namespace}/k{n}") for n in range(20)]
    threads = [threading.Thread(target=store.write, args=(each,)) for each in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = Store(cluster).load()
    assert [found[each.kustomization] for each in wanted] == wanted


class Wrong(SystemClock):
    """The clock of a machine that is a day late."""

    def now(self) -> float:
        return super().now() - 86400


def hold(
    cluster: KubernetesCluster, namespace: str, clock: SystemClock | None = None, **options: float
) -> AbstractContextManager[lock.Held]:
    return lock.hold(
        f"{namespace}/fleet",
        cluster,
        WatchingObserver(cluster.impatient()),
        clock or SystemClock(),
        LockOptions(**{"duration": 1.0, "timeout": 20.0, **options}),
    )


def test_the_fence_grows_with_every_holder(cluster: KubernetesCluster, namespace: str):
    fences = []
    for _ in range(3):
        with hold(cluster, namespace) as held:
            fences.append(held.fence)
    assert fences == [1, 2, 3]


def test_a_held_lock_is_waited_for_and_then_refused(cluster: KubernetesCluster, namespace: str):
    with (
        hold(cluster, namespace),
        pytest.raises(LockError, match="held by another run"),
        hold(cluster, namespace, timeout=2.5),
    ):
        pass


def test_a_released_lock_is_had_at_once(cluster: KubernetesCluster, namespace: str):
    had = threading.Event()

    def wait() -> None:
        with hold(cluster, namespace, duration=30.0):
            had.set()

    waiting = threading.Thread(target=wait)
    with hold(cluster, namespace, duration=30.0):
        waiting.start()
        assert not had.wait(1)
    waiting.join(10)
    assert had.is_set()


def test_a_lock_whose_holder_died_is_taken_over(cluster: KubernetesCluster, namespace: str):
    dead = hold(cluster, namespace)
    held = dead.__enter__()
    held.stop()
    with hold(cluster, namespace) as taken:
        assert taken.fence == 2
        wait_until(lambda: lost(held), "the dead holder may not write")


@pytest.mark.parametrize(("holds", "waits"), [(Wrong, SystemClock), (SystemClock, Wrong)])
def test_wrong_clocks_do_not_matter(
    cluster: KubernetesCluster, namespace: str, holds: type[SystemClock], waits: type[SystemClock]
):
    """A lease that is renewed is not taken, however old its times look; one that is not, is."""
    alive = hold(cluster, namespace, holds())
    with alive as held:
        with pytest.raises(LockError), hold(cluster, namespace, waits(), timeout=2.5):
            pass
        held.stop()
        with hold(cluster, namespace, waits()) as taken:
            assert taken.fence == 2
            assert lost(held)


def test_a_fence_is_higher_than_any_on_record(cluster: KubernetesCluster, namespace: str):
    """A Lease that somebody deleted counts from one again."""
    with hold(cluster, namespace) as held:
        held.outrank([])
        assert held.fence == 1
        held.outrank([3, 7, 5])
        assert held.fence == 8
        held.outrank([2])
        assert held.fence == 8


def lost(held: lock.Held) -> bool:
    try:
        held.check()
    except LockLost:
        return True
    return False


def test_who_lost_the_lock_may_not_write(cluster: KubernetesCluster, namespace: str):
    with hold(cluster, namespace, duration=2.0) as held:
        assert held.check() > 0
        fenced = cluster.fenced(held.check)
        cluster.patch(held.ref, [{"op": "replace", "path": "/spec/holderIdentity", "value": "somebody else"}])
        wait_until(lambda: lost(held), "the renewal fails")
        with pytest.raises(LockLost):
            Store(fenced).write(record(namespace))
    assert read(cluster, namespace) is None


def test_a_newer_run_that_waits_is_announced(cluster: KubernetesCluster, namespace: str):
    options = LockOptions(duration=1.0, timeout=1.5, commit="new")
    with hold(cluster, namespace, duration=1.0) as held:
        with (
            pytest.raises(LockError),
            lock.hold(
                f"{namespace}/fleet",
                cluster,
                WatchingObserver(cluster.impatient()),
                SystemClock(),
                options,
                is_newer=lambda _: True,
            ),
        ):
            pass
        wait_until(lambda: held.waiting == "new", "the holder learns of it")


def test_the_digest_key_is_made_once(cluster: KubernetesCluster, namespace: str):
    assert Store(cluster).digest_key(namespace, create=False) == b""
    first = Store(cluster).digest_key(namespace, create=True)
    assert len(first) == 32
    assert Store(cluster).digest_key(namespace, create=True) == first


def test_a_record_that_is_damaged_stops_the_run(fresh_control_plane: Callable[..., ControlPlane]):
    """In a control plane of its own: it would stop every other run as well."""
    plane = fresh_control_plane(controllers=False)
    with closing(connect(kubeconfig=str(plane.kubeconfig), context=None)) as cluster:
        Store(cluster).write(record("default"))
        ref = state.config_map_ref("default/fleet")
        cluster.patch(ref, [{"op": "replace", "path": "/binaryData", "value": {state.KEY: "bm90IGd6aXA="}}])
        with pytest.raises(GuardError, match="ConfigMap/default/kustodian-fleet cannot be read"):
            Store(cluster).load()


def test_the_largest_record_is_far_below_what_the_server_takes(cluster: KubernetesCluster, namespace: str):
    """Ten thousand objects with the longest things that we keep of each: uid and proof."""
    proof = "0123456789abcdef0123456789abcdef"
    owned = inventory.of(
        Entry(
            ResourceRef(namespace, f"application-{n}", "apps", "Deployment", "v1"),
            str(uuid.uuid4()),
            Proof(proof, hashlib.sha256(str(n).encode()).hexdigest()[:16], "2026-01-01T00:00:00Z"),
        )
        for n in range(10_000)
    )
    written = record(namespace, inventory=owned, seen="0123456789abcdef")
    assert len(state.encode(written)["binaryData"][state.KEY]) < 1_048_576 * 3 // 4
    Store(cluster).write(written)
    assert read(cluster, namespace) == written


def test_a_thousand_records_are_read_by_few_lists(cluster: KubernetesCluster, namespace: str):
    writer = Store(cluster)
    with ThreadPoolExecutor(16) as pool:
        made = [replace(record(namespace), kustomization=f"{namespace}/app-{n}") for n in range(1_000)]
        list(pool.map(writer.write, made))
    before = dict(cluster.requests)
    found = Store(cluster).load()
    sent = {verb: n - before.get(verb, 0) for verb, n in cluster.requests.items() if n != before.get(verb, 0)}
    assert len([id_ for id_ in found if id_.startswith(f"{namespace}/")]) == 1_000
    assert sent.keys() == {"LIST"}
    assert sent["LIST"] <= 3, "chunks of one list"
