"""The app that is rendered with every field of a Kustomization's spec."""

# ruff: noqa: E501 -- manifests are as wide as people write them

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flux_kustomization(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": "apps", "namespace": "flux-system"},
        "spec": {
            "interval": "10m",
            "prune": True,
            "sourceRef": {"kind": "GitRepository", "name": "fleet"},
            **spec,
        },
    }


DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web  # a comment, which nobody keeps
  labels: {app: web, tier: "${tier:=front}"}
spec:
  replicas: ${replicas:=1}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      serviceAccountName: default
      containers:
      - name: web
        image: nginx:1.0
        args: ["--money", "$$5", "--port=${port:=80}", 'it''s']
        envFrom: [{configMapRef: {name: settings}}, {secretRef: {name: keys}}]
        ports: [{containerPort: 80}]
      - {name: log, image: "mirror.example/log@sha256:1111111111111111111111111111111111111111111111111111111111111111"}
      initContainers:
      - {name: init, image: busybox}
"""
OTHERS = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, name: http}]}
---
# nothing but a comment
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: "web:view"}
subjects: [{kind: ServiceAccount, name: default, namespace: default}]
roleRef: {kind: ClusterRole, name: view, apiGroup: rbac.authorization.k8s.io}
---
apiVersion: v1
kind: Namespace
metadata: {name: space}
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ServiceAccount
  metadata: {name: default}
- apiVersion: example.com/v1
  kind: Widget
  metadata: {name: w, namespace: own, annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}}
  spec: {kept: "${verbatim} $$ ${x:=1}", float: 1.50, big: 9007199254740993, octal: 0644, date: 2024-01-01}
"""
COMPONENT = """\
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
"""

APP: Mapping[str, str] = {
    "app/kustomization.yaml": """\
resources: [deployment.yaml, others.yaml]
namespace: given
namePrefix: given-
labels: [{pairs: {team: a}, includeSelectors: false}]
commonAnnotations: {owner: "team a"}
images:
- {name: nginx, newTag: "1.1"}
- {name: busybox, newName: mirror.example/busybox, digest: "sha256:2222222222222222222222222222222222222222222222222222222222222222"}
configMapGenerator:
- {name: settings, literals: ["LEVEL=${level:=info}", "URL=http://a/?b=c"], files: [settings.ini]}
secretGenerator:
- {name: keys, literals: [password=hunter2], envs: [keys.env]}
patches:
- target: {kind: Deployment}
  patch: |
    - {op: add, path: /metadata/annotations/first, value: "kfile"}
""",
    "app/deployment.yaml": DEPLOYMENT,
    "app/others.yaml": OTHERS,
    "app/settings.ini": "[main]\nkey = ${verbatim:=it is}\n\ttab\n",
    "app/keys.env": "A=1\n# no\nB=two words\n",
    "plain/one/deployment.yaml": DEPLOYMENT,
    "plain/one/notes.json": "{}",
    "plain/others.yml": OTHERS,
    "plain/.hidden/config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: b}\n",
    "plain/with-kfile/kustomization.yaml": "resources: [only.yaml]\nnameSuffix: -k\n",
    "plain/with-kfile/only.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: only}\n",
    "plain/with-kfile/not.yaml": "no: object\n",
    "components/a/kustomization.yaml": COMPONENT
    + """\
resources: [extra.yaml]
patches:
- target: {kind: Deployment}
  patch: |
    - {op: add, path: /spec/template/spec/priorityClassName, value: high}
""",
    "components/a/extra.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\ndata: {a: '1', b: yes}\n",
    "components/c/kustomization.yaml": COMPONENT + "commonAnnotations: {component: c}\n",
    "components/b/kustomization.yaml": COMPONENT
    + "nameSuffix: -b\nreplicas: [{name: web, count: 3}]\nimages: [{name: nginx, newTag: from-b}]\n",
}

FIELDS: Mapping[str, Mapping[str, Any]] = {
    "targetNamespace": {"targetNamespace": "elsewhere"},
    "namePrefix": {"namePrefix": "pre-"},
    "nameSuffix": {"nameSuffix": "-post"},
    "strategic-merge": {
        "patches": [
            {
                "patch": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template: {spec: {containers: "
                "[{name: web, env: [{name: A, value: '${tier:=x}'}]}, {name: log, $patch: delete}]}}\n"
            },
            {
                "target": {"labelSelector": "app=web"},
                "patch": "apiVersion: v1\nkind: any\nmetadata: {name: any, annotations: {merged: 'yes'}}\n",
            },
            {"patch": "$patch: delete\napiVersion: v1\nkind: Namespace\nmetadata: {name: space}\n"},
        ]
    },
    "json6902": {
        "patches": [
            {
                "target": {"group": "apps", "version": "v1", "kind": "Deployment", "name": "web.*"},
                "patch": '[{"op": "test", "path": "/kind", "value": "Deployment"},'
                '{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "${port:=80}"},'
                '{"op": "remove", "path": "/spec/template/spec/initContainers"}]',
            },
            {"target": {"kind": "Nothing"}, "patch": "- {op: remove, path: /no}\n"},
            {
                "target": {"kind": "Service", "namespace": "no.*", "annotationSelector": "x=y"},
                "patch": "- {op: remove, path: /no}\n",
            },
        ]
    },
    "images": {
        "images": [
            {"name": "nginx", "newName": "mirror.example/nginx", "newTag": "2.0"},
            {"name": "busybox", "newTag": "stable"},
            {"name": "mirror.example/log", "newTag": "3", "digest": "sha256:" + "3" * 64},
            {"name": "unused", "newTag": "1"},
        ]
    },
    "components": {"components": ["../components/b", "../components/a"]},
    "ignoreMissingComponents": {
        "components": ["../components/none", "../components/c"],
        "ignoreMissingComponents": True,
    },
    "buildMetadata": {"buildMetadata": ["originAnnotations", "transformerAnnotations"]},
    "commonMetadata": {
        "commonMetadata": {
            "labels": {"team": "common", "raw": "${port}"},
            "annotations": {"note": "a: b", "${port}": ""},
        }
    },
    "substitute": {
        "postBuild": {"substitute": {"replicas": "3", "tier": "back", "port": "8\n080", "level": "${x}"}}
    },
    "always": {"postBuild": {"substituteStrategy": "Always"}},
    "empty-postBuild": {"postBuild": {}},
    "later-stages": {
        "wait": True,
        "force": True,
        "timeout": "5m",
        "deletionPolicy": "Orphan",
        "healthChecks": [
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "namespace": "given"}
        ],
        "ignore": [{"paths": ["/spec/replicas"], "target": {"kind": "Deployment"}}],
        "dependsOn": [{"name": "infra"}],
    },
}


def together(*fields: str) -> dict[str, Any]:
    """The spec with several of the fields; lists come one after the other, as they would be written."""
    spec: dict[str, Any] = {}
    for field in fields:
        for key, value in FIELDS[field].items():
            if isinstance(value, list):
                spec[key] = [*spec.get(key, []), *value]
            elif isinstance(value, Mapping):
                spec[key] = {**spec.get(key, {}), **value}
            else:
                spec[key] = value
    return spec
