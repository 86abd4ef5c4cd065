"""What is deleted, in which order, and what never is: each rule on a real API server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import wait_until
from tests.cluster.api import MERGE
from tests.e2e.harness import ENTRY, Bench, bench, config_map, kustomization
from tests.e2e.test_rules import crd

pytestmark = pytest.mark.cluster
FLUX = "kustomize.toolkit.fluxcd.io"
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"


def path(world: Bench, name: str, kind: str = "configmaps") -> str:
    return f"/api/v1/namespaces/{world.namespace}/{kind}/{name}"


def fleet(world: Bench, *names: str, **spec: Any) -> None:
    """Kustomizations, each with a ConfigMap of its name and another, deployed."""
    world.repository.write("clusters/test/all.yaml", *(kustomization(world, n, n, **spec) for n in names))
    for name in names:
        world.repository.write(f"{name}/own.yaml", config_map(world, name))
        world.repository.write(f"{name}/more.yaml", config_map(world, f"{name}-more"))
    deploy(world)


def deploy(world: Bench, *arguments: str, code: int = 0) -> Any:
    world.repository.commit()
    return world.reconcile(*arguments, code=code)


def inventory(world: Bench, name: str) -> set[str]:
    return {ref.name for ref in world.records()[name].inventory}


def deletions(world: Bench) -> list[str]:
    return [w.partition(" ")[2].rpartition("/")[2] for w in world.writes() if w.startswith("delete ")]


@contextmanager
def finalizer(world: Bench, where: str) -> Iterator[None]:
    """Something holds an object; it lets go at the end."""
    for value in (["example.org/hold"], None):
        patch = {"metadata": {"finalizers": value}}
        assert world.api.request("PATCH", where, patch, MERGE).status in {200, 404}
        if value:
            yield


def event(world: Bench, api_version: str) -> dict[str, Any]:
    """One object that the API serves in two groups, as each of them has it."""
    about = {"kind": "Namespace", "name": world.namespace, "namespace": world.namespace}
    common = {
        "apiVersion": api_version,
        "kind": "Event",
        "metadata": {"name": "happened", "namespace": world.namespace},
        "eventTime": "2026-03-01T12:00:00.000000Z",
        "reason": "Tested",
        "action": "Testing",
        "type": "Normal",
        "reportingInstance": "x",
    }
    if api_version == "v1":
        return {**common, "involvedObject": about, "reportingComponent": "example.org/x"}
    return {**common, "regarding": about, "reportingController": "example.org/x"}


@pytest.mark.parametrize("other", [False, True], ids=["stays", "moves"])
@pytest.mark.parametrize("back", [False, True], ids=["new group", "old group"])
def test_an_object_that_changes_its_group_is_the_same_object(world: Bench, *, other: bool, back: bool):
    """Also when the Kustomization that had it is done before the one that gets it has begun."""
    old, new = ("events.k8s.io/v1", "v1") if back else ("v1", "events.k8s.io/v1")
    fleet(world, "app", "other")
    world.repository.write("app/event.yaml", event(world, old))
    deploy(world)
    uid = world.get(path(world, "happened", "events"))["metadata"]["uid"]
    world.repository.remove("app/event.yaml")
    world.repository.write(f"{'other' if other else 'app'}/event.yaml", event(world, new))
    manifests = [
        kustomization(world, "app", "app"),
        kustomization(world, "other", "other", dependsOn=[{"name": "app"}]),
    ]
    world.repository.write("clusters/test/all.yaml", *manifests)

    result = deploy(world)

    assert world.get(path(world, "happened", "events"))["metadata"]["uid"] == uid
    told = [c for c in result.of("app")["changes"] if c["action"] == "skipped"]
    assert [c["reason"] for c in told] == ["the same object is desired under another kind or group"]
    assert "happened" in inventory(world, "other" if other else "app")
    assert ("happened" in inventory(world, "app")) is not other
    assert deletions(world) == []
    before = world.writes()
    world.reconcile()
    assert world.writes() == before


def test_another_version_of_a_kind_is_no_other_object(world: Bench):
    """Served, applied and recorded as v1; then asked for as v2, with nothing to delete."""
    group = f"{world.namespace}.example"
    fleet(world, "app")
    definition = crd(group, "Thing", "things")
    (first,) = definition["spec"]["versions"]
    definition["spec"]["versions"].append({**first, "name": "v2", "storage": False})
    meta = {"name": "t", "namespace": world.namespace}
    for version in ("v1", "v2"):
        thing = {"apiVersion": f"{group}/{version}", "kind": "Thing", "metadata": meta, "spec": {"a": 1}}
        world.repository.write("app/thing.yaml", definition, thing)
        result = deploy(world)
        assert "deleted" not in result.changes("app").values()
    assert deletions(world) == []
    (entry,) = [e for ref, e in world.records()["app"].inventory.items() if ref.kind == "Thing"]
    assert entry.ref.version == "v2"


def test_deletion_is_in_the_reverse_of_the_order_of_applying(world: Bench):
    fleet(world, "app")
    name = world.namespace
    core = {"metadata": {"name": "thing", "namespace": name}}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", **core}
    service = {"apiVersion": "v1", "kind": "Service", **core, "spec": {"ports": [{"port": 80}]}}
    job = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        **core,
        "spec": {"selector": {"matchLabels": {"a": "b"}}},
    }
    world.repository.write("app/stack.yaml", job, service, config_map(world, "thing"), account, role)
    deploy(world)
    world.repository.remove("app/stack.yaml")
    deploy(world)
    gone = [w.split("/")[-2:] for w in world.writes() if w.startswith("delete ")]
    assert gone == [
        ["poddisruptionbudgets", "thing"],
        ["services", "thing"],
        ["configmaps", "thing"],
        ["serviceaccounts", "thing"],
        ["clusterroles", name],
    ]


def test_what_a_finalizer_holds_is_named_stays_ours_and_is_taken_later(world: Bench):
    fleet(world, "app", timeout="2s")
    with finalizer(world, path(world, "app-more")):
        world.repository.remove("app/more.yaml")
        stuck = deploy(world, code=1)
        error = stuck.of("app")["error"]
        assert f"ConfigMap/{world.namespace}/app-more is not gone after 2 s" in error
        assert "it waits for its finalizers: example.org/hold" in error
        assert inventory(world, "app") == {"app", "app-more"}
        still = world.reconcile(code=1)
        assert "example.org/hold" in still.of("app")["error"]
    wait_until(lambda: world.get(path(world, "app-more")) is None, "it is gone")
    world.reconcile()
    assert inventory(world, "app") == {"app"}


def test_what_may_not_be_deleted_stays_ours_and_the_others_go(world: Bench):
    fleet(world, "app")
    world.repository.write("app/third.yaml", config_map(world, "third"))
    deploy(world)
    name = world.namespace
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["DELETE"]}
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "matchConditions": [
            {"name": "it", "expression": f"request.namespace == '{name}' && request.name == 'third'"}
        ],
        "validations": [{"expression": "request.name != 'third'", "message": "hands off"}],
    }
    binding = {"policyName": name, "validationActions": ["Deny"]}
    admission = "/apis/admissionregistration.k8s.io/v1"
    for kind, body in (("policies", spec), ("policybindings", binding)):
        made = {"metadata": {"name": name}, "spec": body}
        answer = world.api.request("POST", f"{admission}/validatingadmission{kind}", made)
        assert answer.status == 201, answer.body

    def denied() -> bool:
        answer = world.api.request("DELETE", f"{path(world, 'third')}?dryRun=All")
        return answer.status == 422

    wait_until(denied, "the policy works")
    world.repository.remove("app/third.yaml")
    world.repository.remove("app/more.yaml")
    failed = deploy(world, code=1)
    assert "hands off" in failed.of("app")["error"]
    assert f"ConfigMap/{name}/third" in failed.of("app")["error"]
    assert world.config_maps() == {"app", "third"}
    assert inventory(world, "app") == {"app", "third"}
    for kind in ("policybindings", "policies"):
        world.api.request("DELETE", f"{admission}/validatingadmission{kind}/{name}")
    wait_until(lambda: not denied(), "the policy is gone")
    world.reconcile()
    assert world.config_maps() == {"app"}


POLICIES = [
    pytest.param({"prune": prune, **policy}, goes, id=f"{policy.get('deletionPolicy', 'default')} {prune}")
    for policy, when in (
        ({}, {True: True, False: False}),
        ({"deletionPolicy": "MirrorPrune"}, {True: True, False: False}),
        ({"deletionPolicy": "Delete"}, {True: True, False: True}),
        ({"deletionPolicy": "WaitForTermination"}, {True: True, False: True}),
        ({"deletionPolicy": "Orphan"}, {True: False, False: False}),
    )
    for prune, goes in when.items()
]


@pytest.mark.parametrize(("spec", "goes"), POLICIES)
def test_the_recorded_policy_decides_what_a_gone_kustomization_leaves(
    world: Bench, spec: dict, *, goes: bool
):
    fleet(world, "app", "guest")
    world.repository.write(
        "clusters/test/all.yaml",
        kustomization(world, "app", "app"),
        kustomization(world, "guest", "guest", **spec),
    )
    deploy(world)
    world.repository.write("clusters/test/all.yaml", kustomization(world, "app", "app"))
    world.repository.remove("guest")
    dry = deploy(world, "--dry-run")
    result = world.reconcile()
    left = {"app", "app-more"} | (set() if goes else {"guest", "guest-more"})
    assert world.config_maps() == left
    assert set(result.changes("guest").values()) == {"deleted" if goes else "skipped"}
    assert dry.changes("guest") == result.changes("guest")
    assert "guest" not in world.records()


def test_a_suspended_kustomization_that_leaves_git_leaves_everything(world: Bench):
    fleet(world, "app", "guest")
    suspended = kustomization(world, "guest", "guest", suspend=True)
    world.repository.write("clusters/test/all.yaml", kustomization(world, "app", "app"), suspended)
    deploy(world)
    world.repository.write("clusters/test/all.yaml", kustomization(world, "app", "app"))
    result = deploy(world)
    assert {"guest", "guest-more"} <= world.config_maps(), result.stdout


@pytest.mark.parametrize("spec", [{"suspend": True}, {"prune": False}], ids=["suspended", "prune: false"])
def test_a_parent_that_does_not_prune_keeps_its_children(world: Bench, spec: dict):
    fleet(world, "parent")
    world.repository.write("parent/child.yaml", kustomization(world, "child", "child"))
    world.repository.write("child/own.yaml", config_map(world, "child"))
    deploy(world)
    world.repository.write("clusters/test/all.yaml", kustomization(world, "parent", "parent", **spec))
    world.repository.remove("parent/child.yaml")
    deploy(world)
    assert "child" in world.config_maps()
    assert inventory(world, "child") == {"child"}
    assert deletions(world) == []


def test_a_failed_ancestor_hides_nothing_into_deletion(world: Bench):
    """The root fails; what it does not list any more, its children included, stays until it is well."""
    fleet(world, "parent")
    world.repository.write("parent/child.yaml", kustomization(world, "child", "child"))
    world.repository.write("child/own.yaml", config_map(world, "child"))
    deploy(world)
    invalid = config_map(world, "Not_A_Name")
    world.repository.write("clusters/test/all.yaml", invalid)
    failed = deploy(world, code=1)
    assert failed.states["fleet"] == "failed"
    assert world.config_maps() == {"parent", "parent-more", "child"}
    assert deletions(world) == []
    world.repository.write("clusters/test/all.yaml", config_map(world, "a-name"))
    deploy(world)
    assert world.config_maps() == {"a-name"}
    assert set(world.records()) == {"fleet"}


def test_a_path_that_is_mistyped_prunes_nothing(world: Bench):
    fleet(world, "app", "other")
    world.repository.write(
        "clusters/test/all.yaml", kustomization(world, "app", "apq"), kustomization(world, "other", "other")
    )
    world.repository.remove("other/more.yaml")
    held = deploy(world, code=1)
    assert "apq" in held.of("app")["error"]
    assert world.config_maps() == {"app", "app-more", "other", "other-more"}
    assert held.json["held"][0]["kustomization"] == f"{world.namespace}/other"


def test_an_entry_that_is_renamed_is_refused_and_taken_over_without_loss(world: Bench):
    fleet(world, "app")
    uid = world.get(path(world, "app"))["metadata"]["uid"]
    world.repository.git("mv", ENTRY, "clusters/renamed")
    world.repository.write(f"{ENTRY}/.keep", "")
    world.repository.commit()
    (held,) = world.reconcile(code=6).json["held"]
    assert held["kustomization"] == f"{world.namespace}/app"
    assert "renders no object any more" in held["reason"]
    moved = ("--entry", "clusters/renamed")
    refused = world.run("reconcile", *moved)
    assert refused.code == 6
    assert "is deployed from clusters/test" in refused.stderr
    assert deletions(world) == []
    world.reconcile(*moved, "--takeover")
    assert world.get(path(world, "app"))["metadata"]["uid"] == uid
    assert deletions(world) == []
    assert {r.entry for r in world.records().values()} == {"clusters/renamed"}


def test_names_with_colons_and_underscores_are_owned_and_pruned(world: Bench):
    fleet(world, "app")
    names = [f"{world.namespace}:{rest}" for rest in ("a", "a:b_c", "a__b", "_a_")]
    roles = [
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}}
        for name in names
    ]
    world.repository.write("app/roles.yaml", *roles)
    deploy(world)
    assert set(names) <= inventory(world, "app")
    world.repository.write("app/roles.yaml", *roles[:2])
    deploy(world)
    live = {r["metadata"]["name"] for r in world.api.get(ROLES).body["items"]}
    assert live & set(names) == set(names[:2])


def test_an_approval_lets_one_set_through_and_only_once(world: Bench):
    fleet(world, "app")
    for number in range(26):
        world.repository.write(f"app/cm-{number}.yaml", config_map(world, f"cm-{number}"))
    deploy(world)
    for number in range(12):
        world.repository.remove(f"app/cm-{number}.yaml")
    first = deploy(world, code=6).json["held"][0]["digest"]
    world.repository.remove("app/cm-12.yaml")
    other = deploy(world, "--approve", first, code=6).json["held"][0]["digest"]
    assert other != first
    assert deletions(world) == []
    world.reconcile("--approve", other)
    assert len(deletions(world)) == 13
    for number in range(12):
        world.repository.write(f"app/cm-{number}.yaml", config_map(world, f"cm-{number}"))
    deploy(world)
    for number in range(2, 14):
        (world.repository.path / f"app/cm-{number}.yaml").unlink(missing_ok=True)
    assert deploy(world, "--approve", other, code=6).json["held"]
    assert len(deletions(world)) == 13


@pytest.mark.parametrize("what", ["claim", "definition"])
def test_what_something_would_be_lost_with_is_held(world: Bench, what: str):
    fleet(world, "app")
    group = f"{world.namespace}.example"
    disk = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    meta = {"name": "data", "namespace": world.namespace}
    wanted = {**disk, "resources": {"requests": {"storage": "1Gi"}}, "volumeName": world.namespace}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": wanted}
    world.repository.write("app/it.yaml", claim if what == "claim" else crd(group, "Thing", "things"))
    deploy(world)
    if what == "claim":
        path_ = {"capacity": {"storage": "1Gi"}, "hostPath": {"path": "/nowhere"}, "claimRef": meta}
        volume = {"metadata": {"name": world.namespace}, "spec": {**disk, **path_}}
        assert world.api.request("POST", "/api/v1/persistentvolumes", volume).status == 201
        where = path(world, "data", "persistentvolumeclaims")
        wait_until(lambda: world.get(where)["status"]["phase"] == "Bound", "it is bound")
    else:
        things = f"/apis/{group}/v1/namespaces/{world.namespace}/things"
        made = {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": {"name": "t"}}
        assert world.api.request("POST", things, made).status == 201
    world.repository.remove("app/it.yaml")
    held = deploy(world, code=6).json["held"][0]
    assert "still holds" in held["reason"]
    assert deletions(world) == []
    world.reconcile("--approve", held["digest"], code=0)
    assert len(deletions(world)) == 1


def test_one_object_wanted_by_two_is_refused_for_both_by_name(world: Bench):
    fleet(world, "one", "two")
    world.repository.write("two/more.yaml", config_map(world, "one"))
    refused = deploy(world, code=1)
    for name in ("one", "two"):
        assert f"is wanted by {world.namespace}/one and by {world.namespace}/two" in refused.of(name)["error"]
    assert "two-more" in world.config_maps(), "and nothing is pruned meanwhile"


def test_an_object_of_a_kustomization_elsewhere_is_never_taken_or_pruned(world: Bench, tmp_path: Path):
    fleet(world, "app")
    other = bench(world.plane, tmp_path / "other")
    fleet(other, "thief")
    other.repository.write("thief/more.yaml", config_map(world, "app", stolen="yes"))
    refused = deploy(other, code=1)
    assert f"belongs to Kustomization {world.namespace}/app" in refused.of("thief")["error"]
    other.repository.write("thief/more.yaml", config_map(other, "thief-more"))
    deploy(other)
    assert world.get(path(world, "app"))["data"] == {"key": "value"}


def test_a_commit_that_is_reverted_leaves_what_there_was(world: Bench):
    fleet(world, "app")
    uid = world.get(path(world, "app-more"))["metadata"]["uid"]
    world.repository.git("mv", "app/more.yaml", "app/renamed.yaml")
    world.repository.write("app/extra.yaml", config_map(world, "extra"))
    world.repository.write("app/own.yaml", config_map(world, "app-renamed"))
    deploy(world)
    assert world.config_maps() == {"app-renamed", "app-more", "extra"}
    world.repository.git("revert", "--no-edit", "HEAD")
    deploy(world)
    assert world.config_maps() == {"app", "app-more"}
    assert world.get(path(world, "app-more"))["metadata"]["uid"] == uid


def test_what_moves_out_of_a_gone_kustomization_is_not_lost_while_its_new_one_fails(world: Bench):
    """The new one never came to writing it down: the old record keeps it until then."""
    fleet(world, "old", "new")
    world.repository.write("clusters/test/all.yaml", kustomization(world, "new", "new"))
    world.repository.git("mv", "old/more.yaml", "new/moved.yaml")
    world.repository.write("new/bad.yaml", config_map(world, "Not_A_Name"))
    deploy(world, code=1)
    assert inventory(world, "old") == {"old-more"}
    world.repository.remove("new/bad.yaml")
    world.repository.remove("new/moved.yaml")
    deploy(world)
    assert world.config_maps() == {"new", "new-more"}
    assert "old" not in world.records()


def test_many_are_judged_by_one_list(world: Bench):
    fleet(world, "app")
    for number in range(8):
        world.repository.write(f"app/cm-{number}.yaml", config_map(world, f"cm-{number}"))
    deploy(world)
    for number in range(8):
        world.repository.remove(f"app/cm-{number}.yaml")
    theirs = {"metadata": {"labels": {f"{FLUX}/name": "somebody"}}}
    kept = {"metadata": {"annotations": {f"{FLUX}/prune": "disabled"}}}
    for name, patch in (("cm-0", theirs), ("cm-1", kept)):
        assert world.api.request("PATCH", path(world, name), patch, MERGE).status == 200
    before = len(world.events())
    deploy(world)
    assert world.config_maps() == {"app", "app-more", "cm-0", "cm-1"}
    read = [e["requestURI"] for e in world.events()[before:] if e["verb"] == "get"]
    assert not [uri for uri in read if "/configmaps/cm-" in uri]


def test_what_a_blocked_one_says_of_itself_counts_when_it_goes(world: Bench):
    """Its parent has applied it: in Flux, too, the finalizer goes by what it says then."""
    base = kustomization(world, "base", "base")
    after = {"dependsOn": [{"name": "base"}]}
    world.repository.write("clusters/test/all.yaml", base, kustomization(world, "app", "app", **after))
    world.repository.write("base/own.yaml", config_map(world, "base"))
    world.repository.write("app/own.yaml", config_map(world, "app"))
    deploy(world)

    orphaning = kustomization(world, "app", "app", deletionPolicy="Orphan", **after)
    world.repository.write("clusters/test/all.yaml", base, orphaning)
    broken = {**config_map(world, "base"), "data": {"key": {"no": "text"}}}
    world.repository.write("base/own.yaml", broken)
    assert deploy(world, code=1).states["app"] == "blocked"
    known = world.records()["app"]
    assert known.manifest["spec"]["deletionPolicy"] == "Orphan"
    assert (known.state, known.message) == ("blocked", f"blocked by {world.namespace}/base")
    assert {ref.name for ref in known.inventory} == {"app"}
    told = world.run("get", "-n", world.namespace, "-o", "json")
    assert "blocked by" in told.stdout
    before = world.writes()
    deploy(world, code=1)
    assert [w for w in world.writes()[len(before) :] if "kustodian-app" in w] == [], "nothing new to say"

    world.repository.write("clusters/test/all.yaml", base)
    world.repository.write("base/own.yaml", config_map(world, "base"))
    deploy(world)
    assert world.get(path(world, "app")) is not None, "left behind, as it said"
    assert "app" not in world.records()
