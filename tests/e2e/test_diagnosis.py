"""Why objects are not ready, on a real control plane: what people read, and when a wait is given up.

Pods that a kubelet would have to touch have statuses in the shapes of Kubernetes 1.37's kubelet
(pkg/kubelet/images/image_manager.go, kubelet_pods.go, kuberuntime/kuberuntime_manager.go); everything else
is said by the real API server, controllers and scheduler.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import wait_until
from tests.e2e import kubelet
from tests.e2e.harness import Bench, deployment, kustomization

pytestmark = pytest.mark.cluster
SNAPSHOT = Path(__file__).parent / "snapshots" / "diagnosis.txt"
IMAGE = "registry.example/app:1"
PASSWORD = "correct-horse-battery"
LOG = f"connecting to postgres://app:{PASSWORD}@db\npanic: no such table: grades\n"


def waiting(reason: str, message: str) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return pod_status("Pending", state)


def pod_status(phase: str, state: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    container = {"name": "app", "image": IMAGE, "imageID": "", "ready": False, "restartCount": 0, **more}
    conditions = [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}]
    return {"phase": phase, "conditions": conditions, "containerStatuses": [{**container, "state": state}]}


PULL = waiting(
    "ImagePullBackOff",
    f'Back-off pulling image "{IMAGE}": ErrImagePull: rpc error: code = NotFound desc = '
    f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": {IMAGE}: not found',
)
KEY = waiting("CreateContainerConfigError", "couldn't find key password in Secret shop/db")
INVALID = waiting(
    "InvalidImageName",
    'Failed to apply default image tag "registry.example/App:1": couldn\'t parse image name '
    '"registry.example/App:1": invalid reference format: repository name (library/App) must be lowercase',
)
CRASH = pod_status(
    "Running",
    {
        "waiting": {
            "reason": "CrashLoopBackOff",
            "message": "back-off 40s restarting failed container=app pod=crash-1_shop(1)",
        }
    },
    restartCount=3,
    lastState={"terminated": {"exitCode": 2, "reason": "Error", "containerID": "containerd://1"}},
)
ENDED = {**pod_status("Failed", {"terminated": {"exitCode": 3, "reason": "Error"}}), "conditions": []}


def by_hand(world: Bench, name: str, **pod: Any) -> dict[str, Any]:
    """A Deployment whose Pod only the test touches."""
    made = deployment(world, name, IMAGE)
    made["spec"]["template"]["spec"] |= {"schedulerName": kubelet.NOBODY, **pod}
    return made


def job(world: Bench, name: str) -> dict[str, Any]:
    containers = [{"name": "app", "image": IMAGE}]
    spec = {"restartPolicy": "Never", "schedulerName": kubelet.NOBODY, "containers": containers}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": world.namespace},
        "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": {"app": name}}, "spec": spec}},
    }


def namespace(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def elsewhere(world: Bench, name: str, where: str) -> dict[str, Any]:
    made = deployment(world, name)
    made["metadata"]["namespace"] = where
    return made


def definition(group: str, plural: str) -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object"}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": "Widget", "plural": plural},
            "scope": "Namespaced",
            "versions": [version],
        },
    }


def create(world: Bench, path: str, body: Mapping[str, Any]) -> None:
    answer = world.api.request("POST", path, body)
    assert answer.status == 201, answer.body


@pytest.fixture
def policy(world: Bench) -> Iterator[str]:
    """A policy that lets no Pod into one namespace; that namespace's name, once it is in force."""
    where, name = f"{world.namespace}-policy", f"no-pods-{world.namespace}"
    create(world, "/api/v1/namespaces", namespace(where))
    base = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    selector = {"matchLabels": {"kubernetes.io/metadata.name": where}}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    spec = {
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": selector},
        "validations": [{"expression": "false", "message": "images must come from registry.corp"}],
    }
    create(world, base, {"metadata": {"name": name}, "spec": spec})
    binding = {"policyName": name, "validationActions": ["Deny"]}
    create(world, f"{base[:-3]}ybindings", {"metadata": {"name": name}, "spec": binding})
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "app", "image": IMAGE}]}}

    def refused() -> bool:
        answer = world.api.request("POST", f"/api/v1/namespaces/{where}/pods?dryRun=All", pod)
        return bool(answer.status == 422 and "denied request" in answer.body["message"])

    wait_until(refused, "the policy is in force")
    yield where
    world.api.request("DELETE", f"{base[:-3]}ybindings/{name}")
    world.api.request("DELETE", f"{base}/{name}")


def write(world: Bench, policy: str) -> None:
    """A fleet in which everything is wrong, each in its own way."""
    repository, space = world.repository, world.namespace
    strict, tight = f"{space}-strict", f"{space}-tight"
    repository.write(
        "pods/all.yaml",
        by_hand(world, "pull"),
        by_hand(world, "crash", nodeName=f"node-{space}", containers=[{"name": "app", "image": "broken:1"}]),
        by_hand(world, "key"),
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "db", "namespace": space},
            "stringData": {"url": PASSWORD},
        },
        job(world, "migrate"),
    )
    big = deployment(world, "big")
    big["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "5k"}}
    quota = {"hard": {"pods": "0"}}
    repository.write(
        "refused/all.yaml",
        namespace(strict, **{"pod-security.kubernetes.io/enforce": "restricted"}),
        namespace(tight),
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "small", "namespace": tight},
            "spec": quota,
        },
        big,
        elsewhere(world, "policy", policy),
        elsewhere(world, "strict", strict),
        elsewhere(world, "tight", tight),
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": space},
            "spec": {
                "storageClassName": f"fast-{space}",
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "stuck", "namespace": space},
        },
    )
    repository.write("definitions/all.yaml", definition(f"{space}.example", "widgets"))


def entry(world: Bench, *, wait: bool) -> None:
    given = {"wait": wait, "timeout": "4s"}
    world.repository.write(
        "clusters/test/all.yaml",
        kustomization(world, "pods", "pods", **given),
        kustomization(world, "refused", "refused", **given),
        *([kustomization(world, "definitions", "definitions", **given)] if wait else []),
    )
    world.repository.commit()


def steady(world: Bench, text: str) -> str:
    """The text without what each run has of its own."""
    text = text.replace(world.namespace, "shop").replace(world.plane.server, "SERVER")
    text = re.sub(r"(Pod/shop/\w+)(?:-[0-9a-f]{6,10})?-[a-z0-9]{5}\b", r"\1-xxxxx", text)
    text = re.sub(r"(ReplicaSet/[\w-]+/\w+)-[0-9a-f]{6,10}\b", r"\1-xxxxx", text)
    text = re.sub(r"no node takes it: .*", "no node takes it: …", text)
    text = re.sub(r"sha1:[0-9a-f]+|Requests: .*|Took .*", "…", text)
    return re.sub(r" +\d+\.\d+s$", "", text, flags=re.MULTILINE)


def test_what_is_not_ready_is_explained(world: Bench, policy: str):
    write(world, policy)
    entry(world, wait=False)
    with kubelet.node(world, f"node-{world.namespace}", {("app", True): LOG}):
        world.reconcile()
        kubelet.play(world, "pull", PULL)
        kubelet.play(world, "key", KEY)
        kubelet.play(world, "migrate", ENDED)
        kubelet.play(world, "crash", CRASH)
        stuck = f"/api/v1/namespaces/{world.namespace}/configmaps/stuck"
        held = {"metadata": {"finalizers": ["example.com/backup"]}}
        world.api.request("PATCH", stuck, held, "application/merge-patch+json")
        world.api.request("DELETE", stuck)
        create(
            world,
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            definition(f"{world.namespace}.example", "gadgets"),
        )
        entry(world, wait=True)

        told = world.run("reconcile", "--no-fail-fast")

        world.api.request("PATCH", stuck, {"metadata": {"finalizers": []}}, "application/merge-patch+json")
    assert told.code == 1
    assert PASSWORD not in told.stdout + told.stderr
    shown = steady(world, told.stdout)
    if os.environ.get("UPDATE_GOLDEN"):
        SNAPSHOT.parent.mkdir(exist_ok=True)
        SNAPSHOT.write_text(shown)
    assert shown == SNAPSHOT.read_text(), "UPDATE_GOLDEN=1 rewrites it"
    assert re.search(r"FailedScheduling: no node takes it: .*Insufficient cpu", told.stdout)


def test_a_wait_ends_when_nothing_can_help(world: Bench):
    world.repository.write("app/app.yaml", by_hand(world, "web"))
    spec = {"wait": True, "timeout": "90s"}
    world.repository.write("clusters/test/app.yaml", kustomization(world, "app", "app", **spec))
    world.repository.commit()
    run = world.start("reconcile", "-o", "json")
    kubelet.play(world, "web", INVALID)
    started = time.monotonic()

    out, err = run.communicate(timeout=60)

    assert time.monotonic() - started < 30
    assert run.returncode == 1, err
    assert "failed early due to stalled resources" in out
    (told,) = next(k for k in json.loads(out)["kustomizations"] if k["name"] == "app")["diagnosis"]
    assert (told["status"], told["message"]) == ("Failed", "it cannot recover: InvalidImageName")
    assert [each["code"] for each in told["findings"]] == ["InvalidImageName"]


def test_without_rights_to_look_closer_it_says_so_once(world: Bench):
    for name in ("one", "two"):
        world.repository.write(f"{name}/all.yaml", by_hand(world, name))
    world.repository.write(
        "clusters/test/all.yaml",
        *(kustomization(world, name, name, wait=True, timeout="2s") for name in ("one", "two")),
    )
    world.repository.commit()
    kinds = ["deployments", "configmaps", "namespaces", "secrets", "leases"]
    rules = [{"apiGroups": ["*"], "resources": kinds, "verbs": ["*"]}]
    user = f"narrow-{world.namespace}"
    base = "/apis/rbac.authorization.k8s.io/v1"
    create(world, f"{base}/clusterroles", {"metadata": {"name": user}, "rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
    binding = {"metadata": {"name": user}, "roleRef": role, "subjects": [subject]}
    create(world, f"{base}/clusterrolebindings", binding)

    told = world.reconcile(code=1, kubeconfig=world.plane.user_kubeconfig(user))

    warnings = [each for each in told.json["warnings"] if "say better" in each]
    assert len(warnings) == 1
    assert warnings[0].endswith("let read: Event, ReplicaSet")
