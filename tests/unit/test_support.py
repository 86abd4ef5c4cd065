"""The table of Flux's fields: the CRD's, each with what becomes of it; and every row at work."""

from __future__ import annotations

import copy

import pytest
import yaml

from runner.discover.fields import BELOW, FIELDS, Field, Support, Type
from runner.discover.spec import parse
from runner.errors import UsageError

# The CRD of kustomize-controller 1.9.5: a field, its type, `!` when it is required; enumerations and lengths.
CRD = """
buildMetadata array
buildMetadata[] string originAnnotations|transformerAnnotations
commonMetadata object
commonMetadata.annotations strings
commonMetadata.labels strings
components array
components[] string
decryption object
decryption.provider string! sops
decryption.secretRef object
decryption.secretRef.name string!
decryption.serviceAccountName string
deletionPolicy string MirrorPrune|Delete|WaitForTermination|Orphan
dependsOn array
dependsOn[] object
dependsOn[].name string!
dependsOn[].namespace string
dependsOn[].readyExpr string
force boolean
healthCheckExprs array
healthCheckExprs[] object
healthCheckExprs[].apiVersion string!
healthCheckExprs[].current string!
healthCheckExprs[].failed string
healthCheckExprs[].inProgress string
healthCheckExprs[].kind string
healthChecks array
healthChecks[] object
healthChecks[].apiVersion string
healthChecks[].kind string!
healthChecks[].name string!
healthChecks[].namespace string
ignore array
ignore[] object
ignore[].paths array!
ignore[].paths[] string
ignore[].target object
ignore[].target.annotationSelector string
ignore[].target.group string
ignore[].target.kind string
ignore[].target.labelSelector string
ignore[].target.name string
ignore[].target.namespace string
ignore[].target.version string
ignoreMissingComponents boolean
images array
images[] object
images[].digest string
images[].name string!
images[].newName string
images[].newTag string
interval duration!
kubeConfig object
kubeConfig.configMapRef object
kubeConfig.configMapRef.name string!
kubeConfig.secretRef object
kubeConfig.secretRef.key string
kubeConfig.secretRef.name string!
namePrefix string 1-200
nameSuffix string 1-200
patches array
patches[] object
patches[].patch string!
patches[].target object
patches[].target.annotationSelector string
patches[].target.group string
patches[].target.kind string
patches[].target.labelSelector string
patches[].target.name string
patches[].target.namespace string
patches[].target.version string
path string
postBuild object
postBuild.substitute strings
postBuild.substituteFrom array
postBuild.substituteFrom[] object
postBuild.substituteFrom[].kind string! Secret|ConfigMap
postBuild.substituteFrom[].name string! 1-253
postBuild.substituteFrom[].optional boolean
postBuild.substituteStrategy string WithVariables|Always
prune boolean!
retryInterval duration
serviceAccountName string
sourceRef object!
sourceRef.apiVersion string
sourceRef.kind string! OCIRepository|GitRepository|Bucket|ExternalArtifact
sourceRef.name string!
sourceRef.namespace string
suspend boolean
targetNamespace string 1-63
timeout duration
wait boolean
"""
GENERATORS = ["configMapGenerator", "secretGenerator"]
DROPPED = ["patchesJson6902", "patchesStrategicMerge", "validation"]
WORDS = {
    Type.STRING: "string", Type.BOOLEAN: "boolean", Type.DURATION: "duration", Type.OBJECT: "object",
    Type.LIST: "array", Type.STRINGS: "strings",
}  # fmt: skip

# A spec that sets every field of the table.
FULL = """
buildMetadata: [originAnnotations, transformerAnnotations]
commonMetadata: {annotations: {a: b}, labels: {c: d}}
components: [../x]
configMapGenerator: [{name: a, literals: [x=y]}]
decryption: {provider: sops, secretRef: {name: keys}, serviceAccountName: robot}
deletionPolicy: Orphan
dependsOn: [{name: a, namespace: b, readyExpr: 'true'}]
force: true
healthCheckExprs: [{apiVersion: a/v1, kind: B, current: 'true', failed: 'false', inProgress: 'false'}]
healthChecks: [{apiVersion: v1, kind: Service, name: a, namespace: b}]
ignore: [{paths: [/spec], target: &target {group: a, version: v1, kind: B, name: c, namespace: d,
  labelSelector: e, annotationSelector: f}}]
ignoreMissingComponents: true
images: [{name: a, newName: b, newTag: c, digest: d}]
interval: 10m
kubeConfig: {configMapRef: {name: a}, secretRef: {name: b, key: c}}
namePrefix: a-
nameSuffix: -b
patches: [{patch: x, target: *target}]
patchesJson6902: [{}]
patchesStrategicMerge: [{}]
path: ./apps
postBuild: {substitute: {a: b}, substituteFrom: [{kind: ConfigMap, name: a, optional: true}],
  substituteStrategy: Always}
prune: true
retryInterval: 1m
secretGenerator: [{name: b}]
serviceAccountName: robot
sourceRef: {apiVersion: v1, kind: GitRepository, name: a, namespace: b}
suspend: true
targetNamespace: apps
timeout: 2m
validation: client
wait: true
"""
TOP = [field for field in FIELDS if not field.parent]
REFUSED = [field for field in FIELDS if field.support is Support.REFUSED]
MINIMAL = ("interval", "prune", "sourceRef")


def row(field: Field) -> str:
    limits = "|".join(field.choices) or (f"{field.shortest}-{field.longest}" if field.longest else "")
    return f"{field.path} {WORDS[field.type]}{'!' if field.required else ''} {limits}".rstrip()


def kustomization(spec):
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": "apps", "namespace": "flux-system"},
        "spec": spec,
    }


def only(name):
    """The smallest spec that sets one more field, as FULL has it."""
    full = yaml.safe_load(FULL)
    return {field: copy.deepcopy(full[field]) for field in (*MINIMAL, name)}


def problems(spec):
    try:
        parse(kustomization(spec))
    except UsageError as exc:
        return exc.message.removeprefix("Kustomization flux-system/apps: ")
    return ""


def test_the_table_is_the_crd_and_what_people_write_besides():
    own = (*GENERATORS, *DROPPED)
    assert [row(f) for f in FIELDS if f.path.removesuffix("[]") not in own] == CRD.split("\n")[1:-1]
    assert [f.path for f in TOP if f.path in own] == sorted(own)


def test_the_table_is_sorted_and_names_a_field_once():
    paths = [field.path for field in TOP]
    assert paths == sorted(set(paths))
    assert len({field.path for field in FIELDS}) == len(FIELDS)
    assert all(set(BELOW[f.path]) == {"[]"} for f in FIELDS if f.type is Type.LIST and f.path in BELOW)


def test_every_field_of_spec_says_what_becomes_of_it_and_why_when_not_as_in_flux():
    assert all(field.support for field in TOP)
    assert all(field.why for field in FIELDS if field.support not in {None, Support.HONOURED})


def set_at(field: Field, value, *, name: str = "") -> dict:
    """FULL's value of the top-level field that holds `field`, with another value there."""
    parts = field.path.replace("[]", ".[]").split(".")
    spec = only(parts[0])
    where = spec
    steps = [0 if part == "[]" else part for part in parts]
    for step in steps[:-1]:
        where = where[step]
    if name:
        where[steps[-1]][name] = value
    elif value is None and isinstance(where, dict):
        del where[steps[-1]]
    else:
        where[steps[-1]] = value
    return spec


def at(field: Field) -> str:
    return f"spec.{field.path}".replace("[]", "[0]")


@pytest.mark.parametrize("field", FIELDS, ids=lambda f: f.path)
def test_a_field_is_accepted_or_refused_as_its_row_says(field):
    top = field.path.replace("[", ".").split(".")[0]
    refused = [f for f in REFUSED if f.path.replace("[", ".").split(".")[0] == top]
    said = problems(only(top))
    assert all(f"{at(f)}: {f.why}" in said for f in refused)
    assert bool(said) is bool(refused)


@pytest.mark.parametrize("field", [f for f in FIELDS if f.type is not Type.ANY], ids=lambda f: f.path)
def test_a_wrong_type_is_named_with_its_path(field):
    wrong, said = {
        Type.STRING: (5, "is 5, not a string; put it in quotes"),
        Type.DURATION: (5, "is 5, not a string; put it in quotes"),
        Type.BOOLEAN: ("true", "is 'true', neither true nor false"),
        Type.OBJECT: (["x"], "is a list, not an object"),
        Type.STRINGS: (["x"], "is a list, not an object"),
        Type.LIST: ({"x": 1}, "is an object, not a list"),
    }[field.type]
    assert f"{at(field)} {said}" in problems(set_at(field, wrong))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        pytest.param(
            "healthCheckExprs: [{apiVersion: a/v1, current: 'true'}, {apiVersion: b/v1, current: foo.}]",
            "spec.healthCheckExprs[1].current: failed to parse the CEL expression 'foo.': "
            "<input>:1:5: Syntax error: no viable alternative at input '.'",
            id="no expression",
        ),
        pytest.param(
            "healthCheckExprs: [{apiVersion: a/v1, kind: B, current: 'true', failed: '1 + 1'}]",
            "spec.healthCheckExprs[0].failed: failed to evaluate CEL expression as boolean: '1 + 1'",
            id="never true nor false",
        ),
        pytest.param(
            "dependsOn: [{name: a}, {name: b, readyExpr: dep.status.flag}]",
            "spec.dependsOn[1].readyExpr: CEL expression output type mismatch: expected bool, got dyn: "
            "'dep.status.flag'",
            id="not known to be true or false",
        ),
        pytest.param(
            "healthCheckExprs: [{apiVersion: a/v1, kind: B, current: 'true'}, "
            "{apiVersion: a/v2, kind: B, current: 'true'}]",
            "spec.healthCheckExprs[1]: duplicate custom health check for GroupKind B.a",
            id="two for one kind",
        ),
    ],
)
def test_an_expression_is_checked_before_anything_is_applied(spec, said):
    minimal = {"interval": "1m", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "fleet"}}
    assert problems({**minimal, **yaml.safe_load(spec)}) == said


@pytest.mark.parametrize("field", [f for f in FIELDS if f.required], ids=lambda f: f.path)
def test_a_required_field_is_missed(field):
    assert f"{at(field)} is missing" in problems(set_at(field, None))


@pytest.mark.parametrize("field", [f for f in FIELDS if f.choices], ids=lambda f: f.path)
def test_another_word_than_those_of_the_crd(field):
    said = problems(set_at(field, "zebra"))
    assert f"{at(field)} is 'zebra', not one of {', '.join(field.choices)}" in said


@pytest.mark.parametrize("field", [f for f in FIELDS if f.longest], ids=lambda f: f.path)
def test_a_text_that_is_too_long_or_too_short(field):
    assert problems(set_at(field, "a" * field.longest)) == ""
    limits = f"it takes {field.shortest} to {field.longest}"
    assert f"{at(field)} has {field.longest + 1} characters; {limits}" in problems(
        set_at(field, "a" * (field.longest + 1))
    )
    empty = "is missing" if field.required else f"has 0 characters; {limits}"
    assert f"{at(field)} {empty}" in problems(set_at(field, ""))


@pytest.mark.parametrize("field", [f for f in FIELDS if f.type is Type.DURATION], ids=lambda f: f.path)
def test_a_duration_that_is_none(field):
    assert f"{at(field)}: '1d' is not a duration" in problems(set_at(field, "1d"))


@pytest.mark.parametrize("field", [f for f in FIELDS if f.type is Type.OBJECT], ids=lambda f: f.path)
def test_an_unknown_field_is_named_at_any_depth(field):
    assert f"{at(field)}.zebra is not a field of a Kustomization" in problems(
        set_at(field, "x", name="zebra")
    )


@pytest.mark.parametrize("field", REFUSED, ids=lambda f: f.path)
def test_a_refused_field_that_is_not_used_does_no_harm(field):
    unset = {Type.BOOLEAN: False, Type.LIST: [], Type.STRING: ""}.get(field.type)
    assert problems(set_at(field, unset)) == ""


@pytest.mark.parametrize("field", [f for f in TOP if not f.required], ids=lambda f: f.path)
def test_null_is_as_good_as_nothing(field):
    assert problems(only(field.path) | {field.path: None}) == ""
