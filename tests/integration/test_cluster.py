"""The test control plane itself: what the tests that use it rely on."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest

from tests.cluster import Api, ControlPlane, ControlPlaneError, wait_until
from tests.cluster.audit import AuditLog
from tests.cluster.holder import Place

pytestmark = pytest.mark.cluster
pytest_plugins = ["tests.cluster.fixture"]

ROOT = Path(__file__).parents[2]
BROKEN_IMAGE = "registry.example/broken:1"
START_AND_WAIT = """
import sys
from tests.cluster import ControlPlane
plane = ControlPlane.start()
print(plane.supervisor_pid, plane.directory, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def namespace(control_plane: ControlPlane, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own."""
    name = request.node.name.replace("test_", "plane-").replace("_", "-")[:63]
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    create(control_plane.api(), "/api/v1/namespaces", manifest)
    wait_until(
        lambda: control_plane.api().get(f"/api/v1/namespaces/{name}/serviceaccounts/default").status == 200,
        f"the default ServiceAccount of {name}",
    )
    yield name
    control_plane.api().request("DELETE", f"/api/v1/namespaces/{name}")


def test_it_is_the_pinned_kubernetes_and_its_kubeconfig_works(control_plane: ControlPlane) -> None:
    with connected(control_plane.kubeconfig) as client:
        version = kubernetes.client.VersionApi(client).get_code()

    assert version.git_version == "v1.37.2"
    assert (version.major, version.minor) == ("1", "37")


def test_a_deployment_of_three_becomes_available(control_plane: ControlPlane, namespace: str) -> None:
    api = control_plane.api()
    create(api, deployments(namespace), deployment("web", "registry.example/web:1", replicas=3))

    wait_until(lambda: available(api, namespace, "web") == 3, "three available pods")


def test_a_broken_image_is_never_pulled(control_plane: ControlPlane, namespace: str) -> None:
    api = control_plane.api()
    create(api, deployments(namespace), deployment("bad", BROKEN_IMAGE))
    waiting = wait_until(lambda: waiting_reason(api, namespace, "bad"), "a waiting container")
    # Made after it, available before it: there was time enough to become ready.
    create(api, deployments(namespace), deployment("good", "registry.example/web:1"))
    wait_until(lambda: available(api, namespace, "good") == 1, "the other deployment's pod")

    assert waiting["reason"] == "ImagePullBackOff"
    assert BROKEN_IMAGE in waiting["message"]
    (pod,) = pods(api, namespace, "bad")
    assert pod["status"]["phase"] == "Pending"
    assert {c["type"]: c["status"] for c in pod["status"]["conditions"]}["Ready"] == "False"
    assert available(api, namespace, "bad") == 0


def test_a_repaired_image_becomes_available(control_plane: ControlPlane, namespace: str) -> None:
    api = control_plane.api()
    create(api, deployments(namespace), deployment("web", BROKEN_IMAGE))
    wait_until(lambda: waiting_reason(api, namespace, "web"), "a waiting container")

    repaired = deployment("web", "registry.example/web:2")
    answer = api.request("PUT", f"{deployments(namespace)}/web", repaired)

    assert answer.status == 200, answer.body
    wait_until(lambda: available(api, namespace, "web") == 1, "the repaired pod")


def test_a_job_completes(control_plane: ControlPlane, namespace: str) -> None:
    api = control_plane.api()
    template = {
        "spec": {"restartPolicy": "Never", "containers": [{"name": "once", "image": "registry.example/job"}]}
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "once"},
        "spec": {"template": template},
    }
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    create(api, path, job)

    wait_until(lambda: api.get(f"{path}/once").body["status"].get("succeeded") == 1, "the job's success")


def test_rbac_forbids_what_no_role_allows(control_plane: ControlPlane) -> None:
    stranger = control_plane.api("mallory", ["strangers"])

    answer = stranger.get("/api/v1/namespaces/default/secrets")

    assert answer.status == 403
    assert 'User "mallory" cannot list resource "secrets"' in answer.body["message"]


def test_a_users_kubeconfig_names_the_user_and_the_groups(control_plane: ControlPlane) -> None:
    file = control_plane.user_kubeconfig("jane", ["developers", "on-call"])
    with connected(file) as client:
        body = kubernetes.client.V1SelfSubjectReview()
        review = kubernetes.client.AuthenticationV1Api(client).create_self_subject_review(body).to_dict()

    assert review["status"]["user_info"]["username"] == "jane"
    assert {"developers", "on-call"} <= set(review["status"]["user_info"]["groups"])
    assert file == control_plane.user_kubeconfig("jane", ["developers", "on-call"])


def test_the_audit_log_tells_who_wrote_what(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.api("writer", ["system:masters"]).request(
        "POST",
        f"/api/v1/namespaces/{namespace}/configmaps",
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "audited"}},
    )

    def written() -> list[dict[str, Any]]:
        events = control_plane.audit_events(user="writer")
        return [e for e in events if e["objectRef"].get("namespace") == namespace]

    (event,) = wait_until(written, "the audit event")
    assert (event["verb"], event["objectRef"]["resource"]) == ("create", "configmaps")
    assert (event["stage"], event["level"]) == ("ResponseComplete", "Metadata")
    assert event["responseStatus"]["code"] == 201
    stages = {e["stage"] for e in control_plane.audit_events()}
    assert stages == {"ResponseComplete"}


def test_the_audit_log_is_read_on_from_where_it_was_read(tmp_path: Path) -> None:
    log, path = AuditLog(tmp_path / "audit.log", "jane"), tmp_path / "audit.log"
    assert log.read() == []
    lines = [
        json.dumps({"n": n, "user": {"username": user}}) for n, user in enumerate(["jane", "joe", "jane"])
    ]
    path.write_text("\n".join(lines)[:-1])
    assert [event["n"] for event in log.read()] == [0]
    path.write_text("\n".join(lines) + "\n")
    assert [event["n"] for event in log.read()] == [0, 2]
    assert [event["n"] for event in log.read()] == [0, 2]


def test_a_shared_control_plane_cannot_be_taken_from_the_others(control_plane: ControlPlane) -> None:
    with pytest.raises(ControlPlaneError, match="is shared and was started by another process"):
        control_plane.stop_apiserver()


def test_two_run_side_by_side(fresh_control_plane: Callable[..., ControlPlane]) -> None:
    one, other = fresh_control_plane(controllers=False), fresh_control_plane(controllers=False)
    only_here = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "only-here"}}

    create(one.api(), "/api/v1/namespaces", only_here)

    assert one.server != other.server
    assert one.directory != other.directory
    assert one.api().get("/api/v1/namespaces/only-here").status == 200
    assert other.api().get("/api/v1/namespaces/only-here").status == 404
    # Without controllers there are no ServiceAccounts, and pods must not need one.
    pod = {"containers": [{"name": "main", "image": "registry.example/web"}]}
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare"}, "spec": pod}
    wait_until(lambda: one.api().get("/api/v1/namespaces/default").status == 200, "the default namespace")
    create(one.api(), "/api/v1/namespaces/default/pods", manifest)


def test_the_apiserver_restarts_on_its_port_with_its_data(
    fresh_control_plane: Callable[..., ControlPlane], tmp_path: Path
) -> None:
    plane = fresh_control_plane(tmp_path / "data")
    create(plane.api(), deployments("default"), deployment("before", "registry.example/web:1"))
    wait_until(lambda: available(plane.api(), "default", "before") == 1, "a pod before the restart")

    plane.restart_apiserver()

    create(plane.api(), deployments("default"), deployment("after", "registry.example/web:1"))
    wait_until(lambda: available(plane.api(), "default", "after") == 1, "a pod after the restart")
    assert available(plane.api(), "default", "before") == 1
    plane.stop()
    assert not (tmp_path / "data").exists()


def test_a_directory_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()

    with pytest.raises(ValueError, match="is not empty, and a control plane removes its directory"):
        ControlPlane.start(tmp_path)

    assert (tmp_path / "precious").exists()


def test_nothing_outlives_a_killed_parent() -> None:
    with started_by_another_process() as parent:
        supervisor, directory = read_line(parent).split()
        family = [int(supervisor), *children(int(supervisor))]
        parent.kill()
        parent.wait()

        wait_until(lambda: not any(map(alive, family)), "the end of all processes")
        assert len(family) == 6
        assert not Path(directory).exists()


def test_programs_do_not_outlive_a_killed_supervisor() -> None:
    with started_by_another_process() as parent:
        supervisor, directory = read_line(parent).split()
        family = [int(supervisor), *children(int(supervisor))]
        os.kill(int(supervisor), signal.SIGKILL)

        wait_until(lambda: not any(map(alive, family)), "the end of all processes")
    # What nobody was left to remove, the next one removes.
    with ControlPlane.start(controllers=False):
        assert not Path(directory).exists()


def test_a_shared_control_plane_ends_with_its_last_user(tmp_path: Path) -> None:
    place = Place(tmp_path / "place")
    with place.locked("users", fcntl.LOCK_SH):
        with place.locked("users", fcntl.LOCK_SH):
            place.start(shared=True)
            directory = place.attach().directory
        place.start(shared=True)
        assert place.attach().directory == directory
        holder = json.loads(place.ready.read_text())["holder"]

    wait_until(lambda: not alive(holder), "the end of the holder")
    assert not directory.exists()
    assert not place.is_running()


def test_people_start_and_stop_one_by_name() -> None:
    name = f"test-{os.getpid()}"
    try:
        up = command("up", "--name", name)
        again = command("up", "--name", name)
        asked = command("kubeconfig", "--name", name)
        with connected(Path(up.stdout.strip())) as client:
            nodes = kubernetes.client.CoreV1Api(client).list_node().to_dict()["items"]
    finally:
        down = command("down", "--name", name)

    assert up.returncode == again.returncode == asked.returncode == down.returncode == 0, up.stderr
    assert up.stdout == again.stdout == asked.stdout
    assert [node["metadata"]["name"] for node in nodes] == ["node-1"]
    gone = command("kubeconfig", "--name", name)
    assert gone.returncode == 1
    assert f"control plane {name}: is not running; start it with" in gone.stderr
    assert not Path(up.stdout.strip()).exists()


def connected(kubeconfig: Path) -> kubernetes.client.ApiClient:
    """The official client, closed at the end of a `with` block."""
    client: kubernetes.client.ApiClient = kubernetes.config.new_client_from_config(str(kubeconfig))  # type: ignore[no-untyped-call]
    return client


def create(api: Api, path: str, manifest: dict[str, Any]) -> None:
    answer = api.request("POST", path, manifest)
    assert answer.status == 201, answer.body


def deployments(namespace: str) -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/deployments"


def deployment(name: str, image: str, replicas: int = 1) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": image}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def available(api: Api, namespace: str, name: str) -> int:
    answer = api.get(f"{deployments(namespace)}/{name}")
    return int(answer.body["status"].get("availableReplicas", 0))


def pods(api: Api, namespace: str, app: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = api.get(
        f"/api/v1/namespaces/{namespace}/pods?labelSelector=app={app}"
    ).body["items"]
    return items


def waiting_reason(api: Api, namespace: str, app: str) -> dict[str, Any]:
    for pod in pods(api, namespace, app):
        for container in pod["status"].get("containerStatuses", []):
            waiting: dict[str, Any] = container["state"].get("waiting", {})
            return waiting
    return {}


def started_by_another_process() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked about yet (a zombie) does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.cluster", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
