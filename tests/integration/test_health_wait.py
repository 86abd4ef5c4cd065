"""Waiting for the health of real objects, over real watches."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from runner.clients.kubernetes import KubernetesCluster, WatchingObserver, connect
from runner.health import Verdict, check, wait
from runner.model import Health, ResourceRef, Status
from tests.cluster import ControlPlane, wait_until

pytestmark = pytest.mark.cluster
pytest_plugins = ["tests.cluster.fixture"]


class MonotonicClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


@pytest.fixture
def cluster(control_plane: ControlPlane) -> Iterator[KubernetesCluster]:
    with contextlib.closing(connect(kubeconfig=str(control_plane.kubeconfig), context=None)) as connected:
        yield connected


@pytest.fixture
def namespace(cluster: KubernetesCluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own."""
    name = request.node.name.replace("test_", "wait-").replace("_", "-")[:63]
    created = cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    account = ResourceRef(name, "default", "", "ServiceAccount", "v1")
    wait_until(lambda: cluster.get(account), f"the default ServiceAccount of {name}")
    yield name
    cluster.delete(ResourceRef.of(created), uid=created["metadata"]["uid"])


Run = Callable[..., Verdict]


@pytest.fixture
def run(cluster: KubernetesCluster) -> Run:
    """Creates objects, then waits for them and for those that are there."""

    def create_and_wait(
        *manifests: dict[str, Any], timeout: float, there: Sequence[ResourceRef] = (), **options: Any
    ) -> Verdict:
        refs = [*(ResourceRef.of(cluster.create(manifest)) for manifest in manifests), *there]
        return wait(refs, WatchingObserver(cluster), MonotonicClock(), timeout=timeout, **options)

    return create_and_wait


def workload(kind: str, namespace: str, name: str, image: str, **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    pod = {"containers": [{"name": "main", "image": image}], "restartPolicy": "Always"}
    if kind == "Job":
        pod["restartPolicy"] = "Never"
    else:
        spec["selector"] = {"matchLabels": labels}
    return {
        "apiVersion": "batch/v1" if kind == "Job" else "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {**spec, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }


def test_a_deployment_becomes_available(run: Run, cluster: KubernetesCluster, namespace: str) -> None:
    told: list[str] = []
    web = workload("Deployment", namespace, "web", "registry.example/web:1", replicas=2)
    verdict = run(web, timeout=60, listener=told.append)

    ref = ResourceRef.of(web)
    expected = (Health(ref, Status.CURRENT, "Deployment is available. Replicas: 2"),)
    assert verdict == Verdict(expected, settled=True)
    # Nothing is told when it was available before it was looked at.
    assert all(words.startswith(f"0 of 1 ready, waiting for {ref}: ") for words in told)
    assert check({ref: cluster.get(ref)}) == expected


def test_a_broken_image_times_out(run: Run, namespace: str) -> None:
    bad = workload("Deployment", namespace, "bad", "registry.example/broken:1")
    good = workload("Deployment", namespace, "good", "registry.example/good:1")
    first = run(good, timeout=60)
    assert first.settled
    verdict = run(bad, timeout=3, there=[health.ref for health in first.healths])

    assert verdict.error == f"timeout waiting for: [Deployment/{namespace}/bad status: 'InProgress']"
    assert not verdict.settled
    assert [(h.ref.name, h.status, h.message) for h in verdict.healths] == [
        ("bad", Status.IN_PROGRESS, "Available: 0/1"),
        ("good", Status.CURRENT, "Deployment is available. Replicas: 1"),
    ]


def test_a_deployment_past_its_deadline_ends_the_wait(run: Run, namespace: str) -> None:
    bad = workload("Deployment", namespace, "bad", "registry.example/broken:1", progressDeadlineSeconds=2)
    verdict = run(bad, timeout=60)

    assert verdict.error == (
        f"failed early due to stalled resources: [Deployment/{namespace}/bad status: 'Failed']"
    )
    assert verdict.settled


def test_a_job_completes(run: Run, namespace: str) -> None:
    verdict = run(workload("Job", namespace, "once", "registry.example/once:1"), timeout=60)

    assert verdict.ok
    assert [health.message for health in verdict.healths] == ["Job Completed. succeeded: 1/1"]


def test_a_job_that_its_ttl_deleted_is_done(run: Run, cluster: KubernetesCluster, namespace: str) -> None:
    once = workload("Job", namespace, "once", "registry.example/once:1", ttlSecondsAfterFinished=0)
    ref = ResourceRef.of(cluster.create(once))
    wait_until(lambda: cluster.get(ref) is None, "the end of the Job")

    gone = Health(ref, Status.CURRENT, "Job finished and was deleted (ttlSecondsAfterFinished)")
    verdict = wait([ref], WatchingObserver(cluster), MonotonicClock(), timeout=60, jobs_with_ttl=[ref])
    assert verdict == Verdict((gone,), settled=True)
