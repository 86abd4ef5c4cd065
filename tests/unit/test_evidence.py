"""How live objects are read for many at once, and what makes the server's rules unknown."""

from __future__ import annotations

import pytest

from runner.errors import Refused
from runner.evidence import AGE, DEFINITION, FEW, MUTATING, SETTLED, SPARE, Evidence
from runner.model import ResourceRef
from tests.fakes.cluster import FakeCluster

NOW = 1_800_000_000.0
LONG_AGO, JUST_NOW = "2026-01-01T00:00:00Z", "2027-01-15T07:59:55Z"  # NOW is eight o'clock
KIND = ("", "ConfigMap")
FORBIDDEN = Refused("list failed (Forbidden)", code=403, reason="Forbidden")


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self):
        self.at = NOW

    def now(self):
        return self.at

    def monotonic(self):
        return self.at


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cluster():
    found = FakeCluster()
    for group, kind in MUTATING:
        found.serve(group, kind, namespaced=False)
    return found


@pytest.fixture
def evidence(cluster, clock):
    return Evidence(cluster, clock)


def ref(name, namespace="apps", kind="ConfigMap", group=""):
    return ResourceRef(namespace, str(name), group, kind, "v1")


def config_map(each):
    meta = {"name": each.name, "namespace": each.namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}


def fill(cluster, evidence, *, objects, namespaces):
    refs = [ref(n, f"ns-{n % namespaces}") for n in range(objects)]
    cluster.put(*(config_map(each) for each in refs))
    evidence.expect(refs)
    return refs


READING = [
    pytest.param(FEW, 1, [], id="a few are read one by one"),
    pytest.param(FEW + 1, 1, ["ConfigMap ns-0"], id="those of one namespace are listed there"),
    pytest.param(30, 3, [f"ConfigMap ns-{n}" for n in range(3)], id="and those of few"),
    pytest.param(30, 5, ["ConfigMap"], id="many in the whole cluster"),
    pytest.param(30, 30, ["ConfigMap"], id="also when there is one in each namespace"),
]


@pytest.mark.parametrize(("objects", "namespaces", "lists"), READING)
def test_what_is_listed(cluster, evidence, objects, namespaces, lists):
    refs = fill(cluster, evidence, objects=objects, namespaces=namespaces)
    found = [evidence.live(each) for each in refs]
    assert cluster.lists == lists
    assert [bool(each) for each in found] == [bool(lists)] * objects
    assert cluster.requests["GET"] == 0


def test_where_the_whole_cluster_is_forbidden_the_larger_namespaces_are_listed(cluster, evidence):
    refs = fill(cluster, evidence, objects=10, namespaces=4)
    more = [ref(f"x-{n}", "ns-0") for n in range(3)]
    cluster.put(*(config_map(each) for each in more))
    evidence.expect([*refs, *more])
    cluster.narrow.add(KIND)
    assert evidence.live(refs[0]) is not None
    assert evidence.live(refs[1]) is None
    assert evidence.live(refs[4]) is not None
    assert cluster.lists == ["ConfigMap", "ConfigMap ns-0"]


def test_what_is_not_worth_reading_is_left(cluster, evidence):
    """A kind of which thousands are somebody else's."""
    refs = fill(cluster, evidence, objects=FEW + 1, namespaces=1)
    cluster.put(*(config_map(ref(f"other-{n}", "ns-0")) for n in range(SPARE + 50 * (FEW + 1))))
    assert [evidence.live(each) for each in refs] == [None] * (FEW + 1)
    assert cluster.lists == ["ConfigMap ns-0"]


def test_what_may_not_be_listed_is_asked_for_once(cluster, evidence):
    refs = fill(cluster, evidence, objects=30, namespaces=1)
    cluster.unlisted[KIND] = FORBIDDEN
    assert [evidence.live(each) for each in refs] == [None] * 30
    assert cluster.lists == ["ConfigMap ns-0"]


def test_what_nobody_expected_is_not_known(evidence):
    assert evidence.live(ref("x")) is None


def test_a_list_is_read_anew_when_it_is_old(cluster, evidence, clock):
    refs = fill(cluster, evidence, objects=30, namespaces=1)
    assert evidence.live(refs[0])
    cluster.objects.pop(refs[0])
    clock.at += AGE
    assert evidence.live(refs[0])
    clock.at += 0.1
    assert evidence.live(refs[0]) is None


def rule(kind, name="x", generation=1, created=LONG_AGO, written=LONG_AGO, uid="u"):
    group, word = kind
    meta = {"name": name, "uid": uid, "generation": generation, "creationTimestamp": created}
    return {
        "apiVersion": f"{group}/v1",
        "kind": word,
        "metadata": {**meta, "managedFields": [{"manager": "m", "time": written}]},
    }


def rules(cluster, clock):
    return Evidence(cluster, clock).rules()


@pytest.mark.parametrize("kind", MUTATING)
def test_rules_differ_by_what_changes_objects(cluster, clock, kind):
    seen = [rules(cluster, clock).of("configmaps.")]
    for change in ({}, {"generation": 2}, {"uid": "v"}):
        cluster.put(rule(kind, **change))
        seen.append(rules(cluster, clock).of("configmaps."))
    assert "" not in seen
    assert len(set(seen)) == 4
    cluster.objects.clear()
    assert rules(cluster, clock).of("configmaps.") == seen[0]


def test_rules_differ_by_the_version_of_the_server(cluster, clock, monkeypatch):
    before = rules(cluster, clock)
    monkeypatch.setattr(cluster, "version", lambda: "v1.38.0")
    assert rules(cluster, clock) != before


def test_a_definition_counts_for_its_own_kind(cluster, clock):
    before = rules(cluster, clock)
    cluster.put(rule(DEFINITION, "things.example", generation=2))
    after = rules(cluster, clock)
    assert after.of("things.example") != before.of("things.example")
    assert after.of("configmaps.") == before.of("configmaps.")


YOUNG = [
    pytest.param(rule(MUTATING[0], created=JUST_NOW, written=JUST_NOW), True, id="a new webhook"),
    pytest.param(rule(MUTATING[1], written=JUST_NOW), True, id="a changed policy"),
    pytest.param(rule(DEFINITION, "things.example", 2, written=JUST_NOW), False, id="a changed definition"),
]


@pytest.mark.parametrize(("changed", "everything"), YOUNG)
def test_rules_that_just_changed_are_unknown_until_every_server_has_noticed(
    cluster, clock, changed, everything
):
    cluster.put(changed)
    assert rules(cluster, clock).of("things.example") == ""
    assert (rules(cluster, clock).of("configmaps.") == "") is everything
    clock.at += SETTLED
    assert rules(cluster, clock).of("things.example")


def test_a_new_definition_has_no_older_form(cluster, clock):
    cluster.put(rule(DEFINITION, "things.example", created=JUST_NOW, written=JUST_NOW))
    assert rules(cluster, clock).of("things.example")


@pytest.mark.parametrize("kind", [*MUTATING, DEFINITION])
def test_rules_that_may_not_be_seen_are_unknown(cluster, clock, kind):
    cluster.unlisted[kind] = FORBIDDEN
    assert rules(cluster, clock).of("configmaps.") == ""


def test_rules_that_the_run_changed_are_read_anew(cluster, evidence):
    before = evidence.rules()
    cluster.put(rule(MUTATING[0]))
    evidence.wrote([ref("x")])
    assert evidence.rules() == before
    evidence.wrote([ref("x", "", MUTATING[0][1], MUTATING[0][0])])
    assert evidence.rules() != before


def test_a_kind_has_the_name_of_its_definition_as_far_as_it_is_served(evidence):
    assert evidence.name(ref("x", group="apps", kind="Deployment")) == "deployments.apps"
    assert evidence.name(ref("x", group="example", kind="Thing")) == ""
