"""No secret value gets out."""

from __future__ import annotations

import string
from base64 import b64encode

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runner.discover import root
from runner.fleet import Rendering, Unit, Variables
from runner.redact import SHORTEST, is_secret, of, placeholder, scrub, shown, values

K = root("flux-system/apps", "apps")


@pytest.mark.parametrize(
    ("api_version", "kind", "expected"),
    [
        pytest.param("v1", "Secret", True, id="a core Secret"),
        pytest.param("v2", "Secret", True, id="of whatever version"),
        pytest.param("example.com/v1", "Secret", False, id="not somebody else's"),
        pytest.param("v1", "ConfigMap", False, id="not a ConfigMap"),
    ],
)
def test_a_secret_is(api_version, kind, expected):
    assert is_secret({"apiVersion": api_version, "kind": kind}) is expected


def secret(text):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, **yaml.safe_load(text)}


SHOWN = [
    pytest.param("data: {a: aHVudGVyMg==}", {"data": {"a": "‹7 bytes›"}}, id="the size of what is encoded"),
    pytest.param(
        "stringData: {a: hünter}", {"stringData": {"a": "‹7 bytes›"}}, id="the size of what is not, in bytes"
    ),
    pytest.param("data: {a: hunter2!}", {"data": {"a": "‹hidden›"}}, id="no size where the code is wrong"),
    pytest.param("data: {a: 12}", {"data": {"a": "‹hidden›"}}, id="nor of a number"),
    pytest.param("data: hunter2", {"data": "‹hidden›"}, id="nothing where there should be an object"),
    pytest.param("data: [hunter2]", {"data": "‹hidden›"}, id="nor of a list"),
    pytest.param("type: Opaque", {"type": "Opaque"}, id="what is no value stays"),
]


@pytest.mark.parametrize(("text", "expected"), SHOWN)
def test_of_a_secret_is_shown(text, expected):
    given_ = secret(text)
    before = yaml.safe_dump(given_)
    masked = shown(given_)
    assert {name: masked[name] for name in expected} == expected
    assert masked.keys() == given_.keys()
    assert yaml.safe_dump(given_) == before


def test_anything_else_is_shown_as_it_is():
    config = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}}
    assert shown(config) is config


VALUES = [
    pytest.param("data: {a: aHVudGVyMg==}", ["aHVudGVyMg==", "hunter2"], id="as it is and decoded"),
    pytest.param("data: {a: /w==}", ["/w=="], id="only as it is when it is no text"),
    pytest.param("stringData: {a: hunter2}", ["hunter2"], id="what is not encoded"),
    pytest.param("{data: ~, stringData: ~}", [], id="nothing"),
    pytest.param("{data: [hunter2], stringData: hunter2}", [], id="nothing that is no object"),
]


@pytest.mark.parametrize(("text", "expected"), VALUES)
def test_the_values_of_a_secret_are(text, expected):
    assert values([secret(text), {"apiVersion": "v1", "kind": "ConfigMap", "data": {"b": "c"}}]) == expected


SCRUBBED = [
    pytest.param("password hunter2 is wrong", ["hunter2"], "password ‹hidden› is wrong", id="a value"),
    pytest.param("hunter22 hunter2", ["hunter2", "hunter22"], "‹hidden› ‹hidden›", id="the longest first"),
    pytest.param("abc", ["abc", ""], "abc", id="not what is too short to be a secret"),
    pytest.param("key hunter2.", ["hunter2\n"], "key ‹hidden›.", id="without the line break at its end"),
    pytest.param("key hunter2.", [" hunter2\t"], "key ‹hidden›.", id="without the space around it"),
    pytest.param("key: -BEGIN-abc-END-", ["-BEGIN-\nabc\n-END-\n"], "key: ‹hidden›", id="in one line"),
    pytest.param('Invalid value: "a\\"bcd"', ['a"bcd'], 'Invalid value: "‹hidden›"', id="in quotes"),
    pytest.param('Invalid value: "a\\nbcd"', ["a\nbcd"], 'Invalid value: "‹hidden›"', id="with escapes"),
]


@pytest.mark.parametrize(("text", "secrets", "expected"), SCRUBBED)
def test_a_text_is_scrubbed_of(text, secrets, expected):
    assert scrub(text, secrets) == expected


WORDS = st.text(string.ascii_uppercase + string.digits, min_size=1, max_size=8)


@given(st.lists(st.tuples(WORDS, st.sampled_from(["", " ", "\n", "="]))), st.lists(WORDS), st.integers(0, 3))
def test_no_secret_is_left(parts, secrets, cut):
    """Upper case: what takes a value's place must not look like one."""
    text = "".join(word + between for word, between in parts)
    secrets = [*secrets, *(word for word, _ in parts[cut:])]
    left = scrub(text, secrets)
    assert not any(secret in left for secret in secrets if len(secret) >= SHORTEST)
    assert scrub(left, secrets) == left


def test_a_kustomization_hides_its_secrets_and_its_secret_variables():
    variables = Variables(
        {"open": "visible", "token": "hunter2"},
        {"token": placeholder("Secret", "flux-system", "vars", "token")},
    )
    coded = b64encode(b"of the object").decode()
    objects = (secret(f"data: {{a: {coded}}}"),)
    unit = Unit(K, rendering=Rendering(objects=objects, shown=objects, variables=variables))
    assert sorted(of(unit)) == sorted(["hunter2", coded, "of the object"])
    assert of(Unit(K)) == []
    assert variables.display["token"] == "‹Secret flux-system/vars:token›"
