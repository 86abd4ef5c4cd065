"""What differs between two manifests, and which object is which."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from copy import deepcopy

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runner.changes import FieldChange, ObjectChange, Touch
from runner.diff import definitions, fields, pair, renamed, renames, secret_fields
from runner.model import Action, ResourceRef

ADDED, REMOVED, CHANGED, REORDERED = Touch.ADDED, Touch.REMOVED, Touch.CHANGED, Touch.REORDERED


def lines(changes):
    """One readable line a change, so that the tables below can be read."""
    return [
        f"{change.path} {change.touch} {json.dumps(change.before)} {json.dumps(change.after)}"
        for change in changes
    ]


FIELDS = [
    pytest.param("a: 1", "a: 2", ["a changed 1 2"], id="a value"),
    pytest.param("a: 1", "a: true", ["a changed 1 true"], id="a number is no boolean"),
    pytest.param("a: 1", "a: '1'", ['a changed 1 "1"'], id="a number is no text"),
    pytest.param("a: 1", "a: 1.0", ["a changed 1 1.0"], id="an integer is no fraction"),
    pytest.param("a: [1]", "a: [true]", ["a[0] changed 1 true"], id="nor in a list"),
    pytest.param("a: {b: [1]}", "a: [1]", ['a changed {"b": [1]} [1]'], id="another form"),
    pytest.param("a: 1", "a: 1\nb: null", ["b added null null"], id="null is not nothing"),
    pytest.param("a: {}", "a: {b: {c: 1}}", ['a.b added null {"c": 1}'], id="a whole subtree at once"),
    pytest.param("a: {b: {c: 1}}", "{}", ['a removed {"b": {"c": 1}} null'], id="and gone at once"),
    pytest.param("a: |\n  x\n  y\n", "a: |\n  x\n  z\n", ['a changed "x\\ny\\n" "x\\nz\\n"'], id="lines"),
    pytest.param(
        "b: 1\na: 1\nd: 1",
        "d: 2\nc: 2\nb: 2",
        [
            "a removed 1 null",
            "b changed 1 2",
            "c added null 2",
            "d changed 1 2",
        ],
        id="names in order",
    ),
    pytest.param(
        "metadata: {annotations: {a.b/c: x, d: x}}",
        "metadata: {annotations: {a.b/c: y, d: y}}",
        ['metadata.annotations["a.b/c"] changed "x" "y"', 'metadata.annotations.d changed "x" "y"'],
        id="names with dots and slashes are quoted",
    ),
    pytest.param(
        "containers: [{name: web, image: a:1}, {name: log, image: l:1}]",
        "containers: [{name: new, image: n:1}, {name: web, image: a:2}, {name: log, image: l:1}]",
        [
            'containers[name=new] added null {"name": "new", "image": "n:1"}',
            'containers[name=web].image changed "a:1" "a:2"',
        ],
        id="containers by name",
    ),
    pytest.param(
        "env: [{name: A, value: x}, {name: B, value: x}, {name: C, value: x}]",
        "env: [{name: A, value: y}, {name: C, value: y}]",
        [
            'env[name=A].value changed "x" "y"',
            'env[name=B] removed {"name": "B", "value": "x"} null',
            'env[name=C].value changed "x" "y"',
        ],
        id="what was removed comes where it stood",
    ),
    pytest.param(
        "containers: [{name: a}, {name: b}]",
        "containers: [{name: b}, {name: a}]",
        ['containers reordered ["a", "b"] ["b", "a"]'],
        id="containers in another order",
    ),
    pytest.param(
        "containers: [{name: a}, {name: b}]",
        "containers: [{name: b}, {name: c}, {name: a}]",
        [
            'containers reordered ["a", "b"] ["b", "c", "a"]',
            'containers[name=c] added null {"name": "c"}',
        ],
        id="in another order, and more",
    ),
    pytest.param(
        "ports: [{containerPort: 53, protocol: UDP}, {containerPort: 53}]",
        "ports: [{containerPort: 53, protocol: UDP, name: a}, {containerPort: 53, protocol: TCP}]",
        [
            'ports[containerPort=53,protocol=UDP].name added null "a"',
            'ports[containerPort=53].protocol added null "TCP"',
        ],
        id="ports of containers by number and protocol, TCP being the default",
    ),
    pytest.param(
        "ports: [{port: 80, targetPort: 1}, {port: 443}]",
        "ports: [{port: 443}, {port: 80, targetPort: 2}]",
        [
            "ports reordered [80, 443] [443, 80]",
            "ports[port=80].targetPort changed 1 2",
        ],
        id="ports of services",
    ),
    pytest.param(
        "volumeMounts: [{mountPath: /etc/x, name: a}]",
        "volumeMounts: [{mountPath: /etc/x, name: b}]",
        ['volumeMounts[mountPath=/etc/x].name changed "a" "b"'],
        id="mounts by where they are",
    ),
    pytest.param(
        "volumeMounts: [{mountPath: '/a b', name: a}]",
        "volumeMounts: [{mountPath: '/a b', name: b}]",
        ['volumeMounts[mountPath="/a b"].name changed "a" "b"'],
        id="quoted where it would not be read as one",
    ),
    pytest.param(
        "conditions: [{type: Ready, status: 'True'}]",
        "conditions: [{type: Ready, status: 'False'}]",
        ['conditions[type=Ready].status changed "True" "False"'],
        id="conditions by type",
    ),
    pytest.param(
        "volumeClaimTemplates: [{metadata: {name: data}, spec: {x: 1}}]",
        "volumeClaimTemplates: [{metadata: {name: data}, spec: {x: 2}}]",
        ["volumeClaimTemplates[metadata.name=data].spec.x changed 1 2"],
        id="claims by the name in their metadata",
    ),
    pytest.param(
        "topologySpreadConstraints: [{topologyKey: zone, whenUnsatisfiable: x, maxSkew: 1}]",
        "topologySpreadConstraints: [{topologyKey: zone, whenUnsatisfiable: x, maxSkew: 2}]",
        ["topologySpreadConstraints[topologyKey=zone,whenUnsatisfiable=x].maxSkew changed 1 2"],
        id="by two keys",
    ),
    pytest.param(
        "things: [{name: '1', x: 1}, {name: 1, x: 1}]",
        "things: [{name: '1', x: 2}, {name: 1, x: 3}]",
        ['things[name="1"].x changed 1 2', "things[name=1].x changed 1 3"],
        id="a list that nobody knows, by name; a number is another name",
    ),
    pytest.param(
        "env: [{name: A, value: x}, {name: A, value: y}]",
        "env: [{name: A, value: x}, {name: A, value: z}]",
        ['env[1].value changed "y" "z"'],
        id="by position where two have one name",
    ),
    pytest.param(
        "imagePullSecrets: [{name: a}]",
        "imagePullSecrets: [{name: b}]",
        ['imagePullSecrets[0].name changed "a" "b"'],
        id="names of generated objects are no keys",
    ),
    pytest.param(
        "args: [--a=1, --b=1, --c=1]",
        "args: [--new, --a=1, --b=2, --c=1]",
        ['args[0] added null "--new"', 'args[2] changed "--b=1" "--b=2"'],
        id="an item that is put in shifts nothing",
    ),
    pytest.param(
        "args: [--a=1, --b=1]",
        "args: [--b=2]",
        ['args[0] removed "--a=1" null', 'args[0] changed "--b=1" "--b=2"'],
        id="positions of what is removed count before, the others after",
    ),
    pytest.param(
        "rules: [{verbs: [get], resources: [pods]}, {verbs: [list], resources: [nodes]}]",
        "rules: [{verbs: [watch], resources: [jobs]}, {verbs: [get, list], resources: [pods]}, "
        "{verbs: [list], resources: [nodes]}]",
        [
            'rules[0] added null {"verbs": ["watch"], "resources": ["jobs"]}',
            'rules[1].verbs[1] added null "list"',
        ],
        id="objects without a key by what they share",
    ),
    pytest.param(
        "sources: [{configMap: {name: a}}]",
        "sources: [{secret: {name: a}}]",
        [
            'sources[0] removed {"configMap": {"name": "a"}} null',
            'sources[0] added null {"secret": {"name": "a"}}',
        ],
        id="what has no field in common is something else",
    ),
    pytest.param("a: [x, y, z]", "a: [z, x, y]", ['a reordered ["x", "y", "z"] ["z", "x", "y"]'], id="order"),
    pytest.param(
        "a: [{b: 1}, {c: 1}]",
        "a: [{c: 1}, {b: 1}]",
        ['a reordered [{"b": 1}, {"c": 1}] [{"c": 1}, {"b": 1}]'],
        id="order of objects without a key",
    ),
    pytest.param("a: [[1], [2]]", "a: [[1], [3]]", ["a[1][0] changed 2 3"], id="lists in lists"),
    pytest.param(
        "a: []", "a: [{name: x}]", ['a[name=x] added null {"name": "x"}'], id="a list gets its first"
    ),
]


@pytest.mark.parametrize(("before", "after", "expected"), FIELDS)
def test_the_fields_that_differ(before, after, expected):
    assert lines(fields(yaml.safe_load(before), yaml.safe_load(after))) == expected


# Sizes


def test_a_big_list_is_compared_quickly():
    before = {"spec": {"things": [{"x": i, "y": str(i) * 20} for i in range(20_000)]}}
    after = deepcopy(before)
    del after["spec"]["things"][5000]
    after["spec"]["things"].insert(9, {"x": -1})
    after["spec"]["things"][15_000]["y"] = "z"
    started = time.monotonic()
    assert [(c.path, c.touch) for c in fields(before, after)] == [
        ("spec.things[9]", ADDED),
        ("spec.things[5000]", REMOVED),
        ("spec.things[15000].y", CHANGED),
    ]
    assert time.monotonic() - started < 30  # in squares it would be many minutes


@pytest.mark.parametrize("key", ["name", "x"])
def test_a_big_list_of_which_everything_changed_is_compared_quickly(key):
    before, after = ([{key: i, "y": side * 100} for i in range(20_000)] for side in ("a", "b"))
    started = time.monotonic()
    assert len(fields({"things": before}, {"things": after})) == 20_000
    assert time.monotonic() - started < 30  # in squares it would be many minutes


def test_what_is_nested_too_deep_is_one_value():
    before, after = {"a": 1}, {"a": 2}
    for _ in range(490):
        before, after = {"a": before}, {"a": after}
    [change] = fields(before, after)
    assert change.touch is CHANGED
    assert set(change.path) == {"a", "."}


# Secrets and binary data


def secret(api_version="v1", **rest):
    return {"apiVersion": api_version, "kind": "Secret", "metadata": {"name": "x"}, **rest}


def b64(value):
    return b64encode(value.encode()).decode()


SECRETS = [
    pytest.param({"data": {"a": b64("x" * 24)}}, {"data": {"a": b64("x" * 24)}}, [], id="the same"),
    pytest.param(
        {"data": {"a": b64("x" * 24)}},
        {"data": {"a": b64("y" * 31)}},
        ["data.a changed ‹24 bytes› ‹31 bytes›"],
        id="another size",
    ),
    pytest.param(
        {"data": {"a": b64("x" * 24)}},
        {"data": {"a": b64("y" * 24)}},
        ["data.a changed ‹24 bytes› ‹24 bytes, other content›"],
        id="the same size",
    ),
    pytest.param({"data": {"a": b64("x")}}, {}, ["data.a removed ‹1 bytes› None"], id="a key less"),
    pytest.param({}, {"data": {"a.b": ""}}, ['data["a.b"] added None ‹0 bytes›'], id="a key more"),
    pytest.param({"data": {"a": b64("x")}}, {"stringData": {"a": "x"}}, [], id="written otherwise"),
    pytest.param(
        {"data": {"a": b64("xy")}, "stringData": {"a": "y"}},
        {"data": {"a": b64("xy")}},
        ["data.a changed ‹1 bytes› ‹2 bytes›"],
        id="stringData wins",
    ),
    pytest.param(
        {"data": {"a": "hunter22"}},
        {"data": {"a": "hunter23"}},
        ["data.a changed ‹6 bytes› ‹6 bytes, other content›"],
        id="base64 by accident",
    ),
    pytest.param(
        {"data": {"a": "hunter-2"}},
        {"data": {"a": "hunter-3"}},
        ["data.a changed ‹hidden› ‹hidden, other content›"],
        id="no base64 at all",
    ),
    pytest.param({"data": "hunter2"}, {"data": ["hunter3"]}, [], id="no object at all"),
    pytest.param({"Data": {"a": "hunter2"}}, {"password": "hunter3"}, [], id="a mistyped field"),
    pytest.param({"type": "a"}, {"type": "b"}, ["type changed a b"], id="what is no value is shown"),
    pytest.param({"immutable": True}, {}, ["immutable removed True None"], id="whether it may change"),
]


@pytest.mark.parametrize(("before", "after", "expected"), SECRETS)
def test_of_secrets_keys_and_sizes_are_told(before, after, expected):
    changes = secret_fields(secret(**before), secret(**after))
    assert [f"{c.path} {c.touch} {c.before} {c.after}" for c in changes] == expected


def test_the_copy_that_kubectl_keeps_of_a_secret_is_not_told():
    name = "kubectl.kubernetes.io/last-applied-configuration"
    before, after = (
        secret(metadata={"name": "x", "annotations": {name: f'{{"data":"{value}"}}', "a": value[-1]}})
        for value in ("hunter2", "hunter3")
    )
    assert lines(secret_fields(before, after)) == ['metadata.annotations.a changed "2" "3"']
    [added] = secret_fields(secret(), after)
    assert added.after == {name: "‹hidden›", "a": "3"}


VALUES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=6, max_size=12)
CONTENT = st.dictionaries(st.sampled_from(["a", "b.c", "d"]), VALUES, max_size=3)


@given(CONTENT, CONTENT, CONTENT, CONTENT)
def test_no_value_of_a_secret_ever_appears(old, new, old_text, new_text):
    before, after = (
        secret(data={key: b64(value) for key, value in data.items()}, stringData=plain)
        for data, plain in ((old, old_text), (new, new_text))
    )
    said = repr(secret_fields(before, after))
    values = [value for each in (old, new, old_text, new_text) for value in each.values()]
    words = {"metadata", "hidden", "content", "reordered", "removed", "changed", "FieldChange", "before"}
    for value in values:
        if not any(value in word for word in words):
            assert value not in said
            assert b64(value).rstrip("=") not in said


def test_of_binary_data_keys_and_sizes_are_told():
    before, after = (
        {"apiVersion": "v1", "kind": "ConfigMap", "binaryData": {"a": b64(value)}, "data": {"b": value}}
        for value in ("xx", "yy")
    )
    assert [f"{c.path} {c.touch} {c.before} {c.after}" for c in fields(before, after)] == [
        "binaryData.a changed ‹2 bytes› ‹2 bytes, other content›",
        "data.b changed xx yy",
    ]
    assert fields(before, deepcopy(before)) == ()


# Pairs


def config(name, kind="ConfigMap", namespace="apps", api_version="v1", **rest):
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        **rest,
    }


OLD, NEW, OTHER = "web-2456789bcd", "web-fghkmt2456", "web-tttttttttt"
PAIRS = [
    pytest.param([config("a")], [config("a")], ["a"], id="by name"),
    pytest.param(
        [config("a", "Deployment", api_version="apps/v1beta1")],
        [config("a", "Deployment", api_version="apps/v1")],
        ["a"],
        id="whatever the version",
    ),
    pytest.param([config("a")], [config("b")], ["+b", "-a"], id="a rename is none"),
    pytest.param([config("a")], [config("a", namespace="b")], ["+a", "-a"], id="nor a move"),
    pytest.param([config(OLD)], [config(NEW)], [f"{OLD}→{NEW}"], id="but a generator's hash is"),
    pytest.param([config(OLD, "Secret")], [config(NEW, "Secret")], [f"{OLD}→{NEW}"], id="of a Secret too"),
    pytest.param([config(OLD, "Job")], [config(NEW, "Job")], [f"+{NEW}", f"-{OLD}"], id="not of a Job"),
    pytest.param(
        [config(OLD, api_version="a.io/v1")],
        [config(NEW, api_version="a.io/v1")],
        [f"+{NEW}", f"-{OLD}"],
        id="not of somebody else's ConfigMap",
    ),
    pytest.param([config(OLD)], [config(NEW, "Secret")], [f"+{NEW}", f"-{OLD}"], id="of one kind"),
    pytest.param([config(OLD)], [config(NEW, namespace="b")], [f"+{NEW}", f"-{OLD}"], id="in one namespace"),
    pytest.param(
        [config(OLD)], [config("api-fghkmt2456")], ["+api-fghkmt2456", f"-{OLD}"], id="with one stem"
    ),
    pytest.param(
        [config(OLD)],
        [config("web-fghkmt245a")],
        ["+web-fghkmt245a", f"-{OLD}"],
        id="in kustomize's alphabet",
    ),
    pytest.param(
        [config(OLD), config(OTHER)], [config(NEW)], [f"+{NEW}", f"-{OLD}", f"-{OTHER}"], id="not when unsure"
    ),
    pytest.param(
        [config(OLD), config(OTHER)],
        [config(NEW), config(OTHER)],
        [f"{OLD}→{NEW}", OTHER],
        id="what stays counts not",
    ),
]


@pytest.mark.parametrize(("before", "after", "expected"), PAIRS)
def test_which_object_is_which(before, after, expected):
    def line(each):
        if each.was:
            return f"{each.was.name}→{each.ref.name}"
        return ("" if each.before else "+") + ("" if each.after else "-") + each.ref.name

    assert [line(each) for each in pair(before, after)] == expected


def test_what_only_follows_a_renamed_generator_is_told_apart():
    names = renames(pair([config(OLD)], [config(NEW)]))
    before, after = ({"env": [{"configMapRef": {"name": name}}]} for name in (OLD, NEW))
    [change] = fields(before, after)
    assert change.path == "env[0].configMapRef.name"
    assert renamed(change, "apps", names)
    assert not renamed(change, "other", names)
    assert not renamed(FieldChange("a", CHANGED, OLD, OTHER), "apps", names)
    assert not renamed(FieldChange("a", ADDED, None, NEW), "apps", names)
    assert not renamed(FieldChange("a", CHANGED, {}, []), "apps", names)


def test_the_renames_of_changed_objects_are_found_too():
    was, ref = (ResourceRef("apps", name, "", "ConfigMap", "v1") for name in (OLD, NEW))
    assert renames([ObjectChange("k", ref, Action.CONFIGURED, was=was)]) == {("apps", OLD): NEW}
    assert renames([ObjectChange("k", ref, Action.CONFIGURED)]) == {}


# Definitions


def definition(versions):
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {"group": "example.com", "versions": versions},
    }


def version(name="v1", schema="type: object", **rest):
    return {"name": name, "served": True, **rest, "schema": {"openAPIV3Schema": yaml.safe_load(schema)}}


SCHEMAS = [
    pytest.param(
        "properties: {spec: {properties: {a: {type: string}}}}",
        "properties: {spec: {properties: {b: {type: array, items: {type: object, properties: {c: {}}}}}}}",
        ['v1: spec.a removed "string" null', 'v1: spec.b added null "list of object"'],
        id="fields come and go, each with what is below it",
    ),
    pytest.param(
        "properties: {a: {type: string, enum: [x], description: x}}",
        "properties: {a: {type: string, enum: [x, y], maxLength: 3, description: y}}",
        ['v1: a changed {"enum": ["x"]} {"enum": ["x", "y"], "maxLength": 3}'],
        id="what they may hold",
    ),
    pytest.param(
        "{properties: {a: {type: string}}}",
        "{properties: {a: {type: string}, b: {}}, required: [a, b]}",
        ['v1: a changed {"required": false} {"required": true}', 'v1: b added null "any, required"'],
        id="what they must hold",
    ),
    pytest.param(
        "properties: {a: {items: {properties: {b: {type: string}}}, additionalProperties: false}}",
        "properties: {a: {items: {properties: {b: {type: integer}}}, additionalProperties: {type: string}}}",
        [
            'v1: a changed {"additionalProperties": false} {"additionalProperties": true}',
            'v1: a[].b changed {"type": "string"} {"type": "integer"}',
        ],
        id="in lists and maps",
    ),
    pytest.param(
        "additionalProperties: {type: string}",
        "additionalProperties: {type: integer}",
        ['v1: [*] changed {"type": "string"} {"type": "integer"}'],
        id="of maps",
    ),
    pytest.param(
        "properties: {a: {description: x}, b: {description: x}, c: {description: x}}",
        "properties: {a: {description: y}, b: {}, c: {description: x}}",
        ["descriptions of 2 fields changed null null"],
        id="prose is counted",
    ),
    pytest.param(
        "type: object",
        "{type: object, x-kubernetes-validations: [{rule: x}]}",
        ['v1: the whole schema changed {} {"x-kubernetes-validations": [{"rule": "x"}]}'],
        id="at the top",
    ),
]


@pytest.mark.parametrize(("before", "after", "expected"), SCHEMAS)
def test_a_schema_is_summarised(before, after, expected):
    changes = fields(definition([version(schema=before)]), definition([version(schema=after)]))
    assert lines(changes) == expected


def test_versions_are_told_without_their_schemas():
    before = definition([version("v1beta1", storage=True), version("v1alpha1")])
    after = definition([version("v1", storage=True), version("v1beta1", storage=False, deprecated=True)])
    assert lines(fields(before, after)) == [
        'spec.versions[name=v1] added null {"name": "v1", "served": true, "storage": true}',
        "spec.versions[name=v1beta1].deprecated added null true",
        "spec.versions[name=v1beta1].storage changed true false",
        'spec.versions[name=v1alpha1] removed {"name": "v1alpha1", "served": true} null',
    ]


def test_of_a_schema_so_many_fields_are_named_and_the_others_counted():
    schema = json.dumps(
        {"type": "object", "properties": {f"f{i:03}": {"type": "string"} for i in range(173)}}
    )
    changes = fields(definition([version()]), definition([version(schema=schema)]))
    assert len(changes) == definitions.MOST + 1
    assert changes[0].path == "v1: f000"
    assert changes[-1].path == "123 more fields of schemas"


@pytest.mark.parametrize("spec", [None, {}, {"versions": None}, {"versions": [None, {"schema": {}}]}])
def test_an_odd_definition_is_compared_too(spec):
    odd = {**definition([]), "spec": spec}
    assert fields(odd, deepcopy(odd)) == ()
    assert fields(odd, definition([version()]))
    assert fields(definition([version()]), odd)
