"""What is read to find out why objects are not healthy, how much of it, and when a wait is given up."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

import pytest

from runner import diagnose
from runner.diagnose import Examiner
from runner.errors import ClusterError, Refused
from runner.health.causes import PATIENT
from runner.model import FLUX, Health, ResourceRef, Status
from tests.fakes.clock import ManualClock
from tests.fakes.cluster import FakeCluster

SECRET = "correct-horse"
APP = ResourceRef("shop", "web", "apps", "Deployment", "v1")
LABELS = {"app": "web"}


class Now(Executor):
    """Does what it is given at once."""

    def submit(self, work: Any, /, *args: Any, **named: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(work(*args, **named))
        except ClusterError as exc:
            done.set_exception(exc)
        return done


class Later(Executor):
    """Never comes to it."""

    def submit(self, work: Any, /, *args: Any, **named: Any) -> Future[Any]:
        return Future()


class Closed(Executor):
    def submit(self, work: Any, /, *args: Any, **named: Any) -> Future[Any]:
        raise RuntimeError("cannot schedule new futures after shutdown")


@dataclass
class Shop:
    """A Deployment in its second revision, with as many Pods."""

    cluster: FakeCluster = field(default_factory=FakeCluster)

    def __post_init__(self) -> None:
        self.cluster.serve("apps", "ReplicaSet")
        spec = {"selector": {"matchLabels": LABELS}}
        self.deployment = self._put("apps/v1", "Deployment", "web", None, spec=spec)
        self.old = self._put("apps/v1", "ReplicaSet", "web-1", self.deployment, annotations=revision(1))
        self.new = self._put("apps/v1", "ReplicaSet", "web-2", self.deployment, annotations=revision(2))

    def pod(self, name: str, state: Mapping[str, Any], owner: Any = None, **status: Any) -> dict[str, Any]:
        container = {"name": "app", "image": "app:1", "ready": False, "restartCount": 3, **state}
        return self._put(
            "v1",
            "Pod",
            name,
            owner or self.new,
            spec={"containers": [{"name": "app", "image": "app:1"}]},
            status={"phase": "Pending", "containerStatuses": [container], **status},
        )

    def event(self, about: Mapping[str, Any], reason: str, message: str) -> None:
        name = f"e{len(self.cluster.objects)}"
        manifest = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": "shop"}}
        more = {"reason": reason, "message": message, "lastTimestamp": "2026-03-01T12:00:30Z"}
        self.cluster.put({**manifest, **more, "involvedObject": {"uid": about["metadata"]["uid"]}})

    def _put(self, version: str, kind: str, name: str, owner: Any, **more: Any) -> dict[str, Any]:
        metadata: dict[str, Any] = {"name": name, "namespace": "shop", "labels": LABELS}
        metadata |= {"uid": f"uid-{name}-{kind}", "annotations": more.pop("annotations", {})}
        if owner is not None:
            metadata["ownerReferences"] = [{"uid": owner["metadata"]["uid"], "controller": True}]
        manifest = {"apiVersion": version, "kind": kind, "metadata": metadata, **more}
        self.cluster.put(manifest)
        return manifest


def revision(number: int) -> dict[str, str]:
    return {"deployment.kubernetes.io/revision": str(number)}


def waits(reason: str, message: str = "") -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason, "message": message}}}


def crashes(message: str = "") -> dict[str, Any]:
    last = {"lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": message}}}
    return {**last, **waits("CrashLoopBackOff")}


def why(shop: Shop, *refs: ResourceRef, pool: Executor | None = None, denied: set[str] | None = None):
    healths = [Health(each, Status.IN_PROGRESS) for each in refs or (APP,)]
    denied = set() if denied is None else denied
    return [str(f) for f in diagnose.why(healths, shop.cluster, pool or Now(), [SECRET], denied)]


def test_only_the_pods_of_the_newest_replica_set_count() -> None:
    shop = Shop()
    shop.pod("web-1-a", waits("InvalidImageName", "old"), shop.old)
    shop.pod("web-2-a", waits("ErrImageNeverPull", "new"))
    assert [each.split(": ")[1] for each in why(shop)] == ["ErrImageNeverPull"]


def test_a_log_is_read_scrubbed_and_cut() -> None:
    shop = Shop()
    shop.pod("web-2-a", crashes())
    lines = [f"line {n} {SECRET}" for n in range(50)]
    shop.cluster.written["web-2-a", "app", True] = "\n".join(lines)
    found = diagnose.why([Health(APP, Status.IN_PROGRESS)], shop.cluster, Now(), [SECRET], set())
    assert found[0].log == tuple(f"line {n} ‹hidden›" for n in range(30, 50))


def test_a_log_that_begins_in_the_middle_of_a_secret_shows_none_of_it() -> None:
    shop = Shop()
    shop.pod("web-2-a", crashes())
    key = "-----BEGIN KEY-----\nbG9uZyBzZWNyZXQ\nbW9yZSBzZWNyZXQ\n-----END KEY-----"
    shop.cluster.written["web-2-a", "app", True] = "bW9yZSBzZWNyZXQ\npanic"
    found = diagnose.why([Health(APP, Status.IN_PROGRESS)], shop.cluster, Now(), [key], set())
    assert found[0].log == ("‹hidden›", "panic")


def test_what_objects_and_events_say_is_scrubbed() -> None:
    shop = Shop()
    pod = shop.pod("web-2-a", waits("CreateContainerError", f"bad {SECRET}"))
    shop.pod("web-2-b", crashes(f"cannot log in with {SECRET}"))
    shop.pod("web-2-c", {"state": {"running": {}}})
    shop.event(shop.cluster.get(ResourceRef("shop", "web-2-c", "", "Pod", "v1")), "Unhealthy",
               f"Readiness probe failed: {SECRET}")  # fmt: skip
    assert pod
    told = why(shop)
    assert len(told) == 3
    assert all("‹hidden›" in each and SECRET not in each for each in told)


def test_no_secret_is_read() -> None:
    shop = Shop()
    shop.cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "shop"}})
    assert why(shop, ResourceRef("shop", "db", "", "Secret", "v1")) == []
    assert not any("Secret" in read for read in shop.cluster.reads)


def test_a_kustomization_is_explained_by_its_own_outcome() -> None:
    shop = Shop()
    assert why(shop, ResourceRef("flux-system", "apps", FLUX, "Kustomization", "v1")) == []
    assert shop.cluster.reads == []


def test_claims_that_pods_wait_for_are_looked_at() -> None:
    shop = Shop()
    pod = shop.pod("web-2-a", {})
    pod["status"] = {"phase": "Pending"}
    pod["spec"]["volumes"] = [{"persistentVolumeClaim": {"claimName": "data"}}]
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {"phase": "Pending"}}
    claim["metadata"] = {"name": "data", "namespace": "shop", "uid": "uid-data"}
    shop.cluster.put(pod, claim)
    shop.event(claim, "ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found')
    assert why(shop)[0] == (
        "PersistentVolumeClaim/shop/data: ProvisioningFailed: the storage class fast does not exist"
    )


def test_what_may_not_be_read_is_noted_and_asked_once() -> None:
    shop = Shop()
    shop.pod("web-2-a", crashes())
    shop.cluster.unlisted["", "Event"] = Refused("no", code=403, reason="Forbidden")
    denied: set[str] = set()
    assert len(why(shop, denied=denied)) == 1
    assert denied == {"Event"}
    assert shop.cluster.requests["LIST"] == 3
    assert diagnose.complaint({"Pod", "Event"}).endswith("would have to let read: Event, Pod")


@pytest.mark.parametrize("kind", ["Pod", "ReplicaSet", "Event"])
def test_a_failure_only_makes_it_shorter(kind: str) -> None:
    shop = Shop()
    shop.pod("web-2-a", crashes())
    shop.cluster.unlisted["apps" if kind == "ReplicaSet" else "", kind] = ClusterError("away")
    shop.cluster.refusals[ResourceRef("shop", "gone", "apps", "Deployment", "v1")] = ClusterError("away")
    denied: set[str] = set()
    why(shop, APP, ResourceRef("shop", "gone", "apps", "Deployment", "v1"), denied=denied)
    assert denied == set()


@pytest.mark.parametrize("pool", [Closed()])
def test_a_run_that_is_over_asks_nothing(pool: Executor) -> None:
    assert why(Shop(), pool=pool) == []


def test_what_takes_too_long_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnose, "BUDGET", 0.0)
    assert why(Shop(), pool=Later()) == []


def test_many_objects_are_not_all_looked_at() -> None:
    shop = Shop()
    refs = [ResourceRef("shop", f"d{n}", "apps", "Deployment", "v1") for n in range(50)]
    why(shop, *refs)
    assert len(shop.cluster.reads) == diagnose.MOST_OBJECTS


@dataclass
class Waiting:
    """An examiner beside a wait for one Deployment."""

    shop: Shop
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.examiner = Examiner(self.shop.cluster, Now(), self.clock)

    def until(self, seconds: float, status: Status = Status.IN_PROGRESS) -> Mapping[ResourceRef, str]:
        """What is doomed, asked twice a second until then."""
        while not (found := self.examiner.doomed((Health(APP, status),))) and self.clock.passed < seconds:
            self.clock.pause(0.5)
        return found


def test_what_can_never_be_is_given_up_soon() -> None:
    waiting = Waiting(Shop())
    waiting.shop.pod("web-2-a", waits("InvalidImageName", "no"))
    assert waiting.until(60) == {APP: "it cannot recover: InvalidImageName"}
    assert waiting.clock.passed < 4


def test_what_may_pass_is_given_up_after_its_grace() -> None:
    waiting = Waiting(Shop())
    waiting.shop.pod("web-2-a", waits("ImagePullBackOff", "not found"))
    assert waiting.until(600) == {APP: "it cannot recover: ImagePullBackOff"}
    assert PATIENT <= waiting.clock.passed <= PATIENT + 40


def test_what_passes_in_between_begins_anew() -> None:
    waiting = Waiting(Shop())
    waiting.shop.pod("web-2-a", waits("ImagePullBackOff", "timeout"))
    assert waiting.until(100) == {}
    waiting.shop.pod("web-2-a", waits("ContainerCreating"))
    assert waiting.until(160) == {}
    waiting.shop.pod("web-2-a", waits("ErrImagePull", "timeout"))
    assert waiting.until(250) == {}
    assert waiting.until(400) == {APP: "it cannot recover: ImagePullBackOff"}


def test_a_container_that_runs_between_two_crashes_is_not_over_it() -> None:
    waiting = Waiting(Shop())
    waiting.shop.pod("web-2-a", crashes())
    assert waiting.until(90) == {}
    waiting.shop.pod("web-2-a", {**crashes(), "state": {"running": {}}})
    assert waiting.until(200) == {}
    waiting.shop.pod("web-2-a", crashes())
    assert waiting.until(260) == {APP: "it cannot recover: CrashLoopBackOff"}


def test_a_container_that_recovers_is_never_given_up() -> None:
    waiting = Waiting(Shop())
    waiting.shop.pod("web-2-a", crashes())
    assert waiting.until(60) == {}
    waiting.shop.pod("web-2-a", {"state": {"running": {}}, "ready": True})
    assert waiting.until(1000) == {}


def test_looks_are_few_and_only_at_what_is_on_its_way() -> None:
    waiting = Waiting(Shop())
    assert waiting.until(300, Status.FAILED) == {}
    assert waiting.shop.cluster.requests.total() == 0
    assert waiting.until(600) == {}
    assert waiting.shop.cluster.requests["GET"] <= 11


def test_each_object_has_its_turn() -> None:
    shop, clock = Shop(), ManualClock()
    examiner = Examiner(shop.cluster, Now(), clock)
    healths = tuple(
        Health(ResourceRef("shop", f"d{n:02}", "apps", "Deployment", "v1"), Status.IN_PROGRESS)
        for n in range(12)
    )
    while clock.passed < 60:
        examiner.doomed(healths)
        clock.pause(0.5)
    assert {read.rpartition("/")[2] for read in shop.cluster.reads} == {f"d{n:02}" for n in range(12)}


def test_a_look_that_hangs_holds_nobody_up() -> None:
    examiner = Examiner(Shop().cluster, Later(), clock := ManualClock())
    for _ in range(99):
        assert examiner.doomed((Health(APP, Status.IN_PROGRESS),)) == {}
        clock.pause(0.5)
