"""A wait for health while the connection to the server breaks: what comes of the run is the same."""

from __future__ import annotations

import json
import signal
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.cluster import ControlPlane
from tests.cluster.api import MERGE
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


def every_other() -> Callable[[Seen], bool]:
    """Every write to an object: the first one, not the second, the third …; an Event is made only once."""
    seen: Counter[tuple[str, str, str]] = Counter()

    def matches(request: Seen) -> bool:
        if not writes(request) or request.path.endswith("/events"):
            return False
        name = yaml.safe_load(request.body)["metadata"]["name"] if request.method == "POST" else ""
        seen[request.method, request.path, name] += 1
        return seen[request.method, request.path, name] % 2 == 1

    return matches


def every_new() -> Callable[[Seen], bool]:
    """Every write that was not made before, word for word; an Event is made only once."""
    seen: set[tuple[str, str, bytes]] = set()

    def matches(request: Seen) -> bool:
        key = (request.method, request.path, request.body)
        new = writes(request) and not request.path.endswith("/events") and key not in seen
        seen.add(key)
        return new

    return matches


@pytest.mark.parametrize(
    ("fault", "which"),
    [(Fault(lose=True), every_new), (Fault(drop=True), every_other)],
    ids=["written", "not-written"],
)
def test_a_run_is_whole_though_the_first_answer_to_every_write_is_lost(
    world: Bench, tmp_path: Path, fault: Fault, which: Callable[[], Callable[[Seen], bool]]
):
    """Records, lock, key, Namespace, clean-up, apply, making anew, prune: as beside a server's restart."""
    secret = {"apiVersion": "v1", "kind": "Secret", "stringData": {"key": "value"}}
    secret["metadata"] = {"name": "key", "namespace": world.namespace}
    world.repository.write("clusters/test/app.yaml", kustomization(world, "app", "app", force=True))
    frozen = {**config_map(world, "frozen", key="old"), "immutable": True}
    objects = [secret, config_map(world, "one"), config_map(world, "stale"), frozen]
    world.repository.write("app/all.yaml", *objects)
    world.repository.commit()

    def deploy() -> set[str]:
        with FaultyProxy(world.kubeconfig) as proxy:
            proxy.on(which(), fault, times=1_000)
            result = world.reconcile(kubeconfig=proxy.kubeconfig(tmp_path))
        assert {k["state"] for k in result.json["kustomizations"]} == {"ready"}
        return {f"{change} {action}" for change, action in result.changes("app").items()}

    deploy()
    edit = f"/api/v1/namespaces/{world.namespace}/configmaps/one?fieldManager=kubectl-edit"
    assert world.api.request("PATCH", edit, {"data": {"theirs": "x"}}, MERGE).status == 200
    objects = [secret, config_map(world, "one"), {**frozen, "data": {"key": "new"}}]
    world.repository.write("app/all.yaml", *objects)
    world.repository.commit()

    assert deploy() == {
        "ConfigMap/one configured",
        "ConfigMap/stale deleted",
        "ConfigMap/frozen created",
        "Secret/key unchanged",
    }

    assert world.config_maps() == {"one", "frozen"}
    before = world.writes()
    world.reconcile()
    assert world.writes() == before, "the lock was given back, and nothing is left to do"


def test_a_run_that_is_interrupted_while_the_server_is_silent_tells_what_it_did(world: Bench, tmp_path: Path):
    """And leaves its lock to expire: nobody knows whether that write will still be made."""
    world.repository.write("clusters/test/app.yaml", kustomization(world, "app", "app"))
    world.repository.write("app/all.yaml", config_map(world, "one"), config_map(world, "two"))
    world.repository.commit()
    answer = threading.Event()

    def applies(request: Seen) -> bool:
        return writes(request) and request.path.endswith("/configmaps/two")

    with FaultyProxy(world.kubeconfig) as proxy:
        proxy.on(applies, Fault(hold=answer))
        short = ("--lease-duration", "8s")  # a request may take six
        run = world.start("reconcile", "-o", "json", *short, kubeconfig=proxy.kubeconfig(tmp_path))
        proxy.wait_until_seen(applies)
        run.send_signal(signal.SIGINT)
        stdout, stderr = run.communicate()
        answer.set()

    assert run.returncode == 128 + signal.SIGINT, stderr
    told = json.loads(stdout)
    assert told["interrupted"] == signal.SIGINT
    (app,) = (each for each in told["kustomizations"] if each["name"] == "app")
    assert app["state"] == "failed"
    assert "cut the connection" in app["error"]
    assert world.get(f"{leases(world)}/kustodian-fleet")["spec"]["holderIdentity"]

    assert set(world.reconcile(*short).states.values()) == {"ready"}
    assert world.config_maps() == {"one", "two"}


def leases(world: Bench) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{world.namespace}/leases"


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
