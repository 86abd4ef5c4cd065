"""The health of objects, and waiting for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import ClusterError
from runner.health import Verdict, check, compute, wait
from runner.model import Health, Manifest, ResourceRef, Status

HEALTHY: dict[str, dict[str, Any]] = yaml.safe_load("""
ConfigMap: {apiVersion: v1}
Secret: {apiVersion: v1}
CronJob: {apiVersion: batch/v1}
Ingress: {apiVersion: networking.k8s.io/v1}
PersistentVolumeClaim: {apiVersion: v1, status: {phase: Bound}}
Service: {apiVersion: v1, spec: {type: ClusterIP, clusterIP: 10.0.0.7}}
PodDisruptionBudget: {apiVersion: policy/v1, metadata: {generation: 2}, status: {observedGeneration: 2}}
CustomResourceDefinition:
  apiVersion: apiextensions.k8s.io/v1
  status: {conditions: [{type: NamesAccepted, status: "True"}, {type: Established, status: "True"}]}
Database:
  apiVersion: example.com/v1
  metadata: {generation: 3}
  status: {observedGeneration: 3, conditions: [{type: Ready, status: "True"}]}
HelmRelease:
  apiVersion: helm.toolkit.fluxcd.io/v2
  metadata: {generation: 2}
  status: {observedGeneration: 2, conditions: [{type: Ready, status: "True", reason: InstallSucceeded},
           {type: Released, status: "True"}]}
Certificate:
  apiVersion: cert-manager.io/v1
  metadata: {generation: 1}
  status: {conditions: [{type: Ready, status: "True", observedGeneration: 1}]}
Bucket:
  apiVersion: s3.aws.upbound.io/v1beta1
  status: {conditions: [{type: Ready, status: "True"}, {type: Synced, status: "True"}]}
Application:
  apiVersion: argoproj.io/v1alpha1
  spec: {syncPolicy: {automated: {prune: true}}}
  status: {health: {status: Healthy}, sync: {status: Synced}}
Gateway:
  apiVersion: gateway.networking.k8s.io/v1
  metadata: {generation: 2}
  status: {conditions: [{type: Accepted, status: "True", observedGeneration: 2},
           {type: Programmed, status: "True", observedGeneration: 2}]}
GatewayClass:
  apiVersion: gateway.networking.k8s.io/v1
  status: {conditions: [{type: Accepted, status: "True"}]}
HTTPRoute:
  apiVersion: gateway.networking.k8s.io/v1
  status: {parents: [{conditions: [{type: Accepted, status: "True"}, {type: ResolvedRefs, status: "True"}]}]}
Deployment:
  apiVersion: apps/v1
  metadata: {generation: 1}
  spec: {replicas: 3, progressDeadlineSeconds: 600}
  status:
    {observedGeneration: 1, replicas: 3, updatedReplicas: 3, availableReplicas: 3, readyReplicas: 3,
     conditions: [{type: Progressing, status: "True", reason: NewReplicaSetAvailable},
                  {type: Available, status: "True"}]}
StatefulSet:
  apiVersion: apps/v1
  metadata: {generation: 1}
  spec: {replicas: 3, updateStrategy: {type: RollingUpdate}}
  status: {replicas: 3, readyReplicas: 3, currentReplicas: 3, updatedReplicas: 3, currentRevision: x-1,
           updateRevision: x-1}
DaemonSet:
  apiVersion: apps/v1
  metadata: {generation: 1}
  status: {observedGeneration: 1, desiredNumberScheduled: 3, currentNumberScheduled: 3,
           updatedNumberScheduled: 3, numberAvailable: 3, numberReady: 3}
ReplicaSet:
  apiVersion: apps/v1
  spec: {replicas: 3}
  status: {replicas: 3, fullyLabeledReplicas: 3, availableReplicas: 3, readyReplicas: 3}
Pod:
  apiVersion: v1
  metadata: {creationTimestamp: "2026-03-01T12:00:00Z"}
  status: {phase: Running, conditions: [{type: Ready, status: "True"}]}
Job:
  apiVersion: batch/v1
  spec: {completions: 2, parallelism: 1}
  status: {startTime: "2026-03-01T12:00:00Z", succeeded: 2, conditions: [{type: Complete, status: "True"}]}
""")
"""One object of each kind that has everything it wants."""

TABLE = yaml.safe_load("""
- [Database, is Terminating while it is deleted although Ready,
   {metadata: {deletionTimestamp: "2026-03-01T12:00:00Z"}}, Terminating, Resource scheduled for deletion]
- [Database, was not seen by its controller since it changed, {metadata: {generation: 4}},
   InProgress, "Database generation is 4, but latest observed generation is 3"]
- [Database, is taken at its word without an observed generation, {status: {observedGeneration: null}},
   Current, Resource is Ready]
- [Database, that is Reconciling is not done, {status: {conditions: [{type: Ready, status: "True"},
   {type: Reconciling, status: "True", message: upgrading}]}}, InProgress, upgrading]
- [Database, that is Stalled has failed, {status: {conditions: [{type: Ready, status: "False"},
   {type: Stalled, status: "True", message: no such disk}]}}, Failed, no such disk]
- [Database, whose Reconciling and Stalled are not True is judged by the rest, {status: {conditions:
   [{type: Reconciling, status: "False"}, {type: Stalled, status: Unknown}, {type: Ready, status: "True"}]}},
   Current, Resource is Ready]
- [Deployment, that is Stalled has failed whatever its replicas, {status: {conditions:
   [{type: Stalled, status: "True", message: stuck}]}}, Failed, stuck]
- [Database, that is Ready is current, {}, Current, Resource is Ready]
- [Database, that is not Ready is in progress and never failed, {status: {conditions:
   [{type: Ready, status: "False", reason: Broken, message: out of disks}]}}, InProgress, out of disks]
- [Database, whose Ready is Unknown is in progress, {status: {conditions:
   [{type: Ready, status: Unknown, message: asking}]}}, InProgress, asking]
- [Database, whose Ready is a word nobody knows is current, {status: {conditions:
   [{type: Ready, status: Perhaps}]}}, Current, Resource is current]
- [Database, that nobody wrote a status for is current, {status: null}, Current, Resource is current]
- [Ingress, has nothing to wait for, {}, Current, Resource is current]
- [Deployment, of somebody else's group gets no rule of ours, {apiVersion: example.com/v1,
   status: {readyReplicas: 0}}, Current, Resource is current]

- [HelmRelease, that is Ready is current, {}, Current, Resource is Ready]
- [HelmRelease, that was changed is in progress, {metadata: {generation: 3}},
   InProgress, "HelmRelease generation is 3, but latest observed generation is 2"]
- [HelmRelease, that gave up has failed, {status: {conditions: [{type: Ready, status: "False"},
   {type: Stalled, status: "True", reason: RetriesExceeded, message: Failed to install}]}},
   Failed, Failed to install]
- [Certificate, that is issued is current, {}, Current, Resource is Ready]
- [Certificate, that is being issued is in progress, {status: {conditions:
   [{type: Issuing, status: "True"}, {type: Ready, status: "False", message: Issuing certificate}]}},
   InProgress, Issuing certificate]
- [Bucket, of Crossplane is current when it is Ready, {}, Current, Resource is Ready]
- [Bucket, of Crossplane is in progress until then, {status: {conditions: [{type: Synced, status: "True"},
   {type: Ready, status: "False", reason: Creating}]}}, InProgress, ""]
- [Application, that is healthy and synced is current, {}, Current, Application is Healthy]
- [Application, that somebody stopped on purpose is current, {status: {health: {status: Suspended}}},
   Current, Application is Suspended]
- [Application, that progresses is in progress, {status: {health: {status: Progressing, message: 1 of 2}}},
   InProgress, "health is Progressing: 1 of 2"]
- [Application, that is degraded may recover, {status: {health: {status: Degraded}}},
   InProgress, health is Degraded]
- [Application, that Argo CD is to sync is in progress until it is, {status: {sync: {status: OutOfSync}}},
   InProgress, sync is OutOfSync]
- [Application, that people sync is not waited for, {spec: {syncPolicy: null},
   status: {sync: {status: OutOfSync}}}, Current, Application is Healthy]
- [Application, that Argo CD never saw is current as to Flux, {status: null}, Current, Resource is current]
- [Gateway, that is programmed is current, {}, Current, Resource is Programmed]
- [Gateway, that nobody programmed is in progress, {status: {conditions: [{type: Programmed,
   status: Unknown, message: Waiting for controller}]}}, InProgress, Waiting for controller]
- [Gateway, that was changed since is in progress, {metadata: {generation: 3}},
   InProgress, Programmed is of an older generation]
- [GatewayClass, that a controller accepts is current, {}, Current, Resource is Accepted]
- [HTTPRoute, that its parents take is current, {}, Current, Resource is Accepted and ResolvedRefs]
- [HTTPRoute, that leads nowhere is in progress, {status: {parents: [{conditions:
   [{type: Accepted, status: "True"}, {type: ResolvedRefs, status: "False", message: no backend}]}]}},
   InProgress, no backend]
- [HTTPRoute, that no parent took yet is current as to Flux, {status: {parents: []}},
   Current, Resource is current]

- [ConfigMap, is always ready, {}, Current, Resource is always ready]
- [Secret, is always ready, {}, Current, Resource is always ready]
- [CronJob, is always ready, {}, Current, Resource is always ready]
- [PersistentVolumeClaim, that is bound is current, {}, Current, PVC is Bound]
- [PersistentVolumeClaim, that is pending is in progress, {status: {phase: Pending}},
   InProgress, "PVC is not Bound. phase: Pending"]
- [PersistentVolumeClaim, without a phase is in progress, {status: null},
   InProgress, "PVC is not Bound. phase: unknown"]
- [Service, is current at once, {}, Current, Service is ready]
- [Service, that balances loads waits for its cluster address, {spec: {type: LoadBalancer, clusterIP: null}},
   InProgress, "ClusterIP not set. Service type: LoadBalancer"]
- [Service, that balances loads does not wait for an outer address, {spec: {type: LoadBalancer}},
   Current, Service is ready]
- [PodDisruptionBudget, that was observed is current, {}, Current, AllowedDisruptions has been computed.]
- [PodDisruptionBudget, that was not observed is in progress, {status: {observedGeneration: 1}},
   InProgress, "PodDisruptionBudget generation is 2, but latest observed generation is 1"]
- [CustomResourceDefinition, that is established is current, {}, Current, CRD is established]
- [CustomResourceDefinition, that nobody looked at is in progress, {status: null},
   InProgress, Install in progress]
- [CustomResourceDefinition, that is installing is in progress, {status: {conditions:
   [{type: NamesAccepted, status: "True"}, {type: Established, status: "False", reason: Installing}]}},
   InProgress, Install in progress]
- [CustomResourceDefinition, whose names are taken has failed, {status: {conditions:
   [{type: NamesAccepted, status: "False", message: foos is taken}]}}, Failed, foos is taken]
- [CustomResourceDefinition, that cannot be established has failed, {status: {conditions:
   [{type: Established, status: "False", reason: NotAccepted, message: not accepted}]}}, Failed, not accepted]

- [Deployment, that rolled out is current, {}, Current, "Deployment is available. Replicas: 3"]
- [Deployment, past its deadline has failed, {status: {readyReplicas: 0, conditions:
   [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded}]}},
   Failed, Progress deadline exceeded]
- [Deployment, lacks replicas, {status: null}, InProgress, "Replicas: 0/3"]
- [Deployment, wants one replica unless told, {spec: {replicas: null}, status: {replicas: 0}},
   InProgress, "Replicas: 0/1"]
- [Deployment, has old replicas, {status: {updatedReplicas: null}}, InProgress, "Updated: 0/3"]
- [Deployment, has replicas to remove, {status: {replicas: 5}}, InProgress, "Pending termination: 2"]
- [Deployment, lacks available replicas, {status: {availableReplicas: null}}, InProgress, "Available: 0/3"]
- [Deployment, lacks ready replicas, {status: {readyReplicas: null}}, InProgress, "Ready: 0/3"]
- [Deployment, with a deadline waits for its new ReplicaSet, {status: {conditions:
   [{type: Progressing, status: "True", reason: ReplicaSetUpdated}, {type: Available, status: "True"}]}},
   InProgress, ReplicaSet not Available]
- [Deployment, whose deadline is the largest number has none, {spec: {progressDeadlineSeconds: 2147483647},
   status: {conditions: [{type: Available, status: "True"}]}},
   Current, "Deployment is available. Replicas: 3"]
- [Deployment, without a deadline does not wait for Progressing, {spec: {progressDeadlineSeconds: null},
   status: {conditions: [{type: Available, status: "True"}]}},
   Current, "Deployment is available. Replicas: 3"]
- [Deployment, waits to be available, {status: {conditions: [{type: Progressing, status: "True",
   reason: NewReplicaSetAvailable}, {type: Available, status: "False"}]}},
   InProgress, Deployment not Available]
- [Deployment, scaled to zero is current, {spec: {replicas: 0}, status: {replicas: 0, updatedReplicas: 0,
   availableReplicas: 0, readyReplicas: 0}}, Current, "Deployment is available. Replicas: 0"]
- [Deployment, of the old group has the same rule,
   {apiVersion: extensions/v1beta1, status: {readyReplicas: 2}}, InProgress, "Ready: 2/3"]

- [StatefulSet, that rolled out is current, {}, Current, "All replicas scheduled as expected. Replicas: 3"]
- [StatefulSet, that people update by hand is current, {spec: {updateStrategy: {type: OnDelete}},
   status: {readyReplicas: 0}}, Current, StatefulSet is using the ondelete update strategy]
- [StatefulSet, lacks replicas, {status: null}, InProgress, "Replicas: 0/3"]
- [StatefulSet, wants one replica unless told, {spec: {replicas: null}, status: null},
   InProgress, "Replicas: 0/1"]
- [StatefulSet, lacks ready replicas, {status: {readyReplicas: null}}, InProgress, "Ready: 0/3"]
- [StatefulSet, has replicas to remove, {status: {replicas: 4}}, InProgress, "Pending termination: 1"]
- [StatefulSet, with a partition updates what is above it,
   {spec: {updateStrategy: {rollingUpdate: {partition: 1}}}, status: {updatedReplicas: null}},
   InProgress, "updated: 0/2"]
- [StatefulSet, with a partition may keep two revisions,
   {spec: {updateStrategy: {rollingUpdate: {partition: 1}}},
    status: {updatedReplicas: 2, updateRevision: x-2}}, Current, "Partition rollout complete. updated: 2"]
- [StatefulSet, with a partition of zero has a partition,
   {spec: {updateStrategy: {rollingUpdate: {partition: 0}}}},
   Current, "Partition rollout complete. updated: 3"]
- [StatefulSet, lacks current replicas, {status: {currentReplicas: null}}, InProgress, "current: 0/3"]
- [StatefulSet, is between two revisions, {status: {updateRevision: x-2}},
   InProgress, Waiting for updated revision to match current]

- [DaemonSet, that rolled out is current, {}, Current, "All replicas scheduled as expected. Replicas: 3"]
- [DaemonSet, without a generation is in progress, {metadata: {generation: null}},
   InProgress, DaemonSet metadata.generation not found]
- [DaemonSet, that nobody observed is in progress, {status: {observedGeneration: null}},
   InProgress, DaemonSet status.observedGeneration not found]
- [DaemonSet, does not know how many it wants, {status: {desiredNumberScheduled: null}},
   InProgress, Missing .status.desiredNumberScheduled]
- [DaemonSet, lacks pods, {status: {currentNumberScheduled: null}}, InProgress, "Current: 0/3"]
- [DaemonSet, has old pods, {status: {updatedNumberScheduled: null}}, InProgress, "Updated: 0/3"]
- [DaemonSet, lacks available pods, {status: {numberAvailable: null}}, InProgress, "Available: 0/3"]
- [DaemonSet, lacks ready pods, {status: {numberReady: null}}, InProgress, "Ready: 0/3"]
- [DaemonSet, of the old group has the same rule, {apiVersion: extensions/v1beta1, status: {numberReady: 2}},
   InProgress, "Ready: 2/3"]
- [DaemonSet, that no node wants is current, {status: {desiredNumberScheduled: 0}},
   Current, "All replicas scheduled as expected. Replicas: 0"]

- [ReplicaSet, that is complete is current, {}, Current, "ReplicaSet is available. Replicas: 3"]
- [ReplicaSet, that cannot create pods is in progress, {status: {conditions:
   [{type: ReplicaFailure, status: "True"}]}}, InProgress, Replica Failure condition. Check Pods]
- [ReplicaSet, lacks labelled replicas, {status: {fullyLabeledReplicas: null}}, InProgress, "Labelled: 0/3"]
- [ReplicaSet, lacks available replicas, {status: {availableReplicas: null}}, InProgress, "Available: 0/3"]
- [ReplicaSet, lacks ready replicas, {status: {readyReplicas: null}}, InProgress, "Ready: 0/3"]
- [ReplicaSet, wants one replica unless told, {spec: null, status: null}, InProgress, "Labelled: 0/1"]
- [ReplicaSet, of nothing is current, {spec: {replicas: 0}, status: null},
   Current, "ReplicaSet is available. Replicas: 0"]
- [ReplicaSet, of the old group has the same rule, {apiVersion: extensions/v1beta1, status: null},
   InProgress, "Labelled: 0/3"]
- [ReplicaSet, has replicas to remove, {status: {replicas: 4}}, InProgress, "Pending termination: 1"]

- [Pod, that is ready is current, {}, Current, Pod is Ready]
- [Pod, that succeeded is current, {status: {phase: Succeeded}}, Current, Pod has completed successfully]
- [Pod, that failed is current, {status: {phase: Failed}}, Current, "Pod has completed, but not successfully"]
- [Pod, whose containers crash has failed, {status: {conditions: null, containerStatuses:
   [{name: a, state: {waiting: {reason: CrashLoopBackOff}}}, {name: b, state: {running: {}}},
    {name: c, state: {waiting: {reason: CrashLoopBackOff}}}]}}, Failed, "Containers in CrashLoop state: a,c"]
- [Pod, whose image cannot be pulled is in progress, {status: {conditions: null, containerStatuses:
   [{name: a, state: {waiting: {reason: ImagePullBackOff}}}]}}, InProgress, Pod is running but is not Ready]
- [Pod, that is pending is in progress, {status: {phase: Pending}}, InProgress, Pod is in the Pending phase]
- [Pod, that waits at a gate is in progress, {status: {phase: Pending, conditions:
   [{type: PodScheduled, status: "False", reason: SchedulingGated}]}},
   InProgress, Pod is in the Pending phase]
- [Pod, that fits no node is in progress as long as nobody says what time it is, {status: {phase: Pending,
   conditions: [{type: PodScheduled, status: "False", reason: Unschedulable}]}},
   InProgress, Pod has not been scheduled]
- [Pod, without a phase is in progress, {status: {phase: null}}, InProgress, Pod phase not available]
- [Pod, in a phase nobody knows is unknown, {status: {phase: Dreaming}}, Unknown, unknown phase Dreaming]

- [Job, that is complete is current, {}, Current, "Job Completed. succeeded: 2/2"]
- [Job, that is suspended is current, {spec: {suspend: true}, status: null}, Current, Job is suspended]
- [Job, that failed has failed, {spec: {completions: null}, status: {failed: 4, conditions:
   [{type: Failed, status: "True"}]}}, Failed, "Job Failed. failed: 4/1"]
- [Job, that did not start is in progress, {spec: {parallelism: 2}, status: null},
   InProgress, "Job not started. active: 0/2"]
- [Job, that says nothing wants one Pod at once, {spec: null, status: null},
   InProgress, "Job not started. active: 0/1"]
- [Job, wants as many completions as run at once unless told, {spec: {completions: null, parallelism: 4},
   status: {succeeded: 4}}, Current, "Job Completed. succeeded: 4/4"]
- [Job, with no counts has counted nothing, {status: {succeeded: null, conditions: null}},
   InProgress, "Job in progress. success:0, active: 0, failed: 0"]
- [Job, that runs is in progress, {status: {succeeded: 1, active: 1, failed: 2, conditions: null}},
   InProgress, "Job in progress. success:1, active: 1, failed: 2"]
- [Job, stays complete while its TTL deletes it, {metadata: {deletionTimestamp: "2026-03-01T12:00:00Z"}},
   Current, "Job Completed. succeeded: 2/2"]

- [Database, with metadata that is no mapping is unknown, {metadata: x}, Unknown, .metadata is not a mapping]
- [Database, deleted at a number is unknown, {metadata: {deletionTimestamp: 1}},
   Unknown, .metadata.deletionTimestamp is not a string]
- [Database, whose generation is text is unknown, {metadata: {generation: "3"}},
   Unknown, .metadata.generation is not an integer]
- [Database, that observed a truth is unknown, {status: {observedGeneration: true}},
   Unknown, .status.observedGeneration is not an integer]
- [ConfigMap, with a status that is no mapping is unknown, {status: fine}, Unknown, .status is not a mapping]
- [Job, with conditions that are no list is unknown, {status: {conditions: {}}},
   Unknown, .status.conditions is not a list]
- [Database, with a condition that is no mapping is unknown, {status: {conditions: [Ready]}},
   Unknown, ".status.conditions[0] is not a mapping"]
- [Database, with a condition that is a truth is unknown,
   {status: {conditions: [{type: Ready, status: true}]}},
   Unknown, ".status.conditions[0].status is not a string"]
- [Deployment, that counts in text has no replicas, {status: {replicas: "3"}}, InProgress, "Replicas: 0/3"]
- [Deployment, that counts beyond 64 bits has no replicas, {status: {replicas: 9223372036854775808}},
   InProgress, "Replicas: 0/3"]
- [Pod, with container states that are no list is not crashing, {status: {conditions: null,
   containerStatuses: {a: b}}}, InProgress, Pod is running but is not Ready]
""")
"""Kind, sentence, what differs from the healthy one (null removes), and what is said about it."""


def merged(base: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    kept = base if isinstance(base, dict) else {}
    result = {key: value for key, value in kept.items() if patch.get(key, value) is not None}
    return result | {key: merged(kept.get(key), value) for key, value in patch.items() if value is not None}


def live(kind: str, patch: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """An object as the API server would send it."""
    base = {"kind": kind, "metadata": {"name": "x", "namespace": "apps"}}
    result: dict[str, Any] = merged(merged(base, HEALTHY[kind]), dict(patch or {}))
    return result


@pytest.mark.parametrize(
    ("manifest", "status", "message"),
    [pytest.param(live(row[0], row[2]), row[3], row[4], id=f"{row[0]} {row[1]}") for row in TABLE],
)
def test_compute(manifest: Manifest, status: str, message: str) -> None:
    assert compute(manifest) == (status, message)


CREATED = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC).timestamp()
UNSCHEDULABLE = {
    "phase": "Pending",
    "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}],
}
NOT_YET = (Status.IN_PROGRESS, "Pod has not been scheduled")
STUCK_POD = (Status.FAILED, "Pod could not be scheduled")


@pytest.mark.parametrize(
    ("created", "age", "status", "message"),
    [
        pytest.param("2026-03-01T12:00:00Z", 14.9, *NOT_YET, id="fourteen seconds are too early"),
        pytest.param("2026-03-01T12:00:00Z", 15.0, *STUCK_POD, id="fifteen seconds are enough"),
        pytest.param("yesterday", 0.0, *STUCK_POD, id="an unreadable creation time is long ago"),
        pytest.param("0001-01-01T00:00:00+14:00", 0.0, *STUCK_POD, id="before the calendar is long ago"),
    ],
)
def test_a_pod_that_fits_no_node_fails_after_a_while(
    created: str, age: float, status: Status, message: str
) -> None:
    pod = live("Pod", {"metadata": {"creationTimestamp": created}, "status": UNSCHEDULABLE})
    assert compute(pod, now=CREATED + age) == (status, message)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["True", "Pending"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["type", "status"]), inner),
    max_leaves=12,
)
FIELDS = ("status", "spec", "metadata", "apiVersion", "kind")
INNER = (
    "conditions",
    "phase",
    "replicas",
    "observedGeneration",
    "containerStatuses",
    "suspend",
    "generation",
)


@given(
    kind=st.sampled_from(sorted(HEALTHY)),
    outer=st.sampled_from(FIELDS),
    key=st.sampled_from(INNER),
    value=JSON,
)
def test_an_odd_field_never_raises(kind: str, outer: str, key: str, value: Any) -> None:
    base = live(kind)
    for odd in (base | {outer: value}, base | {outer: {key: value}}):
        status, message = compute(odd, now=CREATED)
        assert status in Status
        assert isinstance(message, str)


@given(JSON)
def test_anything_at_all_never_raises(value: Any) -> None:
    assert compute(value, now=CREATED)[0] in {Status.CURRENT, Status.UNKNOWN, Status.TERMINATING}


def test_a_list_is_no_object() -> None:
    assert compute([]) == (Status.UNKNOWN, "the object is not a mapping")  # type: ignore[arg-type]


def ref(kind: str, name: str = "x", namespace: str = "apps") -> ResourceRef:
    group, _, version = HEALTHY[kind]["apiVersion"].rpartition("/")
    return ResourceRef(namespace, name, group, kind, version)


def test_a_check_judges_what_is_there_and_sorts_it() -> None:
    job = ref("Job", "done")
    objects = {
        ref("Service", "b"): None,
        ref("Deployment", "a"): live("Deployment", {"status": {"readyReplicas": 1}}),
        job: None,
    }
    assert check(objects, jobs_with_ttl=[job]) == (
        Health(ref("Deployment", "a"), Status.IN_PROGRESS, "Ready: 1/3"),
        Health(ref("Service", "b"), Status.NOT_FOUND, "Resource not found"),
        Health(job, Status.CURRENT, "Job finished and was deleted (ttlSecondsAfterFinished)"),
    )


@dataclass
class FakeClock:
    """Moves only when somebody waits."""

    elapsed: float = 0.0

    def now(self) -> float:
        return CREATED + self.elapsed

    def monotonic(self) -> float:
        return 1000.0 + self.elapsed


Changes = Mapping[ResourceRef, Manifest | None]
Script = list[tuple[float, Changes | ClusterError]]


@dataclass
class ScriptedCluster:
    """An observer whose objects change at known times; it blocks by moving the clock."""

    script: Script
    clock: FakeClock = field(default_factory=FakeClock)
    observed: tuple[ResourceRef, ...] = ()
    pauses: list[float] = field(default_factory=list)
    closed: bool = False

    @contextmanager
    def observe(self, refs: Collection[ResourceRef]) -> Iterator[ScriptedCluster]:
        self.observed = tuple(refs)
        yield self
        self.closed = True

    def changed(self, timeout: float) -> Changes:
        self.pauses.append(timeout)
        until = self.clock.elapsed + timeout
        if not self.script or self.script[0][0] > until:
            assert until < math.inf, "nothing would ever end this wait"
            self.clock.elapsed = until
            return {}
        at, changes = self.script.pop(0)
        self.clock.elapsed = max(self.clock.elapsed, at)
        if isinstance(changes, ClusterError):
            raise changes
        return changes


APP, JOB, POD, DB = ref("Deployment"), ref("Job"), ref("Pod"), ref("Database")
READY = live("Deployment")
ROLLING = live("Deployment", {"status": {"availableReplicas": 0}})
STUCK = live(
    "Deployment", {"status": {"conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]}}
)


def run(cluster: ScriptedCluster, *refs: ResourceRef, timeout: float = 60.0, **options: Any) -> Verdict:
    return wait(refs, cluster, cluster.clock, timeout=timeout, **options)


def statuses(verdict: Verdict) -> list[str]:
    return [health.status for health in verdict.healths]


def test_a_wait_ends_the_moment_everything_is_current() -> None:
    cluster = ScriptedCluster([(0, {APP: ROLLING, POD: live("Pod")}), (7, {APP: READY})])
    told: list[str] = []
    verdict = run(cluster, POD, APP, listener=told.append)
    assert verdict.ok
    assert verdict.settled
    assert verdict.healths == check({APP: READY, POD: live("Pod")})
    assert told == ["1 of 2 ready, waiting for Deployment/apps/x: Available: 0/3"]
    assert (cluster.clock.elapsed, cluster.closed) == (7, True)


def test_nothing_to_wait_for_needs_no_observation() -> None:
    cluster = ScriptedCluster([])
    assert run(cluster) == Verdict((), settled=True)
    assert cluster.pauses == []


def test_an_object_is_waited_for_once_however_often_it_is_named() -> None:
    other_version = ResourceRef("apps", "x", "apps", "Deployment", "v1beta1")
    assert len(run(ScriptedCluster([(0, {APP: READY})]), APP, other_version).healths) == 1


def test_a_failure_ends_the_wait_at_once() -> None:
    cluster = ScriptedCluster([(0, {APP: ROLLING, DB: None}), (3, {APP: STUCK})])
    verdict = run(cluster, APP, DB)
    assert verdict.error == "failed early due to stalled resources: [Deployment/apps/x status: 'Failed']"
    assert verdict.settled
    assert statuses(verdict) == ["Failed", "NotFound"]
    assert cluster.clock.elapsed == 3


def test_without_fail_fast_a_failure_waits_for_the_others() -> None:
    cluster = ScriptedCluster([(0, {APP: STUCK, DB: None}), (9, {DB: live("Database")})])
    told: list[str] = []
    verdict = run(cluster, APP, DB, fail_fast=False, listener=told.append)
    assert verdict.error == "failed early due to stalled resources: [Deployment/apps/x status: 'Failed']"
    assert cluster.clock.elapsed == 9
    assert told == ["0 of 2 ready, waiting for Database/apps/x: Resource not found"]


def test_a_timeout_names_everything_that_is_not_current() -> None:
    odd = live("Pod", {"status": {"phase": "Dreaming"}})
    leaving = live("Job", {"status": {"conditions": None}})
    space = ResourceRef("", "n", "", "Namespace", "v1")
    gone = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"deletionTimestamp": "2026-03-01T12:00:00Z"},
    }
    cluster = ScriptedCluster([(0, {APP: ROLLING, POD: odd, DB: None, JOB: leaving, space: gone})])
    verdict = run(cluster, APP, POD, DB, JOB, space, ref("Secret", "z"), timeout=30)
    assert verdict.error == (
        "timeout waiting for: [Namespace/n status: 'Terminating', "
        "Pod/apps/x status: 'Unknown': unknown phase Dreaming, "
        "Deployment/apps/x status: 'InProgress', Job/apps/x status: 'InProgress', "
        "Database/apps/x status: 'NotFound', can't determine status for Secret/apps/z]"
    )
    assert not verdict.settled
    assert cluster.pauses == [30, 30]


def test_what_is_reported_at_the_very_end_still_counts() -> None:
    assert run(ScriptedCluster([(0, {APP: ROLLING}), (60, {APP: READY})]), APP).ok


def test_an_object_that_does_not_exist_may_still_appear() -> None:
    assert run(ScriptedCluster([(0, {DB: None}), (20, {DB: live("Database")})]), DB).ok


def test_an_object_that_is_deleted_midway_may_come_back() -> None:
    leaving = live("Deployment", {"metadata": {"deletionTimestamp": "2026-03-01T12:00:00Z"}})
    script: Script = [
        (0, {APP: ROLLING}),
        (1, {APP: leaving}),
        (2, {APP: None}),
        (3, {APP: ROLLING}),
        (4, {APP: READY}),
    ]
    told: list[str] = []
    assert run(ScriptedCluster(script), APP, listener=told.append).ok
    assert [words.rpartition("/x: ")[2] for words in told] == [
        "Available: 0/3",
        "Resource scheduled for deletion",
        "Resource not found",
        "Available: 0/3",
    ]


@pytest.mark.parametrize(("known", "expected"), [(True, ["Current"]), (False, ["NotFound"])])
def test_a_job_that_is_gone_is_done_when_it_had_a_ttl(known: bool, expected: list[str]) -> None:  # noqa: FBT001
    cluster = ScriptedCluster([(0, {JOB: live("Job", {"status": None})}), (5, {JOB: None})])
    assert statuses(run(cluster, JOB, jobs_with_ttl=[JOB] if known else [])) == expected


def test_a_pod_that_fits_no_node_fails_when_its_time_is_up_although_nothing_happens() -> None:
    cluster = ScriptedCluster([(4, {POD: live("Pod", {"status": UNSCHEDULABLE})})])
    verdict = run(cluster, POD)
    assert statuses(verdict) == ["Failed"]
    assert cluster.clock.elapsed == 15


def ready_at(clock: FakeClock, moment: float) -> Callable[[ResourceRef], tuple[Status, str] | None]:
    """Our own run judges the Database, and finds it ready at some moment."""

    def judge(subject: ResourceRef) -> tuple[Status, str] | None:
        if subject != DB:
            return None
        return (Status.CURRENT, "ready") if clock.elapsed >= moment else (Status.IN_PROGRESS, "applying")

    return judge


def test_an_overridden_object_is_judged_by_the_override_and_not_observed() -> None:
    cluster = ScriptedCluster([(0, {APP: READY})])
    verdict = run(cluster, APP, DB, overrides=ready_at(cluster.clock, 2.5))
    assert verdict.ok
    assert cluster.observed == (APP,)
    assert cluster.clock.elapsed == pytest.approx(2.5, abs=0.11)


def test_an_override_that_is_settled_costs_no_looks() -> None:
    cluster = ScriptedCluster([(0, {APP: ROLLING}), (40, {APP: READY})])
    assert run(cluster, APP, DB, overrides=ready_at(cluster.clock, 0)).ok
    assert cluster.pauses == [60, 60]


def test_a_wait_for_overrides_alone_ends() -> None:
    cluster = ScriptedCluster([])
    assert run(cluster, DB, overrides=ready_at(cluster.clock, 0)).ok
    assert cluster.pauses == []


def at(version: str, manifest: Manifest) -> Manifest:
    return merged(dict(manifest), {"metadata": {"resourceVersion": version}})


def test_an_object_older_than_what_was_applied_is_not_judged() -> None:
    old, new = at("99", READY), at("100", ROLLING)
    cluster = ScriptedCluster([(0, {APP: old}), (3, {APP: new}), (7, {APP: at("101", READY)})])
    verdict = run(cluster, APP, since={APP: "100"})
    assert verdict.ok
    assert cluster.clock.elapsed == 7


@pytest.mark.parametrize(
    ("seen", "applied"),
    [
        pytest.param("100", "100", id="the version that was applied"),
        pytest.param("1000", "999", id="a later one, compared as numbers"),
        pytest.param("opaque", "100", id="versions that are no numbers"),
        pytest.param("1", "", id="nothing was applied"),
    ],
)
def test_an_object_that_is_recent_enough_is_judged(seen: str, applied: str) -> None:
    cluster = ScriptedCluster([(0, {APP: at(seen, READY)})])
    assert run(cluster, APP, since={APP: applied}).ok
    assert cluster.clock.elapsed == 0


def test_an_override_that_fails_ends_the_wait() -> None:
    cluster = ScriptedCluster([(0, {APP: ROLLING})])
    verdict = run(cluster, APP, DB, overrides=lambda r: (Status.FAILED, "it failed") if r == DB else None)
    assert verdict.error == "failed early due to stalled resources: [Database/apps/x status: 'Failed']"


def test_an_object_that_is_doomed_ends_the_wait() -> None:
    cluster = ScriptedCluster([(0, {APP: ROLLING, POD: live("Pod")})])
    asked: list[float] = []

    def doomed(healths: tuple[Health, ...]) -> Mapping[ResourceRef, str]:
        asked.append(cluster.clock.elapsed)
        assert [health.ref for health in healths] == sorted([APP, POD])
        return (
            {APP: "it cannot recover: InvalidImageName", POD: "nor can what is well"}
            if len(asked) > 3
            else {}
        )

    verdict = run(cluster, APP, POD, doomed=doomed)

    assert verdict.error == "failed early due to stalled resources: [Deployment/apps/x status: 'Failed']"
    assert [h.message for h in verdict.healths if h.ref == APP] == ["it cannot recover: InvalidImageName"]
    assert asked == [0, 0.5, 1, 1.5]


def test_without_fail_fast_nobody_asks_what_is_doomed() -> None:
    def doomed(_: tuple[Health, ...]) -> Mapping[ResourceRef, str]:
        raise AssertionError("it was asked")

    cluster = ScriptedCluster([(0, {APP: ROLLING})])
    verdict = run(cluster, APP, doomed=doomed, fail_fast=False)
    assert verdict.error == "timeout waiting for: [Deployment/apps/x status: 'InProgress']"


def test_a_cancelled_wait_ends_soon() -> None:
    cluster = ScriptedCluster([(0, {APP: ROLLING})])
    verdict = run(cluster, APP, cancelled=lambda: cluster.clock.elapsed > 10)
    assert verdict.error == "interrupted while waiting for: [Deployment/apps/x status: 'InProgress']"
    assert not verdict.settled
    assert cluster.clock.elapsed == 10.5
    assert max(cluster.pauses) == 0.5


def test_a_cluster_that_cannot_be_observed_is_an_error() -> None:
    cluster = ScriptedCluster([(0, {APP: ROLLING}), (1, ClusterError("cannot watch deployments", code=403))])
    with pytest.raises(ClusterError, match="cannot watch deployments"):
        run(cluster, APP)


def test_progress_is_one_short_line() -> None:
    wordy = live(
        "Database",
        {"status": {"conditions": [{"type": "Ready", "status": "False", "message": "a\nb " * 99}]}},
    )
    mute = live("Database", {"status": {"conditions": [{"type": "Ready", "status": "False"}]}})
    told: list[str] = []
    run(ScriptedCluster([(0, {DB: wordy}), (1, {DB: wordy}), (2, {DB: mute})]), DB, listener=told.append)
    assert told[0].startswith("0 of 1 ready, waiting for Database/apps/x: a b a b ")
    assert len(told[0]) < 210
    assert told[1:] == ["0 of 1 ready, waiting for Database/apps/x: InProgress"]
