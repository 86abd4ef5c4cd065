"""What others deployed comes to us, and what we deploy goes back to Flux, without an object changing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import runner.report
from tests.cluster.api import APPLY, MERGE
from tests.e2e import fluxed
from tests.e2e.fluxed import FLUX, condition
from tests.e2e.harness import Bench, Result, config_map, kustomization
from tests.e2e.test_flux_status import flux, fluxed_plane, run_by_flux

__all__ = ["flux", "fluxed_plane"]
pytestmark = pytest.mark.cluster
SCHEMAS = Path(runner.report.__file__).parent / "schemas"
HELM = {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "apps"}


def document(result: Result, name: str) -> dict[str, Any]:
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(result.json)
    return result.json


def live(world: Bench, name: str) -> dict[str, Any]:
    return dict(world.get(f"/api/v1/namespaces/{world.namespace}/configmaps/{name}"))


def by(world: Bench, manager: str, name: str, *, labels: dict | None = None, **annotations: str) -> None:
    """An object as somebody else made it, with a field that Git does not have."""
    manifest = config_map(world, name, key="value", extra="by hand")
    manifest["metadata"] |= {"annotations": annotations, "labels": labels or {}}
    where = f"/api/v1/namespaces/{world.namespace}/configmaps"
    if manager == "helm":
        answer = world.api.request("POST", f"{where}?fieldManager=helm", manifest)
    else:
        answer = world.api.request("PATCH", f"{where}/{name}?fieldManager={manager}", manifest, APPLY)
    assert answer.status == 201, answer.body


@pytest.fixture
def others(world: Bench) -> Bench:
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": world.namespace}}
    world.api.request("POST", "/api/v1/namespaces", space)
    world.repository.write("clusters/test/all.yaml", kustomization(world, "app", "app"))
    names = ("mine", "plain", "released", "elsewhere")
    world.repository.write("app/all.yaml", *(config_map(world, name) for name in names))
    world.repository.commit()
    by(world, "kubectl", "plain", **{"kubectl.kubernetes.io/last-applied-configuration": "{}"})
    by(world, "helm", "released", labels={"app.kubernetes.io/managed-by": "Helm"}, **HELM)
    other = {f"{FLUX}/name": "another", f"{FLUX}/namespace": world.namespace}
    by(world, "kubectl", "elsewhere", labels=other)
    by(world, "helm", "not-in-git", labels={"app.kubernetes.io/managed-by": "Helm"}, **HELM)
    return world


def test_a_look_writes_nothing_and_names_every_field(others: Bench):
    before = others.writes()
    told = others.run("adopt", "-o", "json")
    assert told.code == 6, "one object has another owner"
    (app,) = document(told, "adopt")["kustomizations"]
    found = {each["ref"]["name"]: each for each in app["objects"]}
    assert found.keys() == {"plain", "released", "elsewhere"}
    assert found["plain"]["origin"] == "kubectl"
    assert found["plain"]["annotations"] == ["kubectl.kubernetes.io/last-applied-configuration"]
    assert found["plain"]["managers"] == ["kubectl"]
    assert found["released"]["release"] == "apps/shop"
    assert found["released"]["labels"] == ["app.kubernetes.io/managed-by"]
    assert found["elsewhere"]["refused"] == f"it belongs to Kustomization {others.namespace}/another"
    assert others.writes() == before
    shown = others.run("adopt").stdout
    assert "    - metadata.annotations[meta.helm.sh/release-name]\n" in shown
    assert "    ~ metadata.managedFields: helm becomes kustomize-controller\n" in shown
    assert "owner=helm,name=shop in namespace apps" in shown
    assert shown.endswith("Nothing was written. --write does it; no spec changes and nothing restarts.\n")


def test_what_is_adopted_is_ours_and_the_next_deploy_makes_it_as_git_has_it(others: Bench):
    told = others.run("adopt", "--write", "-o", "json")
    assert document(told, "adopt")["written"] is True
    for name in ("plain", "released"):
        found = live(others, name)
        assert found["data"] == {"key": "value", "extra": "by hand"}, "nothing but metadata changes"
        assert not found["metadata"].get("annotations")
        assert not found["metadata"].get("labels")
        assert {e["manager"] for e in found["metadata"]["managedFields"]} == {"kustomize-controller"}
    assert live(others, "not-in-git")["metadata"]["annotations"] == HELM

    others.repository.write("app/all.yaml", *(config_map(others, n) for n in ("mine", "plain", "released")))
    others.repository.commit()
    others.reconcile()
    assert live(others, "plain")["data"] == {"key": "value"}, "what Git lacks went with the next apply"
    others.repository.write("app/all.yaml", config_map(others, "mine"))
    others.repository.commit()
    done = others.reconcile("--prune-limit", "10,100%")
    assert done.changes("app")["ConfigMap/released"] == "deleted"
    assert others.config_maps() == {"mine", "elsewhere", "not-in-git"}


def test_one_kind_of_origin_alone(others: Bench):
    told = others.run("adopt", "--from", "helm", "-o", "json")
    (app,) = document(told, "adopt")["kustomizations"]
    assert [each["ref"]["name"] for each in app["objects"]] == ["released"]
    assert told.code == 0


def test_flux_is_adopted_by_writing_its_inventories_down(flux: Bench):
    run_by_flux(flux)
    before = {name: live(flux, name) for name in ("kept", "stale", "orphan")}
    told = flux.run("adopt", "--from", "flux", "--write", "-o", "json")
    assert told.code == 0, told.stderr
    found = {each["name"]: each for each in document(told, "adopt")["kustomizations"]}
    assert [ref["name"] for ref in found["app"]["inventory"]] == ["kept", "stale"]
    assert {name: live(flux, name) for name in before} == before
    again = flux.run("adopt", "--from", "flux", "-o", "json")
    assert [k for k in again.json["kustomizations"] if k["name"] == "app"] == []


def test_flux_gets_everything_back(flux: Bench):
    run_by_flux(flux)
    flux.reconcile()
    flux.api.request("PATCH", fluxed.path(flux, "app"), {"spec": {"suspend": True}}, MERGE)
    before = live(flux, "kept")
    writes = flux.writes()
    shown = flux.run("release", "--root", flux.root, "--resume")
    assert shown.code == 0, shown.stderr
    assert f"  {flux.namespace}/app: 1 object, spec.suspend becomes false\n" in shown.stdout
    assert f"  Lease/{flux.namespace}/kustodian-fleet\n" in shown.stdout
    assert flux.writes() == writes

    done = flux.run("release", "--root", flux.root, "--resume", "--write", "-o", "json")

    assert done.code == 0, done.stderr
    assert document(done, "release")["written"] is True
    for kind in ("api/v1/namespaces/{}/configmaps", "apis/coordination.k8s.io/v1/namespaces/{}/leases"):
        items = flux.get("/" + kind.format(flux.namespace))["items"]
        assert [i for i in items if i["metadata"]["name"].startswith("kustodian")] == []
    assert flux.get(f"/api/v1/namespaces/{flux.namespace}/secrets/kustodian") is None
    app = fluxed.live(flux, "app")
    assert app["spec"]["suspend"] is False
    assert app["status"]["inventory"]["entries"] == [{"id": f"{flux.namespace}_kept__ConfigMap", "v": "v1"}]
    ready = condition(app["status"], "Ready")
    assert ready is not None
    assert ready["status"] == "True"
    assert live(flux, "kept") == before


def test_what_flux_could_not_look_after_is_not_released(world: Bench):
    world.repository.write("clusters/test/all.yaml", kustomization(world, "app", "app"))
    world.repository.write("app/cm.yaml", config_map(world, "app"))
    world.repository.commit()
    world.reconcile()
    refused = world.run("release", "--root", world.root, "--write")
    assert refused.code == 6
    assert "does not serve Flux's Kustomizations" in refused.stderr
    unknown = world.run("release", "--root", "nowhere/none")
    assert unknown.code == 2
    assert "nowhere/none is not on record" in unknown.stderr
