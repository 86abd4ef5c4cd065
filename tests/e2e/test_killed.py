"""A run that is killed at any of its writes is completed by the next: nothing untracked, nothing lost."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import ControlPlane
from tests.e2e.harness import Bench, bench, config_map, kustomization
from tests.integration.faults import Fault, FaultyProxy, Seen, writes

pytestmark = pytest.mark.cluster
OWNER = "kustomize.toolkit.fluxcd.io"
LEASE = ("--lease-duration", "1s")
SHARDS = 4  # of the matrix, each in a world of its own
SPREAD = 4  # by default one of so many writes; `--every-write` kills at each
LASTING = {"one", "two", "others", "moves", "returns", "heirloom"}  # in both states
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"


def role(world: Bench, name: str) -> dict:
    """Cluster-scoped, applied in a stage of its own, with a name that an id has to escape."""
    meta = {"name": f"{world.namespace}:{name}_x"}
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": meta}


def lay_out(world: Bench, turn: int) -> set[str]:
    """One of two states, mirror images of each other, as a commit; the objects that it wants.

    From one to the other objects are created, changed, deleted and moved, one Kustomization goes with all
    it owns, and another comes.
    """
    side, tree = "ab"[turn % 2], world.repository
    for path in ("app", "other", "guest-a", "guest-b", "clusters"):
        if (tree.path / path).exists():
            tree.remove(path)
    guest = f"guest-{side}"
    tree.write(
        "clusters/test/all.yaml",
        kustomization(world, "app", "app"),
        kustomization(world, "other", "other", dependsOn=[{"name": "app"}]),
        kustomization(world, guest, guest),
    )
    tree.write("app/one.yaml", config_map(world, "one"))
    tree.write("app/two.yaml", config_map(world, "two", turn=str(turn)))
    tree.write(f"app/new-{side}.yaml", config_map(world, f"new-{side}"), role(world, side))
    tree.write("other/others.yaml", config_map(world, "others"))
    tree.write(f"{('app', 'other')[turn % 2]}/moves.yaml", config_map(world, "moves"))
    tree.write(f"{('other', 'app')[turn % 2]}/returns.yaml", config_map(world, "returns"))
    tree.write(f"{guest}/visitor.yaml", config_map(world, f"visitor-{side}"), config_map(world, "heirloom"))
    tree.commit()
    return {*LASTING, f"new-{side}", f"visitor-{side}", role(world, side)["metadata"]["name"]}


def plant(world: Bench) -> dict[str, str]:
    """What is no business of ours, one of them labelled as if it were; uids by name."""
    stray = config_map(world, "stray")
    stray["metadata"]["labels"] = {f"{OWNER}/name": "app", f"{OWNER}/namespace": world.namespace}
    found = {}
    for each in (config_map(world, "bystander"), stray):
        answer = world.api.request("POST", f"/api/v1/namespaces/{world.namespace}/configmaps", each)
        assert answer.status == 201, answer.body
        found[each["metadata"]["name"]] = answer.body["metadata"]["uid"]
    return found


def live(world: Bench) -> dict[str, dict]:
    """Every object of this world, by name."""
    items = world.api.get(f"/api/v1/namespaces/{world.namespace}/configmaps").body["items"]
    roles = world.api.get(ROLES).body["items"]
    own = [r for r in roles if r["metadata"]["name"].startswith(f"{world.namespace}:")]
    found = {each["metadata"]["name"]: each for each in [*items, *own]}
    ours = ("kustodian-", "kube-root-ca.crt")
    return {name: each for name, each in found.items() if not name.startswith(ours)}


def owned(objects: dict[str, dict]) -> dict[str, str]:
    """Who has each object by its label."""
    labels = {name: each["metadata"].get("labels") or {} for name, each in objects.items() if name != "stray"}
    return {name: found[f"{OWNER}/name"] for name, found in labels.items() if f"{OWNER}/name" in found}


def tracked(world: Bench) -> dict[str, set[str]]:
    """Whose inventories hold each object."""
    found: dict[str, set[str]] = {}
    for name, record in world.records().items():
        for ref in record.inventory:
            found.setdefault(ref.name, set()).add(name)
    return found


def killed(world: Bench, number: int, directory: Path, *, after: bool) -> bool:
    """Run, and kill it at its write of that number: before the server sees it, or once it has done it."""
    directory.mkdir()
    with FaultyProxy(world.kubeconfig) as proxy:
        count = itertools.count(1)
        dead: list[bool] = []

        def strike(request: Seen) -> bool:
            if dead or not writes(request) or next(count) != number:
                return bool(dead) and writes(request) and not after
            if not after:
                kill()
            dead.append(True)
            return True

        config = proxy.kubeconfig(directory)

        def kill() -> None:
            run.kill()

        fault = Fault(then=kill, lose=True) if after else Fault(answer=(500, {}, b"{}"))
        proxy.on(strike, fault, times=1_000_000)
        run = world.start("reconcile", *LEASE, kubeconfig=config)
        _, errors = run.communicate(timeout=120)
    assert run.returncode == (-signal.SIGKILL if dead else 0), errors
    return bool(dead)


def complete(world: Bench, wanted: set[str], turn: int) -> dict[str, str]:
    """The next run finishes what was begun; the uids of what there is then."""
    before = live(world)
    untracked = owned(before).keys() - tracked(world).keys()
    assert not untracked, f"in no inventory: {untracked}"
    finished = world.reconcile(*LEASE)
    assert set(finished.states.values()) == {"ready"}
    objects = live(world)
    assert objects.keys() - {"bystander", "stray"} == wanted
    assert {name: {who} for name, who in owned(objects).items()} == tracked(world)
    assert owned(objects).keys() == wanted
    assert objects["two"]["data"] == {"turn": str(turn)}
    lease = f"/apis/coordination.k8s.io/v1/namespaces/{world.namespace}/leases/kustodian-fleet"
    lock = world.get(lease)["spec"]
    assert not lock["holderIdentity"] or lock["leaseDurationSeconds"] == 1, "a lock for long"
    return {name: each["metadata"]["uid"] for name, each in objects.items()}


def numbers(request: pytest.FixtureRequest, shard: int) -> Iterator[int]:
    """The writes at which this shard kills, for as long as there are any."""
    step = 1 if request.config.getoption("--every-write") else SPREAD
    return itertools.count(1 + shard * step, SHARDS * step)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_killed_run_is_completed_by_the_next(
    world: Bench, tmp_path: Path, request: pytest.FixtureRequest, shard: int
):
    """Each time from one state to its mirror image, killed at another write."""
    turn = 0
    wanted = lay_out(world, turn)
    world.reconcile(*LEASE)
    planted = plant(world)
    uids = complete(world, wanted, turn)
    both = request.config.getoption("--every-write")
    for number in numbers(request, shard):
        struck = False
        for after in (False, False, True, True) if both else (False, True):  # there, and back
            turn += 1
            wanted = lay_out(world, turn)
            struck = killed(world, number, tmp_path / f"{turn}", after=after)
            now = complete(world, wanted, turn)
            lasting = uids.keys() & now.keys()
            assert lasting >= LASTING
            assert {n: now[n] for n in lasting} == {n: uids[n] for n in lasting}, "deleted in between"
            assert now.items() >= planted.items()
            uids = now
        if not struck:
            break
    before = world.writes()
    world.reconcile(*LEASE)
    assert world.writes() == before


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_first_run_that_is_killed_is_completed_by_the_next(
    control_plane: ControlPlane, tmp_path: Path, request: pytest.FixtureRequest, *, after: bool
):
    """Where there is nothing yet: no namespace, no lock, no key, no record."""
    for number in itertools.count(1, 1 if request.config.getoption("--every-write") else SPREAD):
        world = bench(control_plane, tmp_path)
        wanted = lay_out(world, 0)
        struck = killed(world, number, tmp_path / f"{number}", after=after)
        complete(world, wanted, 0)
        world.forget()
        if not struck:
            break


def test_what_a_killed_run_made_anew_is_still_ours_to_delete(world: Bench, tmp_path: Path):
    """Somebody had deleted it: the object is another one than that on record, and then Git lets it go."""
    lay_out(world, 0)
    world.reconcile(*LEASE)
    one = f"/api/v1/namespaces/{world.namespace}/configmaps/one"
    assert world.api.request("DELETE", one).status == 200
    with FaultyProxy(world.kubeconfig) as proxy:

        def kill() -> None:
            run.kill()

        proxy.on(lambda s: writes(s) and s.path == one, Fault(then=kill, lose=True))
        run = world.start("reconcile", *LEASE, kubeconfig=proxy.kubeconfig(tmp_path))
        run.communicate(timeout=120)
    assert run.returncode == -signal.SIGKILL
    assert world.get(one)
    world.repository.remove("app/one.yaml")
    world.repository.commit()
    world.reconcile(*LEASE)
    assert world.get(one) is None


def frozen(world: Bench, turn: int) -> None:
    """Objects that cannot be changed, made anew in every turn, beside one that comes or goes."""
    tree = world.repository
    tree.write("clusters/test/all.yaml", kustomization(world, "app", "app", force=True))
    cold = [{**config_map(world, name, turn=str(turn)), "immutable": True} for name in ("cold", "frozen")]
    passing = [config_map(world, f"passing-{turn % 2}")]
    tree.write("app/all.yaml", *cold, config_map(world, "plain", turn=str(turn)), *passing)
    tree.commit()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_run_that_makes_objects_anew_is_completed_by_the_next(
    world: Bench, tmp_path: Path, request: pytest.FixtureRequest, *, after: bool
):
    """Killed around the deletion, the creation and their records: nobody's object is ever in between."""
    frozen(world, 0)
    world.reconcile(*LEASE)
    planted = plant(world)
    for turn in itertools.count(1):
        frozen(world, turn)
        number = 1 + (turn - 1) * (1 if request.config.getoption("--every-write") else 3)
        before = live(world)
        struck = killed(world, number, tmp_path / f"{turn}", after=after)
        now = live(world)
        untracked = owned(now).keys() - tracked(world).keys()
        assert not untracked, f"in no inventory: {untracked}"
        if struck and turn % 2:
            let_go(world, {name for name in now if name in {"cold", "frozen"}})
            frozen(world, turn)
        finished = world.reconcile(*LEASE)
        assert set(finished.states.values()) == {"ready"}
        objects = live(world)
        assert objects.keys() == {"cold", "frozen", "plain", f"passing-{turn % 2}", *planted}
        for name in ("cold", "frozen"):
            assert objects[name]["data"] == {"turn": str(turn)}
            assert objects[name]["metadata"]["uid"] != before[name]["metadata"]["uid"]
        assert objects["plain"]["metadata"]["uid"] == before["plain"]["metadata"]["uid"]
        assert {n: objects[n]["metadata"]["uid"] for n in planted} == planted
        assert owned(objects).keys() == tracked(world).keys()
        if not struck:
            return


def let_go(world: Bench, there: set[str]) -> None:
    """What was made anew, or was about to be, leaves Git: the next run deletes it, as its own."""
    world.repository.write("app/all.yaml", config_map(world, "plain", turn="0"))
    world.repository.commit()
    world.reconcile(*LEASE, "--prune-limit", "10,100%")
    assert not there & live(world).keys(), "it was taken for somebody else's"
