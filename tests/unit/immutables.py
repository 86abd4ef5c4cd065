"""Objects before and after a change, and which of their fields the API server lets nobody change.

The unit tests hold the signals against this table, and the integration tests the table against an API server.
"""

from __future__ import annotations

from typing import NamedTuple

import yaml


class Edit(NamedTuple):
    id: str
    manifest: str
    before: str  # merged into the manifest
    after: str
    fixed: tuple[str, ...]  # none: the API server takes it


POD = "{metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: 'i:1'}]}}"
POD2 = "{metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: 'i:2'}]}}"
BOTH = "{metadata: {labels: {a: b, c: d}}, spec: {containers: [{name: c, image: i}]}}"
A, AB = "{matchLabels: {a: b}}", "{matchLabels: {a: b, c: d}}"

DEPLOYMENT = f"{{apiVersion: apps/v1, kind: Deployment, spec: {{template: {BOTH}}}}}"
DAEMON_SET = f"{{apiVersion: apps/v1, kind: DaemonSet, spec: {{template: {BOTH}}}}}"
REPLICA_SET = f"{{apiVersion: apps/v1, kind: ReplicaSet, spec: {{template: {BOTH}}}}}"
STATEFUL_SET = (
    f"{{apiVersion: apps/v1, kind: StatefulSet, spec: {{serviceName: s, template: {BOTH}, selector: {A}}}}}"
)
JOB_POD = "{spec: {restartPolicy: Never, containers: [{name: c, image: 'i:1'}]}}"
JOB_POD2 = "{spec: {restartPolicy: Never, containers: [{name: c, image: 'i:2'}]}}"
JOB = f"{{apiVersion: batch/v1, kind: Job, spec: {{template: {JOB_POD}}}}}"
INDEXED = f"{{apiVersion: batch/v1, kind: Job, spec: {{completionMode: Indexed, template: {JOB_POD}}}}}"
BARE = "{apiVersion: v1, kind: Pod, spec: {containers: [{name: c, image: i}]}}"
SERVICE = "{apiVersion: v1, kind: Service, spec: {selector: {a: b}, ports: [{port: 80}]}}"
CLAIM = (
    "{apiVersion: v1, kind: PersistentVolumeClaim, spec: {accessModes: [ReadWriteOnce], storageClassName: x,"
    " resources: {requests: {storage: 1Gi}}}}"
)
VOLUME = (
    "{apiVersion: v1, kind: PersistentVolume, spec: {accessModes: [ReadWriteOnce], capacity: {storage: 1Gi}}}"
)
CLASS = "{apiVersion: storage.k8s.io/v1, kind: StorageClass, provisioner: a.io/b}"
BINDING = "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding}"
CLUSTER_BINDING = "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding}"
SECRET = "{apiVersion: v1, kind: Secret}"
CONFIG_MAP = "{apiVersion: v1, kind: ConfigMap}"
INGRESS_CLASS = "{apiVersion: networking.k8s.io/v1, kind: IngressClass}"
PRIORITY = "{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, value: 5}"
RUNTIME = "{apiVersion: node.k8s.io/v1, kind: RuntimeClass}"
DEFINITION = (
    "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, spec: {group: immutable.example,"
    " scope: Namespaced, names: {plural: PLURAL, singular: SINGULAR, kind: Thing},"
    " versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]}}"
)


def edit(title, manifest, before, after, *fixed):
    return Edit(title, manifest, before, after, fixed)


def role(name):
    return f"roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {name}}}"


def claims(name):
    resources = "resources: {requests: {storage: 1Gi}}"
    spec = f"spec: {{accessModes: [ReadWriteOnce], {resources}}}"
    return f"spec: {{volumeClaimTemplates: [{{metadata: {{name: {name}}}, {spec}}}]}}"


EDITS = [
    edit(
        "deployment selector",
        DEPLOYMENT,
        f"spec: {{selector: {A}}}",
        f"spec: {{selector: {AB}}}",
        "spec.selector",
    ),
    edit(
        "deployment image",
        DEPLOYMENT,
        f"spec: {{selector: {A}, template: {POD}}}",
        f"spec: {{selector: {A}, template: {POD2}}}",
    ),
    edit(
        "daemonset selector",
        DAEMON_SET,
        f"spec: {{selector: {A}}}",
        f"spec: {{selector: {AB}}}",
        "spec.selector",
    ),
    edit(
        "replicaset selector",
        REPLICA_SET,
        f"spec: {{selector: {A}}}",
        f"spec: {{selector: {AB}}}",
        "spec.selector",
    ),
    edit(
        "replicaset replicas",
        REPLICA_SET,
        f"spec: {{selector: {A}}}",
        f"spec: {{selector: {A}, replicas: 2}}",
    ),
    edit("statefulset selector", STATEFUL_SET, "{}", f"spec: {{selector: {AB}}}", "spec.selector"),
    edit("statefulset service", STATEFUL_SET, "{}", "spec: {serviceName: t}", "spec.serviceName"),
    edit(
        "statefulset policy",
        STATEFUL_SET,
        "{}",
        "spec: {podManagementPolicy: Parallel}",
        "spec.podManagementPolicy",
    ),
    edit("statefulset default policy", STATEFUL_SET, "{}", "spec: {podManagementPolicy: OrderedReady}"),
    edit("statefulset claims", STATEFUL_SET, claims("a"), claims("b"), "spec.volumeClaimTemplates"),
    edit("statefulset first claim", STATEFUL_SET, "{}", claims("b"), "spec.volumeClaimTemplates"),
    edit("statefulset replicas", STATEFUL_SET, "{}", "spec: {replicas: 3}"),
    edit("job template", JOB, "{}", f"spec: {{template: {JOB_POD2}}}", "spec.template"),
    edit("job completions", JOB, "{}", "spec: {completions: 3}", "spec.completions"),
    edit("job default completions", JOB, "{}", "spec: {completions: 1}"),
    edit(
        "job mode",
        JOB,
        "spec: {completions: 2}",
        "spec: {completions: 2, completionMode: Indexed}",
        "spec.completionMode",
    ),
    edit("job parallelism", JOB, "spec: {completions: 2}", "spec: {completions: 2, parallelism: 2}"),
    edit("job backoff", JOB, "{}", "spec: {backoffLimit: 2}"),
    edit(
        "elastic job",
        INDEXED,
        "spec: {completions: 2, parallelism: 2}",
        "spec: {completions: 3, parallelism: 3}",
    ),
    edit(
        "indexed job",
        INDEXED,
        "spec: {completions: 2, parallelism: 1}",
        "spec: {completions: 3, parallelism: 1}",
        "spec.completions",
    ),
    edit("pod image", BARE, "{}", "spec: {containers: [{name: c, image: 'i:2'}]}"),
    edit("pod command", BARE, "{}", "spec: {containers: [{name: c, image: i, command: [x]}]}", "spec"),
    edit("pod host network", BARE, "{}", "spec: {hostNetwork: true}", "spec"),
    edit(
        "service address",
        SERVICE,
        "spec: {clusterIP: None}",
        "spec: {clusterIP: 10.0.0.77}",
        "spec.clusterIP",
    ),
    edit("service address given up", SERVICE, "spec: {clusterIP: None}", "{}"),
    edit("service type", SERVICE, "{}", "spec: {type: LoadBalancer}"),
    edit("service becomes external", SERVICE, "{}", "spec: {type: ExternalName, externalName: a.b}"),
    edit("service no longer external", SERVICE, "spec: {type: ExternalName, externalName: a.b}", "{}"),
    edit(
        "service from external to headless",
        SERVICE,
        "spec: {type: ExternalName, externalName: a.b}",
        "spec: {clusterIP: None}",
    ),
    edit("claim class", CLAIM, "{}", "spec: {storageClassName: y}", "spec.storageClassName"),
    edit("claim modes", CLAIM, "{}", "spec: {accessModes: [ReadWriteMany]}", "spec.accessModes"),
    edit("claim volume", CLAIM, "{}", "spec: {volumeName: v}"),
    edit("claim other volume", CLAIM, "spec: {volumeName: v}", "spec: {volumeName: w}", "spec.volumeName"),
    edit("claim default mode", CLAIM, "{}", "spec: {volumeMode: Filesystem}"),
    edit("claim mode", CLAIM, "{}", "spec: {volumeMode: Block}", "spec.volumeMode"),
    edit("claim labels", CLAIM, "{}", "metadata: {labels: {a: b}}"),
    edit(
        "volume source",
        VOLUME,
        "spec: {hostPath: {path: /a}}",
        "spec: {hostPath: {path: /b}}",
        "spec.hostPath",
    ),
    edit(
        "volume class",
        VOLUME,
        "spec: {hostPath: {path: /a}}",
        "spec: {hostPath: {path: /a}, storageClassName: x}",
    ),
    edit(
        "volume policy",
        VOLUME,
        "spec: {hostPath: {path: /a}}",
        "spec: {hostPath: {path: /a}, persistentVolumeReclaimPolicy: Delete}",
    ),
    edit(
        "volume size",
        VOLUME,
        "spec: {hostPath: {path: /a}}",
        "spec: {hostPath: {path: /a}, capacity: {storage: 2Gi}}",
    ),
    edit(
        "volume mode",
        VOLUME,
        "spec: {hostPath: {path: /a}}",
        "spec: {hostPath: {path: /a}, volumeMode: Block}",
        "spec.volumeMode",
    ),
    edit("class provisioner", CLASS, "{}", "provisioner: a.io/c", "provisioner"),
    edit("class parameters", CLASS, "parameters: {a: b}", "parameters: {a: c}", "parameters"),
    edit("class parameters go", CLASS, "parameters: {a: b}", "{}", "parameters"),
    edit("class policy", CLASS, "{}", "reclaimPolicy: Retain", "reclaimPolicy"),
    edit("class default policy", CLASS, "{}", "reclaimPolicy: Delete"),
    edit("class binding", CLASS, "{}", "volumeBindingMode: WaitForFirstConsumer", "volumeBindingMode"),
    edit("class expansion", CLASS, "{}", "allowVolumeExpansion: true"),
    edit("role of binding", BINDING, role("view"), role("edit"), "roleRef"),
    edit("role of cluster binding", CLUSTER_BINDING, role("view"), role("edit"), "roleRef"),
    edit(
        "subjects",
        BINDING,
        role("view"),
        f"{role('view')}\nsubjects: [{{kind: ServiceAccount, name: a, namespace: b}}]",
    ),
    edit("secret type", SECRET, "{}", "type: a.io/b", "type"),
    edit("secret default type", SECRET, "{}", "type: Opaque"),
    edit(
        "immutable secret",
        SECRET,
        "{immutable: true, data: {a: YQ==}}",
        "{immutable: true, data: {a: Yg==}}",
        "data.a",
    ),
    edit(
        "immutable config",
        CONFIG_MAP,
        "{immutable: true, data: {a: b}}",
        "{immutable: true, data: {a: c}}",
        "data.a",
    ),
    edit(
        "immutable binary",
        CONFIG_MAP,
        "{immutable: true}",
        "{immutable: true, binaryData: {a: Yg==}}",
        "binaryData.a",
    ),
    edit("immutable no more", CONFIG_MAP, "{immutable: true}", "{immutable: false}", "immutable"),
    edit(
        "immutable labels", CONFIG_MAP, "{immutable: true}", "{immutable: true, metadata: {labels: {a: b}}}"
    ),
    edit("mutable config", CONFIG_MAP, "{data: {a: b}}", "{immutable: true, data: {a: c}}"),
    edit(
        "ingress class",
        INGRESS_CLASS,
        "spec: {controller: a.io/b}",
        "spec: {controller: a.io/c}",
        "spec.controller",
    ),
    edit(
        "ingress class parameters",
        INGRESS_CLASS,
        "spec: {controller: a.io/b}",
        "spec: {controller: a.io/b, parameters: {kind: A, name: b}}",
    ),
    edit("priority", PRIORITY, "{}", "value: 6", "value"),
    edit("preemption", PRIORITY, "{}", "preemptionPolicy: Never", "preemptionPolicy"),
    edit("priority description", PRIORITY, "{}", "description: x"),
    edit("runtime", RUNTIME, "handler: a", "handler: b", "handler"),
    edit("definition scope", DEFINITION, "{}", "spec: {scope: Cluster}", "spec.scope"),
    edit("definition kind", DEFINITION, "{}", "spec: {names: {kind: Other}}", "spec.names.kind"),
    edit("definition short name", DEFINITION, "{}", "spec: {names: {shortNames: [xyz]}}"),
]


def manifests(edit, name, namespace):
    """Both sides of an edit, as the manifests of one object."""
    meta = {"metadata": {"name": name, "namespace": namespace}}
    base = merged(yaml.safe_load(edit.manifest), meta)
    if base["kind"] == "CustomResourceDefinition":
        names = {"plural": f"{name}s", "singular": name}
        base = merged(base, {"metadata": {"name": f"{name}s.immutable.example"}, "spec": {"names": names}})
    return tuple(merged(base, yaml.safe_load(side)) for side in (edit.before, edit.after))


def merged(base, patch):
    both = base.keys() & patch.keys()
    nested = {k: merged(base[k], patch[k]) for k in both if isinstance(base[k], dict) and k not in REPLACED}
    return {**base, **patch, **nested}


REPLACED = frozenset({"selector", "template", "matchLabels"})
