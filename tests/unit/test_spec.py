"""A Kustomization's object: every default, every check, and what is refused by name."""

from __future__ import annotations

import copy
from types import MappingProxyType

import pytest
import yaml

from runner.discover.spec import is_kustomization, parse
from runner.durations import seconds
from runner.errors import UsageError
from runner.model import DeletionPolicy, HealthCheckExpr, PostBuild, ResourceRef, SourceRef, VariableSource

MINIMAL = MappingProxyType(
    yaml.safe_load("""
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: apps, namespace: flux-system}
spec: {interval: 10m, prune: true, sourceRef: {kind: GitRepository, name: fleet}}
""")
)


def spec(text="{}", **metadata):
    """The minimal Kustomization with other fields; one that is `~` is taken out."""
    made = copy.deepcopy(dict(MINIMAL))
    made["metadata"] |= metadata
    made["spec"] |= yaml.safe_load(text)
    return made


def without(*fields):
    made = copy.deepcopy(dict(MINIMAL))
    made["spec"] = {name: value for name, value in made["spec"].items() if name not in fields}
    return made


DEFAULTS = {
    "namespace": "flux-system",
    "name": "apps",
    "id": "flux-system/apps",
    "source": SourceRef("GitRepository", "flux-system", "fleet"),
    "path": "",
    "depends_on": (),
    "ready_exprs": (),
    "dependencies": (),
    "prune": True,
    "wait": False,
    "suspend": False,
    "interval": 600.0,
    "timeout": 570.0,
    "retry_interval": 600.0,
    "deletion_policy": DeletionPolicy.MIRROR_PRUNE,
    "deletes": True,
    "health_checks": (),
    "health_check_exprs": (),
    "post_build": None,
    "decrypts": False,
    "keys_from": None,
    "service_account": "",
    "acts_as": "",
    "labels": {},
    "annotations": {},
    "warnings": (),
    "force": False,
    "ignore": (),
}


@pytest.mark.parametrize(("field", "value"), DEFAULTS.items())
def test_the_default_of(field, value):
    assert getattr(parse(MINIMAL), field) == value


def test_the_whole_object_is_kept():
    assert parse(MINIMAL).manifest is MINIMAL


def test_the_defaults_cover_every_field():
    assert {*DEFAULTS, "manifest"} >= set(type(parse(MINIMAL)).__slots__)


VALUES = [
    (
        "dependsOn: [{name: a, readyExpr: 'true'}, {name: b, namespace: c}]",
        {"dependencies": (("flux-system/a", "true"), ("c/b", ""))},
    ),
    (
        """healthCheckExprs:
        - {apiVersion: a.b/v1, kind: C, current: x, failed: y, inProgress: ''}
        - {apiVersion: v1, current: z}""",
        {
            "health_check_exprs": (
                HealthCheckExpr("a.b", "C", "x", failed="y"),
                HealthCheckExpr("", "", "z"),
            )
        },
    ),
    ("path: ./apps/production", {"path": "./apps/production"}),
    ("{wait: true, suspend: true, prune: false}", {"wait": True, "suspend": True, "prune": False}),
    ("suspend: ~", {"suspend": False}),
    ("{prune: false, deletionPolicy: MirrorPrune}", {"deletes": False}),
    ("{prune: false, deletionPolicy: Delete}", {"deletes": True}),
    ("{prune: false, deletionPolicy: WaitForTermination}", {"deletes": True}),
    ("{prune: true, deletionPolicy: Orphan}", {"deletes": False, "deletion_policy": DeletionPolicy.ORPHAN}),
    ("interval: 1h", {"interval": 3600.0, "timeout": 3570.0, "retry_interval": 3600.0}),
    ("interval: 1m", {"interval": 60.0, "timeout": 30.0, "retry_interval": 60.0}),
    ("interval: 30s", {"interval": 30.0, "timeout": 30.0, "retry_interval": 30.0}),
    ("interval: 5s", {"interval": 5.0, "timeout": 30.0, "retry_interval": 5.0}),
    ("retryInterval: 20s", {"retry_interval": 20.0}),
    ("timeout: 2m", {"timeout": 120.0}),
    ("timeout: 1s", {"timeout": 1.0}),
    (
        "sourceRef: {kind: OCIRepository, name: x, namespace: other}",
        {"source": SourceRef("OCIRepository", "other", "x")},
    ),
    (
        "dependsOn: [{name: b}, {name: a, namespace: team}]",
        {"depends_on": ("flux-system/b", "team/a")},
    ),
    (
        """healthChecks:
        - {kind: Deployment, name: web, namespace: apps}
        - {apiVersion: v1, kind: Service, name: web}
        - {apiVersion: example.com/v1beta1, kind: Database, name: db}""",
        {
            "health_checks": (
                ResourceRef("apps", "web", "apps", "Deployment", "v1"),
                ResourceRef("", "web", "", "Service", "v1"),
                ResourceRef("", "db", "example.com", "Database", "v1beta1"),
            )
        },
    ),
    ("postBuild: {}", {"post_build": PostBuild()}),
    (
        """postBuild:
        substituteStrategy: Always
        substitute: {a: "1"}
        substituteFrom:
        - {kind: ConfigMap, name: one}
        - {kind: Secret, name: two, optional: true}""".replace("\n        ", "\n  "),
        {
            "post_build": PostBuild(
                {"a": "1"},
                (
                    VariableSource("ConfigMap", "flux-system", "one"),
                    VariableSource("Secret", "flux-system", "two", optional=True),
                ),
            )
        },
    ),
    (
        "commonMetadata: {labels: {team: a}, annotations: {note: b}}",
        {"labels": {"team": "a"}, "annotations": {"note": "b"}},
    ),
    ("{force: false, ignore: [], kubeConfig: ~, serviceAccountName: ''}", {"id": "flux-system/apps"}),
    (
        """
        buildMetadata: [originAnnotations]
        components: [../x]
        ignoreMissingComponents: true
        images: [{name: a, newTag: b}]
        namePrefix: a-
        nameSuffix: -b
        patches: [{patch: x}]
        retryInterval: 1m
        targetNamespace: apps""",
        {"id": "flux-system/apps"},
    ),
]


@pytest.mark.parametrize(("text", "expected"), VALUES)
def test_a_field_that_is_set(text, expected):
    parsed = parse(spec(text))
    assert {name: getattr(parsed, name) for name in expected} == expected


@pytest.mark.parametrize("version", ["v1beta1", "v1beta2"])
def test_old_versions_are_read_as_v1_and_said(version):
    parsed = parse({**MINIMAL, "apiVersion": f"kustomize.toolkit.fluxcd.io/{version}"})
    [warning] = parsed.warnings
    assert parsed.id == "flux-system/apps"
    assert warning.startswith(f"apiVersion kustomize.toolkit.fluxcd.io/{version} is not served by Flux any")


PROBLEMS = [
    (without("interval"), "spec.interval is missing"),
    (without("prune"), "spec.prune is missing"),
    (without("sourceRef"), "spec.sourceRef is missing"),
    ({**MINIMAL, "spec": None}, "spec is missing"),
    ({**MINIMAL, "spec": "x"}, "spec is not an object"),
    ({**MINIMAL, "apiVersion": "kustomize.toolkit.fluxcd.io/v2"}, "apiVersion .*/v2 is not served by Flux"),
    ({**MINIMAL, "wait": True}, "apps: wait is not a field of a Kustomization"),
    (spec(namespace=""), "metadata.namespace is missing"),
    (spec(name=""), "metadata.name is missing"),
    (spec("interval: ''"), "spec.interval is missing"),
    (spec("pruning: true"), "spec.pruning is not a field of a Kustomization"),
    (spec("postBuild: {substitutes: {}}"), "spec.postBuild.substitutes is not a field"),
    (spec("sourceRef: {kind: GitRepository, name: x, branch: y}"), "spec.sourceRef.branch is not a field"),
    (spec("patches: [{patch: x, options: {}}]"), r"spec.patches\[0\].options is not a field"),
    (spec("kubeConfig: {}"), "exactly one of spec.kubeConfig.configMapRef or spec.kubeConfig.secretRef must"),
    (
        spec("kubeConfig: {configMapRef: {name: a}, secretRef: {name: b}}"),
        "exactly one of spec.kubeConfig.configMapRef or spec.kubeConfig.secretRef must be specified",
    ),
    (spec("serviceAccountName: 'a:b'"), "spec.serviceAccountName is 'a:b', which is no name of a ServiceAcc"),
    (
        spec('serviceAccountName: "a\\r\\n Impersonate-Group: system:masters"'),
        "which is no name of a Service",
    ),
    (
        spec("serviceAccountName: a", namespace="b:c"),
        "metadata.namespace is 'b:c', which is no name of a name",
    ),
    (spec("dependsOn: [~]"), r"spec.dependsOn\[0\] is None, not an object"),
    (spec("commonMetadata: {labels: {a: true, b: x, c: ~}}"), "labels: the value of a, c is not a string"),
    (spec("images: [{name: x, newTag: 1.10}]"), r"images\[0\].newTag is 1.1, not a string; put it in quotes"),
]


@pytest.mark.parametrize(("manifest", "message"), PROBLEMS, ids=[text for _, text in PROBLEMS])
def test_what_is_wrong_is_named(manifest, message):
    with pytest.raises(UsageError, match=message):
        parse(manifest)


COMPONENTS = [
    ("../x", True), ("x/y", True), (".", True), ("file://x", True), ("git::", True),
    ("github.community/x", True), ("FILE:///x", False),
    ("git::https://a/b", False), ("gh:a/b", False), ("ssh://a/b", False), ("https://a/b", False),
    ("HTTP://a/b", False), ("git@github.com:a/b", False), ("github.com:a/b", False),
    ("github.com/a/b", False), ("/x", False), ("file:///x", False),
]  # fmt: skip


@pytest.mark.parametrize(("path", "local"), COMPONENTS)
def test_a_component_is_local_and_relative(path, local):
    manifest = spec()
    manifest["spec"]["components"] = ["./first", path]
    if local:
        assert parse(manifest).id == "flux-system/apps"
        return
    with pytest.raises(UsageError) as caught:
        parse(manifest)
    assert caught.value.message == (
        "Kustomization flux-system/apps: "
        f"spec.components[1]: component path '{path}' must be local and relative"
    )


def test_everything_that_is_wrong_comes_in_one_error_that_names_the_object():
    manifest = spec(
        """{interval: x, force: true, wait: 1, zebra: 1, dependsOn: [{name: a}, {}],
        decryption: {provider: gpg}, postBuild: {substituteFrom: [{kind: Pod, optional: 'no'}]}}""",
        name="web",
    )
    with pytest.raises(UsageError) as caught:
        parse(manifest)
    subject, _, problems = caught.value.message.partition(": ")
    assert subject == "Kustomization flux-system/web"
    assert [problem.split(" not ")[0] for problem in problems.split("; ")] == [
        "spec.decryption.provider is 'gpg',",
        "spec.dependsOn[1].name is missing",
        "spec.interval: 'x' is",
        "spec.postBuild.substituteFrom[0].name is missing",
        "spec.postBuild.substituteFrom[0].kind is 'Pod',",
        "spec.postBuild.substituteFrom[0].optional is 'no', neither true nor false",
        "spec.wait is 1, neither true nor false",
        "spec.zebra is",
    ]
    assert "README.md" in caught.value.hint


DURATIONS = [
    ("0s", 0.0), ("10m", 600.0), ("1h30m", 5400.0), ("1.5h", 5400.0), ("500ms", 0.5), ("1m1s1ms", 61.001),
    ("1h1h", 7200.0),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), DURATIONS)
def test_a_duration_in_seconds(text, expected):
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text", ["", "10", "m", "1d", "-1m", "+1m", "1 m", "1m ", "1us", ".5h", "1.h", "1h\n"]
)
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="is not a duration"):
        seconds(text)


@pytest.mark.parametrize(
    ("api_version", "kind", "expected"),
    [
        pytest.param("kustomize.toolkit.fluxcd.io/v1", "Kustomization", True, id="Flux's"),
        pytest.param("kustomize.toolkit.fluxcd.io/v9", "Kustomization", True, id="Flux's of any version"),
        pytest.param("kustomize.config.k8s.io/v1beta1", "Kustomization", False, id="kustomize's"),
        pytest.param("kustomize.toolkit.fluxcd.io/v1", "Other", False, id="another kind of Flux's"),
    ],
)
def test_a_kustomization_is(api_version, kind, expected):
    assert is_kustomization({"apiVersion": api_version, "kind": kind}) is expected
