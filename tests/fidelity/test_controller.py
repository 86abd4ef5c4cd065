"""Side by side with the real kustomize-controller: the same repository, the same cluster afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner import inventory, typed
from tests.cached_build import BuildError
from tests.cluster import ControlPlane, wait_until
from tests.cluster.api import APPLY, MERGE
from tests.e2e import fluxed
from tests.e2e.harness import Bench, Repository, bench
from tests.fidelity import controller
from tests.fidelity.controller import artifacts, comparing, documented, running
from tests.fidelity.controller.artifacts import Artifacts
from tests.fidelity.controller.comparing import Difference, Key

pytestmark = [pytest.mark.cluster, pytest.mark.fidelity]
HERE = Path(controller.__file__).parent
ROOT = "fleet"


@dataclass
class Sides:
    """A repository, an artifact server, and clusters that the two deploy it to."""

    program: Path
    served: Artifacts
    directory: Path
    repository: Repository
    start: Callable[[], ControlPlane]
    _made: int = 0

    def fleet(self, name: str) -> None:
        shutil.copytree(HERE / name, self.repository.path, dirs_exist_ok=True)
        self.repository.commit()

    def cluster(self) -> Bench:
        """One with Flux's definitions and what was there before any of the two came."""
        self._made += 1
        world = bench(self.start(), self.directory / str(self._made), "side")
        world.repository = self.repository
        running.serve(world)
        seed(world)
        return world

    @contextlib.contextmanager
    def controller(self, world: Bench) -> Iterator[None]:
        with running.running(self.program, world, self.directory):
            yield

    def by_flux(self, world: Bench, **failing: str) -> str:
        """Let the controller deploy what is committed; it is gone afterwards. Gives the revision."""
        revision = self.served.publish(world, ROOT)
        with self.controller(world):
            running.settled(world, revision, failing=failing)
        return revision


@pytest.fixture
def sides(fresh_control_plane: Callable[..., ControlPlane], tmp_path: Path) -> Iterator[Sides]:
    """Where no controller was built it is not built now, but in CI: `make fidelity` does it."""
    program = controller.found()
    if program is None and os.environ.get("CI") != "true":
        pytest.skip(f"needs kustomize-controller {controller.VERSION}: `make fidelity` builds it")
    try:
        program = controller.program()
    except BuildError as error:
        pytest.skip(str(error))
    with artifacts.serving() as served:
        yield Sides(program, served, tmp_path, Repository(tmp_path / "repository"), fresh_control_plane)


def seed(world: Bench) -> None:
    """What bootstrap applies, and objects that others have made."""
    for each in yaml.safe_load_all((world.repository.path / "clusters/test/flux.yaml").read_text()):
        plural = {"GitRepository": "gitrepositories", "Kustomization": "kustomizations"}[each["kind"]]
        path = f"/apis/{each['apiVersion']}/namespaces/{world.namespace}/{plural}/{each['metadata']['name']}"
        answer = world.api.request("PATCH", f"{path}?fieldManager=flux", each, APPLY)
        assert answer.status == 201, answer.body
    for name, manager in {
        "once-live": "somebody",
        "merged-live": "kubectl-edit",
        "adopted-live": "kubectl-client-side-apply",
        "disabled-live": "somebody",
        "ignored-live": "somebody",
    }.items():
        notes = {"kubectl.kubernetes.io/last-applied-configuration": "{}"} if "client" in manager else {}
        made = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": world.namespace, "annotations": notes},
            "data": {"changing": "live", "extra": "live"},
        }
        path = f"/api/v1/namespaces/{world.namespace}/configmaps?fieldManager={manager}"
        assert world.api.request("POST", path, made).status == 201


def named(key: Key) -> str:
    group_kind, namespace, name = key
    return "/".join(filter(None, (group_kind.rpartition("/")[2], namespace, name)))


def compared(
    theirs: dict[Key, dict[str, Any]], ours: dict[Key, dict[str, Any]]
) -> dict[str, list[Difference]]:
    assert theirs.keys() == ours.keys()
    return {
        named(key): list(
            comparing.differences(comparing.comparable(theirs[key]), comparing.comparable(ours[key]))
        )
        for key in theirs
    }


def statuses_compared(theirs: Bench, ours: Bench) -> dict[str, list[Difference]]:
    left, right = comparing.statuses(theirs), comparing.statuses(ours)
    assert left.keys() == right.keys()
    return {name: list(comparing.differences(left[name], right[name])) for name in left}


def test_the_structs_are_those_of_the_controllers_client() -> None:
    """`python -m tests.fidelity.controller shapes > runner/typed/shapes.json` writes them anew."""
    if controller.found() is None and os.environ.get("CI") != "true":
        pytest.skip("`make fidelity` compares them: the modules are fetched then")
    assert (Path(typed.__file__).parent / "shapes.json").read_text() == controller.shapes()


def test_both_make_the_same_of_a_fleet_and_of_its_next_commit(sides: Sides) -> None:
    sides.fleet("fleet")
    flux, ours = sides.cluster(), sides.cluster()
    sides.by_flux(flux)
    ours.reconcile()

    theirs = comparing.objects(flux)
    assert len(theirs) > 50
    found = compared(theirs, comparing.objects(ours))
    assert documented.unlisted(documented.OBJECTS, found) == []
    assert documented.stale(documented.OBJECTS, found) == []
    assert documented.unlisted([documented.DIGEST], statuses_compared(flux, ours)) == []

    sides.fleet("second")
    for world in (flux, ours):
        meddle(world)
    sides.by_flux(flux)
    ours.reconcile()
    for world in (flux, ours):
        wait_until(lambda w=world: not leaving(w), "what was deleted is gone")

    found = compared(comparing.objects(flux), comparing.objects(ours))
    assert documented.unlisted(documented.OBJECTS, found) == []
    assert documented.unlisted([documented.DIGEST], statuses_compared(flux, ours)) == []


def meddle(world: Bench) -> None:
    """What others change between two deploys: one that is ignored, one that is not."""
    scaled = "/apis/apps/v1/namespaces/side-apps/deployments/scaled"
    ignored = f"/api/v1/namespaces/{world.namespace}/configmaps/ignored-live"
    for path, change in {
        scaled: {"spec": {"replicas": 5}, "metadata": {"labels": {"by": "hand"}}},
        ignored: {"data": {"changing": "meddled", "extra": "meddled"}},
    }.items():
        assert world.api.request("PATCH", f"{path}?fieldManager=kubectl-patch", change, MERGE).status == 200


def leaving(world: Bench) -> list[str]:
    found = comparing.objects(world)
    return [named(key) for key, each in found.items() if "deletionTimestamp" in each["metadata"]]


def remove_and_change(sides: Sides) -> None:
    """A commit that takes two objects out, one of which nobody may prune, and a field of a third."""
    marked = sides.repository.path / "marked/all.yaml"
    left = [d for d in yaml.safe_load_all(marked.read_text()) if d["metadata"]["name"] != "unpruned"]
    sides.repository.write("marked/all.yaml", *left)
    sides.repository.remove("generated/list.yaml")
    settings = sides.repository.path / "checked/all.yaml"
    settings.write_text(settings.read_text().replace("key: value", "another: value"))
    sides.repository.commit()


def assert_removed_and_changed(world: Bench) -> None:
    def config_map(namespace: str, name: str) -> Any:
        return world.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")

    assert config_map("side-apps", "listed-a") is None
    assert config_map("side-apps", "listed-b") is None
    assert config_map("t-side", "unpruned") is not None
    assert config_map("t-side", "after-health")["data"] == {"another": "value"}
    owned = fluxed.status(world, "generated")["inventory"]["entries"]
    assert [e["id"] for e in owned if "listed" in e["id"]] == []


def test_flux_goes_on_where_we_stopped(sides: Sides) -> None:
    sides.fleet("fleet")
    world = sides.cluster()
    world.reconcile()
    assert world.run("release", "--root", world.root, "--write").code == 0
    ask_for_reconciliation(world)
    before, told = comparing.objects(world), comparing.statuses(world)
    revision = sides.served.publish(world, ROOT)

    with sides.controller(world):
        wait_until(lambda: answered(world), "the controller has been through all", seconds=running.SECONDS)
        running.settled(world, revision)
        after, now = comparing.objects(world), comparing.statuses(world)
        touched = [
            named(key) for key in before if comparing.pinned(before[key]) != comparing.pinned(after[key])
        ]
        assert touched == []
        assert set(writes(world, running.USER)) <= flux_writes(told)
        assert {n: s.get("inventory") for n, s in now.items()} == {
            n: s.get("inventory") for n, s in told.items()
        }

        remove_and_change(sides)
        running.settled(world, sides.served.publish(world, ROOT))
    assert_removed_and_changed(world)


def test_we_go_on_where_flux_stopped(sides: Sides) -> None:
    sides.fleet("fleet")
    world = sides.cluster()
    sides.by_flux(world)
    before, told = comparing.objects(world), comparing.statuses(world)

    world.reconcile()

    after = comparing.objects(world)
    assert [
        named(key) for key in before if comparing.pinned(before[key]) != comparing.pinned(after[key])
    ] == []
    assert [w for w in writes(world, world.user) if "kustodian" not in w] == []
    assert comparing.statuses(world) == told
    for name, record in world.records().items():
        entries = (told[name].get("inventory") or {}).get("entries") or []
        assert sorted(inventory.encode(ref) for ref in record.inventory) == sorted(
            e["id"] for e in entries
        ), name

    def proven() -> bool:
        world.reconcile()
        return unproven(world) == set(UNPROVEN)

    wait_until(proven, "an apply would leave the ownership of every field as it is", seconds=120)
    assert [w for w in writes(world, world.user) if "kustodian" not in w] == []

    remove_and_change(sides)
    world.reconcile()
    assert_removed_and_changed(world)


UNPROVEN = {
    **dict.fromkeys(["ConfigMap/disabled", "ConfigMap/disabled-live"], "a marker keeps it as it is"),
    **dict.fromkeys(["ConfigMap/once", "ConfigMap/once-live"], "a marker keeps it as it is"),
    "ConfigMap/ignored-live": "a difference is ignored",
    "ConfigMap/merged-live": "somebody else's fields stay beside ours",
    "Deployment/web": "it has fields that its kind does not have, and they are left out",
}
"""Of all others it is known that an apply would change nothing, nor who owns which field."""


def unproven(world: Bench) -> set[str]:
    """Objects that were compared, and that no proof could be made of."""
    entries = [entry for record in world.records().values() for entry in record.inventory.values()]
    return {f"{entry.ref.kind}/{entry.ref.name}" for entry in entries if entry.proof is None}


FAILING = {
    "unbuilt": "BuildFailed",
    "unset": "BuildFailed",
    "misses": "BuildFailed",
    "unkind": "BuildFailed",
    "refused": "ReconciliationFailed",
    "nowhere": "ReconciliationFailed",
    "partial": "ReconciliationFailed",
    "crless": "ReconciliationFailed",
    "pathless": "ArtifactFailed",
    "stuck": "HealthCheckFailed",
    "late": "HealthCheckFailed",
    "waits": "DependencyNotReady",
    "expects": "DependencyNotReady",
}


def test_both_tell_the_same_of_failures(sides: Sides, pytestconfig: pytest.Config) -> None:
    """The controller waits half a minute for health at least: by default no check comes to its time-out."""
    sides.fleet("failing")
    failing = dict(FAILING)
    if not pytestconfig.getoption("--health-timeout"):
        sides.repository.remove("clusters/test/late.yaml")
        sides.repository.commit()
        del failing["late"]
    flux, ours = sides.cluster(), sides.cluster()
    process = ours.start("reconcile")
    sides.by_flux(flux, **failing)
    process.communicate()
    assert process.returncode == 1

    assert comparing.objects(flux).keys() == comparing.objects(ours).keys()
    found = statuses_compared(flux, ours)
    assert documented.unlisted(documented.FAILURES, found) == []
    assert documented.stale(documented.FAILURES, found) == []


def writes(world: Bench, user: str) -> list[str]:
    """Every write of a user but dry-runs and events: verb, resource, name."""
    return comparing.writes(replace(world, user=user).events())


def ask_for_reconciliation(world: Bench) -> None:
    """As `flux reconcile` does: the answer shows that the controller has been there."""
    asked = {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}}
    for name in comparing.statuses(world):
        path = f"{fluxed.path(world, name)}?fieldManager=flux"
        assert world.api.request("PATCH", path, asked, MERGE).status == 200


def answered(world: Bench) -> bool:
    items = world.get(fluxed.path(world))["items"]
    return all((i.get("status") or {}).get("lastHandledReconcileAt") == "now" for i in items)


def flux_writes(names: Iterable[str]) -> set[str]:
    """What the controller may write: its status, and its finalizer."""
    return {f"patch kustomizations{sub} {name}" for name in names for sub in ("", "/status")}
