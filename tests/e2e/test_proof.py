"""Unchanged by proof: never where a dry-run disagrees, whoever did whatever; and at few requests."""

from __future__ import annotations

import copy
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import pytest

from runner import proof
from runner.clients.kubernetes import connect
from runner.model import FIELD_MANAGER, Action, ResourceRef
from runner.plan import NoProofs
from tests.cluster import ControlPlane, wait_until
from tests.e2e.deployer import Deployer, Disagreement, define, fresh
from tests.e2e.edits import Edits, put, reverse
from tests.e2e.subjects import Path, Subject, definition
from tests.e2e.webhook import webhook

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """A control plane whose policies and definitions are this file's alone, and where nothing reacts."""
    with ControlPlane.start(controllers=False) as started:
        yield started


@pytest.fixture
def deployer(plane: ControlPlane) -> Iterator[Deployer]:
    with (
        closing(connect(kubeconfig=str(plane.kubeconfig), context=None)) as cluster,
        ThreadPoolExecutor(4) as pool,
    ):
        define(plane, cluster)
        yield Deployer(cluster, pool)


def play(deployer: Deployer, plane: ControlPlane, seed: int, seconds: float) -> tuple[int, int]:
    """Deploy, let something happen, and compare, again and again; how often it was compared, and proven."""
    edits = Edits(plane.api(), seed)
    until = time.monotonic() + seconds
    count = proven = 0
    while time.monotonic() < until:
        things = fresh(deployer)
        trails: dict[ResourceRef, list[str]] = {each.ref: [] for each in things}
        for _ in range(40):
            if time.monotonic() > until:
                break
            subject = edits.chance.choice(things)
            trail = trails[subject.ref]
            step(deployer, subject, edits, trail)
            proven += deployer.check(subject, [f"seed {seed}", *trail])
            count += 1
    return count, proven


def step(deployer: Deployer, subject: Subject, edits: Edits, trail: list[str]) -> None:
    """Most often a deploy and one or two edits; sometimes one that is killed, and what it did is reverted."""
    chance = edits.chance
    if chance.random() < 0.7:
        trail.append(f"deploy: {deployer.deploy(subject).action}")
    if chance.random() < 0.15:
        wanted = subject.manifest
        path = chance.choice(list(subject.values))
        changed = copy.deepcopy(wanted)
        put(changed, path, subject.values[path][-1])
        subject.manifest = changed
        trail.append(f"killed after {path}: {deployer.deploy(subject, killed=True).action}")
        subject.manifest = wanted
    trail += [edits.any(subject) for _ in range(chance.choice([0, 1, 1, 2]))]


@pytest.mark.parametrize("seed", range(3))
def test_no_proof_holds_where_a_dry_run_disagrees(deployer: Deployer, plane: ControlPlane, seed: int):
    count, proven = play(deployer, plane, seed, 12)
    assert count > 20
    assert proven > count / 10, "proofs that never hold are right, and useless"


@pytest.mark.parametrize(
    ("part", "weaker"),
    [
        pytest.param("_moment", lambda _manifest, _meta: "", id="generation and resourceVersion"),
        pytest.param("_chosen", lambda _wanted, _live, _part: {}, id="the values of labels and annotations"),
    ],
)
def test_a_proof_without_one_of_its_parts_is_found_out(
    deployer: Deployer, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch, part: str, weaker: Any
):
    """That the play above would notice."""
    monkeypatch.setattr(proof, part, weaker)
    with pytest.raises(Disagreement):
        play(deployer, plane, 1, 60)


TRIES = 30  # to do two things within a second of the server's


def one(deployer: Deployer, kind: str) -> Subject:
    """An object of a kind that was just deployed."""
    (found,) = [each for each in fresh(deployer) if each.manifest["kind"] == kind]
    deployer.deploy(found)
    return found


def overwrite(edits: Edits, subject: Subject) -> None:
    """Our manager again, within the second: all entries stay as they are."""
    changed = copy.deepcopy(subject.manifest)
    put(changed, *content(subject))
    edits.apply_manifest(subject, changed)


def recreate(edits: Edits, subject: Subject) -> None:
    """Another object by the same name, as our manager would make it from another commit."""
    edits.delete(subject)
    overwrite(edits, subject)


def content(subject: Subject) -> tuple[Path, Any]:
    """A field that is no metadata, and another value for it."""
    return next((path, values[-1]) for path, values in subject.values.items() if path[0] != "metadata")


def forge(edits: Edits, subject: Subject) -> None:
    """A change, and then the ownership from before it."""
    before = edits.live(subject)
    edits.rewrite(subject, lambda live: put(live, *content(subject)))
    owners = before["metadata"]["managedFields"]
    edits.rewrite(subject, lambda live: put(live, ("metadata", "managedFields"), owners))


def turn_round(edits: Edits, subject: Subject) -> None:
    """A list with keys in another order: nobody's ownership changes by that."""
    edits.rewrite(subject, lambda live: reverse(live, subject.lists[0]))


TRACELESS = [
    pytest.param(edit, kind, id=f"{edit.__name__} {kind}")
    for edit, kinds in (
        (overwrite, "ConfigMap Secret Service Deployment Thing PriorityClass"),
        (recreate, "ConfigMap Deployment Thing"),
        (forge, "ConfigMap Secret Service Deployment Thing PriorityClass"),
        (turn_round, "Service Deployment"),
    )
    for kind in kinds.split()
]


@pytest.mark.parametrize(("edit", "kind"), TRACELESS)
def test_what_leaves_no_trace_in_managed_fields_is_noticed(
    deployer: Deployer, plane: ControlPlane, edit: Callable[[Edits, Subject], None], kind: str
):
    edits = Edits(plane.api())
    for _ in range(TRIES):
        subject = one(deployer, kind)
        own = entries(edits, subject)
        edit(edits, subject)
        same = entries(edits, subject) == own
        assert not deployer.check(subject, [kind])
        assert deployer.assess(subject, NoProofs()).action is Action.CONFIGURED
        if same:
            return
    pytest.fail(f"it was never done within the second in which the object was applied, {TRIES} times")


def entries(edits: Edits, subject: Subject) -> list[Any]:
    fields = edits.live(subject)["metadata"]["managedFields"]
    return [each for each in fields if (each["manager"], each["operation"]) == (FIELD_MANAGER, "Apply")]


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret", "Service", "Deployment", "Thing", "PriorityClass"])
def test_what_was_deployed_is_proven(deployer: Deployer, kind: str):
    assert deployer.check(one(deployer, kind), [])


def test_what_does_not_touch_ours_costs_no_dry_run(deployer: Deployer, plane: ControlPlane):
    edits = Edits(plane.api())
    for kind in ("Deployment", "Thing"):
        subject = one(deployer, kind)
        edits.status(subject)
        assert deployer.check(subject, [kind])
    subject = one(deployer, "Deployment")
    edits.merge(subject, {"metadata": {"labels": {"theirs": "x"}}}, "somebody")
    assert deployer.check(subject, []), "a label that we do not set"


def test_a_field_that_changed_hands_is_never_proven(deployer: Deployer, plane: ControlPlane):
    """Somebody sets it to something else, and back: it is as wanted, and not ours."""
    subject = one(deployer, "ConfigMap")
    edits = Edits(plane.api())
    for value in ("9", "1"):
        edits.merge(subject, {"data": {"a": value}}, "somebody")
    told = deployer.deploy(subject)
    assert (told.action, told.proven) == (Action.UNCHANGED, False)
    assert deployer.recorded[subject.ref].proof is None


MAP = "/apis/admissionregistration.k8s.io/v1"


@contextmanager
def policy(plane: ControlPlane, *, value: str) -> Iterator[None]:
    """A policy that overrides one of our fields, and adds another."""
    api, name = plane.api(), f"proof-{uuid.uuid4().hex[:8]}"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
    expression = f'Object{{data: {{"a": "{value}", "added": "x"}}}}'
    spec = {
        "matchConstraints": {"resourceRules": [{**rule, "operations": ["CREATE", "UPDATE"]}]},
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}],
    }
    paths = [f"{MAP}/mutatingadmissionpolicies", f"{MAP}/mutatingadmissionpolicybindings"]
    for path, body in zip(paths, (spec, {"policyName": name}), strict=True):
        answer = api.request("POST", path, {"metadata": {"name": name}, "spec": body})
        assert answer.status == 201, answer.body
    try:
        yield
    finally:
        for path in paths:
            api.request("DELETE", f"{path}/{name}")


def test_a_policy_that_appears_and_goes_voids_proofs(deployer: Deployer, plane: ControlPlane):
    subject = one(deployer, "ConfigMap")

    def tried() -> Action:
        return deployer.assess(subject, NoProofs()).action

    with policy(plane, value="theirs"):
        assert not deployer.check(subject, ["the server may not have noticed yet, but it is listed"])
        wait_until(lambda: tried() is Action.CONFIGURED, "the policy works")
        deployer.deploy(subject)
        deployer.check(subject, ["while there is a policy"])
    assert not deployer.check(subject, ["without it"])
    wait_until(lambda: tried() is Action.CONFIGURED, "the policy works no more")
    deployer.deploy(subject)
    assert deployer.check(subject, ["as before"])


def test_a_webhook_that_appears_and_goes_voids_proofs(deployer: Deployer, plane: ControlPlane, tmp_path: Any):
    """Of whatever kind: what a webhook looks at beside the object is not known."""
    things = fresh(deployer)
    (subject,) = [each for each in things if each.manifest["kind"] == "ConfigMap"]
    (web,) = [each for each in things if each.manifest["kind"] == "Deployment"]
    for each in (subject, web):
        deployer.deploy(each)
        assert deployer.check(each, ["before"])

    def changes(_: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {"op": "replace", "path": "/data/a", "value": "theirs"},
            {"op": "add", "path": "/data/added", "value": "x"},
        ]

    def tried() -> Action:
        return deployer.assess(subject, NoProofs()).action

    place = subject.ref.namespace
    with webhook(plane.api(), tmp_path, place, changes, ("", "configmaps")) as asked:
        for each in (subject, web):
            assert not deployer.check(each, ["the server may not have noticed yet, but it is listed"])
        wait_until(lambda: tried() is Action.CONFIGURED, "the webhook works")
        assert set(asked) == {subject.ref.name}
        deployer.deploy(subject)
        assert tried() is Action.UNCHANGED, "what it makes of our fields is not fought over"
        deployer.check(subject, ["while there is a webhook"])
        deployer.deploy(web)
        assert deployer.check(web, ["proven anew"])
    for each in (subject, web):
        assert not deployer.check(each, ["without it"])
    wait_until(lambda: tried() is Action.CONFIGURED, "the webhook works no more")
    deployer.deploy(subject)
    assert deployer.check(subject, ["as before"])


def test_a_definition_that_changes_voids_the_proofs_of_its_kind(deployer: Deployer, plane: ControlPlane):
    thing, config_map = one(deployer, "Thing"), one(deployer, "ConfigMap")
    deployer.places = (thing.ref, config_map.ref)
    deployer.deploy(thing)
    try:
        deployer.cluster.apply(definition(default=4))
        assert not deployer.check(thing, [])
        assert deployer.check(config_map, [])
        deployer.deploy(thing)
        assert deployer.check(thing, ["with the new definition"])
    finally:
        deployer.cluster.apply(definition())
