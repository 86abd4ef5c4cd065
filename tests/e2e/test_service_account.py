"""`serviceAccountName`: with whose rights every request about an object is made, told by the audit log."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.api import MERGE
from tests.e2e.harness import WRITES, Bench, Result, config_map, deployment, kustomization

pytestmark = pytest.mark.cluster
RBAC = "rbac.authorization.k8s.io"
ALL = ("get", "list", "watch", "create", "patch", "delete")


def account(world: Bench, name: str = "robot", verbs: Iterable[str] = ALL) -> list[dict[str, Any]]:
    """A ServiceAccount that may do this with ConfigMaps and Deployments of its namespace, and no more."""
    meta = {"name": name, "namespace": world.namespace}
    rules = [
        {"apiGroups": ["", "apps"], "resources": ["configmaps", "deployments"], "verbs": list(verbs)},
    ]
    subject = {"kind": "ServiceAccount", **meta}
    role = {"apiGroup": RBAC, "kind": "Role", "name": name}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": meta, "rules": rules},
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "subjects": [subject],
            "roleRef": role,
        },
    ]


def user(world: Bench, name: str = "robot") -> str:
    return f"system:serviceaccount:{world.namespace}:{name}"


def deploy(world: Bench, *arguments: str, code: int = 0, kubeconfig: Path | None = None) -> Result:
    world.repository.commit()
    return world.reconcile(*arguments, code=code, kubeconfig=kubeconfig)


def fleet(world: Bench, *accounts: dict[str, Any], **spec: Any) -> None:
    """Kustomization app, acting as robot, with the ConfigMaps one and two; accounts come with their own."""
    app = kustomization(world, "app", "app", **{"serviceAccountName": "robot", **spec})
    own = [kustomization(world, "accounts", "accounts")] if accounts else []
    world.repository.write("clusters/test/all.yaml", app, *own)
    if accounts:
        app["spec"]["dependsOn"] = [{"name": "accounts"}]
        world.repository.write("clusters/test/all.yaml", app, *own)
        world.repository.write("accounts/all.yaml", *accounts)
    for name in ("one", "two"):
        world.repository.write(f"app/{name}.yaml", config_map(world, name))


def requests(world: Bench, names: Iterable[str], resources: Iterable[str] = ("configmaps",)) -> list[dict]:
    """This test's requests about single objects of these names, and about all of these kinds."""
    found = []
    for event in world.events():
        ref = event.get("objectRef") or {}
        name = ref.get("name", "")
        if ref.get("resource") not in set(resources) or name.startswith(("kustodian", "probe-")):
            continue
        if name in set(names) or (not name and "labelSelector" not in event["requestURI"]):
            found.append(event)
    return found


def actors(events: Iterable[dict[str, Any]]) -> set[str]:
    return {(event.get("impersonatedUser") or {}).get("username", "the run itself") for event in events}


def without_impersonation(world: Bench, tmp_path: Path, verbs: Iterable[str] = ("*",)) -> Path:
    """Credentials that may do everything else."""
    name = f"plain-{world.namespace}"
    listed = ["get", "list", "watch", "create", "update", "patch", "delete", "bind", "escalate"]
    chosen = listed if "*" in set(verbs) else list(verbs)
    role = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": chosen}],
    }
    binding = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": name}],
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
    }
    for plural, body in (("clusterroles", role), ("clusterrolebindings", binding)):
        assert world.api.request("POST", f"/apis/{RBAC}/v1/{plural}", body).status == 201
    return world.plane.user_kubeconfig(name)


def allow_impersonation(world: Bench) -> None:
    """Let these credentials act as robot, by the verb that Kubernetes always had."""
    meta = {"name": "acting", "namespace": world.namespace}
    rule = {"apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": ["robot"]}
    subject = {"apiGroup": RBAC, "kind": "User", "name": f"plain-{world.namespace}"}
    role = {"apiGroup": RBAC, "kind": "Role", "name": "acting"}
    parts = {"rules": [{**rule, "verbs": ["impersonate"]}]}, {"subjects": [subject], "roleRef": role}
    for kind, part in zip(("Role", "RoleBinding"), parts, strict=True):
        body = {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": meta, **part}
        path = f"/apis/{RBAC}/v1/namespaces/{world.namespace}/{kind.lower()}s"
        assert world.api.request("POST", path, body).status == 201


def by_hand(world: Bench, *manifests: dict[str, Any]) -> str:
    """Make the namespace, and these in it; where the last one is."""
    body = {"metadata": {"name": world.namespace}}
    assert world.api.request("POST", "/api/v1/namespaces", body).status == 201
    made = ""
    for each in manifests:
        root = "/api/v1" if each["apiVersion"] == "v1" else f"/apis/{each['apiVersion']}"
        path = f"{root}/namespaces/{world.namespace}/{each['kind'].lower()}s"
        assert world.api.request("POST", path, each).status == 201
        made = f"{path}/{each['metadata']['name']}"
    return made


def test_everything_about_its_objects_is_done_as_the_account(world: Bench):
    fleet(world, *account(world), wait=True)
    for number in range(6):  # enough to be listed, not read one by one
        world.repository.write(f"app/more-{number}.yaml", config_map(world, f"more-{number}"))
    world.repository.write("app/web.yaml", deployment(world, "web"))
    names = {"one", "two", "web", *(f"more-{number}" for number in range(6))}

    deploy(world)
    world.repository.write("app/one.yaml", config_map(world, "one", key="changed"))
    world.repository.remove("app/two.yaml")
    deploy(world)

    assert "two" not in world.config_maps()
    assert world.get(f"/api/v1/namespaces/{world.namespace}/configmaps/one")["data"] == {"key": "changed"}
    found = requests(world, names, ("configmaps", "deployments"))
    assert actors(found) == {user(world)}
    assert {"get", "list", "watch", "patch", "delete"} <= {event["verb"] for event in found}
    groups = {group for event in found for group in event["impersonatedUser"].get("groups", ())}
    assert "system:masters" not in groups

    before = world.writes()
    assert world.reconcile().changes("app") == dict.fromkeys(
        [f"ConfigMap/{n}" for n in sorted(names - {"two", "web"})] + ["Deployment/web"], "unchanged"
    )
    assert world.writes() == before, "our records are written as the run itself, and only when they change"
    records = [e for e in world.events() if (e.get("objectRef") or {}).get("name", "") == "kustodian-app"]
    assert records
    assert actors(records) == {"the run itself"}


def test_what_the_account_may_not_do_is_not_done(world: Bench):
    fleet(world, *account(world))
    deploy(world)
    secret = {**config_map(world, "password"), "kind": "Secret"}
    world.repository.write("app/secret.yaml", {**secret, "data": {}})
    world.repository.write("app/one.yaml", config_map(world, "one", key="changed"))

    result = deploy(world, code=1)

    told = result.of("app")
    assert f'User "{user(world)}" cannot get resource "secrets"' in told["error"]
    assert told["hint"] == f"grant ServiceAccount/{world.namespace}/robot this permission"
    assert world.get(f"/api/v1/namespaces/{world.namespace}/secrets/password") is None
    assert world.get(f"/api/v1/namespaces/{world.namespace}/configmaps/one")["data"] == {"key": "value"}
    assert actors(requests(world, ["one", "two", "password"], ["configmaps", "secrets"])) == {user(world)}


def test_an_account_that_does_not_exist(world: Bench):
    fleet(world)
    told = deploy(world, code=1).of("app")
    assert f'User "{user(world)}" cannot' in told["error"]
    assert f"ServiceAccount/{world.namespace}/robot does not exist" in told["hint"]
    assert world.config_maps() == set()


@pytest.mark.parametrize("arguments", [(), ("--dry-run",)], ids=["deploy", "dry-run"])
def test_credentials_that_may_not_act_as_it(world: Bench, tmp_path: Path, arguments: tuple[str, ...]):
    fleet(world, *account(world))
    deploy(world, "accounts", "fleet")
    plain = without_impersonation(world, tmp_path)

    told = deploy(world, *arguments, code=1, kubeconfig=plain).of("app")

    robot = f"ServiceAccount/{world.namespace}/robot"
    who = f'User "plain-{world.namespace}"'
    assert told["error"] == f"{robot} cannot be acted as (Forbidden): {who} may not impersonate it"
    assert f"the verb impersonate on {robot}" in told["hint"]
    assert world.config_maps() == set()

    allow_impersonation(world)
    deploy(world, *arguments, kubeconfig=plain)
    assert world.config_maps() == (set() if arguments else {"one", "two"})


def test_rights_that_take_effect_late(world: Bench):
    """As they do where API servers learn of a binding a moment after it was written."""
    robot, role, binding = account(world)
    fleet(world, robot, role)
    world.repository.commit()
    with world.start("reconcile", "-o", "json") as run:
        assert any("/app " in line and "applying" in line for line in run.stderr)
        path = f"/apis/{RBAC}/v1/namespaces/{world.namespace}/rolebindings"
        assert world.api.request("POST", path, binding).status == 201
        run.stderr.read()
        told = run.stdout.read()
    assert run.returncode == 0, told
    assert world.config_maps() == {"one", "two"}


def test_a_preview_of_a_new_account(world: Bench):
    """The run itself would give it its rights; what is refused now says nothing about then."""
    fleet(world, *account(world))
    told = deploy(world, "--dry-run").of("app")
    assert {c["action"] for c in told["changes"]} == {"unknown"}
    assert all(f"ServiceAccount/{world.namespace}/robot lacks them" in c["reason"] for c in told["changes"])

    planned = world.run("plan", "-o", "json", "--out", str(world.repository.path.parent / "plan.json"))
    assert planned.code == 0, planned.stderr
    result = world.reconcile("--plan", str(world.repository.path.parent / "plan.json"))
    assert result.changes("app") == {"ConfigMap/one": "created", "ConfigMap/two": "created"}


def test_a_plan_by_such_credentials_says_so(world: Bench, tmp_path: Path):
    fleet(world, *account(world))
    deploy(world)
    world.repository.write("app/one.yaml", config_map(world, "one", key="changed"))
    world.repository.commit()
    reader = without_impersonation(world, tmp_path, ["get", "list", "watch"])

    result = world.run("plan", "-o", "json", kubeconfig=reader)

    assert result.code == 0, result.stderr
    assert [c["ref"]["name"] for c in result.json["changes"]] == ["one"]
    (said,) = [w for w in result.json["warnings"] if "act as" in w]
    assert (
        f"{world.namespace}/app: these credentials may not act as ServiceAccount/{world.namespace}/robot"
        in said
    )
    assert actors(requests(world, ["one"])) == {user(world)}, "of the deploy before: nothing else asked"


def test_a_pull_request_does_not_choose_its_account(world: Bench):
    fleet(world, *account(world), *account(world, "mighty"))
    deploy(world)
    world.repository.git("switch", "--quiet", "--create", "change")
    fleet(world, *account(world), *account(world, "mighty"), serviceAccountName="mighty")
    world.repository.write("app/one.yaml", config_map(world, "one", key="changed"))
    world.repository.commit()

    result = world.run("plan", "--base", "main", "-o", "json")

    assert result.code == 0, result.stderr
    named = [w for w in result.json["warnings"] if "mighty" in w]
    (only,) = named
    assert only == (
        f"{world.namespace}/app: its change to ServiceAccount/{world.namespace}/mighty counts once it is "
        f"merged; until then it is compared as ServiceAccount/{world.namespace}/robot"
    )
    assert any("robot → mighty" in str(signal) for signal in result.json["signals"])
    assert actors(requests(world, ["one", "two"])) == {user(world)}

    deploy(world)
    assert user(world, "mighty") in actors(requests(world, ["one", "two"]))


def test_another_account_has_to_be_allowed_what_the_one_before_was(world: Bench):
    fleet(world, *account(world), *account(world, "reader", ["get", "list", "watch"]))
    deploy(world)
    fleet(
        world,
        *account(world),
        *account(world, "reader", ["get", "list", "watch"]),
        serviceAccountName="reader",
    )
    told = deploy(world, code=1).of("app")
    assert f'User "{user(world, "reader")}" cannot patch resource "configmaps"' in told["error"]


def test_what_it_may_not_delete_stays_on_record(world: Bench):
    fleet(world, *account(world, verbs=[v for v in ALL if v != "delete"]))
    deploy(world)
    world.repository.remove("app/two.yaml")
    told = deploy(world, code=1).of("app")
    assert f'User "{user(world)}" cannot delete resource "configmaps"' in told["error"]
    assert "two" in world.config_maps()
    assert "two" in {ref.name for ref in world.records()["app"].inventory}


def test_one_that_leaves_git_with_its_account(world: Bench):
    """Its objects go first, as the account; then what gave it its rights."""
    fleet(world, *account(world))
    deploy(world)
    world.repository.remove("app")
    world.repository.write("clusters/test/all.yaml", kustomization(world, "accounts", "accounts"))
    world.repository.write("accounts/all.yaml", config_map(world, "left"))

    result = deploy(world)

    assert result.changes("app") == {"ConfigMap/one": "deleted", "ConfigMap/two": "deleted"}
    assert world.config_maps() == {"left"}
    assert {k: v for k, v in result.changes("accounts").items() if v == "deleted"} == dict.fromkeys(
        ["RoleBinding/robot", "Role/robot", "ServiceAccount/robot"], "deleted"
    )
    deleted = [e for e in requests(world, ["one", "two"]) if e["verb"] in WRITES]
    assert actors(deleted) == {user(world)}
    assert set(world.records()) == {"fleet", "accounts"}


def test_one_that_leaves_git_after_its_account(world: Bench):
    fleet(world, *account(world)[1:])
    made = by_hand(world, account(world)[0])
    deploy(world)
    assert world.api.request("DELETE", made).status == 200
    world.repository.remove("app")
    world.repository.write("clusters/test/all.yaml", kustomization(world, "accounts", "accounts"))

    result = deploy(world)

    assert result.changes("app") == {"ConfigMap/one": "skipped", "ConfigMap/two": "skipped"}
    (said,) = [w for w in result.json["warnings"] if "unable to prune" in w]
    assert f"ServiceAccount/{world.namespace}/robot, which they were deployed as, is gone" in said
    assert world.config_maps() == {"one", "two"}
    assert set(world.records()) == {"fleet", "accounts"}


def test_what_cannot_be_changed_is_made_anew_as_the_account(world: Bench):
    fleet(world, *account(world), force=True)
    world.repository.write("app/fixed.yaml", {**config_map(world, "fixed"), "immutable": True})
    deploy(world)
    world.repository.write("app/fixed.yaml", {**config_map(world, "fixed", key="new"), "immutable": True})
    assert deploy(world).changes("app")["ConfigMap/fixed"] == "created"
    assert actors(requests(world, ["fixed"])) == {user(world)}


def test_an_account_that_may_neither_list_nor_watch(world: Bench):
    """What it may not see in lists it reads one by one; the run does not look for it."""
    fleet(world, *account(world, verbs=["get", "create", "patch", "delete"]), wait=True)
    for number in range(6):
        world.repository.write(f"app/more-{number}.yaml", config_map(world, f"more-{number}"))
    deploy(world)
    for number in range(6):
        world.repository.remove(f"app/more-{number}.yaml")
    assert set(deploy(world).changes("app").values()) == {"unchanged", "deleted"}
    assert world.config_maps() == {"one", "two"}
    found = requests(world, {"one", "two", *(f"more-{number}" for number in range(6))})
    assert actors(found) == {user(world)}
    assert {"get", "list", "patch", "delete"} <= {event["verb"] for event in found}, "it tried"


def test_an_account_that_deletes_its_own_rights(world: Bench):
    """Afterwards it may not even see whether all is gone: nobody but the run can tell."""
    robot, role, binding = account(world)
    rights = {"apiGroups": [RBAC], "resources": ["rolebindings", "roles"], "verbs": [*ALL, "bind"]}
    role["rules"].append(rights)
    by_hand(world, robot, role, binding)
    fleet(world)
    world.repository.write("app/binding.yaml", binding)
    deploy(world)
    world.repository.remove("app")
    world.repository.write("clusters/test/all.yaml", kustomization(world, "other", "other"))
    world.repository.write("other/left.yaml", config_map(world, "left"))

    result = deploy(world)

    assert set(result.changes("app").values()) == {"deleted"}
    assert world.config_maps() == {"left"}
    assert set(world.records()) == {"fleet", "other"}


def test_drift_is_looked_for_and_put_back_as_the_account(world: Bench):
    fleet(world, *account(world))
    deploy(world)
    path = f"/api/v1/namespaces/{world.namespace}/configmaps/one"
    world.api.request("PATCH", path, {"data": {"key": "by hand"}}, MERGE)
    before = len(world.events())

    told = world.run("drift", "--policy", "correct", "-o", "json")

    assert told.code == 0, told.stdout + told.stderr
    assert world.get(path)["data"]["key"] == "value"
    tried = [e for e in world.events()[before:] if e["verb"] == "patch" and e["requestURI"].startswith(path)]
    assert actors(tried) == {user(world)}
