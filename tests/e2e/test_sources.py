"""Sources that are not the checkout, in whole runs: a real registry, a real API server, the command line."""

from __future__ import annotations

import base64
import json

import pytest

from tests.e2e.harness import Bench, config_map, kustomization
from tests.registry import Gate, registry
from tests.registry.gate import PASSWORD, USER

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def real():
    with registry() as made:
        yield made


@pytest.fixture
def fleet(world: Bench, tmp_path):
    """A repository whose one Kustomization is built from an artifact; docker knows no login here."""
    (tmp_path / "docker").mkdir()
    world.env["DOCKER_CONFIG"] = str(tmp_path / "docker")
    return world


def source(world: Bench, host: str, **spec):
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "OCIRepository",
        "metadata": {"name": "web", "namespace": world.namespace},
        "spec": {"interval": "1m", "url": f"oci://{host}/{world.namespace}/web", **spec},
    }


def write(world: Bench, host: str, *others, **spec) -> None:
    uses = kustomization(world, "web", ".", sourceRef={"kind": "OCIRepository", "name": "web"})
    world.repository.write("clusters/test/all.yaml", source(world, host, **spec), uses, *others)
    world.repository.commit()


def push(world: Bench, real, tag: str = "latest", **data: str) -> str:
    text = json.dumps(config_map(world, "web", **data))
    return real.push(f"{world.namespace}/web", tag, {"web.yaml": text})


def live(world: Bench) -> dict[str, str]:
    found = world.get(f"/api/v1/namespaces/{world.namespace}/configmaps/web")
    return found["data"] if found else {}


def name(world: Bench) -> str:
    return f"OCIRepository/{world.namespace}/web"


def test_a_tag_that_moves_is_deployed_by_the_next_run_and_pending_before(fleet: Bench, real):
    first = push(fleet, real, colour="blue")
    write(fleet, real.host)
    told = fleet.reconcile()
    assert live(fleet) == {"colour": "blue"}
    assert told.json["sources"] == [{"source": name(fleet), "revision": f"latest@{first}", "recorded": None}]

    before = len(fleet.writes())
    again = fleet.reconcile()
    assert len(fleet.writes()) == before  # nothing moved: nothing is written, not even a record
    assert again.json["sources"][0]["recorded"] == f"latest@{first}"

    second = push(fleet, real, colour="red")
    plan = fleet.run("plan", "-o", "json", "--base", "HEAD", "--allow-private-network")
    assert plan.code == 0, plan.stderr
    (pending,) = plan.json["pending"]
    assert pending["reason"] == f"{name(fleet)} moved from latest@{first} to latest@{second}"
    assert plan.json["affected"] == []
    text = fleet.run("plan", "--base", "HEAD", "--allow-private-network").stdout
    assert f"{name(fleet)}: latest@sha256:{second[7:15]} (was latest@sha256:{first[7:15]})" in text

    told = fleet.reconcile()
    assert told.changes("web") == {"ConfigMap/web": "configured"}
    assert live(fleet) == {"colour": "red"}
    moved = {"source": name(fleet), "revision": f"latest@{second}", "recorded": f"latest@{first}"}
    assert told.json["sources"] == [moved]
    before = len(fleet.writes())
    fleet.reconcile()
    assert len(fleet.writes()) == before


def test_a_tag_that_moves_and_changes_no_object_is_recorded_once(fleet: Bench, real):
    push(fleet, real, colour="blue")
    write(fleet, real.host)
    fleet.reconcile()
    files = {"web.yaml": json.dumps(config_map(fleet, "web", colour="blue")), "README.md": "new"}
    second = real.push(f"{fleet.namespace}/web", "latest", files)
    assert fleet.reconcile().changes("web") == {"ConfigMap/web": "unchanged"}
    before = len(fleet.writes())
    again = fleet.reconcile()
    assert again.json["sources"][0]["recorded"] == f"latest@{second}"
    assert len(fleet.writes()) == before


def test_a_source_that_is_suspended_stays_where_it_was(fleet: Bench, real):
    push(fleet, real, colour="blue")
    write(fleet, real.host)
    fleet.reconcile()
    push(fleet, real, colour="red")
    write(fleet, real.host, suspend=True)
    told = fleet.reconcile()
    assert live(fleet) == {"colour": "blue"}
    assert told.json["sources"][0]["revision"] == told.json["sources"][0]["recorded"]
    write(fleet, real.host, suspend=False)
    fleet.reconcile()
    assert live(fleet) == {"colour": "red"}


def test_a_registry_that_is_gone_fails_its_kustomization_and_prunes_nothing(fleet: Bench, real):
    push(fleet, real, colour="blue")
    write(fleet, real.host)
    recorded = fleet.reconcile().json["sources"][0]["revision"]
    write(fleet, "127.0.0.1:1")
    told = fleet.reconcile(code=1)
    assert told.states["web"] == "failed"
    assert "cannot be reached" in told.of("web")["error"]
    assert live(fleet) == {"colour": "blue"}
    write(fleet, real.host)
    assert fleet.reconcile().json["sources"][0]["recorded"] == recorded


def test_a_preview_stays_outside_of_private_networks_unless_told(fleet: Bench, real):
    push(fleet, real, colour="blue")
    write(fleet, real.host)
    dry = fleet.reconcile("--dry-run", code=1)
    assert "127.0.0.1 is not reached from here: it is a loopback address" in dry.of("web")["error"]
    assert "--allow-private-network" in dry.of("web")["hint"]
    assert fleet.run("build").code == 1
    assert fleet.reconcile("--dry-run", "--allow-private-network").states["web"] == "ready"
    built = fleet.run("build", "-o", "json", "--allow-private-network")
    assert built.code == 0, built.stderr
    assert "blue" in built.stdout


def test_a_login_of_the_desired_state_and_of_the_cluster(fleet: Bench, real):
    push(fleet, real, colour="blue")
    with Gate.before(real.host, login="bearer") as gate:
        auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        login = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": "login", "namespace": fleet.namespace},
            "stringData": {".dockerconfigjson": json.dumps({"auths": {gate.host: {"auth": auth}}})},
        }
        write(fleet, gate.host, login, secretRef={"name": "login"})
        told = fleet.reconcile()
        assert live(fleet) == {"colour": "blue"}

        keep = {"kustomize.toolkit.fluxcd.io/prune": "disabled"}
        login["metadata"] = {**login["metadata"], "annotations": keep}
        write(fleet, gate.host, login, secretRef={"name": "login"})
        fleet.reconcile()
        write(fleet, gate.host, secretRef={"name": "login"})  # now it is only in the cluster
        push(fleet, real, colour="red")
        dry = fleet.run("reconcile", "--dry-run", "--allow-private-network")
        assert f"Secret/{fleet.namespace}/login is needed to fetch a source" in dry.stdout
        told = fleet.reconcile()
        assert live(fleet) == {"colour": "red"}
        for each in (told.stdout, told.stderr, dry.stdout, dry.stderr):
            assert PASSWORD not in each
            assert auth not in each


def test_kustodian_yaml_maps_a_bucket(fleet: Bench):
    uses = kustomization(fleet, "web", ".", sourceRef={"kind": "Bucket", "name": "web"})
    fleet.repository.write("clusters/test/all.yaml", uses)
    fleet.repository.write("vendor/web/web.yaml", config_map(fleet, "web", colour="green"))
    fleet.repository.commit()
    told = fleet.reconcile(code=1)
    assert "a source of kind Bucket is not supported" in told.of("web")["error"]
    assert f"Bucket/{fleet.namespace}/web: ./directory" in told.of("web")["hint"]

    fleet.repository.write("kustodian.yaml", {"sources": {f"Bucket/{fleet.namespace}/web": "./vendor/web"}})
    base = fleet.repository.git("rev-parse", "HEAD")
    fleet.repository.commit()
    fleet.reconcile()
    assert live(fleet) == {"colour": "green"}
    # What a pull request says of sources counts once it is merged.
    diff = fleet.run("diff", "--base", base, "-o", "json")
    assert diff.code == 1
    assert {error["kustomization"] for error in diff.json["errors"]} == {f"{fleet.namespace}/web"}
