"""Drift on a real API server: found, blamed on whoever did it, and corrected as a deploy would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import runner.report
from tests.cluster import wait_until
from tests.cluster.api import APPLY, MERGE
from tests.e2e.harness import Bench, Result, config_map, deployment, kustomization

SCHEMA = Path(runner.report.__file__).parent / "schemas/drift.json"

pytestmark = pytest.mark.cluster


@pytest.fixture
def fleet(world: Bench) -> Bench:
    """Two Kustomizations with objects of several kinds, deployed."""
    write = world.repository.write
    write("clusters/test/app.yaml", kustomization(world, "app", "app"))
    write("clusters/test/web.yaml", kustomization(world, "web", "web"))
    for name in ("one", "two", "three", "four"):
        write(f"app/{name}.yaml", config_map(world, name))
    write("web/server.yaml", deployment(world, "server", replicas=0))
    write("web/service.yaml", service(world))
    write("web/secret.yaml", secret(world))
    world.repository.commit()
    world.reconcile()
    return world


def service(world: Bench) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80}, {"name": "metrics", "port": 9090}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "server", "namespace": world.namespace},
        "spec": {"selector": {"app": "server"}, "ports": ports},
    }


def secret(world: Bench) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "key", "namespace": world.namespace},
        "stringData": {"password": "correct-horse"},
    }


def where(world: Bench, kind: str, name: str) -> str:
    roots = {
        "deployments": "/apis/apps/v1",
        "horizontalpodautoscalers": "/apis/autoscaling/v2",
        "jobs": "/apis/batch/v1",
    }
    return f"{roots.get(kind, '/api/v1')}/namespaces/{world.namespace}/{kind}/{name}"


def edit(
    world: Bench, kind: str, name: str, patch: Any, manager: str = "kubectl-edit", sub: str = ""
) -> None:
    """Change an object by hand, as somebody's tool would."""
    path = where(world, kind, name) + (f"/{sub}" if sub else "")
    answer = world.api.request("PATCH", f"{path}?fieldManager={manager}", patch, MERGE)
    assert answer.status == 200, answer.body


def drift(world: Bench, *arguments: str, code: int = 0) -> Result:
    result = world.run("drift", "-o", "json", *arguments)
    assert result.code == code, f"exit code {result.code}\n{result.stdout}\n{result.stderr}"
    jsonschema.validate(result.json, json.loads(SCHEMA.read_text()))
    return result


def objects(result: Result) -> dict[str, Any]:
    """What is told of each object, by `Kind/name`."""
    return {
        f"{each['ref']['kind']}/{each['ref']['name']}": each
        for k in result.json["drifted"]
        for each in k["objects"]
    }


def blamed(told: dict[str, Any]) -> dict[str, str | None]:
    return {field["path"]: field["manager"] for field in told["fields"]}


def live(world: Bench, kind: str, name: str) -> dict[str, Any]:
    return dict(world.get(where(world, kind, name)))


def test_a_clean_cluster_has_no_drift_and_costs_a_few_reads_for_each_kind(fleet: Bench):
    settled(fleet)
    before = fleet.writes()
    for _ in range(2):
        found = drift(fleet, "--exit-code")
        assert found.json["drifted"] == []
        assert found.json["checked"] == 3
        assert found.json["requests"]["DRYRUN"] == 0
    assert fleet.writes() == before


def settled(world: Bench) -> None:
    """Until every object is proven: rules that others changed a moment ago prove nothing yet."""

    def proven() -> bool:
        world.reconcile()
        return drift(world).json["requests"]["DRYRUN"] == 0

    wait_until(proven, "every object is proven", seconds=120)


def test_what_people_do_is_found_blamed_and_corrected(fleet: Bench):
    edit(fleet, "configmaps", "one", {"data": {"key": "by hand"}})
    edit(fleet, "configmaps", "two", {"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": None}}})
    edit(fleet, "deployments", "server", {"spec": {"replicas": 3}}, "kubectl", "scale")
    image = {"name": "app", "image": "registry.example/app:2"}
    answer = fleet.api.request(
        "PATCH",
        f"{where(fleet, 'deployments', 'server')}?fieldManager=kubectl-set",
        {"spec": {"template": {"spec": {"containers": [image]}}}},
        "application/strategic-merge-patch+json",
    )
    assert answer.status == 200
    fleet.api.request("DELETE", where(fleet, "configmaps", "three"))
    forced = config_map(fleet, "four", key="forced")
    path = f"{where(fleet, 'configmaps', 'four')}?fieldManager=another&force=true"
    assert fleet.api.request("PATCH", path, forced, APPLY).status == 200
    edit(fleet, "secrets", "key", {"data": {"password": "d3Jvbmctb25l"}}, "somebody")

    found = drift(fleet, "--exit-code", code=5)

    told = objects(found)
    assert {name: each["kind"] for name, each in told.items()} == {
        "ConfigMap/one": "changed",
        "ConfigMap/two": "changed",
        "ConfigMap/three": "deleted",
        "ConfigMap/four": "changed",
        "Deployment/server": "changed",
        "Secret/key": "changed",
    }
    assert blamed(told["ConfigMap/one"]) == {"data.key": "kubectl-edit"}
    assert blamed(told["ConfigMap/two"]) == {'metadata.labels["kustomize.toolkit.fluxcd.io/name"]': None}
    assert blamed(told["ConfigMap/four"]) == {"data.key": "another"}
    assert blamed(told["Deployment/server"]) == {
        "spec.replicas": "kubectl",
        "spec.template.spec.containers[name=app].image": "kubectl-set",
    }
    scaled = told["Deployment/server"]["fields"][0]
    assert (scaled["want"], scaled["live"], scaled["subresource"]) == (0, 3, "scale")
    assert told["Deployment/server"]["fields"][1]["time"]
    assert told["ConfigMap/one"]["toWanted"] == [{"op": "replace", "path": "/data/key", "value": "value"}]
    assert told["ConfigMap/one"]["toLive"] == [{"op": "replace", "path": "/data/key", "value": "by hand"}]
    assert (told["ConfigMap/one"]["file"], told["ConfigMap/one"]["line"]) == ("app/one.yaml", 1)
    assert told["Secret/key"]["toWanted"] is None
    for hidden in ("correct-horse", "wrong-one", "d3Jvbmctb25l", "Y29ycmVjdC1ob3JzZQ"):
        assert (
            hidden
            not in found.stdout + fleet.run("drift").stdout + fleet.run("drift", "-o", "markdown").stdout
        )

    mended = drift(fleet, "--policy", "correct", "--exit-code")

    assert len(mended.json["corrected"]) == 6
    assert live(fleet, "configmaps", "one")["data"] == {"key": "value"}
    assert live(fleet, "configmaps", "four")["data"] == {"key": "value"}
    assert live(fleet, "configmaps", "two")["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"] == "app"
    assert live(fleet, "secrets", "key")["data"]["password"] == "Y29ycmVjdC1ob3JzZQ=="
    server = live(fleet, "deployments", "server")["spec"]
    assert (server["replicas"], server["template"]["spec"]["containers"][0]["image"]) == (
        0,
        "registry.example/app:1",
    )
    assert drift(fleet, "--exit-code").json["drifted"] == []


@pytest.mark.parametrize("manager", ["kubectl-edit", "somebody"])
def test_a_port_that_was_changed_by_hand_is_put_back(fleet: Bench, manager: str):
    ports = [{"name": "http", "port": 81}, {"name": "metrics", "port": 9090}]
    edit(fleet, "services", "server", {"spec": {"ports": ports}}, manager)
    path = f"{where(fleet, 'services', 'server')}?fieldManager=kustomize-controller&force=true&dryRun=All"
    refused = fleet.api.request("PATCH", path, service(fleet), APPLY)
    assert "Duplicate value" in str(refused.body)

    (told,) = objects(drift(fleet)).values()
    assert told["kind"] == "changed"
    assert manager in blamed(told).values()
    drift(fleet, "--policy", "correct")

    found = live(fleet, "services", "server")["spec"]["ports"]
    assert [(each["name"], each["port"]) for each in found] == [("http", 80), ("metrics", 9090)]
    assert drift(fleet, "--exit-code").json["drifted"] == []


def test_beside_a_deploy_nothing_of_either_is_lost(fleet: Bench):
    for number in range(3):
        edit(fleet, "configmaps", "one", {"data": {"key": f"by hand {number}"}})
        fleet.repository.write("app/two.yaml", config_map(fleet, "two", key=f"new {number}"))
        fleet.repository.commit()

        both = [fleet.start("drift", "--policy", "correct"), fleet.start("reconcile")]
        said = [each.communicate(timeout=120) for each in both]

        codes = [each.returncode for each in both]
        assert codes[0] in {0, 7}, said[0]  # 7: the deploy was first
        assert codes[1] == 0, said[1]
        assert live(fleet, "configmaps", "two")["data"] == {"key": f"new {number}"}
        assert live(fleet, "configmaps", "one")["data"] == {"key": "value"}
        found = drift(fleet, "--exit-code").json
        assert (found["drifted"], found["pending"]) == ([], [])


def test_what_was_never_deployed_has_not_drifted(world: Bench):
    world.repository.write("clusters/test/one.yaml", config_map(world, "one"))
    world.repository.commit()
    result = world.run("drift")
    assert result.code == 2
    assert "nothing of this entry is deployed yet" in result.stderr


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--worktree"], "--worktree: drift is told"),
        (["--policy", "mend"], "--policy: 'mend' is not report,"),
        (["--heal", "x"], "heal: 'x' is none of"),
    ],
)
def test_what_is_wrong_is_said(world: Bench, flags: list[str], told: str):
    result = world.run("drift", *flags)
    assert result.code == 2
    assert told in result.stderr
