"""Health and readiness by CEL, and the time that a custom resource is given, on a real control plane."""

from __future__ import annotations

import subprocess

import pytest

from tests.cluster import wait_until
from tests.cluster.api import MERGE
from tests.e2e.harness import Bench, config_map, deployment, kustomization

pytestmark = pytest.mark.cluster


@pytest.fixture
def group(world: Bench) -> str:
    """A group whose kind `Box` has a status, served by the time that it is needed."""
    name = f"{world.namespace}.example.com"
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"boxes.{name}"},
        "spec": {
            "group": name,
            "scope": "Namespaced",
            "names": {"kind": "Box", "plural": "boxes", "singular": "box"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {
                        "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                    },
                }
            ],
        },
    }
    world.api.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
    wait_until(lambda: world.get(boxes(world, name)), "the kind is served")
    return name


def boxes(world: Bench, group: str) -> str:
    return f"/apis/{group}/v1/namespaces/{world.namespace}/boxes"


def box(world: Bench, group: str, name: str = "one") -> dict:
    metadata = {"name": name, "namespace": world.namespace}
    return {"apiVersion": f"{group}/v1", "kind": "Box", "metadata": metadata, "spec": {"size": 1}}


def checked(world: Bench, group: str, **expressions: str) -> None:
    """One Kustomization with a Box, whose health these expressions tell."""
    entry = {"apiVersion": f"{group}/v1beta1", "kind": "Box", **expressions}
    spec = {"wait": True, "timeout": "60s", "healthCheckExprs": [entry]}
    world.repository.write("clusters/test/all.yaml", kustomization(world, "app", "app", **spec))
    world.repository.write("app/box.yaml", box(world, group))
    world.repository.commit()


def report(world: Bench, group: str, **status: object) -> None:
    """What the kind's controller would write, as soon as there is something to write it on."""
    path = f"{boxes(world, group)}/one"
    wait_until(lambda: world.get(path), "the Box is applied")
    world.api.request("PATCH", f"{path}/status", {"status": status}, content_type=MERGE)


def ended(world: Bench, run: subprocess.Popen[str], code: int) -> str:
    out, err = run.communicate(timeout=120)
    assert run.returncode == code, out + err
    return out


def test_an_expression_waits_until_it_is_true(world: Bench, group: str):
    checked(
        world, group, current="has(status.phase) && status.phase == 'Open'", inProgress="!has(status.phase)"
    )
    run = world.start("reconcile", "-o", "json")
    report(world, group, phase="Closed")
    report(world, group, phase="Open")
    assert '"ready"' in ended(world, run, 0)
    assert world.reconcile().of("app")["state"] == "ready"


def test_an_expression_ends_the_wait_when_it_says_that_there_is_no_hope(world: Bench, group: str):
    checked(world, group, current="status.phase == 'Open'", failed="status.?phase.orValue('') == 'Burnt'")
    run = world.start("reconcile")
    report(world, group, phase="Burnt")
    told = ended(world, run, 1)
    assert "failed early due to stalled resources" in told
    assert "failed is true: status.?phase.orValue('') == 'Burnt'" in told


def test_an_expression_without_an_answer_is_named_at_the_end(world: Bench, group: str):
    checked(world, group, current="status.phases.size() > 0")
    entry = world.repository.path / "clusters/test/all.yaml"
    entry.write_text(entry.read_text().replace("60s", "2s"))
    world.repository.commit()
    error = world.reconcile(code=1).of("app")["error"]
    assert "timeout waiting for" in error
    assert (
        "failed to evaluate the CEL expression 'status.phases.size() > 0': no such attribute(s): status"
        in error
    )


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        pytest.param(
            {"healthCheckExprs": [{"apiVersion": "a.b/v1", "kind": "C", "current": "foo."}]},
            "spec.healthCheckExprs[0].current: failed to parse the CEL expression 'foo.': <input>:1:5: ",
            id="healthCheckExprs",
        ),
        pytest.param(
            {"dependsOn": [{"name": "base", "readyExpr": "dep.status.flag"}]},
            "spec.dependsOn[0].readyExpr: CEL expression output type mismatch: expected bool, got dyn",
            id="readyExpr",
        ),
    ],
)
def test_what_does_not_compile_is_refused_before_any_write(world: Bench, spec: dict, said: str):
    world.repository.write(
        "clusters/test/all.yaml",
        kustomization(world, "base", "base"),
        kustomization(world, "app", "app", **spec),
    )
    for name in ("base", "app"):
        world.repository.write(f"{name}/cm.yaml", config_map(world, name))
    world.repository.commit()
    result = world.run("reconcile")
    assert result.code == 2
    assert f"Kustomization {world.namespace}/app: {said}" in result.stderr
    assert world.writes() == []


def lockstep(world: Bench, version: str, **spec: object) -> None:
    """Two Kustomizations of one version; the second wants the first to be of its own."""
    same = "dep.metadata.labels['version'] == self.metadata.labels['version']"
    ready = "dep.status.conditions.exists(c, c.type == 'Ready' && c.status == 'True')"
    first = kustomization(world, "first", "first", **spec)
    second = kustomization(
        world, "second", "second", dependsOn=[{"name": "first", "readyExpr": f"{same} && {ready}"}]
    )
    for each, label in ((first, "1"), (second, version)):
        each["metadata"]["labels"] = {"version": label}
    world.repository.write("clusters/test/all.yaml", first, second)
    world.repository.write("first/web.yaml", deployment(world, "web"))
    world.repository.write("second/cm.yaml", config_map(world, "second"))
    world.repository.commit()


def test_a_dependent_starts_once_its_expression_is_true(world: Bench):
    lockstep(world, "1", wait=True)
    result = world.reconcile()
    assert result.states == {"fleet": "ready", "first": "ready", "second": "ready"}
    assert result.of("second")["startedAt"] >= result.of("first")["readyAt"]


def test_a_dependent_whose_expression_is_not_true_in_the_end_is_not_applied(world: Bench):
    lockstep(world, "2")
    second = world.reconcile(code=1).of("second")
    assert (second["state"], second["blockedBy"]) == ("blocked", [f"{world.namespace}/first"])
    dependency = f"{world.namespace}/first"
    assert second["error"] == f"dependency '{dependency}' is not ready according to readyExpr eval"
    assert "second" not in world.config_maps()


def test_an_expression_replaces_flux_s_own_rule(world: Bench):
    world.repository.write(
        "clusters/test/all.yaml",
        kustomization(world, "first", "first", wait=True, timeout="2s"),
        kustomization(world, "second", "second", dependsOn=[{"name": "first", "readyExpr": "true"}]),
    )
    world.repository.write("first/web.yaml", deployment(world, "web", image="registry.example/broken:1"))
    world.repository.write("second/cm.yaml", config_map(world, "second"))
    world.repository.commit()
    assert world.reconcile(code=1).states == {"fleet": "ready", "first": "failed", "second": "ready"}


def test_a_custom_resource_without_a_status_is_given_time_once(world: Bench, group: str):
    world.repository.write("clusters/test/all.yaml", kustomization(world, "app", "app", wait=True))
    world.repository.write("app/box.yaml", box(world, group))
    world.repository.commit()
    first = world.run("reconcile", "-o", "json")
    assert first.code == 0
    assert "no controller has written a status yet" in first.stderr
    again = world.run("reconcile", "-o", "json")
    assert "no controller has written a status yet" not in again.stderr
    assert again.json["requests"]["PATCH"] == 0


def test_a_custom_resource_is_ready_when_its_status_says_so(world: Bench, group: str):
    world.repository.write("clusters/test/all.yaml", kustomization(world, "app", "app", wait=True))
    world.repository.write("app/box.yaml", box(world, group))
    world.repository.commit()
    run = world.start("reconcile", "-o", "json")
    report(world, group, conditions=[{"type": "Ready", "status": "False"}])
    report(world, group, conditions=[{"type": "Ready", "status": "True"}])
    assert '"ready"' in ended(world, run, 0)
