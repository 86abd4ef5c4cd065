"""Why an object is not healthy: every row of the table, by what real components write.

The messages are those of Kubernetes 1.37's sources (the files are named in runner/health/causes) and of
containerd 2.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.health import Evidence, diagnose, signs, tail
from runner.health.causes import CAUSES
from runner.health.diagnosis import LOG_BYTES, LOG_LINES, MOST_FINDINGS
from runner.model import Health, ResourceRef, Status

MADE = "2026-03-01T12:00:00Z"
LATER = "2026-03-01T12:00:30Z"
API_VERSIONS = {
    "Deployment": "apps/v1",
    "ReplicaSet": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "Job": "batch/v1",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
    "APIService": "apiregistration.k8s.io/v1",
    "Database": "example.com/v1",
}
IMAGE = "registry.example/app:1"
CASES = yaml.safe_load(Path(__file__).with_name("diagnosis.yaml").read_text())


def made(kind: str, name: str = "x", **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{kind}-{name}", "creationTimestamp": MADE}
    metadata |= more.pop("metadata", {})
    return {"apiVersion": API_VERSIONS.get(kind, "v1"), "kind": kind, "metadata": metadata, **more}


def owned(owner: Mapping[str, Any], child: dict[str, Any]) -> dict[str, Any]:
    reference = {"kind": owner["kind"], "uid": owner["metadata"]["uid"], "controller": True}
    child["metadata"]["ownerReferences"] = [reference]
    return child


def pod(status: Mapping[str, Any], *, restart: str = "Always", name: str = "web-1") -> dict[str, Any]:
    app = {"name": "app", "image": IMAGE, "resources": {"limits": {"memory": "64Mi"}}}
    container = {"name": "app", "image": IMAGE, "ready": False, "restartCount": 0, **status}
    return made(
        "Pod",
        name,
        spec={"nodeName": "node-1", "restartPolicy": restart, "containers": [app]},
        status={"phase": "Pending", "containerStatuses": [container]},
    )


def event(
    about: Mapping[str, Any], reason: str, message: str, at: str = LATER, **more: Any
) -> dict[str, Any]:
    involved = {"uid": about["metadata"]["uid"], **more}
    return {"reason": reason, "message": message, "lastTimestamp": at, "involvedObject": involved}


def told(
    root: Mapping[str, Any],
    *chain: Mapping[str, Any],
    events: Any = (),
    logs: Any = (),
    status=Status.IN_PROGRESS,
):
    ref = ResourceRef.of(root)
    by_uid: dict[str, tuple[Any, ...]] = {}
    for each in events:
        uid = each["involvedObject"]["uid"]
        by_uid[uid] = (*by_uid.get(uid, ()), each)
    evidence = Evidence({ref: root}, {ref: tuple(chain)}, by_uid, dict(logs))
    return diagnose([Health(ref, status)], evidence)


def waiting(reason: str, message: str) -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason, "message": message}}}


@pytest.mark.parametrize(("reason", "message", "says", "grace"), CASES["WAITING"])
def test_a_container_that_waits(reason: str, message: str, says: str, grace: float) -> None:
    (found,) = told(pod(waiting(reason, message)))
    assert str(found).startswith(says)
    assert found.grace == grace


@pytest.mark.parametrize(("ended", "again", "for_good"), CASES["ENDED"])
def test_a_container_that_ended(ended: Mapping[str, Any], again: str, for_good: str) -> None:
    crashing = {
        "restartCount": 4,
        "lastState": {"terminated": ended},
        **waiting("CrashLoopBackOff", "back-off"),
    }
    (found,) = told(pod(crashing))
    assert (str(found), found.grace) == (again, 120)
    over = told(pod({"state": {"terminated": ended}}, restart="Never"))
    assert [str(each) for each in over] == ([for_good] if for_good else [])
    assert all(each.grace is None for each in over)  # the Job knows how often it may fail


@pytest.mark.parametrize(
    ("status", "grace"),
    [
        pytest.param({"restartCount": 2, **waiting("CrashLoopBackOff", "")}, None, id="it was tried twice"),
        pytest.param({"restartCount": 9, "state": {"running": {}}}, None, id="it runs at this moment"),
        pytest.param(
            {"restartCount": 3, **waiting("CrashLoopBackOff", "")}, 120, id="it was tried three times"
        ),
    ],
)
def test_one_crash_is_no_loop(status: Mapping[str, Any], grace: float | None) -> None:
    (found,) = told(pod({"lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}, **status}))
    assert (found.code, found.grace) == ("CrashLoopBackOff", grace)


def test_an_init_container_is_called_one() -> None:
    failing = pod({})
    failing["spec"]["initContainers"] = [{"name": "migrate", "image": IMAGE}]
    last = {"restartCount": 4, "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}
    failing["status"] = {
        "initContainerStatuses": [{"name": "migrate", **last, **waiting("CrashLoopBackOff", "")}],
        "containerStatuses": [{"name": "app", **waiting("PodInitializing", "")}],
    }
    (found,) = told(failing)
    assert found.message == "init container migrate ended with exit code 1, restarted 4 times"


@pytest.mark.parametrize(("message", "says", "hint"), CASES["SCHEDULING"])
def test_a_pod_that_no_node_takes(message: str, says: str, hint: str) -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    (found,) = told(made("Pod", status={"phase": "Pending", "conditions": [condition]}))
    assert found.message.startswith(says)
    assert found.hint.startswith(hint)
    assert found.grace is None  # somebody may add a node


@pytest.mark.parametrize(("stage", "reason", "message", "says"), CASES["POD_EVENTS"])
def test_an_event_of_a_pod(stage: str, reason: str, message: str, says: str) -> None:
    state = {"running": {"state": {"running": {}}}, "creating": waiting("ContainerCreating", "")}
    live = pod(state[stage])
    events = [event(live, reason, message, fieldPath="spec.containers{app}")]
    found = told(live, events=events)
    assert str(found[0]).startswith(
        says if "Attach" not in says else "FailedMount: a volume cannot be mounted: Multi"
    )
    other = pod(state["creating" if stage == "running" else "running"])
    assert found[0].code not in {each.code for each in told(other, events=events)}


@pytest.mark.parametrize(("message", "says", "grace"), CASES["DENIALS"])
def test_pods_that_may_not_be_made(message: str, says: str, grace: float | None) -> None:
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    deployment = made("Deployment", status={"conditions": [condition]})
    replicas = owned(deployment, made("ReplicaSet", "x-1", status={"conditions": [condition]}))
    found, *rest = told(deployment, replicas)
    assert (found.code, found.grace, rest) == ("FailedCreate", grace, [])
    assert found.message.startswith(says)
    for kind, prefix in (
        ("DaemonSet", "Error creating: "),
        ("StatefulSet", "create Pod x-0 in StatefulSet x failed error: "),
    ):
        live = made(kind)
        (found,) = told(live, events=[event(live, "FailedCreate", prefix + message)])
        assert found.grace == grace
        assert says.removeprefix("its Pods cannot be made: ") in found.message


@pytest.mark.parametrize(("kind", "manifest", "says", "grace"), CASES["OBJECTS"])
def test_what_an_object_says_itself(
    kind: str, manifest: Mapping[str, Any], says: str, grace: float | None
) -> None:
    found = told(made(kind, **copy.deepcopy(manifest)))[0]
    assert str(found).startswith(says)
    assert found.grace == grace


@pytest.mark.parametrize(("kind", "reason", "message", "says"), CASES["EVENTS"])
def test_an_event(kind: str, reason: str, message: str, says: str) -> None:
    live = made(kind, spec={"type": "LoadBalancer"}, status={"phase": "Pending"})
    assert says in [str(each)[: len(says)] for each in told(live, events=[event(live, reason, message)])]


def test_what_does_not_exist_is_said() -> None:
    ref = ResourceRef("shop", "gone", "apps", "Deployment", "v1")
    (found,) = diagnose([Health(ref, Status.NOT_FOUND)], Evidence())
    assert str(found) == "NotFound: it does not exist, and nobody made it in the meantime"


def every_case() -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Every object of the tables above, with its events."""
    for reason, message, *_ in CASES["WAITING"]:
        yield pod(waiting(reason, message)), []
    for ended, *_ in CASES["ENDED"]:
        yield pod({"lastState": {"terminated": ended}, **waiting("CrashLoopBackOff", "")}), []
        yield pod({"state": {"terminated": ended}}, restart="Never"), []
    for message, *_ in CASES["SCHEDULING"]:
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        yield made("Pod", status={"conditions": [condition]}), []
    for stage, reason, message, _ in CASES["POD_EVENTS"]:
        live = pod({"state": {"running": {}}} if stage == "running" else waiting("ContainerCreating", ""))
        yield live, [event(live, reason, message)]
    for message, *_ in CASES["DENIALS"]:
        condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
        live = made("Deployment", status={"conditions": [condition]})
        yield live, [event(live, "FailedCreate", f"Error creating: {message}")]
    for kind, manifest, *_ in CASES["OBJECTS"]:
        yield made(kind, **copy.deepcopy(manifest)), []
    for kind, reason, message, _ in CASES["EVENTS"]:
        live = made(kind)
        yield live, [event(live, reason, message)]


def test_every_row_of_the_table_is_reached() -> None:
    """By the cases above: a row that nothing reaches is a row that nobody has read."""
    found = list(signs.of_absence(Health(ResourceRef("", "", "", "Pod", "v1"), Status.NOT_FOUND)))
    for live, events in every_case():
        ref = ResourceRef.of(live)
        found += [*signs.of_object(ref, live), *(signs.of_event(ref, live, each) for each in events)]
    reached = {
        next((n for n, c in enumerate(CAUSES) if c.fits(s.place, s.kind, s.reason, s.message)), None)
        for s in found
    }
    assert [CAUSES[n] for n in range(len(CAUSES)) if n not in reached] == []


def test_pods_that_show_the_same_are_counted() -> None:
    deployment = made("Deployment")
    replicas = owned(deployment, made("ReplicaSet", "x-1"))
    pods = [owned(replicas, pod(waiting("InvalidImageName", "no"), name=f"web-{n}")) for n in range(3)]
    (found,) = told(deployment, replicas, *pods)
    assert str(found).startswith("Pod/shop/web-0 (and 2 more): InvalidImageName: ")


def test_what_says_little_is_left_out_beside_what_says_more() -> None:
    live = pod({"state": {"running": {}}})
    assert [each.code for each in told(live)] == ["NotReady"]
    probe = event(live, "Unhealthy", "Readiness probe failed: 503")
    assert [each.code for each in told(live, events=[probe])] == ["ReadinessProbe"]


def test_only_the_last_event_of_a_kind_counts() -> None:
    live = pod({"state": {"running": {}}})
    texts = [
        ("Readiness probe failed: 503", LATER),
        ("Readiness probe failed: refused", "2026-03-01T12:00:10Z"),
    ]
    (found,) = told(live, events=[event(live, "Unhealthy", text, at) for text, at in texts])
    assert found.message.endswith("fails: 503")


@pytest.mark.parametrize(
    ("at", "expected"),
    [("2026-03-01T12:05:00Z", ["FailedCreate"]), ("2026-03-01T12:00:01Z", [])],
)
def test_an_event_from_before_the_last_change_says_nothing(at: str, expected: list[str]) -> None:
    fields = [
        {"manager": "kustomize-controller", "time": "2026-03-01T12:04:00Z"},
        {"manager": "kube-controller-manager", "time": "2026-03-01T12:06:00Z", "subresource": "status"},
    ]
    live = made("StatefulSet", metadata={"managedFields": fields})
    found = told(live, events=[event(live, "FailedCreate", "exceeded quota", at)])
    assert [each.code for each in found] == expected


STALE = [
    ("StatefulSet", {"status": {"updateRevision": "x-2"}}, {"controller-revision-hash": "x-1"}),
    (
        "DaemonSet",
        {"metadata": {"annotations": {"deprecated.daemonset.template.generation": "2"}}},
        {"pod-template-generation": "1"},
    ),
    ("ReplicaSet", {"metadata": {"creationTimestamp": LATER}}, {}),
    ("Job", {"metadata": {"generation": 2}, "status": {"observedGeneration": 1}}, {}),
]


@pytest.mark.parametrize(("kind", "manifest", "labels"), STALE)
def test_a_pod_of_an_older_template_ends_no_wait(
    kind: str, manifest: Mapping[str, Any], labels: Mapping[str, str]
) -> None:
    owner = made(kind, **copy.deepcopy(dict(manifest)))
    old = owned(owner, pod(waiting("InvalidImageName", "no")))
    old["metadata"]["labels"] = labels
    found = told(owner, old)[0]
    assert (found.code, found.grace) == ("InvalidImageName", None)


def test_the_log_stands_with_the_container_that_wrote_it() -> None:
    live = pod({"state": {"terminated": {"exitCode": 1, "reason": "Error"}}}, restart="Never")
    (found,) = told(live, logs={(live["metadata"]["uid"], "app"): ("panic", "exit")})
    assert found.log == ("panic", "exit")


def test_the_tail_of_a_log_is_bounded() -> None:
    assert tail("\n".join(map(str, range(100)))) == tuple(map(str, range(80, 100)))
    assert len(tail("x\n" * 1000)) == LOG_LINES
    long = tail("\n".join("y" * 1000 for _ in range(20)))
    assert sum(len(line) + 1 for line in long) <= LOG_BYTES
    assert tail("z" * 10_000) == ()
    assert tail("") == ()


def test_an_object_with_many_causes_is_told_the_first() -> None:
    deployment = made("Deployment")
    pods = [pod(waiting("CreateContainerError", f"reason {n}"), name=f"p-{n}") for n in range(9)]
    assert len(told(deployment, *pods)) == MOST_FINDINGS


def test_foreign_text_is_hidden_before_it_is_cut() -> None:
    secret = "s3cret-" * 300
    live = pod(waiting("CreateContainerError", f"{'x' * 590} {secret}"))
    ref = ResourceRef.of(live)
    evidence = Evidence({ref: live})
    (found,) = diagnose(
        [Health(ref, Status.IN_PROGRESS)], evidence, lambda text: text.replace(secret, "‹hidden›")
    )
    assert "s3cret" not in str(found)


FIELDS = [
    "conditions",
    "containerStatuses",
    "state",
    "waiting",
    "terminated",
    "lastState",
    "reason",
    "status",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=12,
)
META = ["finalizers", "annotations", "labels", "managedFields", "generation", "deletionTimestamp"]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([*API_VERSIONS, "Pod", "PersistentVolumeClaim", "Service", "Namespace"]),
    JSON,
    JSON,
    st.dictionaries(st.sampled_from(META), JSON | st.just(MADE)),
)
def test_an_object_that_makes_no_sense_is_no_error(kind: str, spec: Any, status: Any, metadata: Any) -> None:
    live = made(kind, spec=spec, status=status, metadata=metadata)
    told(live, made("Pod", spec=spec, status=status), events=[event(live, "Unhealthy", "odd")])
