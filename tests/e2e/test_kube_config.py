"""`kubeConfig`: a Kustomization whose objects are in another cluster, between two real control planes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from tests.cluster import ControlPlane, wait_until
from tests.cluster.api import MERGE
from tests.e2e.harness import WRITES, Bench, Result, config_map, deployment, kustomization

pytestmark = pytest.mark.cluster
SPOKE = {"kubeConfig": {"secretRef": {"name": "spoke"}}}
RBAC = "rbac.authorization.k8s.io"


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """The other cluster."""
    with ControlPlane.start() as started:
        yield started


@dataclass
class Spoke:
    """The other cluster, as this test's kubeconfig reaches it."""

    plane: ControlPlane
    world: Bench
    user: str

    @property
    def text(self) -> str:
        return self.plane.user_kubeconfig(self.user, ["system:masters"]).read_text()

    def get(self, path: str) -> Any:
        answer = self.plane.api().get(path)
        return answer.body if answer.status == 200 else None

    def config_map(self, name: str) -> Any:
        return self.get(f"/api/v1/namespaces/{self.world.namespace}/configmaps/{name}")

    def events(self) -> list[dict[str, Any]]:
        """Its requests so far, once one that is sent now is among them."""
        probe = f"/api/v1/namespaces/probe-{self.world.namespace}"
        before = sum(e["requestURI"] == probe for e in self.plane.audit_events(self.user))
        self.plane.api(self.user, ["system:masters"]).get(probe)

        def seen() -> list[dict[str, Any]]:
            events = self.plane.audit_events(self.user)
            return events if sum(e["requestURI"] == probe for e in events) > before else []

        found = wait_until(seen, "the audit log shows a probe")
        return [e for e in found if e["requestURI"] != probe]

    def writes(self) -> list[str]:
        return [
            f"{e['verb']} {e['requestURI'].partition('?')[0]}"
            for e in self.events()
            if e["verb"] in WRITES and "dryRun=All" not in e["requestURI"]
        ]


@pytest.fixture
def spoke(plane: ControlPlane, world: Bench) -> Spoke:
    return Spoke(plane, world, f"hub-{world.namespace}")


def secret(world: Bench, text: str, name: str = "spoke", key: str = "value") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": world.namespace},
        "data": {key: base64.b64encode(text.encode()).decode()},
    }


def namespace(world: Bench) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": world.namespace}}


def by_hand(world: Bench, *secrets: dict[str, Any]) -> None:
    assert world.api.request("POST", "/api/v1/namespaces", namespace(world)).status == 201
    for each in secrets:
        path = f"/api/v1/namespaces/{world.namespace}/secrets"
        assert world.api.request("POST", path, each).status == 201


def fleet(world: Bench, *more: dict[str, Any], **spec: Any) -> None:
    """Kustomization app, in the other cluster; here, in this one, wants a ConfigMap of the same name."""
    app = kustomization(world, "app", "app", **{**SPOKE, **spec})
    world.repository.write("clusters/test/all.yaml", app, kustomization(world, "here", "here"), *more)
    world.repository.write("app/all.yaml", namespace(world), config_map(world, "one", key="there"))
    world.repository.write("app/two.yaml", config_map(world, "two"))
    world.repository.write("here/one.yaml", config_map(world, "one", key="here"))
    world.repository.write("here/two.yaml", config_map(world, "two"))


def deploy(world: Bench, *arguments: str, code: int = 0) -> Result:
    world.repository.commit()
    return world.reconcile(*arguments, code=code)


def data(live: Any) -> Any:
    return live and live["data"]


def test_its_objects_live_and_die_in_the_other_cluster(world: Bench, spoke: Spoke):
    by_hand(world, secret(world, spoke.text))
    fleet(world, wait=True)
    world.repository.write("app/web.yaml", deployment(world, "web"))

    first = deploy(world)

    assert set(first.states.values()) == {"ready"}
    assert data(spoke.config_map("one")) == {"key": "there"}
    assert data(world.get(f"/api/v1/namespaces/{world.namespace}/configmaps/one")) == {"key": "here"}
    web = f"/apis/apps/v1/namespaces/{world.namespace}/deployments/web"
    assert spoke.get(web)["status"]["readyReplicas"] == 1, "its health was waited for"
    assert world.get(web) is None
    records = spoke.get(f"/api/v1/namespaces/{world.namespace}/configmaps")["items"]
    assert not [r for r in records if r["metadata"]["name"].startswith("kustodian-")]
    assert first.json["requests"]["PATCH"] == 4 + 2, "of both clusters together"

    before, there = world.writes(), spoke.writes()
    second = world.reconcile()
    assert set(second.changes("app").values()) == {"unchanged"}
    assert (world.writes(), spoke.writes()) == (before, there)

    world.repository.remove("app/two.yaml")
    assert deploy(world).changes("app")["ConfigMap/two"] == "deleted"
    assert spoke.config_map("two") is None
    assert "two" in world.config_maps(), "the other one of that name"

    world.repository.write("clusters/test/all.yaml", kustomization(world, "here", "here"))
    gone = deploy(world)
    assert gone.changes("app")["ConfigMap/one"] == "deleted"
    assert spoke.config_map("one") is None
    assert world.config_maps() >= {"one", "two"}
    assert "app" not in world.records()


def test_a_secret_that_the_run_makes_comes_first_and_goes_last(world: Bench, spoke: Spoke):
    access = kustomization(world, "access", "access")
    fleet(world, access)
    world.repository.write("access/secret.yaml", secret(world, spoke.text))

    told = deploy(world)
    assert set(told.states.values()) == {"ready"}
    assert "access" in told.of("app")["waitedFor"][0]
    assert data(spoke.config_map("one")) == {"key": "there"}

    world.repository.write("clusters/test/all.yaml", kustomization(world, "here", "here"))
    world.repository.remove("access/secret.yaml")
    deploy(world)
    assert spoke.config_map("one") is None, "there was a way to delete it"
    assert world.get(f"/api/v1/namespaces/{world.namespace}/secrets/spoke") is None


def test_a_secret_that_leaves_with_its_kustomization_is_kept_until_the_end(world: Bench, spoke: Spoke):
    app = kustomization(world, "app", "app", **SPOKE)
    world.repository.write("clusters/test/all.yaml", app, secret(world, spoke.text))
    world.repository.write("app/all.yaml", namespace(world), config_map(world, "one"))
    deploy(world)
    assert spoke.config_map("one") is not None

    world.repository.write("clusters/test/all.yaml", config_map(world, "other"))
    deploy(world)
    assert spoke.config_map("one") is None
    assert world.get(f"/api/v1/namespaces/{world.namespace}/secrets/spoke") is None


def test_one_that_cannot_be_reached_fails_alone(world: Bench, spoke: Spoke):
    config = yaml.safe_load(spoke.text)
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    by_hand(world, secret(world, yaml.safe_dump(config)))
    after = kustomization(world, "after", "after", dependsOn=[{"name": "app"}])
    fleet(world, after)
    world.repository.write("after/a.yaml", config_map(world, "after"))

    told = deploy(world, code=1)

    assert told.states == {"fleet": "ready", "here": "ready", "app": "failed", "after": "blocked"}
    assert "server https://127.0.0.1:9 cannot be reached" in told.of("app")["error"]
    assert world.config_maps() == {"one", "two"}


@pytest.mark.parametrize(
    ("made", "error"),
    [
        (None, "has the kubeconfig, and there is no such Secret"),
        ({"user": {"exec": {"command": "touch"}}}, "exec runs a program"),
        ({"cluster": {"insecure-skip-tls-verify": True}}, "insecure-skip-tls-verify leaves the server"),
        ({"cluster": {"server": "https://169.254.169.254"}}, "it is the metadata service of a cloud"),
    ],
)
def test_what_leads_nowhere_says_so_and_nothing_is_applied(world: Bench, spoke: Spoke, made, error):
    config = yaml.safe_load(spoke.text)
    for part in made or {}:
        config[f"{part}s"][0][part] |= made[part]
    by_hand(world, *([secret(world, yaml.safe_dump(config))] if made is not None else []))
    fleet(world)

    told = deploy(world, code=1)

    assert told.states["here"] == "ready"
    assert error in told.of("app")["error"]
    assert not spoke.events()
    assert world.config_maps() == {"one", "two"}


def test_a_preview_does_not_ask_it_unless_told_to(world: Bench, spoke: Spoke):
    by_hand(world, secret(world, spoke.text))
    fleet(world)
    deploy(world)
    world.repository.write("app/all.yaml", namespace(world), config_map(world, "one", key="new"))
    world.repository.remove("app/two.yaml")
    world.repository.commit()
    before, own = len(spoke.events()), world.writes()

    told = world.reconcile("--dry-run").of("app")
    assert {c["action"] for c in told["changes"]} == {"unknown"}
    assert {c["reason"] for c in told["changes"]} == {
        "in another cluster, which is not asked (--read-secrets)"
    }
    assert len(spoke.events()) == before

    read = world.reconcile("--dry-run", "--read-secrets", "--allow-private-network").changes("app")
    assert (read["ConfigMap/one"], read["ConfigMap/two"]) == ("configured", "deleted")
    assert data(spoke.config_map("one")) == {"key": "there"}

    pull = world.run("plan", "--base", "HEAD^", "--read-secrets", "-o", "json")
    assert pull.code == 0, pull.stderr
    assert world.writes() == own
    assert spoke.text.count("client-key-data") == 1
    assert "client-key-data" not in json.dumps(pull.json) + told["changes"][0]["reason"]


def test_another_target_leaves_what_was_made_behind(world: Bench, spoke: Spoke):
    by_hand(world, secret(world, spoke.text))
    fleet(world)
    world.repository.commit()
    world.repository.remove("here/one.yaml")
    deploy(world)
    app = kustomization(world, "app", "app")
    world.repository.write("clusters/test/all.yaml", app)
    world.repository.remove("app/two.yaml")
    world.repository.write("app/all.yaml", config_map(world, "one", key="back"))

    told = deploy(world)

    assert data(spoke.config_map("one")) == {"key": "there"}
    assert data(spoke.config_map("two")) is not None, "it is in no one's inventory any more"
    assert data(world.get(f"/api/v1/namespaces/{world.namespace}/configmaps/one")) == {"key": "back"}
    (said,) = [w for w in told.json["warnings"] if "left behind" in w]
    assert said == (
        f"{world.namespace}/app goes to this cluster now; 3 objects that it made in kubeConfig "
        f"{world.namespace}/spoke are left behind there"
    )
    before = world.writes()
    assert not [w for w in world.reconcile().json["warnings"] if "left behind" in w]
    assert world.writes() == before


def test_an_account_is_one_of_the_other_cluster(world: Bench, spoke: Spoke):
    by_hand(world, secret(world, spoke.text))
    meta = {"name": "robot", "namespace": world.namespace}
    rules = [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch", "create", "patch"]}
    ]
    accounts = kustomization(world, "accounts", "accounts", **SPOKE)
    world.repository.write(
        "accounts/all.yaml",
        namespace(world),
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": meta, "rules": rules},
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "subjects": [{"kind": "ServiceAccount", **meta}],
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "robot"},
        },
    )
    fleet(world, accounts, serviceAccountName="robot", dependsOn=[{"name": "accounts"}])
    world.repository.write("app/all.yaml", config_map(world, "one", key="there"))

    deploy(world)

    assert data(spoke.config_map("one")) == {"key": "there"}
    written = [
        e
        for e in spoke.events()
        if e["verb"] == "patch" and (e.get("objectRef") or {}).get("resource") == "configmaps"
    ]
    users = {(e.get("impersonatedUser") or {}).get("username") for e in written}
    assert users == {f"system:serviceaccount:{world.namespace}:robot"}


def test_kustomizations_there_are_not_followed(world: Bench, spoke: Spoke):
    by_hand(world, secret(world, spoke.text))
    fleet(world)
    world.repository.write("app/child.yaml", kustomization(world, "child", "child"))
    world.repository.write("child/a.yaml", config_map(world, "child"))

    told = deploy(world, code=1)

    assert set(told.states) == {"fleet", "app", "here"}
    assert "Kustomization" in told.of("app")["error"], "that cluster does not serve it"
    assert spoke.config_map("one") is None, "nothing of the stage is applied"


def test_drift_is_looked_for_there(world: Bench, spoke: Spoke):
    by_hand(world, secret(world, spoke.text))
    fleet(world)
    deploy(world)
    path = f"/api/v1/namespaces/{world.namespace}/configmaps/one"
    assert spoke.plane.api().request("PATCH", path, {"data": {"key": "by hand"}}, MERGE).status == 200

    told = world.run("drift", "-o", "json")

    assert told.code == 0, told.stderr
    (found,) = told.json["drifted"]
    assert found["name"] == "app"
    assert [(o["ref"]["name"], o["kind"]) for o in found["objects"]] == [("one", "changed")]


def test_views_name_it_and_say_nothing_of_what_they_do_not_ask(world: Bench, spoke: Spoke):
    by_hand(world, secret(world, spoke.text))
    fleet(world)
    deploy(world)
    app = next(
        k for k in world.run("tree", "--live", "-o", "json").json["kustomizations"] if k["name"] == "app"
    )
    assert app["health"] is None
    for view in ("tree", "get"):
        shown = world.run(view, *(["-n", world.namespace] if view == "get" else []))
        assert [line for line in shown.stdout.splitlines() if f"kubeConfig {world.namespace}/spoke" in line]
    kept = world.run("get", "-n", world.namespace, "-o", "json").json["kustomizations"]
    there = {each["name"]: each["kubeConfig"] for each in (app, *kept)}
    assert there == {"app": f"{world.namespace}/spoke", "here": None, "fleet": None}
    traced = world.run("trace", f"ConfigMap/{world.namespace}/one", "-o", "json")
    assert "/here" in traced.stdout, traced.stderr
