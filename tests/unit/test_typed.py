"""What the controller's typed structs make of an object: what is added, what is left out, what stays."""

from __future__ import annotations

import copy
import textwrap
from typing import Any

import pytest
import yaml

from runner import typed


def sent(text: str) -> Any:
    given = yaml.safe_load(text)
    before = copy.deepcopy(given)
    made = typed.sent(given)
    assert given == before
    return made


@pytest.mark.parametrize(
    ("api_version", "kind", "given", "expected"),
    [
        ("v1", "Namespace", "", "spec: {}"),
        ("v1", "ConfigMap", "data: {}\nbinaryData: ~", ""),
        ("v1", "ConfigMap", "data: {a: ~, b: ''}", "data: {a: '', b: ''}"),
        ("v1", "Secret", "data: {a: ''}\nimmutable: false", "data: {a: ''}\nimmutable: false"),
        (
            "v1",
            "Service",
            "spec: {ports: [{port: 80}]}",
            "spec: {ports: [{port: 80, targetPort: 0}]}",
        ),
        (
            "apps/v1",
            "Deployment",
            "spec: {replicas: 0, paused: false, template: {spec: {containers: [{name: a, args: []}]}}}",
            """
            spec:
              replicas: 0
              selector: ~
              strategy: {}
              template: {metadata: {}, spec: {containers: [{name: a, resources: {}}]}}
            """,
        ),
        (
            "v1",
            "Pod",
            "spec: {containers: [], volumes: [{name: a, emptyDir: {}}]}",
            "spec: {containers: [], volumes: [{name: a, emptyDir: {}}]}",
        ),
        (
            "admissionregistration.k8s.io/v1",
            "MutatingWebhookConfiguration",
            "webhooks: [{name: a, clientConfig: {caBundle: ''}, sideEffects: ~}]",
            "webhooks: [{name: a, clientConfig: {}, sideEffects: ~, admissionReviewVersions: ~}]",
        ),
        ("v1", "Namespace", "spec: {newer: 1}", "spec: {newer: 1}"),
        ("v1", "Namespace", "metadata: {name: a, creationTimestamp: ~}", "metadata: {name: a}\nspec: {}"),
    ],
)
def test_what_flux_sends(api_version: str, kind: str, given: str, expected: str):
    head = f"apiVersion: {api_version}\nkind: {kind}\n"
    meta = "" if "metadata: {name" in given else "metadata: {name: a}\n"
    assert sent(head + meta + given) == yaml.safe_load(head + meta + textwrap.dedent(expected))


@pytest.mark.parametrize(
    "text",
    [
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: a}}",
        "{apiVersion: example.org/v1, kind: Deployment, metadata: {name: a}, spec: {args: []}}",
        "{apiVersion: v1, kind: Namespace, metadata: {name: a}, spec: odd}",
        "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: odd}}",
        "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {type: 1}}",
        "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: true}]}}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: []}",
    ],
)
def test_what_flux_leaves_as_it_is(text: str):
    assert sent(text) == yaml.safe_load(text)
