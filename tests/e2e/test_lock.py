"""Two runs at once, and a lock that is lost, forgotten, deleted or spoilt: one writes, and tells."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster import wait_until
from tests.cluster.api import MERGE
from tests.e2e.harness import Bench, config_map, deployment, kustomization
from tests.integration.faults import Fault, FaultyProxy, Seen, writes

pytestmark = pytest.mark.cluster
Matches = Callable[[Seen], bool]
BROKEN = "registry.example/broken:1"
SHORT = ("--lease-duration", "1s")


@pytest.fixture
def app(world: Bench) -> Bench:
    """A fleet that was deployed, and a commit that changes its objects, in two stages."""
    world.repository.write("clusters/test/app.yaml", kustomization(world, "app", "app"))
    for value in ("old", "new"):
        world.repository.write("app/one.yaml", config_map(world, "one", key=value))
        world.repository.write("app/two.yaml", config_map(world, "two", key=value))
        world.repository.write("app/role.yaml", role(world, value))
        world.repository.commit()
        if value == "old":
            world.reconcile(*SHORT)
    return world


def role(world: Bench, note: str) -> dict:
    meta = {"name": world.namespace, "annotations": {"note": note}}
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": meta}


def lease(world: Bench) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{world.namespace}/leases/kustodian-fleet"


def value(world: Bench, name: str) -> str:
    found: str = world.get(f"/api/v1/namespaces/{world.namespace}/configmaps/{name}")["data"]["key"]
    return found


def holder(world: Bench) -> str:
    return str(((world.get(lease(world)) or {}).get("spec") or {}).get("holderIdentity") or "")


def tries(request: Seen) -> bool:
    """A dry-run of the second stage: the run holds the lock, and has written the first."""
    return request.path.endswith("/configmaps/one") and "dryRun" in request.query


def applies(request: Seen) -> bool:
    return writes(request) and request.path.endswith(("/configmaps/one", "/configmaps/two"))


def records(request: Seen) -> bool:
    """The write of a record: the run holds the lock."""
    return writes(request) and request.path.endswith("/kustodian-app")


@contextmanager
def stuck(world: Bench, directory: Path, matches: Matches, *arguments: str) -> Iterator[tuple]:
    """A run whose requests that match come to the server only when it is told to let them."""
    with FaultyProxy(world.kubeconfig) as proxy:
        go_on = threading.Event()
        proxy.on(matches, Fault(hold=go_on), times=99)
        run = world.start("reconcile", *arguments, kubeconfig=proxy.kubeconfig(directory))
        try:
            proxy.wait_until_seen(matches)
            yield run, proxy, go_on
        finally:
            go_on.set()
            run.kill()
            run.communicate()


def ended(run: subprocess.Popen[str], code: int) -> str:
    """What a run said on its standard error, once it ended as it should."""
    _, errors = run.communicate(timeout=60)
    assert run.returncode == code, errors
    return errors


@pytest.mark.parametrize("asleep_at", [tries, records])
def test_a_paused_run_that_wakes_up_after_another_one_took_its_lock_changes_nothing(
    app: Bench, tmp_path: Path, asleep_at: Matches
):
    """Between two stages, and with the write of a record on its way."""
    with stuck(app, tmp_path, asleep_at, *SHORT) as (run, proxy, go_on):
        run.send_signal(signal.SIGSTOP)
        paused = holder(app)
        second = app.run("reconcile", *SHORT)
        assert second.code == 0, second.stderr
        assert f"taking the lock of a run that fell silent ({paused}, commit " in second.stderr
        before = app.records()
        go_on.set()
        run.send_signal(signal.SIGCONT)
        errors = ended(run, 7)
    assert "the lock is lost" in errors or "took the lock over" in errors
    assert not list(filter(applies, proxy.seen))
    assert app.records() == before
    assert holder(app) == ""
    last = app.writes()
    app.reconcile(*SHORT)
    assert app.writes() == last


def test_a_lock_that_is_taken_away_stops_writes_at_once_and_says_by_whom(app: Bench, tmp_path: Path):
    with stuck(app, tmp_path, records, "--lease-duration", "2s") as (run, proxy, go_on):
        theirs = {"spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 1}}
        assert app.api.request("PATCH", lease(app), theirs, MERGE).status == 200
        renewals = len([s for s in proxy.seen if "/leases/" in s.path])
        proxy.wait_until_seen(lambda s: "/leases/" in s.path, renewals + 2)
        go_on.set()
        errors = ended(run, 7)
    assert "kustodian-fleet was taken over by somebody" in errors
    assert not list(filter(applies, proxy.seen))
    assert (value(app, "one"), holder(app)) == ("old", "somebody")
    assert app.reconcile(*SHORT).changes("app")["ConfigMap/one"] == "configured"


def test_a_lease_that_somebody_deletes_ends_the_run_with_one_error(app: Bench, tmp_path: Path):
    with stuck(app, tmp_path, records, "--lease-duration", "2s") as (run, proxy, go_on):
        fences = {name: record.fence for name, record in app.records().items()}
        assert app.api.request("DELETE", lease(app)).status == 200
        renewals = len([s for s in proxy.seen if "/leases/" in s.path])
        proxy.wait_until_seen(lambda s: "/leases/" in s.path, renewals + 2)
        go_on.set()
        errors = ended(run, 7)
    assert f"the lock is lost: Lease/{app.namespace}/kustodian-fleet was deleted" in errors
    assert "Traceback" not in errors
    assert not list(filter(applies, proxy.seen))
    app.reconcile(*SHORT)
    assert value(app, "one") == "new"
    after = app.records()
    assert all(after[name].fence > fence for name, fence in fences.items() if name == "app")
    assert after["fleet"].fence > fences["fleet"], "a Lease that counts anew must not make fences go back"


GARBAGE = [
    pytest.param({"holderIdentity": "nobody at all"}, id="a holder that is none"),
    pytest.param({"holderIdentity": "x", "leaseDurationSeconds": None, "renewTime": None}, id="no times"),
    pytest.param({"holderIdentity": None, "leaseTransitions": 2**31 - 1}, id="no more transitions"),
    pytest.param(None, id="no spec"),
]


@pytest.mark.parametrize("spec", GARBAGE)
def test_a_spoilt_lease_is_taken_over(app: Bench, spec: dict | None):
    assert app.api.request("PATCH", lease(app), {"spec": spec}, MERGE).status == 200
    app.reconcile(*SHORT)
    assert (value(app, "one"), holder(app)) == ("new", "")


def test_a_lock_that_is_not_given_back_in_time_is_an_error_that_names_its_holder(app: Bench):
    theirs = {"spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 3600}}
    assert app.api.request("PATCH", lease(app), theirs, MERGE).status == 200
    before = app.writes()
    refused = app.run("reconcile", *SHORT, "--lock-timeout", "1s")
    assert refused.code == 7
    assert "is held by another run (somebody, commit " in refused.stderr
    assert "was not released within 1 s" in refused.stderr
    assert [w for w in app.writes()[len(before) :] if "/leases/" not in w] == []


def test_a_newer_commit_that_waits_ends_the_health_wait_of_an_older_one(app: Bench):
    app.repository.write("clusters/test/app.yaml", kustomization(app, "app", "app", wait=True, timeout="5m"))
    app.repository.write("app/web.yaml", deployment(app, "web", image=BROKEN))
    app.repository.commit()
    older = app.start("reconcile", "-o", "json", *SHORT)
    assert older.stderr is not None
    next(line for line in older.stderr if "waiting for Deployment" in line)
    app.repository.write("app/web.yaml", deployment(app, "web"))
    app.repository.commit()

    newer = app.reconcile("--lease-duration", "1s")

    output, errors = older.communicate(timeout=60)
    assert older.returncode == 7, output + errors
    assert "a newer commit waits to be deployed" in output
    assert set(newer.states.values()) == {"ready"}


def test_a_waiting_run_of_the_same_commit_lets_the_other_finish(app: Bench, tmp_path: Path):
    with stuck(app, tmp_path, applies, "--lease-duration", "5s") as (run, _, go_on):
        second = app.start("reconcile")
        assert second.stderr is not None
        next(line for line in second.stderr if "waiting for another run to end" in line)
        annotations = app.get(lease(app))["metadata"]["annotations"]
        assert "kustodian.io/waiting" not in annotations
        go_on.set()
        ended(run, 0)
        ended(second, 0)
    wait_until(lambda: holder(app) == "", "the lock is free")
    assert value(app, "two") == "new"
