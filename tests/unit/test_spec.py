"""A Kustomization's object: every default, every check, and what is refused by name."""

from __future__ import annotations

import copy
from types import MappingProxyType

import pytest
import yaml

from runner.discover.spec import HONOURED, REFUSED, is_kustomization, parse, seconds
from runner.errors import UsageError
from runner.model import DeletionPolicy, PostBuild, ResourceRef, SourceRef, VariableSource

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
    "prune": True,
    "wait": False,
    "suspend": False,
    "interval": 600.0,
    "timeout": 570.0,
    "deletion_policy": DeletionPolicy.MIRROR_PRUNE,
    "deletes": True,
    "health_checks": (),
    "post_build": None,
    "labels": {},
    "annotations": {},
}


@pytest.mark.parametrize(("field", "value"), DEFAULTS.items())
def test_the_default_of(field, value):
    assert getattr(parse(MINIMAL), field) == value


def test_the_whole_object_is_kept():
    assert parse(MINIMAL).manifest is MINIMAL


def test_the_defaults_cover_every_field():
    assert {*DEFAULTS, "manifest"} >= set(type(parse(MINIMAL)).__slots__)


VALUES = [
    ("path: ./apps/production", {"path": "./apps/production"}),
    ("{wait: true, suspend: true, prune: false}", {"wait": True, "suspend": True, "prune": False}),
    ("suspend: ~", {"suspend": False}),
    ("{prune: false, deletionPolicy: MirrorPrune}", {"deletes": False}),
    ("{prune: false, deletionPolicy: Delete}", {"deletes": True}),
    ("{prune: false, deletionPolicy: WaitForTermination}", {"deletes": True}),
    ("{prune: true, deletionPolicy: Orphan}", {"deletes": False, "deletion_policy": DeletionPolicy.ORPHAN}),
    ("interval: 1h", {"interval": 3600.0, "timeout": 3570.0}),
    ("interval: 1m", {"timeout": 30.0}),
    ("interval: 30s", {"timeout": 30.0}),
    ("interval: 5s", {"timeout": 30.0}),
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


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1beta2"])
def test_old_versions_are_read_as_v1(version):
    assert parse({**MINIMAL, "apiVersion": f"kustomize.toolkit.fluxcd.io/{version}"}).id == "flux-system/apps"


PROBLEMS = [
    (without("interval"), "spec.interval is missing"),
    (without("prune"), "spec.prune is missing"),
    (without("sourceRef"), "spec.sourceRef is missing"),
    ({**MINIMAL, "spec": None}, "spec is missing"),
    ({**MINIMAL, "spec": "x"}, "spec is not an object"),
    ({**MINIMAL, "apiVersion": "kustomize.toolkit.fluxcd.io/v2"}, "apiVersion .*/v2 is not served by Flux"),
    (spec(namespace=""), "metadata.namespace is missing"),
    (spec(name=""), "metadata.name is missing"),
    (spec("interval: ''"), "spec.interval is missing"),
    (spec("interval: 10"), "interval is 10, not a string"),
    (spec("interval: '10'"), "spec.interval: '10' is not a duration"),
    (spec("interval: 1d"), "spec.interval: '1d' is not a duration"),
    (spec("interval: -1m"), "spec.interval: '-1m' is not a duration"),
    (spec("timeout: soon"), "spec.timeout: 'soon' is not a duration"),
    (spec("prune: 'true'"), "prune is 'true', neither true nor false"),
    (spec("wait: 1"), "wait is 1, neither true nor false"),
    (spec("suspend: 'no'"), "suspend is 'no', neither true nor false"),
    (spec("path: 5"), "path is 5, not a string"),
    (spec("deletionPolicy: Keep"), "deletionPolicy is 'Keep', not one of MirrorPrune, Delete"),
    (spec("sourceRef: fleet"), "sourceRef is not an object"),
    (spec("sourceRef: {name: x}"), "spec.sourceRef.kind is missing"),
    (spec("sourceRef: {kind: GitRepository}"), "spec.sourceRef.name is missing"),
    (
        spec("sourceRef: {kind: HelmRepository, name: x}"),
        "kind is 'HelmRepository', not one of GitRepository",
    ),
    (spec("dependsOn: apps"), "dependsOn is not a list of objects"),
    (spec("dependsOn: [apps]"), "dependsOn is not a list of objects"),
    (spec("dependsOn: [{namespace: x}]"), "an entry of dependsOn has no name"),
    (spec("dependsOn: [{name: x, readyExpr: 'true'}]"), "dependsOn.readyExpr is not supported"),
    (spec("healthChecks: {}\nwait: 0"), "wait is 0"),
    (spec("healthChecks: [{kind: Service}]"), "an entry of healthChecks has no kind or no name"),
    (spec("healthChecks: [{name: x}]"), "an entry of healthChecks has no kind or no name"),
    (spec("postBuild: []"), "postBuild is not an object"),
    (spec("postBuild: {substitute: {a: 1, b: x, c: ~}}"), "substitute: the value of a, c is not a string"),
    (spec("postBuild: {substitutes: {}}"), "postBuild.substitutes is not a field"),
    (spec("postBuild: {substituteStrategy: Never}"), "substituteStrategy is 'Never', not one of"),
    (
        spec("postBuild: {substituteFrom: [{kind: Pod, name: x}]}"),
        "kind is 'Pod', not one of ConfigMap, Secret",
    ),
    (
        spec("postBuild: {substituteFrom: [{kind: Secret}]}"),
        "an entry of substituteFrom has no kind or no name",
    ),
    (spec("postBuild: {substituteFrom: [{name: x}]}"), "an entry of substituteFrom has no kind or no name"),
    (spec("postBuild: {substituteFrom: [{kind: Secret, name: x, optional: 'yes'}]}"), "optional is 'yes'"),
    (spec("commonMetadata: {labels: {a: true}}"), "labels: the value of a is not a string"),
    (spec("commonMetadata: {annotations: []}"), "annotations is not an object"),
    (spec("pruning: true"), "spec.pruning is not a field of a Kustomization"),
    (spec("validation: client"), "spec.validation is not a field of a Kustomization"),
]


@pytest.mark.parametrize(("manifest", "message"), PROBLEMS, ids=[text for _, text in PROBLEMS])
def test_what_is_wrong_is_named(manifest, message):
    with pytest.raises(UsageError, match=message):
        parse(manifest)


SET = {
    "decryption": {"provider": "sops"},
    "force": True,
    "healthCheckExprs": [{"kind": "X"}],
    "ignore": [{"paths": ["/spec"]}],
    "kubeConfig": {"secretRef": {"name": "x"}},
    "serviceAccountName": "deployer",
}


@pytest.mark.parametrize(("field", "value"), SET.items())
def test_a_field_that_we_would_get_wrong_is_refused_by_name(field, value):
    manifest = spec()
    manifest["spec"][field] = value
    with pytest.raises(UsageError) as caught:
        parse(manifest)
    assert caught.value.message == f"Kustomization flux-system/apps: spec.{field}: {REFUSED[field]}"


def test_every_field_of_flux_is_either_honoured_or_refused():
    fields = """buildMetadata commonMetadata components decryption deletionPolicy dependsOn force
    healthCheckExprs healthChecks ignore ignoreMissingComponents images interval kubeConfig namePrefix
    nameSuffix patches path postBuild prune retryInterval serviceAccountName sourceRef suspend
    targetNamespace timeout wait"""
    assert sorted(HONOURED | REFUSED.keys()) == sorted(fields.split())
    assert not HONOURED & REFUSED.keys()
    assert REFUSED.keys() == SET.keys()


def test_everything_that_is_wrong_comes_in_one_error_that_names_the_object():
    manifest = spec("{interval: x, force: true, wait: 1, zebra: 1, dependsOn: [{}]}", name="web")
    with pytest.raises(UsageError) as caught:
        parse(manifest)
    subject, _, problems = caught.value.message.partition(": ")
    assert subject == "Kustomization flux-system/web"
    named = ("spec.force: ", "spec.zebra is not", "spec.interval: ", "entry of dependsOn", "wait is 1")
    assert [problems.count(text) for text in named] == [1] * len(named)
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
