"""What GitHub's own description says of requests and answers; see trim.py for where it comes from."""

from __future__ import annotations

import functools
import json
import re
from datetime import datetime
from urllib.parse import unquote, urlsplit

from jsonschema import Draft202012Validator, FormatChecker

from tests.fakes.github.trim import ERROR, SLICE

FORMATS = FormatChecker(())
PLAIN = {"string": "", "integer": 1, "number": 1.0, "boolean": False, "null": None, "array": []}
WELL_FORMED = {
    "uri": "https://github.invalid/something",
    "date-time": "2026-01-02T03:04:05Z",
    "email": "somebody@example.org",
}


@FORMATS.checks("date-time", ValueError)
def _is_time(value):
    return not isinstance(value, str) or bool(datetime.fromisoformat(value).tzinfo)


@FORMATS.checks("uri")
def _is_uri(value):
    return not isinstance(value, str) or bool(urlsplit(value).scheme)


@functools.cache
def _slice():
    return json.loads(SLICE.read_bytes())


@functools.cache
def _templates():
    return [
        (name, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", name))) for name in _slice()["operations"]
    ]


def operation(method, path):
    """The name of an operation and its path's parameters, or nothing."""
    for name, template in _templates():
        if found := template.fullmatch(f"{method} {path}"):
            return name, {key: unquote(value) for key, value in found.groupdict().items()}
    return "", {}


def wrong_request(name, path, query, body):
    """What of a request GitHub does not describe."""
    described = _slice()["operations"][name]
    known = {(each["in"], each["name"]): each for each in described["parameters"]}
    wrong = [f"query parameter {key} is not known" for key in query if ("query", key) not in known]
    for (place, key), each in known.items():
        given = (path if place == "path" else query).get(key)
        if given is not None:
            wrong += [
                f"{key}: {problem}" for problem in problems(each["schema"], _typed(given, each["schema"]))
            ]
        elif each["required"]:
            wrong.append(f"{place} parameter {key} is missing")
    if described["request"] is None:
        return wrong + (["a body is not expected"] if body is not None else [])
    extra = body.keys() - described["request"]["properties"].keys() if isinstance(body, dict) else ()
    return [*wrong, *(f"body: {key} is not known" for key in extra), *problems(described["request"], body)]


def wrong_answer(name, status, body):
    """What of an answer GitHub does not describe; its description leaves out many an error."""
    responses = _slice()["operations"][name]["responses"]
    if str(status) not in responses and status < 400:
        return [f"{status} is not an answer"]
    return problems(responses.get(str(status)) or {"$ref": ERROR}, body)


def answer_schema(name, status):
    return _slice()["operations"][name]["responses"][str(status)]


def problems(schema, value):
    validator = Draft202012Validator({**schema, "components": _slice()["components"]}, format_checker=FORMATS)
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(value)]


def sample(schema):
    """The least that a schema accepts, with null wherever it may stand."""
    if "$ref" in schema:
        return sample(_slice()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return sample(schema[key][0])
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("format") in WELL_FORMED:
        return WELL_FORMED[schema["format"]]
    if schema.get("type", "object") == "object":
        properties = schema.get("properties", {})
        return {name: sample(properties.get(name, {"type": "null"})) for name in schema.get("required", ())}
    return PLAIN[schema["type"]]


def filled(schema, **values):
    """A sample with some of its values; those of an object in it are filled in there."""
    made = sample(schema)
    for name, value in values.items():
        if isinstance(value, dict) and isinstance(made.get(name), dict):
            made[name] = {**made[name], **value}
        else:
            made[name] = value
    return made


def _typed(text, schema):
    return int(text) if schema.get("type") == "integer" and text.isdigit() else text
