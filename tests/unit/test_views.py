"""The views of single objects: what they look like, that they are documented, how objects are named."""

from __future__ import annotations

import json as stdlib_json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import runner.report
from runner.errors import UsageError
from runner.model import ResourceRef, State
from runner.ports import Api, Authorship
from runner.rendered import Place
from runner.report import happened, json, traced
from runner.report.views import Event, Scope, Trace
from runner.views import naming

GOLDEN = Path(__file__).parent / "golden"
SCHEMAS = Path(runner.report.__file__).parent / "schemas"
REVISION = "main@sha1:3f2a9c1b7d3f2a9c1b7d3f2a9c1b7d3f2a9c1b7d"
SCOPE = Scope("https://10.0.0.1:6443", "clusters/production", REVISION)
API = ResourceRef("grades", "api", "apps", "Deployment", "v1")
HOSTILE = "a\x1b[31mred\x1b[0m\u202egpj\n::error::x"
TRACE = Trace(
    API,
    exists=True,
    owner="flux-system/apps",
    chain=("flux-system/team", "flux-system/flux-system"),
    state=State.READY,
    paused="paused by ada: the database moves",
    source="GitRepository/flux-system/flux-system",
    path="./apps/production",
    revision=REVISION,
    place=Place("apps/base/api.yaml", 12),
    at=REVISION,
    commit=Authorship("9b1d" * 10, "Ada", "2026-11-02T10:00:00+01:00", "Give the api more memory"),
    notes=("its labels name flux-system/old, but it is in the inventory of flux-system/apps",),
)
STRANGER = Trace(API, exists=True, notes=("no Kustomization owns it",))


def golden(name, got):
    if os.environ.get("UPDATE_GOLDEN"):
        (GOLDEN / name).write_text(got, encoding="utf-8")
    assert got == (GOLDEN / name).read_text(encoding="utf-8"), f"UPDATE_GOLDEN=1 rewrites {name}"


def valid(name, document):
    schema = stdlib_json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(stdlib_json.loads(document))
    return document


def test_a_trace():
    golden("trace.txt", traced.text(TRACE) + "\n" + traced.text(STRANGER))
    golden("trace.json", valid("trace", json.dump(traced.document(SCOPE, TRACE))))
    valid("trace", json.dump(traced.document(SCOPE, STRANGER)))


def test_a_trace_of_hostile_text_is_one_line_each():
    commit = Authorship("9b1d" * 10, HOSTILE, HOSTILE, HOSTILE)
    told = traced.text(replace(TRACE, commit=commit, paused=HOSTILE, place=Place(HOSTILE, 1), notes=()))
    assert len(told.splitlines()) == len(traced.text(replace(TRACE, notes=())).splitlines())
    assert "\x1b" not in told
    assert "\u202e" not in told


THEN = 1_790_000_000.0
EVENTS = (
    Event("flux-system/apps", API, THEN - 7300, "Warning", "FailedCreate", "quota exceeded", 12),
    Event("flux-system/apps", replace(API, kind="Pod", name="api-1"), THEN - 5, "Normal", "Pulled", HOSTILE),
)


def test_events():
    golden("events.txt", happened.text(EVENTS, THEN, 3) + "\n" + "".join(map(happened.row, EVENTS)))
    golden("events.json", valid("events", json.dump(happened.document(SCOPE, EVENTS, 3))))
    assert happened.text((), THEN) == "No events.\n"


def api(group, kind, plural, *, namespaced=True):
    return Api(group, "v1", kind, plural, namespaced, frozenset())


SERVED = (
    api("apps", "Deployment", "deployments"),
    api("networking.k8s.io", "Ingress", "ingresses"),
    api("other.example", "Ingress", "ingresses"),
    api("", "Namespace", "namespaces", namespaced=False),
)
VIRTUAL = ResourceRef("flux-system", "apps", "kustomize.toolkit.fluxcd.io", "Kustomization", "v1")
OURS = ResourceRef("grades", "web", "networking.k8s.io", "Ingress", "v1")


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("Deployment/grades/api", API),
        ("deployment/grades/api", API),
        ("deployments/grades/api", API),
        ("deployments.apps/grades/api", API),
        ("Namespace/grades", ResourceRef("", "grades", "", "Namespace", "v1")),
        ("Kustomization/flux-system/apps", VIRTUAL),
        ("Ingress.other.example/grades/web", ResourceRef("grades", "web", "other.example", "Ingress", "v1")),
        ("Ingress/grades/web", OURS),
        ("ingresses/grades/web", OURS),
    ],
)
def test_objects_as_people_name_them(text, ref):
    assert naming.resolve(text, SERVED, {VIRTUAL, OURS}) == ref


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("api", "names no object"),
        ("Deployment//api", "names no object"),
        ("Deployment/a/b/c", "names no object"),
        ("Deployment/api", "a Deployment needs a namespace"),
        ("Namespace/x/grades", "a Namespace has no namespace"),
        ("Thing/grades/api", "serves no such kind"),
        ("Ingress/grades/unknown", "can be any of Ingress.networking.k8s.io, Ingress.other.example"),
    ],
)
def test_names_that_mean_nothing_or_several(text, why):
    with pytest.raises(UsageError, match=why):
        naming.resolve(text, SERVED, {VIRTUAL, OURS})
