"""Flux's status as we leave it, and as we take it over, on Flux's own definitions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import ControlPlane, wait_until
from tests.cluster.api import APPLY, MERGE
from tests.e2e import fluxed
from tests.e2e.fluxed import FLUX, condition
from tests.e2e.harness import Bench, bench, config_map, deployment, kustomization

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def fluxed_plane() -> Iterator[ControlPlane]:
    """One that serves Flux's own definitions, which the plane that all tests share does not."""
    with ControlPlane.start() as plane:
        fluxed.serve(plane.api())
        yield plane


@pytest.fixture
def flux(fluxed_plane: ControlPlane, tmp_path: Path) -> Iterator[Bench]:
    world = bench(fluxed_plane, tmp_path)
    yield world
    world.forget()


def fleet(world: Bench) -> str:
    """One that waits, one that depends on it, one that fails, one that waits for that, one suspended."""
    asked = {"name": "base", "readyExpr": "!dep.spec.prune"}
    world.repository.write(
        "clusters/test/all.yaml",
        kustomization(world, "base", "base", wait=True, timeout="1m30s"),
        kustomization(world, "app", "app", dependsOn=[{"name": "base"}]),
        kustomization(world, "broken", "broken", timeout="2m"),
        kustomization(world, "after", "app", dependsOn=[{"name": "broken"}], targetNamespace="elsewhere"),
        kustomization(world, "asks", "app", dependsOn=[asked], targetNamespace="anywhere"),
        kustomization(world, "absent", "nowhere"),
        kustomization(world, "refused", "refused"),
        kustomization(world, "paused", "app", suspend=True),
    )
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"{world.namespace}-x"}}
    world.repository.write("base/all.yaml", config_map(world, "base"), space)
    world.repository.write("app/app.yaml", config_map(world, "app"))
    world.repository.write("broken/kustomization.yaml", "resources: [missing.yaml]\n")
    wrong = {**config_map(world, "refused"), "data": {"key": {"no": "text"}}}
    world.repository.write("refused/app.yaml", wrong)
    return f"main@sha1:{world.repository.commit()}"


READY = {"Ready": ("True", "ReconciliationSucceeded", "Applied revision: {revision}")}
TABLE = {
    "base": READY | {"Healthy": ("True", "Succeeded", "Health check passed in ")},
    "app": READY,
    "broken": {
        "Reconciling": (
            "True",
            "ProgressingWithRetry",
            "Building manifests for revision {revision} with a timeout of 2m0s",
        ),
        "Ready": ("False", "BuildFailed", ""),
    },
    "after": {"Ready": ("False", "DependencyNotReady", "dependency '{namespace}/broken' is not ready")},
    "asks": {
        "Ready": (
            "False",
            "DependencyNotReady",
            "dependency '{namespace}/base' is not ready according to readyExpr eval",
        )
    },
    "absent": {
        "Reconciling": ("True", "ProgressingWithRetry", "Fetching manifests for revision {revision} with a "),
        "Ready": ("False", "ArtifactFailed", "kustomization path not found: "),
    },
    "refused": {
        "Reconciling": ("True", "ProgressingWithRetry", "Detecting drift for revision {revision} with a "),
        "Ready": ("False", "ReconciliationFailed", "ConfigMap/{namespace}/refused dry-run failed"),
    },
    "paused": {},
}


def test_every_status_is_what_the_controller_would_write(flux: Bench):
    revision = fleet(flux)

    flux.reconcile(code=1)

    for name, wanted in TABLE.items():
        found = fluxed.status(flux, name)
        told = {c["type"]: (c["status"], c["reason"]) for c in found.get("conditions") or []}
        assert told == {kind: each[:2] for kind, each in wanted.items()}, name
        assert list(told) == sorted(told, key=["Reconciling", "Ready", "Healthy"].index), name
        for kind, (_, _, text) in wanted.items():
            said = condition(found, kind)
            assert said is not None
            expected = text.format(revision=revision, namespace=flux.namespace)
            assert expected in said["message"], name  # ours adds the place in the files
            assert said["observedGeneration"] == fluxed.live(flux, name)["metadata"]["generation"]
        ready = "Ready" in wanted and wanted["Ready"][0] == "True"
        assert found["observedGeneration"] == (1 if ready else -1), "-1 is the definition's default"
        assert found.get("lastAppliedRevision") == (revision if ready else None), name
        tried = name in {"base", "app", "broken", "refused"}
        assert found.get("lastAttemptedRevision") == (revision if tried else None), name
    base = fluxed.status(flux, "base")
    assert base["inventory"]["entries"] == [
        {"id": f"_{flux.namespace}-x__Namespace", "v": "v1"},
        {"id": f"{flux.namespace}_base__ConfigMap", "v": "v1"},
    ]
    (snapshot,) = base["history"]
    assert snapshot["firstReconciled"] == snapshot["lastReconciled"]
    assert snapshot["digest"].startswith("sha256:")
    assert snapshot["metadata"] == {"revision": revision}
    assert snapshot["lastReconciledStatus"] == "ReconciliationSucceeded"
    assert snapshot["totalReconciliations"] == 1
    (failed,) = fluxed.status(flux, "refused")["history"]
    assert failed["lastReconciledStatus"] == "ReconciliationFailed"
    assert "history" not in fluxed.status(flux, "broken"), "the history begins with the apply"
    writers = [
        (e["manager"], e["operation"], e.get("subresource"))
        for e in fluxed.live(flux, "base")["metadata"]["managedFields"]
    ]
    assert sorted(writers) == [
        ("gotk-kustomize-controller", "Update", "status"),
        ("kustomize-controller", "Apply", None),
    ]


def test_nothing_is_written_when_nothing_changed_and_a_new_revision_is_counted(flux: Bench):
    revision = fleet(flux)
    flux.reconcile(code=1)
    before = {name: fluxed.live(flux, name) for name in TABLE}
    flux.reconcile(code=1)
    assert {name: fluxed.live(flux, name) for name in TABLE} == before

    flux.repository.write("README.md", "nothing that is applied")
    after = f"main@sha1:{flux.repository.commit()}"
    flux.reconcile(code=1)

    base = fluxed.status(flux, "base")
    assert (base["lastAppliedRevision"], base["lastAttemptedRevision"]) == (after, after)
    (snapshot,) = base["history"]
    assert snapshot["totalReconciliations"] == 2
    assert snapshot["metadata"]["revision"] == after
    assert revision != after


def test_a_failed_health_check_is_told_as_flux_tells_it(flux: Bench):
    flux.repository.write(
        "clusters/test/all.yaml", kustomization(flux, "app", "app", wait=True, timeout="2s")
    )
    broken = deployment(flux, "app", "registry.example/broken:1", progressDeadlineSeconds=1)
    flux.repository.write("app/app.yaml", broken)
    flux.repository.commit()
    flux.reconcile(code=1)
    found = fluxed.status(flux, "app")
    healthy, ready = condition(found, "Healthy"), condition(found, "Ready")
    assert healthy is not None
    assert ready is not None
    assert (healthy["status"], healthy["reason"]) == ("False", "HealthCheckFailed")
    assert (ready["status"], ready["reason"]) == ("False", "HealthCheckFailed")
    said, _, why = ready["message"].partition(": ")
    assert said.startswith("health check failed after ")
    assert why == healthy["message"]
    assert "lastAppliedRevision" not in found
    assert found["history"][0]["lastReconciledStatus"] == "HealthCheckFailed"
    assert found["inventory"]["entries"] == [{"id": f"{flux.namespace}_app_apps_Deployment", "v": "v1"}]


def test_a_request_to_reconcile_is_answered(flux: Bench):
    flux.repository.write("clusters/test/all.yaml", kustomization(flux, "app", "app"))
    flux.repository.write("app/app.yaml", config_map(flux, "app"))
    flux.repository.commit()
    flux.reconcile()
    asked = {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}}
    flux.api.request("PATCH", fluxed.path(flux, "app"), asked, MERGE)
    flux.reconcile()
    assert fluxed.status(flux, "app")["lastHandledReconcileAt"] == "now"


def by_flux(world: Bench, owner: str, manifest: dict) -> None:
    """Apply an object as kustomize-controller does."""
    labels = {f"{FLUX}/name": owner, f"{FLUX}/namespace": world.namespace}
    meta = {**manifest["metadata"], "labels": labels}
    group, _, version = manifest["apiVersion"].rpartition("/")
    plural = {"ConfigMap": "configmaps", "Kustomization": "kustomizations"}[manifest["kind"]]
    where = f"/apis/{group}/{version}" if group else f"/api/{version}"
    answer = world.api.request(
        "PATCH",
        f"{where}/namespaces/{world.namespace}/{plural}/{meta['name']}?fieldManager=kustomize-controller",
        {**manifest, "metadata": meta},
        APPLY,
    )
    assert answer.status in {200, 201}, answer.body


def run_by_flux(world: Bench) -> None:
    """A cluster that Flux's controller reconciled until now, with one object that has left Git since."""
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": world.namespace}}
    world.api.request("POST", "/api/v1/namespaces", space)
    app = kustomization(world, "app", "app")
    old = kustomization(world, "old", "old")
    world.repository.write("clusters/test/all.yaml", app)
    world.repository.write("app/app.yaml", config_map(world, "kept"))
    world.repository.commit()
    root = kustomization(world, "fleet", "clusters/test")
    for owner, each in (("fleet", root), ("fleet", app), ("fleet", old)):
        by_flux(world, owner, each)
    for owner, name in (("app", "kept"), ("app", "stale"), ("old", "orphan")):
        by_flux(world, owner, config_map(world, name))
    owned = {
        "fleet": [f"{world.namespace}_{n}_{FLUX}_Kustomization" for n in ("app", "old")],
        "app": [f"{world.namespace}_{n}__ConfigMap" for n in ("kept", "stale")],
        "old": [f"{world.namespace}_orphan__ConfigMap"],
    }
    for name, ids in owned.items():
        entries = [{"id": i, "v": "v1"} for i in ids]
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "ReconciliationSucceeded",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        fluxed.set_status(world, name, inventory={"entries": entries}, conditions=[ready])


def test_what_flux_ran_is_taken_over_with_what_it_left_to_prune(flux: Bench):
    run_by_flux(flux)
    before = flux.get(f"/api/v1/namespaces/{flux.namespace}/configmaps/kept")
    suspended = {"spec": {"suspend": True}}
    flux.api.request("PATCH", f"{fluxed.path(flux, 'app')}?fieldManager=flux", suspended, MERGE)

    done = flux.reconcile()

    assert done.changes("app") == {"ConfigMap/kept": "unchanged", "ConfigMap/stale": "deleted"}
    assert done.changes("old") == {"ConfigMap/orphan": "deleted"}
    assert flux.get(f"/api/v1/namespaces/{flux.namespace}/configmaps/kept") == before
    assert flux.config_maps() == {"kept"}
    assert fluxed.live(flux, "app")["spec"]["suspend"] is True, "somebody wants Flux to stand aside"
    again = flux.writes()
    flux.reconcile()
    assert flux.writes() == again


def test_what_flux_did_meanwhile_is_taken_over_once(flux: Bench):
    run_by_flux(flux)
    flux.reconcile()
    by_flux(flux, "app", config_map(flux, "later"))
    entries = [{"id": f"{flux.namespace}_{n}__ConfigMap", "v": "v1"} for n in ("kept", "later")]
    fluxed.set_status(flux, "app", inventory={"entries": entries})

    done = flux.reconcile()

    assert done.changes("app") == {"ConfigMap/kept": "unchanged", "ConfigMap/later": "deleted"}
    assert [e["id"] for e in fluxed.status(flux, "app")["inventory"]["entries"]] == [entries[0]["id"]]


def test_an_entry_that_flux_does_not_deploy_is_not_taken_over(flux: Bench):
    run_by_flux(flux)
    fleet_elsewhere = {"spec": {"path": "./clusters/production"}}
    flux.api.request("PATCH", fluxed.path(flux, "fleet"), fleet_elsewhere, MERGE)
    refused = flux.run("reconcile")
    assert refused.code == 6
    assert "Flux deploys" in refused.stderr
    assert "from clusters/production, not from clusters/test" in refused.stderr
    wait_until(lambda: flux.config_maps() == {"kept", "stale", "orphan"}, "nothing is touched")
