"""What people look at, against a real API server."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster import wait_until
from tests.e2e.harness import Bench, config_map, deployment, kustomization

pytestmark = pytest.mark.cluster


def one(world: Bench, **spec: object) -> None:
    world.repository.write("clusters/test/all.yaml", kustomization(world, "app", "app", **spec))
    world.repository.write("app/cm.yaml", config_map(world, "app"))
    world.repository.commit("Add the app")


@contextmanager
def following(world: Bench, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A command that goes on until it is interrupted, and the lines it has printed so far."""
    lines: list[str] = []
    with world.start(*arguments) as process:
        assert process.stdout is not None
        reader = threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")))
        reader.start()
        try:
            yield process, lines
        finally:
            process.kill()
            reader.join()


def lists(world: Bench) -> int:
    """How often ConfigMaps were listed so far; one list comes in chunks where there are many records."""
    asked = [each["requestURI"] for each in world.events() if each["verb"] == "list"]
    return sum("/configmaps?" in uri and "continue=" not in uri for uri in asked)


def test_get_watch_prints_a_row_for_each_change_and_polls_nothing(world: Bench):
    one(world)
    world.reconcile()
    before = lists(world)
    with following(world, "get", "-n", world.namespace, "--watch") as (process, lines):
        wait_until(lambda: len(lines) >= 3, "the table")
        assert lines[0].split() == ["NAMESPACE", "NAME", "STATE", "REVISION", "OBJECTS", "CHANGED", "MESSAGE"]
        world.run("pause", "-n", world.namespace, "app", "--by", "ada")
        wait_until(lambda: len(lines) >= 4, "a row for what changed")
        assert lines[3].split()[:4] == [world.namespace, "app", "ready", "(paused)"]
        world.api.request("DELETE", f"/api/v1/namespaces/{world.namespace}/configmaps/kustodian-app")
        wait_until(lambda: len(lines) >= 5, "a row for what is gone")
        assert lines[4].split() == [world.namespace, "app", "gone"]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr is not None
        assert process.stderr.read().strip() == ""
    assert lists(world) == before + 1


def test_get_watch_draws_the_table_again_on_a_terminal(world: Bench):
    one(world)
    world.reconcile()
    ours, theirs = pty.openpty()
    command = world.command("get", "-n", world.namespace, "--watch")
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, env=environment) as process:
        os.close(theirs)
        shown = bytearray()

        def says(text: bytes) -> bool:
            shown.extend(os.read(ours, 65536))
            return text in shown

        wait_until(lambda: says(b"Applied revision"), "the table")
        world.run("pause", "-n", world.namespace, "app", "--by", "ada")
        wait_until(lambda: says(b"paused by ada"), "the table, drawn again")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    os.close(ours)


def test_get_of_a_name_that_is_not_on_record(world: Bench):
    refused = world.run("get", "-n", world.namespace, "nothing")
    assert refused.code == 2
    assert f"Kustomization {world.namespace}/nothing is not on record" in refused.stderr
    assert world.run("get", "--watch", "-o", "json").code == 2


def test_tree_live_shows_states_and_healths(world: Bench):
    one(world)
    web = deployment(world, "web")
    web["spec"]["template"]["spec"]["schedulerName"] = "nobody"
    world.repository.write("app/web.yaml", web)
    world.repository.commit()
    world.reconcile()
    secret = {"apiVersion": "v1", "kind": "Secret", "stringData": {"password": "correct-horse"}}
    secret["metadata"] = {"name": "db", "namespace": world.namespace}
    world.repository.write("app/secret.yaml", secret)
    world.repository.commit()

    told = world.run("tree", "--live", "-o", "json")
    shown = world.run("tree", "--live")

    app = told.of("app")
    assert app["state"] == "ready"
    assert {each["ref"]["kind"]: each["status"] for each in app["health"]} == {
        "ConfigMap": "Current",
        "Deployment": "InProgress",
        "Secret": "NotFound",
    }
    assert told.of("fleet")["health"] == [], "its objects are virtual: Flux is not installed"
    assert f"● Deployment/{world.namespace}/web  InProgress: " in shown.stdout
    assert f"✗ Secret/{world.namespace}/db  NotFound" in shown.stdout
    assert f"✓ ConfigMap/{world.namespace}/app  Current" in shown.stdout
    offline = world.run("tree", "-o", "json").of("app")
    assert (offline["state"], offline["health"]) == (None, None)


def test_trace_leads_from_an_object_to_its_commit(world: Bench):
    one(world)
    world.reconcile()
    late = config_map(world, "late")
    world.repository.write("app/cm.yaml", config_map(world, "app"), late)
    world.repository.commit("Add another one")
    world.reconcile()
    name = f"ConfigMap/{world.namespace}"

    old, new = (world.run("trace", f"{name}/{each}", "-o", "json").json for each in ("app", "late"))

    assert new["kustomization"] == {"namespace": world.namespace, "name": "app"}
    assert new["parents"] == [world.root]
    assert (new["file"], new["line"], new["exists"], new["notes"]) == ("app/cm.yaml", 9, True, [])
    assert (old["commit"]["subject"], new["commit"]["subject"]) == ("Add the app", "Add another one")
    assert new["commit"]["id"] == world.repository.git("rev-parse", "HEAD")
    shown = world.run("trace", f"cm/{world.namespace}/app")
    assert shown.code == 2, "no short names: they are not in what discovery tells"
    assert "app/cm.yaml:1" in world.run("trace", f"configmaps/{world.namespace}/app").stdout


def test_trace_says_when_labels_and_inventory_disagree(world: Bench):
    one(world)
    world.reconcile()
    path = f"/api/v1/namespaces/{world.namespace}/configmaps/app"
    labels = {"kustomize.toolkit.fluxcd.io/name": "other", "kustomize.toolkit.fluxcd.io/namespace": "x"}
    patch = {"metadata": {"labels": labels}}
    world.api.request("PATCH", path, patch, "application/merge-patch+json")
    told = world.run("trace", f"ConfigMap/{world.namespace}/app", "-o", "json").json
    assert told["kustomization"]["name"] == "app"
    owner = f"{world.namespace}/app"
    assert told["notes"] == [f"its labels name x/other, but it is in the inventory of {owner}"]
    stranger = world.run("trace", f"ConfigMap/{world.namespace}/kube-root-ca.crt", "-o", "json").json
    assert (stranger["kustomization"], stranger["file"]) == (None, None)
    nothing = world.run("trace", f"ConfigMap/{world.namespace}/nothing")
    assert nothing.code == 2
    assert "is not in the cluster, in no Kustomization's inventory" in nothing.stderr


def test_events_of_what_a_kustomization_owns(world: Bench):
    """Of the Kustomization, the Deployment, its ReplicaSet and its Pod; of no stranger."""
    one(world)
    web = deployment(world, "web")
    web["spec"]["template"]["spec"]["nodeSelector"] = {"no": "such-node"}
    world.repository.write("app/web.yaml", web)
    world.repository.commit()
    world.reconcile()
    stranger = deployment(world, "stranger")
    world.api.request("POST", f"/apis/apps/v1/namespaces/{world.namespace}/deployments", stranger)

    def told() -> list[dict[str, str]]:
        shown = world.run("events", "-n", world.namespace, "app", "-o", "json").json["events"]
        return shown if "FailedScheduling" in {each["reason"] for each in shown} else []

    found = wait_until(told, "the scheduler said what is wrong")
    about = {(each["ref"]["kind"], each["reason"]) for each in found}
    assert ("ConfigMap", "ReconciliationSucceeded") in about, "our own, about the record"
    assert {("Deployment", "ScalingReplicaSet"), ("ReplicaSet", "SuccessfulCreate")} <= about
    assert "stranger" not in str(found)
    ours = [each["reason"] for each in found if each["source"] == "kustodian"]
    assert ours == ["Progressing", "ReconciliationSucceeded"], "in their order within one second"
    assert [each["lastSeen"] for each in found] == sorted(each["lastSeen"] for each in found)
    assert "not shown)\n" in world.run("events", "-n", world.namespace, "--limit", "1").stdout
    assert world.run("events", "-n", world.namespace, "nothing").code == 2


def test_events_watch_prints_what_happens_to_objects_that_came_later(world: Bench):
    one(world)
    world.reconcile()
    with following(world, "events", "-n", world.namespace, "--watch") as (process, lines):
        wait_until(lambda: any("ReconciliationSucceeded" in line for line in lines), "what was")
        world.repository.write("app/late.yaml", deployment(world, "late"))
        world.repository.commit()
        world.reconcile()
        wait_until(lambda: any("ReplicaSet/" in line and "late-" in line for line in lines), "what is new")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
