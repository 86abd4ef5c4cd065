"""A run that finds nothing to do: what it asks, what it writes, and what it must not miss."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner import inventory, state
from tests.cluster import wait_until
from tests.cluster.api import MERGE
from tests.e2e.harness import Bench, Result, config_map, deployment, kustomization
from tests.e2e.webhook import webhook
from tests.integration.faults import Fault, FaultyProxy, Seen

pytestmark = pytest.mark.cluster
MANY = 8
WRITES = ("POST", "PATCH", "PUT", "DELETE")


@pytest.fixture
def app(world: Bench) -> Bench:
    """A fleet with one application that was deployed."""
    return deployed(world)


def deployed(world: Bench) -> Bench:
    world.repository.write(
        "clusters/test/app.yaml", kustomization(world, "app", "app", wait=True, timeout="20s")
    )
    for number in range(MANY):
        world.repository.write(f"app/cm-{number}.yaml", config_map(world, f"cm-{number}"))
    world.repository.write("app/web.yaml", deployment(world, "web"))
    world.repository.write("app/secret.yaml", secret(world))
    world.repository.commit()
    world.reconcile()
    return world


def secret(world: Bench) -> dict[str, Any]:
    return {**config_map(world, "hidden"), "kind": "Secret", "data": {"k": "dg=="}}


def sent(result: Result) -> Mapping[str, int]:
    found: dict[str, int] = result.json["requests"]
    return found


def written(result: Result) -> int:
    return sum(sent(result)[verb] for verb in WRITES)


def path(world: Bench, name: str) -> str:
    return f"/api/v1/namespaces/{world.namespace}/configmaps/{name}"


def record(world: Bench, name: str = "app") -> state.Record:
    return state.decode(world.get(path(world, f"kustodian-{name}")))


def test_kinds_are_asked_for_and_not_objects(app: Bench):
    before = len(app.events())

    again = app.reconcile()

    assert set(again.changes("app").values()) == {"unchanged"}
    assert len(again.changes("app")) == MANY + 2
    assert (sent(again)["DRYRUN"], written(again)) == (0, 0)
    asked = [event["requestURI"].partition("?")[0] for event in app.events()[before:]]
    assert not [uri for uri in asked if "/configmaps/cm-" in uri], "a kind with many objects is listed"
    assert len([uri for uri in asked if uri.endswith(("/deployments/web", "/secrets/hidden"))]) == 2


def test_all_tries_every_object(app: Bench):
    everything = app.reconcile("--all")
    assert set(everything.changes("app").values()) == {"unchanged"}
    assert (sent(everything)["DRYRUN"], written(everything)) == (MANY + 2, 0)


def test_a_preview_goes_by_the_same_proofs(app: Bench):
    dry = app.reconcile("--dry-run")
    assert sent(dry)["DRYRUN"] == 0
    assert dry.changes("app").pop("Secret/hidden") == "unknown"
    assert set(app.reconcile("--dry-run", "--read-secrets").changes("app").values()) == {"unchanged"}
    assert sent(app.reconcile("--dry-run", "--all"))["DRYRUN"] == MANY + 1


def test_what_somebody_changed_is_found_and_put_right(app: Bench):
    app.api.request("PATCH", path(app, "cm-3"), {"data": {"key": "by hand"}}, MERGE)

    repaired = app.reconcile()

    assert [k for k, v in repaired.changes("app").items() if v == "configured"] == ["ConfigMap/cm-3"]
    assert sent(repaired)["DRYRUN"] == 1
    assert app.get(path(app, "cm-3"))["data"] == {"key": "value"}
    after = app.reconcile()
    assert (sent(after)["DRYRUN"], written(after)) == (0, 0)


def test_what_others_add_is_looked_at_and_not_written_down(app: Bench):
    """Where the generation does not count, any write may have been to our fields."""
    patch = {"metadata": {"labels": {"theirs": "x"}}}
    app.api.request("PATCH", f"{path(app, 'cm-3')}?fieldManager=somebody", patch, MERGE)
    web = f"/apis/apps/v1/namespaces/{app.namespace}/deployments/web?fieldManager=somebody"
    app.api.request("PATCH", web, patch, MERGE)
    for _ in range(2):
        again = app.reconcile()
        assert set(again.changes("app").values()) == {"unchanged"}
        assert (sent(again)["DRYRUN"], written(again)) == (1, 0)


def test_a_marker_on_the_live_object_counts_as_ever(app: Bench):
    marked = {"metadata": {"annotations": {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}}}
    app.api.request("PATCH", path(app, "cm-1"), {**marked, "data": {"key": "by hand"}}, MERGE)
    for arguments in ([], ["--all"]):
        assert app.reconcile(*arguments).changes("app")["ConfigMap/cm-1"] == "skipped"
    assert app.get(path(app, "cm-1"))["data"] == {"key": "by hand"}


def test_the_health_of_what_is_unchanged_is_judged(app: Bench):
    app.repository.write("app/web.yaml", deployment(app, "web", image="registry.example/broken:1"))
    app.repository.write("clusters/test/app.yaml", kustomization(app, "app", "app", wait=True, timeout="2s"))
    app.repository.commit()
    app.reconcile(code=1)

    again = app.reconcile(code=1)

    assert "health check failed" in again.of("app")["error"]
    assert sent(again)["DRYRUN"] == 0


def test_a_run_that_was_killed_after_an_apply_proves_nothing(app: Bench, tmp_path: Path):
    """What it wanted is taken back in Git, so that the object is as on record again, but for the cluster."""
    assert all(entry.proof for entry in record(app).inventory.values())
    app.repository.write("app/cm-5.yaml", config_map(app, "cm-5", key="changed"))
    app.repository.commit()
    with FaultyProxy(app.kubeconfig) as proxy:

        def applies(request: Seen) -> bool:
            return request.method == "PATCH" and "/cm-5" in request.path and "dryRun" not in request.query

        proxy.on(applies, Fault(lose=True), times=99)
        run = app.start("reconcile", "--lease-duration", "1s", kubeconfig=proxy.kubeconfig(tmp_path))
        wait_until(lambda: app.get(path(app, "cm-5"))["data"] == {"key": "changed"}, "it is applied")
        run.kill()
        run.communicate()
    assert run.returncode == -signal.SIGKILL
    assert not any(entry.proof for entry in record(app).inventory.values())

    app.repository.git("revert", "--no-edit", "HEAD")
    reverted = app.reconcile("--lease-duration", "1s")

    assert reverted.changes("app")["ConfigMap/cm-5"] == "configured"
    assert app.get(path(app, "cm-5"))["data"] == {"key": "value"}
    assert all(entry.proof for entry in record(app).inventory.values())


def test_a_record_without_proofs_gets_them_once(app: Bench):
    """As an earlier release left it."""
    known = record(app)
    bare = state.encode(replace(known, inventory=inventory.unproven(known.inventory)))
    assert app.api.request("PUT", path(app, "kustodian-app"), bare).status == 200

    proving, after = app.reconcile(), app.reconcile()

    assert sent(proving)["DRYRUN"] == MANY + 2
    assert sent(proving)["PUT"] > 0
    assert (sent(after)["DRYRUN"], written(after)) == (0, 0)


def test_where_policies_may_not_be_seen_every_object_is_tried(app: Bench, tmp_path: Path):
    with FaultyProxy(app.kubeconfig) as proxy:
        refused = b'{"kind":"Status","status":"Failure","reason":"Forbidden","message":"no","code":403}'
        json = {"Content-Type": "application/json"}
        proxy.on(lambda s: "mutatingwebhook" in s.path, Fault(answer=(403, json, refused)), times=99)
        run = app.reconcile(kubeconfig=proxy.kubeconfig(tmp_path))
    assert set(run.changes("app").values()) == {"unchanged"}
    assert (sent(run)["DRYRUN"], written(run)) == (MANY + 2, 0)


def test_what_a_webhook_puts_in_is_taken_as_it_is(alone: Bench, tmp_path: Path):
    """Applied once with it, and from then on nobody fights over it."""
    app = deployed(alone)

    def changes(manifest: dict[str, Any]) -> list[dict[str, Any]]:
        if not manifest["metadata"]["name"].startswith("cm-"):
            return []
        return [
            {"op": "add", "path": "/data/injected", "value": "in"},
            {"op": "replace", "path": "/data/key", "value": "theirs"},
        ]

    def at_work() -> bool:
        target = f"{path(app, 'cm-0')}?dryRun=All"
        return "injected" in str(app.api.request("PUT", target, config_map(app, "cm-0")).body.get("data"))

    with webhook(app.api, tmp_path, app.namespace, changes, ("", "configmaps")):
        wait_until(at_work, "the webhook is at work")
        first = app.reconcile()
        assert sent(first)["DRYRUN"] == MANY + 2, "no proof holds, of no kind"
        assert {k for k, v in first.changes("app").items() if v == "configured"} == {
            f"ConfigMap/cm-{n}" for n in range(MANY)
        }
        again = app.reconcile()
        assert set(again.changes("app").values()) == {"unchanged"}
        assert app.get(path(app, "cm-0"))["data"] == {"key": "theirs", "injected": "in"}

        image = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "by.hand/x:1"}]
        web = f"/apis/apps/v1/namespaces/{app.namespace}/deployments/web?fieldManager=kubectl-edit"
        assert app.api.request("PATCH", web, image, "application/json-patch+json").status == 200
        put_right = app.reconcile()
        assert [k for k, v in put_right.changes("app").items() if v == "configured"] == ["Deployment/web"]
