"""From a rendered object to the one that is sent."""

from __future__ import annotations

import base64
import copy
from types import MappingProxyType

import pytest
import yaml

from runner.discover import parse
from runner.model import FLUX
from runner.render.prepare import encrypted, prepare
from tests.cluster import certificates

SPEC = yaml.safe_load("{interval: 10m, prune: true, sourceRef: {kind: GitRepository, name: fleet}}")
OWN = MappingProxyType({f"{FLUX}/name": "apps", f"{FLUX}/namespace": "flux-system"})


def owner(**common):
    return parse(
        {
            "apiVersion": f"{FLUX}/v1",
            "kind": "Kustomization",
            "metadata": {"name": "apps", "namespace": "flux-system"},
            "spec": {**SPEC, "commonMetadata": common},
        }
    )


def prepared(text, **common):
    manifest = yaml.safe_load(text)
    manifest = {"apiVersion": "v1", **manifest, "metadata": {"name": "x", **manifest.get("metadata", {})}}
    before = copy.deepcopy(manifest)
    made, warnings = prepare(manifest, owner(**common))
    assert manifest == before, "the input is left alone"
    return made, warnings


CONFIG = "{kind: ConfigMap, metadata: {labels: {app: web}, annotations: {note: a}}}"


def test_the_owner_labels_are_added_to_the_object_and_nowhere_else():
    made, warnings = prepared("{kind: Pod, metadata: {labels: {app: web}}, spec: {template: {metadata: {}}}}")
    assert made["metadata"]["labels"] == {"app": "web", **OWN}
    assert made["spec"] == {"template": {"metadata": {}}}
    assert warnings == ()


def test_common_metadata_comes_last_and_so_beats_even_the_owner_labels():
    made, _ = prepared(
        CONFIG, labels={"app": "b", f"{FLUX}/name": "z"}, annotations={"note": "c", "more": "d"}
    )
    assert made["metadata"]["labels"] == {**OWN, "app": "b", f"{FLUX}/name": "z"}
    assert made["metadata"]["annotations"] == {"note": "c", "more": "d"}


def test_a_null_label_is_empty_text():
    made, warnings = prepared("{kind: ConfigMap, metadata: {labels: {app: web, none: ~}}}")
    assert made["metadata"]["labels"] == {"app": "web", "none": "", **OWN}
    assert warnings == ()


def test_common_annotations_replace_those_of_which_one_is_no_text():
    made, warnings = prepared(
        "{kind: ConfigMap, metadata: {annotations: {a: b, number: 1}}}", annotations={"note": "c"}
    )
    assert made["metadata"]["annotations"] == {"note": "c"}
    assert "loses all its annotations" in warnings[0]


def test_common_metadata_makes_null_annotations_empty_text():
    made, _ = prepared("{kind: ConfigMap, metadata: {annotations: {a: b, none: ~}}}")
    assert made["metadata"]["annotations"] == {"a": "b", "none": ""}


def test_without_common_metadata_annotations_stay():
    made, _ = prepared(CONFIG)
    assert made["metadata"]["annotations"] == {"note": "a"}


def test_one_label_that_is_no_string_costs_all_and_is_said():
    made, warnings = prepared("{kind: ConfigMap, metadata: {labels: {a: x, b: 1}}}", labels={"c": "y"})
    assert made["metadata"]["labels"] == {**OWN, "c": "y"}
    assert warnings == (
        "ConfigMap/x loses all its labels, as it would in Flux: the value of b is not a string",
    )


FIELDS = [
    pytest.param(
        "{kind: ConfigMap, status: {a: b}}", {"status": None}, id="a status is not sent"
    ),
    pytest.param(
        "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, status: {a: b}}",
        {"status": {"a": "b"}}, id="but a definition's",
    ),
    pytest.param(
        "{kind: Secret, stringData: {a: new, b: x}, data: {a: b2xk, c: eQ==}}",
        {"stringData": None, "data": {"a": "bmV3", "b": "eA==", "c": "eQ=="}},
        id="a Secret's text is encoded, over what is encoded",
    ),
    pytest.param(
        "{kind: Secret, stringData: {a: b}, data: [c]}", {"data": ["c"]}, id="data that is no object is sent"
    ),
    pytest.param("{kind: Secret, stringData: {}}", {"stringData": None, "data": None}, id="no text, no data"),
    pytest.param(
        "{apiVersion: x.io/v1, kind: Secret, stringData: {a: b}}", {"stringData": {"a": "b"}, "data": None},
        id="somebody else's Secret is left as it is",
    ),
    pytest.param(
        "{kind: Service, spec: {ports: [{port: 80}, {port: 53, protocol: UDP}, {port: 1, protocol: ''}, z]}}",
        {"spec": {"ports": [{"port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"},
                            {"port": 1, "protocol": "TCP"}, "z"]}},
        id="a Service's ports have a protocol",
    ),
    pytest.param("{kind: Service, spec: ~}", {"spec": None}, id="a Service without a spec"),
    pytest.param(
        "{apiVersion: x.io/v1, kind: Service, spec: {ports: [{x: 1}]}}", {"spec": {"ports": [{"x": 1}]}},
        id="somebody else's Service is left as it is",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), FIELDS)
def test_fields(text, expected):
    made, _ = prepared(text)
    assert {name: made.get(name) for name in expected} == expected


POD = (
    """{containers: [{ports: [{containerPort: 80}]}, {name: b}, odd], initContainers: [{ports: [{x: 1}]}]}"""
)
WITH_PROTOCOLS = {
    "containers": [{"ports": [{"containerPort": 80, "protocol": "TCP"}]}, {"name": "b"}, "odd"],
    "initContainers": [{"ports": [{"x": 1}]}],  # as in Flux
}


@pytest.mark.parametrize(
    ("api_version", "kind", "path"),
    [
        ("apps/v1", "Deployment", ("template", "spec")),
        ("apps/v1", "StatefulSet", ("template", "spec")),
        ("apps/v1", "DaemonSet", ("template", "spec")),
        ("apps/v1", "ReplicaSet", ("template", "spec")),
        ("batch/v1", "Job", ("template", "spec")),
        ("batch/v1", "CronJob", ("jobTemplate", "spec", "template", "spec")),
    ],
)
def test_the_ports_of_containers_have_a_protocol(api_version, kind, path):
    text = POD
    for field in reversed(path):
        text = f"{{{field}: {text}, other: a}}"
    made, _ = prepared(f"{{apiVersion: {api_version}, kind: {kind}, spec: {text}}}")
    found = made["spec"]
    for field in path:
        assert found["other"] == "a"
        found = found[field]
    assert found == WITH_PROTOCOLS


@pytest.mark.parametrize("text", ["spec: ~", "spec: {template: ~}", "spec: {template: {spec: odd}}"])
def test_a_workload_without_containers_is_left_as_it_is(text):
    made, _ = prepared(f"apiVersion: apps/v1\nkind: Deployment\n{text}")
    assert made["spec"] == yaml.safe_load(text)["spec"]


@pytest.mark.parametrize("text", ["~", "'2026-03-01T12:00:00Z'"])
def test_a_creation_timestamp_is_not_sent(text):
    made, _ = prepared(f"{{kind: ConfigMap, metadata: {{creationTimestamp: {text}}}}}")
    assert "creationTimestamp" not in made["metadata"]


def coded(text):
    return base64.b64encode(text.encode()).decode()


@pytest.fixture(scope="module")
def certificate():
    return certificates.Authority.create().credential.certificate.decode()


def bundled(bundle, kind="CustomResourceDefinition", group="apiextensions.k8s.io"):
    conversion = {"webhook": {"clientConfig": {"caBundle": bundle, "url": "https://x.example"}}}
    made, _ = prepared(
        yaml.safe_dump({"apiVersion": f"{group}/v1", "kind": kind, "spec": {"conversion": conversion}})
    )
    return made["spec"]["conversion"]["webhook"]["clientConfig"].get("caBundle")


def test_a_bundle_with_a_certificate_is_kept(certificate):
    for text in (certificate, certificate + "\nand more", "before\n" + certificate * 2):
        assert bundled(coded(text)) == coded(text)


@pytest.mark.parametrize(
    "bundle",
    [
        coded("\n"),
        coded("no certificate"),
        coded("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        "no base64!",
    ],
)
def test_a_bundle_without_a_certificate_is_not_sent(bundle):
    assert bundled(bundle) is None
    assert bundled(bundle, "Thing", "x.example") == bundle, "other kinds are as they are"


def test_an_empty_bundle_stays():
    assert bundled("") == ""


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        pytest.param("{apiVersion: v1, kind: Secret, sops: {}}", True, id="a Secret that SOPS made"),
        pytest.param("{apiVersion: v1, kind: Secret}", False, id="a plain Secret"),
        pytest.param("{apiVersion: v1, kind: ConfigMap, sops: {}}", False, id="anything else"),
    ],
)
def test_what_is_still_encrypted_is_named(text, refused):
    manifest = {**yaml.safe_load(text), "metadata": {"name": "x"}}
    assert encrypted(manifest).startswith("Secret/x is SOPS encrypted") is refused
