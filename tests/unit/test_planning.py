"""What a run is about to do, seen before it does anything."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import yaml

from runner import desired, planning, removal, state
from runner.desired import Clients
from runner.errors import GuardError, Superseded, UsageError
from runner.inventory import Entry, of
from runner.model import FLUX, ResourceRef, State
from runner.options import Options, PruneLimit
from runner.session import Lock
from runner.state import Deployment, Record
from tests.fakes.checkout import COMMIT, FakeBuilder, FakeRepository
from tests.fakes.clock import ManualClock
from tests.fakes.cluster import FakeCluster

ROOT = "flux-system/flux-system"
SPEC = "{interval: 10m, prune: true, sourceRef: {kind: GitRepository, name: flux-system}}"
NEWER = "d" * 40


def ks(name, **spec):
    return {
        "apiVersion": f"{FLUX}/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": "flux-system"},
        "spec": {**yaml.safe_load(SPEC), "path": f"./{name}", **spec},
    }


def config(name):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "apps"}}


def ref(name):
    return ResourceRef.of(config(name))


def record(name, *owned, parent=ROOT, spec=None, **rest):
    made = {"repository": "github.com/example/fleet", "entry": "production", "state": State.READY}
    return Record(
        f"flux-system/{name}",
        parent="" if name == "flux-system" else parent,
        manifest=ks(name, **(spec or {})),
        inventory=of(Entry(ref(n), f"uid-{n}") for n in owned),
        **{**made, **rest},
    )


@pytest.fixture
def plan(tmp_path):
    """Plan a run over `files`, in a cluster that has `records`."""
    with ThreadPoolExecutor(4) as pool:

        def make(files, *records, ancestors=None, branches=None, **options):
            cluster = FakeCluster().put(*(state.encode(each) for each in records))
            clients = Clients(
                FakeRepository(files, ancestors=ancestors or {}, branches=branches or {}),
                FakeBuilder(files),
                clock=ManualClock(),
                pool=pool,
                listener=lambda _: None,
                directory=tmp_path / str(len(list(tmp_path.iterdir()))),
                connect=lambda: (cluster, None),
            )
            chosen = Options(entry="production", **options)
            source = desired.at(chosen, clients)
            lock = Lock(clients.world(), chosen, ROOT, source.commit, lambda _: False)
            session = planning.session(source, cluster, lock)
            assert cluster.writes == [], "planning writes nothing"
            return session

        yield make


def held(session):
    return {k: [(h.refs, bool(h.digest)) for h in helds] for k, helds in session.held_prunes.items()}


FILES = {"production": [ks("web"), config("top")], "web": [config("a")]}


def test_a_first_run_wants_what_is_rendered_and_lets_nothing_go(plan):
    session = plan(FILES)
    assert session.owners(ROOT)[ref("a")] == "flux-system/web"
    assert session.owners(ROOT)[ref("top")] == ROOT
    assert (session.gone, session.held_prunes, session.refused, session.warnings) == ({}, {}, {}, [])
    assert (session.entry, session.commit, session.revision) == ("production", COMMIT, f"main@sha1:{COMMIT}")


def test_a_name_that_is_nowhere_is_refused(plan):
    with pytest.raises(UsageError, match="there is no Kustomization flux-system/wbe in production"):
        plan(FILES, names=frozenset(["flux-system/web", "flux-system/wbe"]))


def test_another_entrys_root_is_left_alone_unless_taken_over(plan):
    theirs = record("flux-system", "old", entry="staging", deployment=Deployment("r", NEWER, True, 1.0))  # noqa: FBT003
    with pytest.raises(GuardError, match="is deployed from staging"):
        plan(FILES, theirs)
    session = plan(FILES, theirs, record("gone", "x", entry="staging"), takeover=True)
    assert session.gone.keys() == {"flux-system/gone"}


def test_a_run_that_comes_late_is_superseded(plan):
    deployed = record("flux-system", deployment=Deployment("main@sha1:d", NEWER, done=True, started_at=1.0))
    with pytest.raises(Superseded):
        plan(FILES, deployed, ancestors={(COMMIT, NEWER): True})
    assert plan(FILES, deployed, ancestors={(COMMIT, NEWER): False}).gone == {}
    assert plan(FILES, deployed, allow_older=True).gone == {}


def test_a_branch_that_moved_away_while_the_lock_was_waited_for_supersedes_too(plan):
    branches = {"main": COMMIT}
    known = {(COMMIT, COMMIT): True, (COMMIT, NEWER): False}
    workflow = {"ref": "refs/heads/main", "ref_commit": COMMIT, "default_branch": "main"}
    session = plan(FILES, ancestors=known, branches=branches, **workflow)
    branches["main"] = NEWER
    session.before_first_write(session.store)  # nobody asks again within a moment
    session.world.clock.pause(60)
    with pytest.raises(Superseded, match="is no longer in main"):
        session.before_first_write(session.store)


def test_an_object_that_two_want_is_refused_for_both_and_holds_every_prune(plan):
    files = {
        "production": [ks("web"), ks("api"), ks("fine")],
        "web": [config("a")],
        "api": [config("a")],
        "fine": [],
    }
    session = plan(files, record("fine", "stale"))
    problems = {u.id: [p.code for p in u.rendering.problems] for u in session.units.values()}
    assert problems["flux-system/web"] == problems["flux-system/api"] == ["two_owners"]
    assert problems["flux-system/fine"] == []
    assert held(session) == {"flux-system/fine": [((ref("stale"),), False)]}


def test_what_cannot_be_rendered_holds_every_prune_without_a_way_around(plan):
    files = {**FILES, "production": [ks("web"), ks("broken")]}
    session = plan(files, record("web", "a", "stale"), record("broken", "b"))
    assert held(session) == {"flux-system/web": [((ref("stale"),), False)]}
    assert "flux-system/broken cannot be rendered" in session.held_prunes["flux-system/web"][0].reason
    assert session.owners(ROOT)[ref("b")] == "flux-system/broken", "what it owns counts as wanted"


def test_one_that_nobody_renders_any_more_is_gone_and_so_are_its_children(plan):
    old = record("old", "x")
    child = record("child", "y", parent="flux-system/old")
    assert plan(FILES, old, child).gone == {old.kustomization: old, child.kustomization: child}


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"deletionPolicy": "Orphan"}, id="orphans them"),
        pytest.param({"prune": False}, id="does not prune"),
        pytest.param({"suspend": True}, id="is suspended"),
        pytest.param({"interval": 5}, id="cannot be read"),
    ],
)
def test_the_children_of_one_that_is_gone_are_left_alone_when_it(plan, spec):
    session = plan(FILES, record("old", "x", spec=spec), record("child", "y", parent="flux-system/old"))
    assert session.gone.keys() == {"flux-system/old"}
    (warning,) = session.warnings
    assert warning.startswith(
        "flux-system/child is not rendered any more, but flux-system/old does not let go of it"
    )


def test_nothing_is_gone_while_its_parent_does_not_prune_or_is_out_of_scope(plan):
    old = record("old", "x", parent="flux-system/web")
    keeping = {**FILES, "production": [ks("web", prune=False)]}
    assert plan(keeping, old).gone == {}
    assert plan(FILES, old, names=frozenset([ROOT])).gone == {}
    assert plan(FILES, old).gone.keys() == {"flux-system/old"}


SILENT = pytest.mark.parametrize(
    "production",
    [
        pytest.param([ks("web", suspend=True)], id="suspended"),
        pytest.param([ks("web", path="./z")], id="broken"),
    ],
)


@SILENT
def test_the_children_of_one_that_is_silent_go_on_by_their_recorded_specs(plan, production):
    files = {"production": production, "child": [config("c")], "deep": [config("d")]}
    child = record("child", "c", parent="flux-system/web")
    session = plan(files, child, record("deep", "d", parent="flux-system/child", spec={"suspend": True}))
    assert session.gone.keys() == {"flux-system/deep"}, "its parent renders, and does not have it"
    assert session.units["flux-system/child"].parent == "flux-system/web"
    assert session.owners(ROOT)[ref("c")] == "flux-system/child"


@SILENT
def test_the_child_of_one_that_is_silent_is_not_gone_even_when_its_spec_is_not_on_record(plan, production):
    child = replace(record("child", "c", parent="flux-system/web"), manifest={})
    session = plan({"production": production}, child)
    assert (session.gone, session.held_prunes) == ({}, {})
    assert "flux-system/child" not in session.units


def test_somebody_elses_records_are_no_business_of_ours(plan):
    other = record("old", *"abcdef", repository="github.com/other/fleet")
    session = plan(FILES, other)
    assert (session.gone, session.held_prunes, session.warnings) == ({}, {}, [])
    assert session.outside == {"flux-system/old"}


def test_too_much_at_once_is_held_until_its_digest_is_given(plan):
    web = record("web", "a", "b", "c")
    strict = PruneLimit(1, 20)
    session = plan(FILES, web, prune_limit=strict)
    assert held(session) == {"flux-system/web": [((ref("b"), ref("c")), True)]}
    digest = session.held_prunes["flux-system/web"][0].digest
    assert held(plan(FILES, web, prune_limit=strict, approve=frozenset([digest]))) == {}
    assert held(plan(FILES, web)) == {}


def test_one_that_renders_nothing_any_more_is_held(plan):
    session = plan({**FILES, "web": []}, record("web", "a"))
    assert held(session) == {"flux-system/web": [((ref("a"),), True)]}
    assert held(plan({**FILES, "web": []}, record("web"))) == {}


def test_what_goes_with_a_parent_that_renders_nothing_any_more_is_held(plan):
    """As when an entry is renamed: its root lists nobody, and owns nothing itself."""
    old = record("old", "x")
    child = record("child", "y", parent="flux-system/old")
    emptied = {"production": []}
    assert held(plan(emptied, old, child)) == {
        "flux-system/child": [((ref("y"),), True)],
        "flux-system/old": [((ref("x"),), True)],
    }
    assert held(plan(FILES, old, child)) == {}


def test_an_object_that_moved_is_not_stale(plan):
    files = {"production": [ks("web"), ks("api")], "web": [], "api": [config("a")]}
    session = plan(files, record("web", "a"))
    assert held(session) == {}
    assert session.owners(ROOT)[ref("a")] == "flux-system/api"


def test_a_dependency_that_is_neither_here_nor_ready_elsewhere_is_refused(plan):
    needs = [{"name": "ghost"}, {"name": "web"}]
    production = [ks("web"), ks("api", dependsOn=needs), ks("db", dependsOn=needs[1:])]
    files = {**FILES, "production": production, "api": [], "db": []}
    session = plan(files)
    assert session.refused.keys() == {"flux-system/api"}
    assert "dependency 'flux-system/ghost' not found" in session.refused["flux-system/api"]
    elsewhere = record("ghost", repository="github.com/other/fleet")
    assert plan(files, elsewhere).refused == {}


SPOKE = {"kubeConfig": {"secretRef": {"name": "spoke"}}}


def test_equal_names_in_two_clusters_are_two_objects(plan):
    files = {
        "production": [ks("web"), ks("api", **SPOKE), ks("twin", **SPOKE)],
        "web": [config("a")],
        "api": [config("a"), config("b")],
        "twin": [config("b")],
    }
    session = plan(files, record("api", "a", "b", spec=SPOKE), record("web", "a", "b"))
    problems = {u.id: [p.code for p in u.rendering.problems] for u in session.units.values()}
    assert problems["flux-system/web"] == []
    assert problems["flux-system/api"] == problems["flux-system/twin"] == ["two_owners"]
    assert session.owners("flux-system/web")[ref("a")] == "flux-system/web"
    assert session.owners("flux-system/api")[ref("a")] == "flux-system/api"
    assert set(session.produced) == {ref("a")}
    assert session.produced[ref("a")].kustomization == "flux-system/web", "variables are of this cluster"
    assert held(session) == {"flux-system/web": [((ref("b"),), False)]}, "another b is wanted, elsewhere"


@pytest.mark.parametrize(("before", "after"), [({}, SPOKE), (SPOKE, {})])
def test_what_went_to_another_cluster_leaves_its_objects_behind(plan, before, after):
    files = {"production": [ks("web", **after)], "web": [config("a")]}
    session = plan(files, record("flux-system"), record("web", "a", "stale", spec=before))
    assert removal.stale(session, session.records["flux-system/web"]) == ()
    assert session.held_prunes == {}
    assert "flux-system/web" not in session.tracked
    assert session.fresh(session.units["flux-system/web"]).inventory == {}
    (said,) = [text for text in session.warnings if "left behind" in text]
    places = ["this cluster", "kubeConfig flux-system/spoke"]
    now, then = places if before else reversed(places)
    assert (
        said == f"flux-system/web goes to {now} now; 2 objects that it made in {then} are left behind there"
    )


def test_kustomizations_for_another_cluster_are_not_followed(plan):
    files = {"production": [ks("web", **SPOKE)], "web": [ks("child")], "child": [config("a")]}
    session = plan(
        files, record("flux-system"), record("web"), record("child", "a", parent="flux-system/web")
    )
    assert set(session.units) == {ROOT, "flux-system/web"}
    assert session.gone == {}, "its parent does not let go of it: it is not there any more"
