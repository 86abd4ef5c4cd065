"""A wait for health while the connection to the server breaks: what comes of the run is the same."""

from __future__ import annotations

import json
import threading
import uuid
from pathlib import Path

import pytest

from tests.cluster import ControlPlane
from tests.e2e.harness import Bench, bench, config_map, kustomization
from tests.e2e.test_rules import crd
from tests.integration.faults import Fault, FaultyProxy, Seen, status, writes

pytestmark = pytest.mark.cluster


def waiting(world: Bench) -> None:
    """A fleet whose only Kustomization waits for an object that somebody else makes."""
    check = {"apiVersion": "v1", "kind": "ConfigMap", "name": "signal", "namespace": world.namespace}
    spec = {"healthChecks": [check], "timeout": "3m"}
    world.repository.write("clusters/test/app.yaml", kustomization(world, "app", "app", **spec))
    world.repository.write("app/one.yaml", config_map(world, "one"))
    world.repository.commit()


def make(world: Bench, name: str) -> None:
    path = f"/api/v1/namespaces/{world.namespace}/configmaps"
    assert world.plane.api().request("POST", path, config_map(world, name)).status == 201


def finished(world: Bench, run, between) -> dict:
    """The result of a run in the middle of whose wait something happened."""
    told: list[str] = []
    with run:
        reader = threading.Thread(target=lambda: told.append(run.stdout.read()))
        reader.start()
        seen = []
        for line in run.stderr:
            seen.append(line)
            if "checking health" in line and "/app" in line:
                between()
                break
        seen.append(run.stderr.read())
        reader.join()
    assert run.returncode == 0, "".join(seen) + told[0]
    return json.loads(told[0])


def test_the_server_restarts_in_the_middle_of_a_wait(fresh_control_plane, tmp_path: Path):
    with fresh_control_plane(controllers=False) as plane:
        plane: ControlPlane
        world = bench(plane, tmp_path)
        waiting(world)

        def between() -> None:
            plane.restart_apiserver()
            make(world, "signal")

        result = finished(world, world.start("reconcile", "-o", "json"), between)

        assert {k["state"] for k in result["kustomizations"]} == {"ready"}
        writes = world.writes()
        assert world.run("reconcile").code == 0
        assert world.writes() == writes, "the lock was given back, and nothing is left to do"


@pytest.mark.parametrize("fault", [Fault(lose=True), Fault(drop=True)], ids=["written", "not-written"])
def test_records_whose_answers_are_lost_are_looked_for(world: Bench, tmp_path: Path, fault: Fault):
    """As when the server restarts at the end of a Kustomization, not in its wait."""
    world.repository.write("clusters/test/app.yaml", kustomization(world, "app", "app"))
    world.repository.write("app/one.yaml", config_map(world, "one"))
    world.repository.commit()

    def records(request: Seen) -> bool:
        return writes(request) and "/configmaps" in request.path and b"kustodian-app" in request.body

    with FaultyProxy(world.kubeconfig) as proxy:
        proxy.on(records, fault, times=2)
        result = world.reconcile(kubeconfig=proxy.kubeconfig(tmp_path))
        assert not any(rule.times for rule in proxy.rules)

    assert {k["state"] for k in result.json["kustomizations"]} == {"ready"}
    before = world.writes()
    world.reconcile()
    assert world.writes() == before


def watches(request: Seen) -> bool:
    return request.path.endswith("/configmaps") and "watch" in request.query


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(cut_after=0), id="cut"),
        pytest.param(status(410, "Expired", "too old resource version"), id="gone"),
        pytest.param(
            Fault(first=b'{"type":"ERROR","object":{"kind":"Status","code":410}}\n'), id="gone-inside"
        ),
        pytest.param(Fault(cut_after=40), id="cut-in-a-line"),
    ],
)
def test_a_watch_breaks_in_the_middle_of_a_wait(world: Bench, tmp_path: Path, fault: Fault):
    waiting(world)
    with FaultyProxy(world.kubeconfig) as proxy:
        proxy.on(watches, fault, times=3)
        run = world.start("reconcile", "-o", "json", kubeconfig=proxy.kubeconfig(tmp_path))

        result = finished(world, run, lambda: make(world, "signal"))

    assert {k["state"] for k in result["kustomizations"]} == {"ready"}


def test_a_watch_that_says_nothing(world: Bench, tmp_path: Path):
    waiting(world)
    speak = threading.Event()
    with FaultyProxy(world.kubeconfig) as proxy:
        proxy.on(watches, Fault(hold=speak))

        def between() -> None:
            proxy.wait_until_seen(watches)
            make(world, "signal")
            speak.set()

        run = world.start("reconcile", "-o", "json", kubeconfig=proxy.kubeconfig(tmp_path))

        result = finished(world, run, between)

    assert {k["state"] for k in result["kustomizations"]} == {"ready"}


def discovers(request: Seen) -> bool:
    return request.path == "/apis"


def test_a_server_that_serves_a_new_kind_before_it_says_so(world: Bench, tmp_path: Path):
    group = f"g{uuid.uuid4().hex[:6]}.example"
    meta = {"name": "app", "namespace": world.namespace}
    world.repository.write("clusters/test/app.yaml", kustomization(world, "app", "app"))
    world.repository.write(
        "app/things.yaml",
        crd(group, "Thing", "things"),
        {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": meta},
    )
    world.repository.commit()
    before = json.dumps(world.plane.api().get("/apis").body).encode()
    with FaultyProxy(world.kubeconfig) as proxy:
        late = Fault(answer=(200, {"Content-Type": "application/json"}, before))

        def defines(request: Seen) -> bool:
            if writes(request) and request.path.endswith(f"/customresourcedefinitions/things.{group}"):
                proxy.on(discovers, late, times=3)
            return False

        proxy.on(defines, late)
        result = world.reconcile(kubeconfig=proxy.kubeconfig(tmp_path))

    assert result.of("app")["state"] == "ready"
