"""A plan as its file holds it."""

from __future__ import annotations

import json

import pytest

from runner import intent
from runner.errors import UsageError
from runner.intent import Intent, Step
from runner.model import Action, ResourceRef

WEB = ResourceRef("web", "web", "apps", "Deployment", "v1")
OLD = ResourceRef("", "old", "", "Namespace", "v1")
PLAN = Intent(
    "https://10.0.0.1:6443",
    "clusters/production",
    "c" * 40,
    frozenset({"flux-system/apps"}),
    "",
    {
        "flux-system/infra": Step(),
        "flux-system/apps": Step(
            "hmac-sha256:1",
            "sha256:2",
            {WEB: Action.CONFIGURED, OLD: Action.DELETED},
            {WEB: "sha256:3", OLD: ""},
        ),
    },
)


def written(plan: Intent) -> dict:
    return {"schema": intent.SCHEMA, **json.loads(json.dumps(intent.plain(plan)))}


def test_what_is_written_is_read_again():
    assert intent.read(written(PLAN), "plan.json") == PLAN
    assert list(intent.read(written(PLAN), "plan.json").steps) == ["flux-system/infra", "flux-system/apps"]


@pytest.mark.parametrize("missing", ["cluster", "entry", "commit", "names", "namespace", "steps"])
def test_a_file_that_lacks_something_is_damaged(missing: str):
    document = written(PLAN)
    del document[missing]
    with pytest.raises(UsageError, match=r"plan\.json is a damaged plan"):
        intent.read(document, "plan.json")


@pytest.mark.parametrize("damage", [{"steps": 3}, {"steps": [{}]}, {"steps": [3]}, {"names": 3}])
def test_damage_of_any_shape_is_one_error(damage: dict):
    with pytest.raises(UsageError, match="damaged"):
        intent.read({**written(PLAN), **damage}, "plan.json")


@pytest.mark.parametrize("document", [None, [], "x", {}, {"schema": "kustodian/plan/v2"}])
def test_what_is_no_plan_says_so(document: object):
    with pytest.raises(UsageError, match=r"plan\.json is no plan"):
        intent.read(document, "plan.json")
