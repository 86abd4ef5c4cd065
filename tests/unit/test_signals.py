"""What a reviewer is told beside the diff: each rule, and what is close to it but not it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from runner.changes import ObjectChange, Severity
from runner.diff import fields, secret_fields
from runner.discover import root
from runner.model import FLUX, Action, ResourceRef
from runner.signals import signals
from runner.signals.immutable import quantity
from tests.unit.immutables import EDITS, manifests

APPS = "flux-system/apps"
BLOCKER, CAUTION, NOTE = "blocker", "caution", "note"


def unit(name=APPS, **rest):
    return replace(root(name, "apps"), **{"prune": True, **rest})


def load(text, kind, api_version):
    if text is None:
        return None
    manifest = yaml.safe_load(text) or {}
    meta = {"name": "x", "namespace": "default", **manifest.pop("metadata", {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, **manifest}


def changed(before, after, owner=APPS, **rest):
    """The change of one object, from its two manifests."""
    action = Action.CREATED if before is None else Action.DELETED if after is None else Action.CONFIGURED
    compare = secret_fields if (after or before)["kind"] == "Secret" else fields
    both = compare(before, after) if before and after else ()
    values = {"action": action, "fields": both, "before": before, "after": after, **rest}
    return ObjectChange(owner, ResourceRef.of(after or before), **values)


KNOWN = (unit(),)


def told(*changes, base=KNOWN, head=KNOWN):
    found = signals(changes, {each.id: each for each in base}, {each.id: each for each in head})
    return [f"{each.severity} {each.code}: {each.text}" for each in found]


def rows(kind, api_version, *cases):
    return [pytest.param(kind, api_version, *case[1:], id=f"{kind}: {case[0]}") for case in cases]


def gone(kind="ConfigMap", api_version="v1", text="{}", **rest):
    return changed(load(text, kind, api_version), None, **rest)


def case(title, before, after, *expected):
    return title, before, after, expected


def container(security):
    return f"spec: {{template: {{spec: {{containers: [{{name: c, securityContext: {security}}}]}}}}}}"


def pod(fields_):
    return f"spec: {{jobTemplate: {{spec: {{template: {{spec: {{containers: [], {fields_}}}}}}}}}}}"


RULES = [
    *rows(
        "Kustomization",
        f"{FLUX}/v1",
        case("nothing", "spec: {path: a}", "spec: {path: b}"),
        case("suspended", "spec: {}", "spec: {suspend: true}", "caution suspend: is suspended"),
        case("resumed", "spec: {suspend: true}", "spec: {suspend: false}", "caution suspend: is resumed"),
        case("said to be active", "spec: {}", "spec: {suspend: false}"),
        case("new and suspended", None, "spec: {suspend: true}", "caution suspend: is created suspended"),
        case(
            "new",
            None,
            "spec: {prune: true, serviceAccountName: a, targetNamespace: b, deletionPolicy: Orphan}",
        ),
        case(
            "prune off",
            "spec: {prune: true}",
            "spec: {prune: false}",
            "caution prune-policy: turns prune off",
        ),
        case("prune on", "spec: {}", "spec: {prune: true}", "caution prune-policy: turns prune on"),
        case(
            "deletion policy",
            "spec: {}",
            "spec: {deletionPolicy: Orphan}",
            "caution prune-policy: changes what becomes of its objects when it goes: deletionPolicy "
            "MirrorPrune → Orphan",
        ),
        case("default deletion policy", "spec: {}", "spec: {deletionPolicy: MirrorPrune}"),
        case(
            "account",
            "spec: {}",
            "spec: {serviceAccountName: a}",
            "caution identity: deploys with other rights: ServiceAccount the controller's own → a",
        ),
        case("cluster", "spec: {}", "spec: {kubeConfig: {}}", "caution identity: deploys to another cluster"),
        case(
            "namespace",
            "spec: {targetNamespace: a}",
            "spec: {targetNamespace: b}",
            "caution target-namespace: deploys to another namespace: targetNamespace a → b",
        ),
    ),
    *rows(
        "HelmRelease",
        "helm.toolkit.fluxcd.io/v2",
        case("suspended", "spec: {}", "spec: {suspend: true}", "caution suspend: is suspended"),
        case("account", "spec: {}", "spec: {serviceAccountName: a}", "caution identity: deploys with other"),
        case("name", "spec: {}", "spec: {releaseName: a}", "caution reinstall: is uninstalled"),
        case("values", "spec: {}", "spec: {values: {releaseName: a, suspend: true}}"),
        case("new", None, "spec: {releaseName: a}"),
    ),
    *rows(
        "CronJob",
        "batch/v1",
        case("suspended", "spec: {}", "spec: {suspend: true}", "caution suspend: is sus"),
    ),
    *rows("Thing", "a.io/v1", case("suspended", "spec: {}", "spec: {suspend: true}")),
    *rows(
        "Deployment",
        "apps/v1",
        case(
            "to zero", "spec: {replicas: 2}", "spec: {replicas: 0}", "caution scale-to-zero: is scaled to 0"
        ),
        case("from the default", "spec: {}", "spec: {replicas: 0}", "caution scale-to-zero: is scaled to 0"),
        case("still zero", "spec: {replicas: 0}", "spec: {replicas: 0, paused: true}"),
        case("new with zero", None, "spec: {replicas: 0}"),
        case("to one", "spec: {replicas: 2}", "spec: {replicas: 1}"),
        case("not a number", "spec: {replicas: 2}", "spec: {replicas: false}"),
        case(
            "left out",
            "spec: {replicas: 2}",
            "spec: {}",
            "note replicas: no longer says spec.replicas: from 2",
        ),
        case("one left out", "spec: {replicas: 1}", "spec: {}"),
        case(
            "privileged",
            container("{}"),
            container("{privileged: true}"),
            "caution privileged: runs container c privileged",
        ),
        case(
            "privileged before",
            container("{privileged: true}"),
            container("{privileged: true, runAsUser: 0}"),
        ),
        case("no longer", container("{privileged: true}"), container("{privileged: false}")),
        case("new", None, container("{privileged: true}"), "caution privileged: runs container c privileged"),
        case(
            "escalating",
            container("{}"),
            container("{allowPrivilegeEscalation: true}"),
            "caution privilege-escalation: lets container c gain",
        ),
        case("not escalating", container("{}"), container("{allowPrivilegeEscalation: false}")),
        case(
            "capable",
            container("{capabilities: {add: [CHOWN]}}"),
            container("{capabilities: {add: [CHOWN, SYS_ADMIN]}}"),
            "caution capabilities: gives container c the capability SYS_ADMIN",
        ),
        case(
            "less capable",
            container("{}"),
            container("{capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}"),
        ),
    ),
    *rows(
        "CronJob",
        "batch/v1",
        case(
            "host",
            pod("hostNetwork: false"),
            pod("hostNetwork: true, hostPID: true, hostIPC: true"),
            "caution host-namespace: shares the network of its node (hostNetwork)",
            "caution host-namespace: shares the processes of its node (hostPID)",
            "caution host-namespace: shares the shared memory of its node (hostIPC)",
        ),
        case("host before", pod("hostPID: true"), pod("hostPID: true, a: b")),
        case(
            "path",
            pod("volumes: [{name: a, hostPath: {path: /a}}]"),
            pod("volumes: [{name: b, hostPath: {path: /a}}, {name: a, hostPath: {path: /b}}]"),
            "caution host-path: mounts /b of its node",
        ),
        case("other volumes", pod("a: b"), pod("volumes: [{name: a, emptyDir: {}}]")),
    ),
    *rows(
        "HorizontalPodAutoscaler",
        "autoscaling/v2",
        case("no least", "spec: {minReplicas: 3}", "spec: {}", "caution scale-to-zero: may scale down to 1"),
        case(
            "zero",
            "spec: {minReplicas: 3}",
            "spec: {minReplicas: 0}",
            "caution scale-to-zero: may scale to 0",
        ),
        case("less", "spec: {minReplicas: 3}", "spec: {minReplicas: 2}"),
        case("the default", "spec: {minReplicas: 1}", "spec: {}"),
        case("new", None, "spec: {minReplicas: 0}"),
    ),
    *rows(
        "ClusterRoleBinding",
        "rbac.authorization.k8s.io/v1",
        case(
            "new",
            None,
            "{roleRef: {kind: ClusterRole, name: r}, subjects: [{kind: Group, name: g}]}",
            "caution cluster-rbac: gives Group/g the rights of ClusterRole/r in the whole cluster",
        ),
        case(
            "one more",
            "{roleRef: {name: r}, subjects: [{kind: Group, name: g}]}",
            "{roleRef: {name: r}, subjects: [{kind: Group, name: g}, {kind: User, name: u}]}",
            "caution cluster-rbac: gives User/u the rights",
        ),
        case(
            "one less",
            "{roleRef: {name: r}, subjects: [{kind: Group, name: g}, {kind: User, name: u}]}",
            "{roleRef: {name: r}, subjects: [{kind: Group, name: g}]}",
        ),
        case("nobody", None, "{roleRef: {name: r}}"),
    ),
    *rows(
        "RoleBinding",
        "rbac.authorization.k8s.io/v1",
        case(
            "everything",
            None,
            "{roleRef: {name: cluster-admin}, subjects: [{kind: Group, name: g}]}",
            "caution cluster-rbac: gives Group/g every right in its namespace",
        ),
        case("something", None, "{roleRef: {name: view}, subjects: [{kind: Group, name: g}]}"),
    ),
    *rows(
        "ClusterRole",
        "rbac.authorization.k8s.io/v1",
        case(
            "every verb",
            "rules: [{apiGroups: [a.io], resources: [pods], verbs: [get]}]",
            "rules: [{apiGroups: [a.io], resources: [pods], verbs: [get, '*']}]",
            "caution cluster-rbac: may now * pods of a.io in the whole cluster",
        ),
        case(
            "a power",
            None,
            "rules: [{apiGroups: [''], resources: [users], verbs: [impersonate]}]",
            "caution cluster-rbac: may now impersonate users in the whole cluster",
        ),
        case(
            "more",
            None,
            "rules: [{apiGroups: [''], resources: [a, b], verbs: [get, list]}]",
            "note cluster-rbac: allows more in the whole cluster: get a, list a, get b and 1 more",
        ),
        case(
            "less",
            "rules: [{apiGroups: ['*'], resources: ['*'], verbs: ['*']}]",
            "rules: []",
        ),
        case(
            "otherwise written",
            "rules: [{apiGroups: [''], resources: [a, b], verbs: [get]}]",
            "rules: [{apiGroups: [''], resources: [b], verbs: [get]}, {resources: [a], verbs: [get]}]",
        ),
    ),
    *rows(
        "Service",
        "v1",
        case(
            "open", "spec: {}", "spec: {type: LoadBalancer}", "caution exposed: can be reached from outside"
        ),
        case("new and open", None, "spec: {type: NodePort}", "caution exposed: can be reached from outside"),
        case("closed", "spec: {type: NodePort}", "spec: {type: ClusterIP}"),
        case(
            "external",
            "spec: {clusterIP: 10.0.0.1}",
            "spec: {type: ExternalName}",
            "caution address: loses or gets its address in the cluster: type ClusterIP → ExternalName",
        ),
        case("new and external", None, "spec: {type: ExternalName}"),
    ),
    *rows(
        "Ingress",
        "networking.k8s.io/v1",
        case(
            "hosts",
            "spec: {rules: [{host: a}, {host: b}]}",
            "spec: {rules: [{host: b}, {host: c}]}",
            "note hosts: answers for c",
            "note hosts: no longer answers for a",
        ),
        case("order", "spec: {rules: [{host: a}, {host: b}]}", "spec: {rules: [{host: b}, {host: a}]}"),
    ),
    *rows(
        "Gateway",
        "gateway.networking.k8s.io/v1",
        case("hosts", "spec: {}", "spec: {listeners: [{hostname: a}]}", "note hosts: answers for a"),
    ),
    *rows(
        "HTTPRoute",
        "gateway.networking.k8s.io/v1",
        case(
            "hosts",
            "spec: {hostnames: [a]}",
            "spec: {hostnames: [b]}",
            "note hosts: answers for b",
            "note hosts: no l",
        ),
    ),
    *rows(
        "ValidatingWebhookConfiguration",
        "admissionregistration.k8s.io/v1",
        case(
            "lenient",
            "webhooks: [{name: a}]",
            "webhooks: [{name: a, failurePolicy: Ignore}]",
            "caution webhook: lets requests through unchecked when webhook a",
        ),
        case(
            "strict",
            "webhooks: [{name: a, failurePolicy: Ignore}]",
            "webhooks: [{name: a}]",
            "caution webhook: refuses requests when webhook a",
        ),
        case("as strict", "webhooks: [{name: a}]", "webhooks: [{name: a, failurePolicy: Fail}, {name: b}]"),
    ),
    *rows(
        "CustomResourceDefinition",
        "apiextensions.k8s.io/v1",
        case(
            "unserved",
            "spec: {versions: [{name: a, served: true}]}",
            "spec: {versions: [{name: a, served: false}, {name: b, served: true}]}",
            "caution crd-version: no longer serves a",
        ),
        case(
            "dropped",
            "spec: {versions: [{name: a, served: true, storage: true}]}",
            "spec: {versions: [{name: b, served: true, storage: true}]}",
            "blocker crd-version: drops a, in which its objects are stored",
            "caution crd-version: no longer serves a",
            "note crd-version: stores its objects as b, no longer as a",
        ),
        case(
            "more",
            "spec: {versions: [{name: a, served: true, storage: true}]}",
            "spec: {versions: [{name: b, served: true}, {name: a, served: true, storage: true}]}",
        ),
        case("new", None, "spec: {names: {kind: B}, versions: [{name: b, served: true}]}"),
    ),
]


@pytest.mark.parametrize(("kind", "api_version", "before", "after", "expected"), RULES)
def test_of_a_changed_object_is_told(kind, api_version, before, after, expected):
    lines = told(changed(load(before, kind, api_version), load(after, kind, api_version)))
    assert len(lines) == len(expected), lines
    for line, start in zip(lines, sorted(expected), strict=True):
        severity, code, text = start.split(" ", 2)
        assert line.startswith(f"{severity} {code} {kind}/default/x {text}")


@pytest.mark.parametrize("rubbish", [None, 1, "x", [], [None, 1], {"template": 1}, {"versions": [1]}])
def test_no_rule_minds_an_object_that_makes_no_sense(rubbish):
    for row in RULES:
        kind, api_version, _, after, _ = row.values
        sane = load(after, kind, api_version)
        odd = {**sane, **dict.fromkeys(("spec", "rules", "subjects", "roleRef", "webhooks"), rubbish)}
        told(changed(odd, sane), changed(sane, odd), changed(odd, None))


# Fields that cannot change


@pytest.mark.parametrize("edit", [pytest.param(edit, id=edit.id) for edit in EDITS])
def test_what_the_api_server_refuses_to_change_is_told(edit):
    change = changed(*manifests(edit, "x", "default"))
    lines = [line for line in told(change) if " immutable: " in line]
    names = ", ".join(edit.fixed)
    refused = f"cannot be changed in {names}: the API server will refuse it; it has to be made anew"
    assert lines == ([f"blocker immutable: {change.ref} {refused}"] if edit.fixed else [])


SELECTOR = next(edit for edit in EDITS if edit.id == "deployment selector")


@pytest.mark.parametrize("where", ["labels", "annotations"])
def test_an_object_with_force_is_made_anew(where):
    before, after = manifests(SELECTOR, "x", "default")
    after["metadata"][where] = {f"{FLUX}/force": "Enabled"}
    [line] = told(changed(before, after))
    assert line.startswith("caution immutable: Deployment/default/x is deleted and created anew (force)")
    assert line.endswith(", because spec.selector cannot be changed")


def test_so_is_one_of_a_kustomization_with_force():
    change = changed(*manifests(SELECTOR, "x", "default"))
    forced = unit(manifest={"spec": {"force": True}})
    assert told(change, head=[forced])[0].startswith("caution immutable")
    assert told(change, base=[forced])[0].startswith("blocker immutable")


def test_what_a_generator_renamed_is_another_object():
    before, after = (load(f"{{immutable: true, data: {{a: {x}}}}}", "ConfigMap", "v1") for x in "bc")
    was = ResourceRef("default", "y", "", "ConfigMap", "v1")
    assert told(changed(before, after))[0].startswith("blocker immutable")
    assert told(changed(before, after, was=was)) == []


@pytest.mark.parametrize(
    ("storage", "shrinks"), [("2Gi", False), ("1024Mi", False), ("1000M", True), ("x", False)]
)
def test_a_claim_may_grow_but_not_shrink(storage, shrinks):
    before, after = (
        load(f"spec: {{resources: {{requests: {{storage: {size}}}}}}}", "PersistentVolumeClaim", "v1")
        for size in ("1Gi", storage)
    )
    assert (
        any("spec.resources.requests.storage (to less)" in line for line in told(changed(before, after)))
        is shrinks
    )


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        (2, 2),
        ("1.5k", 1500),
        ("1Ki", 1024),
        ("100m", "0.1"),
        ("1e3", 1000),
        ("5E", 5 * 10**18),
        ("", None),
    ],
)
def test_a_quantity_is_read_as_kubernetes_does(text, number):
    found = quantity(text)
    assert found == number or str(found.normalize()) == number


# All of it


def test_the_worst_comes_first_and_names_its_object_and_kustomization():
    changes = [
        gone(),
        changed(load("spec: {}", "Service", "v1"), load("spec: {type: NodePort}", "Service", "v1")),
        changed(*manifests(SELECTOR, "x", "default"), owner="flux-system/b"),
    ]
    found = signals(changes, {}, {})
    assert [each.severity for each in found] == [Severity.BLOCKER, Severity.CAUTION, Severity.NOTE]
    assert [each.kustomization for each in found] == ["flux-system/b", APPS, APPS]
    assert [str(each.ref) for each in found] == [
        "Deployment/default/x",
        "Service/default/x",
        "ConfigMap/default/x",
    ]
    assert found == signals(changes[::-1], {}, {})
    assert signals([], {}, {}) == ()
