"""A plan as its file holds it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from runner import intent, planned
from runner.errors import UsageError
from runner.intent import Intent, Step
from runner.model import Action, ResourceRef

WEB = ResourceRef("web", "web", "apps", "Deployment", "v1")
OLD = ResourceRef("", "old", "", "Namespace", "v1")
PLAN = Intent(
    "https://10.0.0.1:6443",
    "clusters/production",
    "c" * 40,
    "d" * 40,
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


@pytest.mark.parametrize("missing", ["cluster", "entry", "commit", "tree", "names", "namespace", "steps"])
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


KEPT = ResourceRef("web", "key", "", "Secret", "v1")
PLAIN = Step("", "sha256:2", {WEB: Action.CONFIGURED}, {WEB: "sha256:3"})
KEYED = replace(PLAIN, digest="hmac-sha256:1")
SECRET = replace(PLAIN, actions={KEPT: Action.UNCHANGED}, effects={KEPT: "sha256:4"})
OPEN = replace(PLAIN, shown_digest="", actions={WEB: Action.UNKNOWN}, effects={WEB: ""})
GONE = Step("", "", {OLD: Action.DELETED}, {OLD: "sha256:5"})


def made(step: Step, **changes: str) -> Intent:
    return replace(PLAN, steps={"flux-system/apps": step}, **changes)


MERGED = {"commit": "e" * 40}
REBASED = {"commit": "e" * 40, "tree": "f" * 40}


@pytest.mark.parametrize(
    ("then", "here", "where"),
    [
        pytest.param(PLAIN, PLAIN, {}, id="the same commit"),
        pytest.param(OPEN, OPEN, MERGED, id="another commit with the same files"),
        pytest.param(PLAIN, KEYED, REBASED, id="other files that render the same"),
        pytest.param(
            replace(SECRET, digest="x"), replace(SECRET, digest="x"), REBASED, id="a Secret, by its key"
        ),
        pytest.param(GONE, GONE, REBASED, id="nothing but a deletion"),
    ],
)
def test_a_plan_holds_where_nothing_differs_that_it_shows(then: Step, here: Step, where: dict[str, str]):
    assert planned.moved(made(then), made(here, **where)) == []


@pytest.mark.parametrize(
    ("then", "here", "where", "told"),
    [
        pytest.param(
            PLAIN,
            replace(KEYED, shown_digest="sha256:9"),
            MERGED,
            "it renders something else",
            id="another rendering",
        ),
        pytest.param(SECRET, SECRET, REBASED, "it is not known whether flux-system/apps", id="a Secret"),
        pytest.param(
            OPEN, OPEN, REBASED, "it is not known whether flux-system/apps", id="variables of the cluster"
        ),
        pytest.param(
            PLAIN,
            PLAIN,
            {**REBASED, "entry": "clusters/other"},
            "the entry was",
            id="the same for another entry",
        ),
        pytest.param(
            OPEN,
            replace(OPEN, actions={}),
            {"commit": "e" * 40, "tree": ""},
            "not known",
            id="uncommitted files",
        ),
    ],
)
def test_a_plan_does_not_hold_where_something_may_differ(
    then: Step, here: Step, where: dict[str, str], told: str
):
    assert told in "\n".join(planned.moved(made(then), made(here, **where)))


def test_uncommitted_files_are_never_the_same():
    assert planned.moved(made(OPEN, tree=""), made(OPEN, commit="e" * 40, tree=""))
