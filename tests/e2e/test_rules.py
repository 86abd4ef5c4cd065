"""Rules of Flux and of our own that need a whole run to be seen."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster import ControlPlane, wait_until
from tests.cluster.api import MERGE
from tests.e2e.harness import Bench, bench, config_map, deployment, kustomization
from tests.integration.faults import FaultyProxy

pytestmark = pytest.mark.cluster
BROKEN = "registry.example/broken:1"
FLUX = "kustomize.toolkit.fluxcd.io"


def crd(group: str, kind: str, plural: str) -> dict:
    """A definition that takes whatever Flux's would."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def path(world: Bench, name: str) -> str:
    return f"/api/v1/namespaces/{world.namespace}/configmaps/{name}"


def simple(world: Bench, *names: str, **spec: object) -> None:
    world.repository.write("clusters/test/all.yaml", *(kustomization(world, n, n, **spec) for n in names))
    for name in names:
        world.repository.write(f"{name}/{name}.yaml", config_map(world, name))
    world.repository.commit()


def test_children_are_discovered_two_levels_down(world: Bench):
    simple(world, "parent")
    world.repository.write("parent/child.yaml", kustomization(world, "child", "child"))
    world.repository.write("child/cm.yaml", config_map(world, "grandchild"))
    world.repository.commit()
    result = world.reconcile()
    assert set(result.states) == {"fleet", "parent", "child"}
    assert world.config_maps() == {"parent", "grandchild"}
    assert result.of("child")["waitedFor"] == [f"{world.namespace}/parent"]


def test_a_waiting_parent_is_ready_after_its_children(world: Bench):
    simple(world, "parent", wait=True)
    world.repository.write("parent/child.yaml", kustomization(world, "child", "child", wait=True))
    world.repository.write("child/web.yaml", deployment(world, "web"))
    world.repository.commit()
    result = world.reconcile()
    assert result.of("child")["readyAt"] <= result.of("parent")["readyAt"]

    world.repository.write("child/web.yaml", deployment(world, "web", image=BROKEN))
    world.repository.write(
        "parent/child.yaml", kustomization(world, "child", "child", wait=True, timeout="2s")
    )
    world.repository.commit()
    broken = world.reconcile(code=1)
    assert broken.states == {"fleet": "ready", "parent": "failed", "child": "failed"}
    assert f"Kustomization/{world.namespace}/child" in broken.of("parent")["error"]


def test_a_suspended_kustomization_is_left_alone_and_its_children_go_on(world: Bench):
    simple(world, "parent")
    world.repository.write("parent/child.yaml", kustomization(world, "child", "child"))
    world.repository.write("child/cm.yaml", config_map(world, "child"))
    world.repository.commit()
    world.reconcile()
    world.repository.write("clusters/test/all.yaml", kustomization(world, "parent", "parent", suspend=True))
    world.repository.write("child/cm.yaml", config_map(world, "child", key="new"))
    world.repository.remove("parent/parent.yaml")
    world.repository.commit()

    result = world.reconcile()

    assert result.states == {"fleet": "ready", "parent": "suspended", "child": "ready"}
    assert "parent" in world.config_maps(), "a suspended Kustomization prunes nothing"
    assert world.get(path(world, "child"))["data"] == {"key": "new"}


def test_a_suspended_kustomization_waits_for_nothing_that_fails(world: Bench):
    base, app = (kustomization(world, name, name) for name in ("base", "app"))
    app["spec"]["dependsOn"] = [{"name": "base"}]
    after = kustomization(world, "after", "after", dependsOn=[{"name": "app"}])
    for name in ("base", "app", "after"):
        world.repository.write(f"{name}/cm.yaml", config_map(world, name))
    world.repository.write("clusters/test/all.yaml", base, app, after)
    world.repository.commit()
    world.reconcile()
    unserved = {"apiVersion": "example.com/v1", "kind": "Nothing", "metadata": {"name": "nothing"}}
    world.repository.write("base/nothing.yaml", unserved)
    for name in ("app", "after"):
        world.repository.write(f"{name}/cm.yaml", config_map(world, name, key="new"))
    world.repository.commit()
    ready = {"fleet": "ready", "base": "failed"}
    assert world.reconcile("--dry-run", code=1).states == {**ready, "app": "blocked", "after": "blocked"}

    app["spec"]["suspend"] = True
    world.repository.write("clusters/test/all.yaml", base, app, after)
    world.repository.commit()
    ended = {**ready, "app": "suspended", "after": "ready"}
    assert world.reconcile("--dry-run", code=1).states == ended
    assert world.reconcile(code=1).states == ended
    assert world.get(path(world, "app"))["data"] == {"key": "value"}
    assert world.get(path(world, "after"))["data"] == {"key": "new"}, "as if what it depends on was ready"
    assert world.run("get", "-n", world.namespace, "-o", "json").of("app")["state"] == "ready"


def test_prune_false_leaves_what_is_gone_from_git(world: Bench):
    simple(world, "app", prune=False)
    world.repository.write("app/second.yaml", config_map(world, "second"))
    world.repository.commit()
    world.reconcile()
    world.repository.remove("app/second.yaml")
    world.repository.commit()
    result = world.reconcile()
    assert "second" in world.config_maps()
    assert result.changes("app")["ConfigMap/second"] == "skipped"


def test_a_run_for_one_name_changes_that_one_only(world: Bench):
    simple(world, "one", "two")
    world.reconcile()
    for name in ("one", "two"):
        world.repository.write(f"{name}/{name}.yaml", config_map(world, name, key="new"))
    world.repository.commit()
    result = world.reconcile("two")
    assert result.states == {"fleet": "skipped", "one": "skipped", "two": "ready"}
    assert world.get(path(world, "one"))["data"] == {"key": "value"}
    assert world.get(path(world, "two"))["data"] == {"key": "new"}


def test_missing_variables_fail_strictly_and_are_all_named(world: Bench):
    simple(world, "app", postBuild={"substitute": {"present": "x"}})
    world.repository.write(
        "app/app.yaml", config_map(world, "app", a="${absent}", b="${gone}", c="${present}")
    )
    world.repository.commit()
    error = world.reconcile(code=1).of("app")["error"]
    assert '"absent"' in error
    assert '"gone"' in error
    assert "$.data.a" in error


def test_an_optional_source_may_be_missing(world: Bench):
    simple(
        world,
        "app",
        postBuild={
            "substitute": {"set": "x"},
            "substituteFrom": [{"kind": "Secret", "name": "nowhere", "optional": True}],
        },
    )
    world.repository.write("app/app.yaml", config_map(world, "app", a="${absent:=default} ${set}"))
    world.repository.commit()
    world.reconcile()
    assert world.get(path(world, "app"))["data"] == {"a": "default x"}


def test_a_required_source_that_is_missing_is_named(world: Bench):
    simple(world, "app", postBuild={"substituteFrom": [{"kind": "ConfigMap", "name": "nowhere"}]})
    error = world.reconcile(code=1).of("app")["error"]
    assert "substitute from 'ConfigMap/nowhere' error" in error


def test_a_secret_that_appears_during_the_run_is_read_when_it_is_needed(world: Bench):
    """Made by an operator, say: first becomes healthy only after the Secret is there."""
    check = {"apiVersion": "v1", "kind": "ConfigMap", "name": "signal", "namespace": world.namespace}
    world.repository.write(
        "clusters/test/all.yaml",
        kustomization(world, "first", "first", healthChecks=[check], timeout="30s"),
        kustomization(
            world,
            "second",
            "second",
            dependsOn=[{"name": "first"}],
            postBuild={"substituteFrom": [{"kind": "Secret", "name": "late"}]},
        ),
    )
    world.repository.write("first/cm.yaml", config_map(world, "first"))
    world.repository.write("second/cm.yaml", config_map(world, "second", user="${user}"))
    world.repository.commit()

    def operate() -> None:
        wait_until(lambda: world.get(path(world, "first")), "first is applied")
        collection = f"/api/v1/namespaces/{world.namespace}"
        secret = {"metadata": {"name": "late"}, "stringData": {"user": "made-late"}}
        world.api.request("POST", f"{collection}/secrets", {"apiVersion": "v1", "kind": "Secret", **secret})
        world.api.request("POST", f"{collection}/configmaps", config_map(world, "signal"))

    operator = threading.Thread(target=operate)
    operator.start()
    result = world.reconcile()
    operator.join()
    assert result.states == {"fleet": "ready", "first": "ready", "second": "ready"}
    assert world.get(path(world, "second"))["data"] == {"user": "made-late"}


def test_a_dry_run_takes_values_that_the_cluster_will_have_from_a_file(world: Bench, tmp_path: Path):
    vars_ = {"kind": "Secret", "name": "vars"}
    simple(world, "app", postBuild={"substituteFrom": [vars_], "substitute": {"size": "inline"}})
    world.repository.write("app/app.yaml", config_map(world, "app", user="${user}", size="${size}"))
    world.repository.commit()
    values = tmp_path / "values.yaml"
    meta = {"name": "vars", "namespace": world.namespace}
    stand_in = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"user": "s3cret-user"}}
    values.write_text(json.dumps(stand_in))
    without = world.reconcile("--dry-run")
    assert [change["action"] for change in without.of("app")["changes"]] == ["unknown"]
    result = world.reconcile("--dry-run", "--values", str(values))
    assert [change["action"] for change in result.of("app")["changes"]] == ["created"]
    assert "s3cret-user" not in result.stdout + result.stderr
    assert world.reconcile("--values", str(values), code=2).stdout == ""


def test_secret_values_reach_no_output_and_no_record(world: Bench):
    canary = "c4nary-of-a-s3cret"
    world.repository.write(
        "clusters/test/all.yaml",
        kustomization(
            world,
            "app",
            "app",
            postBuild={"substituteFrom": [{"kind": "Secret", "name": "vars"}]},
            wait=True,
            timeout="2s",
        ),
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "vars", "namespace": world.namespace},
            "stringData": {"password": canary},
        },
    )
    broken = deployment(world, "web", image=BROKEN)
    broken["metadata"]["annotations"] = {"note": "${password}"}
    bad = config_map(world, "app", key="${password}")
    world.repository.write("app/app.yaml", bad, broken)
    world.repository.commit()
    outputs = [
        world.run("build", "-o", "yaml"),
        world.run("build", "-o", "json"),
        world.run("tree", "-o", "json"),
        world.run("reconcile", "--dry-run"),
        world.run("reconcile"),
        world.run("reconcile", "-o", "json"),
        world.run("get", "-o", "json"),
    ]
    assert world.get(path(world, "app"))["data"] == {"key": canary}
    world.repository.write("app/app.yaml", {**bad, "metadata": {**bad["metadata"], "name": "${password}_"}})
    world.repository.commit()
    outputs.append(world.run("reconcile"))
    assert outputs[-1].code == 1
    for result in outputs:
        assert canary not in result.stdout + result.stderr
    for item in world.api.get(f"/api/v1/namespaces/{world.namespace}/configmaps").body["items"]:
        if item["metadata"]["name"].startswith("kustodian-"):
            from runner import state

            assert canary not in repr(state.decode(item))


def test_a_dry_run_reads_no_secret(world: Bench):
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "mine", "namespace": world.namespace},
        "stringData": {"k": "v"},
    }
    simple(world, "app")
    world.repository.write("app/secret.yaml", secret)
    world.repository.commit()
    world.reconcile()
    world.repository.remove("app/secret.yaml")
    world.repository.commit()
    before = len(world.events())

    dry = world.reconcile("--dry-run")

    assert dry.changes("app")["Secret/mine"] == "deleted"
    read = [e for e in world.events()[before:] if "/secrets/" in e["requestURI"].partition("?")[0]]
    assert read == []


def test_a_watch_that_is_cut_changes_nothing(world: Bench, tmp_path: Path):
    world.repository.write(
        "clusters/test/all.yaml", kustomization(world, "app", "app", wait=True, timeout="30s")
    )
    world.repository.write("app/web.yaml", deployment(world, "web", image=BROKEN))
    world.repository.commit()
    with FaultyProxy(world.kubeconfig) as proxy:
        run = world.start("reconcile", kubeconfig=proxy.kubeconfig(tmp_path))
        assert run.stderr is not None
        next(line for line in run.stderr if "waiting for Deployment" in line)
        proxy.cut_all()
        fixed = {"spec": {"template": {"spec": deployment(world, "web")["spec"]["template"]["spec"]}}}
        target = f"/apis/apps/v1/namespaces/{world.namespace}/deployments/web"
        assert world.api.request("PATCH", target, fixed, MERGE).status == 200
        proxy.cut_all()
        stdout, stderr = run.communicate(timeout=60)
    assert run.returncode == 0, stdout + stderr


def test_a_definition_and_its_object_in_one_kustomization(world: Bench):
    group = f"{world.namespace}.example"
    simple(world, "app")
    thing = {
        "apiVersion": f"{group}/v1",
        "kind": "Thing",
        "metadata": {"name": "t", "namespace": world.namespace},
        "spec": {"a": 1},
    }
    world.repository.write("app/app.yaml", crd(group, "Thing", "things"), thing)
    world.repository.commit()
    result = world.reconcile()
    assert result.changes("app") == {
        f"CustomResourceDefinition/things.{group}": "created",
        "Thing/t": "created",
    }

    world.repository.write("app/app.yaml", config_map(world, "app"))
    world.repository.commit()
    pruned = world.reconcile()
    assert pruned.changes("app")["Thing/t"] == "deleted"
    assert world.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.{group}") is None


def test_a_namespace_that_still_holds_something_is_not_pruned(world: Bench):
    name = f"{world.namespace}-extra"
    simple(world, "app")
    world.repository.write(
        "app/namespace.yaml", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    )
    world.repository.commit()
    world.reconcile()
    foreign = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "precious"}}
    assert world.api.request("POST", f"/api/v1/namespaces/{name}/configmaps", foreign).status == 201
    world.repository.remove("app/namespace.yaml")
    world.repository.commit()

    held = world.reconcile(code=6)

    assert f"Namespace/{name} still holds ConfigMap/{name}/precious" in held.json["held"][0]["reason"]
    digest = held.json["held"][0]["digest"]
    world.reconcile("--approve", digest)
    assert world.get(f"/api/v1/namespaces/{name}") is None


@pytest.fixture
def flux(fresh_control_plane: Callable[..., ControlPlane], tmp_path: Path) -> Bench:
    """A cluster that serves Flux's kinds, without a controller."""
    plane = fresh_control_plane()
    world = bench(plane, tmp_path)
    for group, kind, plural in (
        (FLUX, "Kustomization", "kustomizations"),
        ("source.toolkit.fluxcd.io", "GitRepository", "gitrepositories"),
    ):
        made = world.api.request(
            "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd(group, kind, plural)
        )
        assert made.status == 201
        wait_until(lambda g=group: world.get(f"/apis/{g}/v1"), f"{group} is served")
    return world


def test_where_flux_kinds_are_served_kustomizations_are_applied(flux: Bench):
    simple(flux, "parent", wait=True)
    flux.repository.write("parent/child.yaml", kustomization(flux, "child", "child", wait=True))
    flux.repository.write("child/cm.yaml", config_map(flux, "child"))
    flux.repository.commit()

    first = flux.reconcile()

    assert first.changes("parent")["Kustomization/child"] == "created"
    objects = f"/apis/{FLUX}/v1/namespaces/{flux.namespace}/kustomizations"
    live = flux.get(f"{objects}/child")
    assert live["metadata"]["labels"][f"{FLUX}/name"] == "parent"
    events = flux.get(f"/api/v1/namespaces/{flux.namespace}/events")["items"]
    about = {(e["involvedObject"]["kind"], e["involvedObject"]["uid"], e["reason"]) for e in events}
    assert ("Kustomization", live["metadata"]["uid"], "ReconciliationSucceeded") in about
    before = flux.writes()
    flux.reconcile()
    assert flux.writes() == before

    finalizer = {"metadata": {"finalizers": ["finalizers.fluxcd.io"]}}
    assert flux.api.request("PATCH", f"{objects}/child", finalizer, MERGE).status == 200
    flux.repository.remove("parent/child.yaml")
    flux.repository.commit()
    gone = flux.reconcile()
    assert gone.changes("child") == {"ConfigMap/child": "deleted"}
    assert flux.get(f"{objects}/child") is None, "Flux's finalizer was taken off"
    assert flux.config_maps() == {"parent"}


def test_a_live_controller_is_refused_whatever_is_asked(flux: Bench):
    simple(flux, "app")
    flux.reconcile()
    target = f"/apis/{FLUX}/v1/namespaces/{flux.namespace}/kustomizations/app"
    status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert flux.api.request("PATCH", f"{target}/status", status, MERGE).status == 200
    controller = deployment(flux, "kustomize-controller")
    controller["metadata"]["labels"] = {"app.kubernetes.io/component": "kustomize-controller"}
    deployments = f"/apis/apps/v1/namespaces/{flux.namespace}/deployments"
    flux.api.request("POST", deployments, controller)
    wait_until(
        lambda: flux.get(f"{deployments}/kustomize-controller")["status"].get("availableReplicas"),
        "the controller runs",
    )
    before = flux.writes()
    for flags in ((), ("--takeover",)):
        refused = flux.run("reconcile", *flags)
        assert refused.code == 6
        assert "is running and reconciles" in refused.stderr
    assert flux.writes() == before


def test_bootstrap_objects_are_neither_applied_nor_pruned(world: Bench):
    labels = {"app.kubernetes.io/part-of": "flux", "app.kubernetes.io/instance": "flux-system"}
    controller = config_map(world, "controller")
    controller["metadata"]["labels"] = labels
    simple(world, "app")
    world.repository.write("app/controller.yaml", controller)
    world.repository.commit()
    result = world.reconcile()
    assert result.changes("app")["ConfigMap/controller"] == "skipped"
    assert "controller" not in world.config_maps()
    assert world.reconcile("--install-flux").changes("app")["ConfigMap/controller"] == "created"
    world.repository.remove("app/controller.yaml")
    world.repository.commit()
    world.reconcile()
    assert "controller" in world.config_maps()


def test_an_object_of_another_entry_is_refused(world: Bench, tmp_path: Path):
    simple(world, "app")
    world.reconcile()
    other = bench(world.plane, tmp_path / "other")
    simple(other, "thief")
    other.repository.write("thief/thief.yaml", config_map(world, "app", stolen="yes"))
    other.repository.commit()
    refused = other.reconcile(code=1)
    assert f"belongs to Kustomization {world.namespace}/app" in refused.of("thief")["error"]
    assert world.get(path(world, "app"))["data"] == {"key": "value"}


def test_a_kustomization_found_only_while_the_run_goes_on_is_reconciled_too(world: Bench):
    """Its path comes out of a variable that only the cluster has once another one is healthy."""
    check = {"apiVersion": "v1", "kind": "ConfigMap", "name": "signal", "namespace": world.namespace}
    vars_from = {"substituteFrom": [{"kind": "ConfigMap", "name": "signal"}]}
    world.repository.write(
        "clusters/test/all.yaml",
        kustomization(world, "first", "first", healthChecks=[check], timeout="30s"),
        kustomization(world, "second", "second", dependsOn=[{"name": "first"}], postBuild=vars_from),
    )
    world.repository.write("first/cm.yaml", config_map(world, "first"))
    world.repository.write("second/child.yaml", kustomization(world, "third", "${where}"))
    world.repository.write("found/cm.yaml", config_map(world, "found"))
    world.repository.commit()

    def operate() -> None:
        wait_until(lambda: world.get(path(world, "first")), "first is applied")
        collection = f"/api/v1/namespaces/{world.namespace}/configmaps"
        world.api.request("POST", collection, config_map(world, "signal", where="found"))

    operator = threading.Thread(target=operate)
    operator.start()
    result = world.reconcile()
    operator.join()
    assert set(result.states.values()) == {"ready"}
    assert "found" in world.config_maps()
    before = world.writes()
    assert set(world.reconcile().states.values()) == {"ready"}
    assert world.writes() == before


def test_what_is_odd_about_a_kustomization_is_said_once(world: Bench):
    ns = world.namespace
    odd = [kustomization(world, name, name) for name in ("a", "b")]
    world.repository.write(
        "clusters/test/all.yaml", odd[0], odd[1] | {"apiVersion": "kustomize.toolkit.fluxcd.io/v1beta2"}
    )
    for name in ("a", "b"):
        world.repository.write(f"{name}/x.yaml", config_map(world, name))
    world.repository.commit()
    (old,) = world.reconcile().json["warnings"]
    assert "apiVersion kustomize.toolkit.fluxcd.io/v1beta2 is not served by Flux any more" in old
    assert f"({ns}/b)" in old
    for command in ("build", "tree"):
        said = world.run(command).stderr
        assert said.count(f"warning: {old}\n") == 1


def test_a_generator_in_the_spec_is_accepted_and_said(world: Bench):
    generator = {"name": "made", "literals": ["a=b"], "options": {"disableNameSuffixHash": True}}
    manifest = kustomization(world, "a", "a", targetNamespace=world.namespace, configMapGenerator=[generator])
    world.repository.write("clusters/test/all.yaml", manifest)
    world.repository.write("a/x.yaml", config_map(world, "plain"))
    world.repository.commit()
    [warning] = world.reconcile().of("a")["warnings"]
    assert "spec.configMapGenerator and spec.secretGenerator are not in Flux's API" in warning
    assert world.config_maps() == {"made", "plain"}
