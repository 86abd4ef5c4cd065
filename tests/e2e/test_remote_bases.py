"""Remote bases in whole runs: a real Git server, a real API server, the command line."""

from __future__ import annotations

import pytest

from tests.e2e.harness import Bench, Repository, config_map, kustomization
from tests.gits import git_server, pages

pytestmark = pytest.mark.cluster
PREVIEW = ("--allow-remote-bases", "--allow-private-network")


@pytest.fixture
def fleet(world: Bench):
    world.repository.write("clusters/test/web.yaml", kustomization(world, "web", "apps/web"))
    return world


@pytest.fixture
def other(tmp_path):
    """Another repository, whose path has two parts, as it has on GitHub."""
    (tmp_path / "served" / "team").mkdir(parents=True)
    return Repository(tmp_path / "served" / "team" / "lib")


@pytest.fixture
def server(other):
    with git_server(other.path.parent.parent) as running:
        yield running


def put(world: Bench, other: Repository, colour: str) -> str:
    other.write("base/kustomization.yaml", {"resources": ["web.yaml"]})
    other.write("base/web.yaml", config_map(world, "web", colour=colour))
    return other.commit()


def uses(world: Bench, *entries: str, **fields) -> None:
    world.repository.write("apps/web/kustomization.yaml", {"resources": list(entries), **fields})
    world.repository.commit()


def live(world: Bench, name: str = "web") -> dict[str, str]:
    found = world.get(f"/api/v1/namespaces/{world.namespace}/configmaps/{name}")
    return found["data"] if found else {}


def test_a_branch_that_moves_is_pending_and_then_deployed(fleet: Bench, other, server):
    first = put(fleet, other, "blue")
    name = f"{server.url('team/lib')}?ref=main"
    uses(fleet, f"{server.url('team/lib')}//base?ref=main")
    told = fleet.reconcile()
    assert live(fleet) == {"colour": "blue"}
    revision = f"main@sha1:{first}"
    assert told.json["sources"] == [{"source": name, "revision": revision, "recorded": None}]
    assert f"{name}: this remote base has the branch main" in told.stdout

    before = len(fleet.writes())
    fleet.reconcile()
    assert len(fleet.writes()) == before

    second = put(fleet, other, "red")
    plan = fleet.run("plan", "-o", "json", "--base", "HEAD", *PREVIEW)
    assert plan.code == 0, plan.stderr
    (pending,) = plan.json["pending"]
    assert pending["reason"] == f"{name} moved from {revision} to main@sha1:{second}"
    assert plan.json["affected"] == []
    text = fleet.run("plan", "--base", "HEAD", *PREVIEW).stdout
    assert f"{name}: main@sha1:{second[:8]} (was main@sha1:{first[:8]})" in text

    assert fleet.reconcile().changes("web") == {"ConfigMap/web": "configured"}
    assert live(fleet) == {"colour": "red"}


def test_another_ref_in_a_kustomization_file_is_affected(fleet: Bench, other, server):
    put(fleet, other, "blue")
    other.git("tag", "v1")
    put(fleet, other, "red")
    other.git("tag", "v2")
    url = f"{server.url('team/lib')}//base?ref="
    uses(fleet, f"{url}v1")
    uses(fleet, f"{url}v2")
    diff = fleet.run("diff", "--base", "HEAD^", "-o", "json", *PREVIEW)
    assert diff.code == 0, diff.stderr
    (web,) = diff.json["affected"]
    reasons = {(reason["code"], reason["detail"]) for reason in web["reasons"]}
    lib = server.url("team/lib")
    assert reasons == {
        ("files", "apps/web/kustomization.yaml"),
        ("source", f"{lib}?ref=v1"),
        ("source", f"{lib}?ref=v2"),
    }
    (change,) = diff.json["changes"]
    assert change["fields"][0]["path"] == "data.colour"


@pytest.mark.parametrize("field", ["resources", "components"])
def test_a_preview_fetches_nothing_unless_told(fleet: Bench, other, server, field):
    put(fleet, other, "blue")
    entry = f"{server.url('team/lib')}//base?ref=main"
    fleet.repository.write("apps/web/kustomization.yaml", {"namePrefix": "x-", field: [entry]})
    fleet.repository.commit()
    dry = fleet.reconcile("--dry-run", code=1)
    wanted = f"apps/web/kustomization.yaml:3: a remote resource is not fetched: {entry}"
    assert dry.of("web")["error"].splitlines() == [wanted]
    assert "--allow-remote-bases" in dry.of("web")["hint"]
    closed = fleet.reconcile("--dry-run", "--allow-remote-bases", code=1)
    told = closed.of("web")["error"]
    assert told.startswith("apps/web/kustomization.yaml:3: ")
    assert "127.0.0.1 is not reached from here: it is a loopback address" in told
    assert server.seen == []


def test_a_file_that_is_gone_fails_its_kustomization_and_prunes_nothing(fleet: Bench):
    with pages() as web:
        web.texts["/web.yaml"] = (
            f"{config_map(fleet, 'web', colour='blue')}"  # YAML has JSON's and Python's maps
        )
        uses(fleet, web.url("/web.yaml"))
        assert fleet.reconcile().json["sources"][0]["revision"].startswith("sha256:")
        web.texts.clear()
        told = fleet.reconcile(code=1)
        assert "answers with HTTP status 404" in told.of("web")["error"]
    assert live(fleet) == {"colour": "blue"}
