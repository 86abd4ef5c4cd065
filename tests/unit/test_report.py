"""Every view of a result: what it looks like, that it is documented, and that nothing foreign steers it."""

from __future__ import annotations

import json as stdlib_json
import os
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml as pyyaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import runner.report
from runner.graph import Edge, Milestone, Need
from runner.model import (
    Action,
    Change,
    Finding,
    Health,
    Held,
    Leaf,
    Outcome,
    Past,
    ResourceRef,
    Run,
    State,
    Status,
)
from runner.rendered import Place, Problem, Subject
from runner.report import clean, facts, json, style, text, yaml
from runner.report.views import BuildView, Scope

GOLDEN = Path(__file__).parent / "golden"
SCHEMAS = Path(runner.report.__file__).parent / "schemas"
THEN = 1_790_000_000.0
REVISION = "main@sha1:3f2a9c1b7d3f2a9c1b7d3f2a9c1b7d3f2a9c1b7d"
SCOPE = Scope("https://10.0.0.1:6443", "clusters/production", REVISION)
HOSTILE = (
    "a\x1b[31mred\x1b[0m\x1b]8;;http://x\x07l\x1b\\\u202egpj\u2066\u200b\x9b2J\x00\x7f\x85b\r\n"
    "::error::x\u2028##[add-mask]y\n\t##\u200b[z\ud800\nnext\u2029"
)


def ref(kind, name, namespace="grades", group=""):
    return ResourceRef(namespace, name, group, kind, "v1")


API = ref("Deployment", "api", group="apps")
OUTCOMES = (
    Outcome(
        "flux-system/infra", State.READY,
        (
            Change(ref("Namespace", "grades", ""), Action.CREATED),
            Change(ref("Deployment", "nginx", "ingress", "apps"), Action.CONFIGURED, "image changed"),
            *(Change(ref("ConfigMap", f"c{number}"), Action.UNCHANGED) for number in range(5)),
            Change(ref("ConfigMap", "old"), Action.DELETED, "no longer in Git"),
        ),
        warnings=("policy/v1beta1 PodDisruptionBudget is deprecated in v1.21+",),
        started_at=THEN, applied_at=THEN + 2, ready_at=THEN + 12.34, ended_at=THEN + 13,
        waited_for=("flux-system/flux-system",),
        needs=(Need("flux-system/flux-system", Milestone.APPLIED, Edge.PARENT),),
    ),
    Outcome(
        "flux-system/apps", State.FAILED,
        (
            Change(API, Action.CONFIGURED, "spec changed"),
            Change(ref("Job", "migrate", group="batch"), Action.CREATED),
            Change(ref("Secret", "db"), Action.UNKNOWN, "its variables appear during the run"),
        ),
        "Deployment/grades/api is not ready after 5m0s:\ncontainer api: BackOff\n\tno database",
        "kubectl -n grades logs deploy/api",
        unhealthy=(Health(API, Status.IN_PROGRESS, "Available: 0/1"),), started_at=THEN + 12.4,
        diagnosis=(
            Finding(API, ref("Pod", "api-5d9c"), "CrashLoopBackOff", "container api ended with exit code 2",
                    "look at the database", ("connecting", "panic: no database"), 1, 120.0),
            Finding(API, API, "Paused", "its rollout is paused"),
        ),
    ),
    Outcome("team/web", State.BLOCKED, blocked_by=("flux-system/apps", "flux-system/infra")),
    Outcome("flux-system/legacy", State.SUSPENDED),
    Outcome("flux-system/flux-system", State.READY, started_at=THEN, ready_at=THEN + 65,
            awaits=("flux-system/infra",)),
)  # fmt: skip
HELD = (
    Held("flux-system/infra", (ref("Job", "b"), ref("Job", "a")), "more than 20 %", "9f86d081884c7d65"),
    Held("flux-system/apps", (ref("PersistentVolumeClaim", "db"),), "it still holds data"),
)
RUN = Run(
    SCOPE.cluster, SCOPE.entry, REVISION, OUTCOMES, HELD,
    ("team/web cannot be rendered: every prune of this run is held",),
    {"GET": 4, "LIST": 10, "PATCH": 3000, "WATCH": 2},
    started_at=THEN - 1, ended_at=THEN + 66,
    waves=(("flux-system/flux-system",), ("flux-system/infra", "flux-system/legacy"), ("flux-system/apps",)),
)  # fmt: skip
LEAVES = (
    Leaf("flux-system/flux-system", "clusters/production", objects=(API,) * 2, recorded=State.READY,
         revision=REVISION, changed_at=THEN - 40, deployments=(
             Past(REVISION, State.READY, THEN - 41, THEN - 40,
                  sources={"OCIRepository/team/b": "2.0@sha256:00", "GitRepository/team/a": "main@sha1:00"}),
         )),
    Leaf("flux-system/infra", "infra", "flux-system/flux-system", objects=(API,) * 12, recorded=State.READY,
         revision=REVISION, changed_at=THEN - 3 * 86400),
    Leaf("flux-system/crds", "infra/crds", "flux-system/infra", objects=(API,),
         problems=("infra/crds/x.yaml:3: broken\nsecond line",)),
    Leaf("flux-system/apps", "apps", "flux-system/flux-system", ("flux-system/infra", "team/x"),
         ("flux-system/infra",), objects=(API,) * 1234, recorded=State.FAILED,
         recorded_message="Deployment/grades/api:\nBackOff", revision=REVISION, changed_at=THEN - 200),
    Leaf("flux-system/legacy", "", "flux-system/apps", suspended=True, recorded=State.READY),
    Leaf("team/a", "a", "team/b", target="team/edge/value.yaml"),
    Leaf("team/b", "b", "team/a"),
)  # fmt: skip
PROBLEMS = (
    Problem("missing_variable", "no value", subject=Subject("apps", "v1", "Deployment", "", "api"),
            file="apps/base/x.yaml", line=12, variable="cluster_env", json_path="$.spec.replicas"),
    Problem("build", "accumulating:\nno such file", subject=Subject("", "v1", "Pod", "grades", "p"),
            hint="list another file."),
    Problem("yaml", "", file="a.yaml"),
)  # fmt: skip
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "grades"}}
BUILD = (
    BuildView("flux-system", "apps", "apps", (POD, POD), origins=(Place("apps/a.yaml", 3), Place())),
    BuildView("flux-system", "infra", "infra", errors=PROBLEMS),
)


def golden(name, got):
    if os.environ.get("UPDATE_GOLDEN"):
        (GOLDEN / name).write_text(got, encoding="utf-8")
    assert got == (GOLDEN / name).read_text(encoding="utf-8"), f"UPDATE_GOLDEN=1 rewrites {name}"


def everything(run, leaves, build):
    """All documents, by the name of their schema."""
    leaf_views = {"tree": json.tree(SCOPE, leaves), "get": json.get(SCOPE, leaves)}
    return {"reconcile": json.reconcile(run, 1), "build": json.build(SCOPE, build, 1), **leaf_views}


def schema(name):
    return stdlib_json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("reconcile", RUN),
        ("dry-run", replace(RUN, dry_run=True)),
        ("interrupted", replace(RUN, interrupted=15, held=())),
        ("interrupted-dry-run", replace(RUN, interrupted=2, held=(), dry_run=True)),
        ("superseded", replace(RUN, superseded=True, outcomes=OUTCOMES[3:], held=(), warnings=())),
        ("well", replace(RUN, outcomes=(OUTCOMES[0], OUTCOMES[4]), held=(), warnings=())),
        ("empty", Run("", "", "")),
    ],
)
def test_a_run_as_text(name, run):
    golden(f"{name}.txt", text.reconcile(run))


def test_idle_time_on_the_critical_path_is_told():
    first = Outcome("a/first", State.READY, started_at=THEN, ready_at=THEN + 2, ended_at=THEN + 2)
    needs = (Need("a/first", Milestone.READY, Edge.DEPENDS_ON),)
    then = Outcome(
        "a/then", State.READY, started_at=THEN + 5, ready_at=THEN + 6, ended_at=THEN + 6, needs=needs
    )
    run = replace(RUN, outcomes=(first, then), waves=(("a/first",), ("a/then",)), held=())
    assert "critical path: a/first 2.0s → a/then 1.0s; idle on it 3.0s\n" in text.reconcile(run)


def test_one_that_is_paused_says_by_whom_and_why():
    paused = Outcome("a/app", State.SUSPENDED, reason="paused by ada: a\x1b[31m\nmove")
    told = text.reconcile(replace(RUN, outcomes=(paused,), held=()))
    assert "– a/app  suspended  paused by ada: a move\n" in told
    leaf = replace(LEAVES[0], paused="paused by ada: a move")
    assert "ready (paused)" in text.get([leaf])
    assert text.get([leaf]).endswith("   paused by ada: a move\n")


def test_leaves_with_what_a_cluster_says():
    healths = (
        Health(API, Status.IN_PROGRESS, "Available: 0/1"),
        Health(ref("Job", "migrate", group="batch"), Status.FAILED, HOSTILE),
        *(Health(ref("ConfigMap", f"c{number:02}"), Status.CURRENT) for number in range(30)),
    )
    told = [replace(LEAVES[0], healths=healths), replace(LEAVES[1], healths=(), recorded=None)]
    golden("tree-live.txt", text.tree(told))


def test_leaves_as_text():
    golden("tree.txt", text.tree(LEAVES))
    golden("tree-ascii.txt", text.fit(text.tree(LEAVES), "ISO-8859-1"))
    golden("get.txt", text.get(LEAVES, THEN))
    golden("get-moments.txt", text.get(LEAVES))
    assert text.names(LEAVES[:2]) == "flux-system/flux-system\nflux-system/infra\n"
    assert text.tree([]) == text.get([]) == "No Kustomizations.\n"
    assert text.names([]) == ""
    strays = [*LEAVES, Leaf("x/lost", "p", "x/gone"), Leaf("x/self", "p", "x/self")]
    assert all(text.tree(strays).count(f"{leaf.kustomization} ") == 1 for leaf in strays)


def test_problems_as_text():
    assert text.problems(PROBLEMS) == [
        "apps/base/x.yaml:12: no value (Deployment/api, variable cluster_env, $.spec.replicas)",
        "Pod/grades/p: accumulating:\n  no such file\n  hint: list another file.",
        "a.yaml: yaml",
    ]


def test_documents():
    for name, document in everything(RUN, LEAVES[::2], BUILD).items():
        golden(f"{name}.json", document)


@pytest.mark.parametrize("name", ["reconcile", "build", "tree", "get"])
@pytest.mark.parametrize(
    "facts_of",
    [
        (RUN, LEAVES, BUILD),
        (replace(RUN, dry_run=True, interrupted=2, superseded=True, requests={"HEAD": 1}), LEAVES, BUILD),
        (Run("", "", ""), (), ()),
    ],
)
def test_documents_are_what_their_schema_says(name, facts_of):
    Draft202012Validator.check_schema(schema(name))
    Draft202012Validator(schema(name)).validate(stdlib_json.loads(everything(*facts_of)[name]))


def test_schemas_know_every_word():
    definitions = schema("reconcile")["$defs"]
    assert set(definitions["change"]["properties"]["action"]["enum"]) == set(Action)
    needs = schema("reconcile")["properties"]["kustomizations"]["items"]["properties"]["needs"]
    assert {*needs["items"]["properties"]["edge"]["enum"], Edge.CHILD} == set(Edge)
    assert set(definitions["health"]["properties"]["status"]["enum"]) == set(Status)
    for name, states in (("reconcile", {*State}), ("get", {*State, None})):
        each = schema(name)["properties"]["kustomizations"]["items"]
        assert set(each["properties"]["state"]["enum"]) == states


def test_yaml_says_what_json_says():
    assert pyyaml.safe_load(yaml.reconcile(RUN, 1)) == stdlib_json.loads(json.reconcile(RUN, 1))
    for of_yaml, of_json in ((yaml.tree, json.tree), (yaml.get, json.get)):
        assert pyyaml.safe_load(of_yaml(SCOPE, LEAVES)) == stdlib_json.loads(of_json(SCOPE, LEAVES))
        assert "&" not in of_yaml(SCOPE, LEAVES)


def test_the_order_of_threads_does_not_show():
    expected = text.reconcile(RUN), json.reconcile(RUN, 1)
    chance = random.Random(7)  # noqa: S311 - no secret
    for _ in range(20):
        outcomes = [
            replace(each, changes=tuple(chance.sample(each.changes, len(each.changes)))) for each in OUTCOMES
        ]
        shuffled = replace(RUN, outcomes=tuple(outcomes), held=tuple(chance.sample(RUN.held, 2)))
        assert (text.reconcile(shuffled), json.reconcile(shuffled, 1)) == expected


def test_a_dry_run_keeps_the_order_of_dependencies():
    document = facts.reconcile(replace(RUN, dry_run=True), 0)
    assert [each["name"] for each in document["kustomizations"]] == [
        "infra",
        "apps",
        "web",
        "legacy",
        "flux-system",
    ]


def test_a_thousand():
    run = replace(RUN, outcomes=tuple(Outcome(f"team/app-{n:03}", State.READY) for n in range(1000)))
    shown = text.reconcile(run).splitlines()
    assert sum(line.startswith("✓ team/app-") for line in shown) == 1000
    assert "1,000 Kustomizations: 1,000 ready" in shown
    chain = [Leaf(f"team/app-{n:03}", "p", f"team/app-{n - 1:03}") for n in range(1000)]
    assert len(text.tree(chain).splitlines()) == len(text.get(chain).splitlines()) - 1 == 1000
    interrupted = text.reconcile(replace(run, interrupted=2))
    assert "team/app-019 and 980 more" in interrupted


def hostile_views():
    """Every text view, with foreign text wherever foreign text can be."""
    bad = ResourceRef(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    outcome = Outcome(
        HOSTILE, State.FAILED, (Change(bad, Action.CREATED, HOSTILE),), HOSTILE, HOSTILE,
        unhealthy=(Health(bad, Status.FAILED, HOSTILE),), warnings=(HOSTILE,),
        diagnosis=(Finding(bad, ref("Pod", HOSTILE), HOSTILE, HOSTILE, HOSTILE, (HOSTILE,)),),
    )  # fmt: skip
    held = (Held(HOSTILE, (bad,), HOSTILE, HOSTILE), Held("", (), ""))
    run = Run(HOSTILE, HOSTILE, HOSTILE, (outcome, Outcome("a", State.BLOCKED, blocked_by=(HOSTILE,))), held,
              (HOSTILE, ""), {HOSTILE: 1})  # fmt: skip
    leaves = [
        Leaf(HOSTILE, HOSTILE, "", (HOSTILE,), (HOSTILE,), problems=(HOSTILE, ""), recorded=State.FAILED,
             recorded_message=HOSTILE, revision=HOSTILE),
        Leaf("::a", "::b", HOSTILE, target=HOSTILE),
    ]  # fmt: skip
    problems = [
        Problem(HOSTILE, HOSTILE, "", Subject("", "", HOSTILE, HOSTILE, HOSTILE), HOSTILE, HOSTILE, file, 1)
        for file in (HOSTILE, "", ":")
    ]
    views = [text.reconcile(run), text.reconcile(replace(run, interrupted=9)), text.tree(leaves)]
    views += [text.get(leaves, THEN), text.names(leaves), "\n".join(text.problems(problems))]
    return views, run, leaves, problems


def test_foreign_text_steers_neither_terminal_nor_runner():
    views, *_ = hostile_views()
    for view in views:
        view.encode()
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f]", view)
        assert "##[" not in view
        assert not any(line.lstrip().startswith("::") for line in view.splitlines())
        assert "ared" in view


def test_foreign_text_survives_in_documents():
    _, run, *_ = hostile_views()
    document = facts.reconcile(run, 1)
    as_json, as_yaml = json.dump(document), yaml.dump(document)
    for dumped in (as_json, as_yaml):
        assert not clean.UNSAFE.search(dumped)
        assert dumped.isascii()
    assert stdlib_json.loads(as_json) == stdlib_json.loads(
        stdlib_json.dumps(document).replace(r"\ud800", "?")
    )
    assert r"\u202Egpj" in as_yaml
    assert str(2**70) in json.build(
        SCOPE, [BuildView("n", "n", "p", [{**POD, "x": 2**70}], origins=[Place()])]
    )


@settings(deadline=None)  # machines are busy
@given(st.text(max_size=400), st.integers(min_value=2, max_value=200))
def test_clean_text_is_bounded_and_stays_clean(raw, limit):
    once = clean.line(raw, limit)
    assert len(once) <= limit
    assert not clean.UNSAFE.search(once)
    assert "\n" not in once
    for line in clean.block(raw, limit, 3):
        assert not clean.UNSAFE.search(line)
        assert len(line) <= limit + 2


def test_long_messages_are_cut_visibly():
    assert clean.block("x" * 5000) == ["x" * 1999 + "…"]
    assert clean.block("\n\n" + "line\n" * 100)[-1] == "line …"
    assert len(clean.block("line\n" * 100)) == 20
    assert clean.line("x" * 400) == "x" * 319 + "…"
    assert clean.line(" a\n\n b ") == "a b"


def test_durations_ages_and_moments():
    seconds = (-1, 0.04, 12.34, 59.94, 59.96, 125, 3599.9, 3720)
    told = ["0.0s", "0.0s", "12.3s", "59.9s", "1m00s", "2m05s", "1h00m", "1h02m"]
    assert [style.duration(each) for each in seconds] == told
    seconds = (-5, 119, 120, 3600, 86399, 86400, 864000)
    assert [style.age(each) for each in seconds] == ["0s", "119s", "2m", "1h", "23h", "1d", "10d"]
    assert style.moment(THEN + 0.1239) == "2026-09-21T14:13:20.123Z"
    assert style.moment(0) == "1970-01-01T00:00:00.000Z"
