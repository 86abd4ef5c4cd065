"""A fleet with encrypted files on a real API server: deployed with a key, previewed without any."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from base64 import b64decode, b64encode
from contextlib import suppress
from pathlib import Path

import pytest

from runner.clients.kustomize.compile import DECRYPTOR, build
from tests.e2e.harness import Bench, Result, config_map, deployment, kustomization
from tests.sops import AgeKey, seal

pytestmark = pytest.mark.cluster

CANARY = "canary-plaintext-4e9b"
OTHER = "canary-plaintext-0c55"
REGEX = ("--encrypted-regex", "^(data|stringData)$")
FORMS = (
    CANARY,
    OTHER,
    b64encode(CANARY.encode()).decode(),
    b64encode(OTHER.encode()).decode(),
    "AGE-SECRET-KEY",
)


def secret(world: Bench, name: str, key: AgeKey, **data: str) -> str:
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": world.namespace},
        "stringData": data,
    }
    return seal(json.dumps(manifest), key, "json", *REGEX)


@pytest.fixture(scope="module")
def key() -> AgeKey:
    return AgeKey.new()


@pytest.fixture
def fleet(world: Bench, key: AgeKey, tmp_path: Path) -> Bench:
    """An application with sealed values of every sort, and one that takes variables from a sealed Secret."""
    (tmp_path / "tmp").mkdir()
    world.env["TMPDIR"] = str(tmp_path / "tmp")
    world.env["KUSTODIAN_DECRYPTOR"] = str(recording(tmp_path))
    sealing = {"decryption": {"provider": "sops", "secretRef": {"name": "sops-keys"}}}
    variables = {"substituteFrom": [{"kind": "Secret", "name": "vars"}]}
    world.repository.write(
        "clusters/test/fleet.yaml",
        kustomization(world, "app", "app", **sealing),
        kustomization(world, "user", "user", postBuild=variables),
    )
    world.repository.write("app/db.yaml", secret(world, "db", key, password=CANARY))
    world.repository.write("app/vars.yaml", secret(world, "vars", key, word=OTHER))
    settings = json.dumps(config_map(world, "settings", token=CANARY))
    world.repository.write("app/settings.yaml", seal(settings, key, "json", *REGEX))
    world.repository.write("app/web.env", seal(f"pin={CANARY}\n", key, "dotenv"))
    web = deployment(world, "web")
    web["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"secretRef": {"name": "web"}}]
    world.repository.write("app/web.yaml", web)
    world.repository.write(
        "app/kustomization.yaml",
        {
            "resources": ["db.yaml", "vars.yaml", "settings.yaml", "web.yaml"],
            "secretGenerator": [{"name": "web", "namespace": world.namespace, "envs": ["web.env"]}],
        },
    )
    world.repository.write("user/c.yaml", config_map(world, "user", word="${word}"))
    world.repository.commit()
    return world


def recording(path: Path) -> Path:
    """The decryptor, behind a program that keeps how it is called: it may live too briefly to be caught."""
    program = path / "decryptor"
    call, real = (shlex.quote(str(each)) for each in (path / "call", build(DECRYPTOR)))
    program.write_text(f'#!/bin/sh\n{{ echo "$0 $*"; export -p; }} >>{call}\nexec {real} "$@"\n')
    program.chmod(0o755)
    return program


def give(world: Bench, key: AgeKey) -> None:
    """Make the namespace and the Secret with the key, as somebody does by hand."""
    world.api.request(
        "POST",
        "/api/v1/namespaces",
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": world.namespace}},
    )
    world.api.request(
        "POST",
        f"/api/v1/namespaces/{world.namespace}/secrets",
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "sops-keys"},
            "stringData": {"age.agekey": key.secret},
        },
    )


def value(world: Bench, name: str, field: str) -> str:
    found = world.get(f"/api/v1/namespaces/{world.namespace}/secrets/{name}")
    return b64decode(found["data"][field]).decode()


def told(result: Result) -> str:
    return result.stdout + result.stderr


def assert_clean(*texts: str) -> None:
    for text in texts:
        assert not [form for form in FORMS if form in text]


def kept(world: Bench) -> str:
    """Everything that the cluster has of the run but what it was to write."""
    own = {"db", "vars", "settings", "sops-keys", "user"}
    found = []
    for kind in ("configmaps", "secrets", "events"):
        items = world.api.get(f"/api/v1/namespaces/{world.namespace}/{kind}").body["items"]
        found += [
            i for i in items if i["metadata"]["name"] not in own and "web-" not in i["metadata"]["name"]
        ]
    assert any(item["metadata"]["name"].startswith("kustodian-") for item in found)
    return json.dumps(found)


def watched(world: Bench, *arguments: str) -> tuple[Result, list[str]]:
    """Run, and meanwhile look at the arguments of every process and at the files that are made."""
    seen: set[str] = set()
    process = world.start(*arguments)
    while process.poll() is None:
        for running in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                seen.add((running / "cmdline").read_bytes().decode(errors="replace"))
        for directory, _, names in os.walk(world.env["TMPDIR"]):  # which minds no directory that is gone
            for name in names:
                with suppress(OSError):
                    seen.add(Path(directory, name).read_text(errors="replace"))
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
    stdout, stderr = process.communicate()
    return Result(process.returncode, stdout, stderr), sorted(seen)


def test_it_is_deployed_and_a_second_run_writes_nothing(fleet: Bench, key: AgeKey, tmp_path: Path):
    give(fleet, key)

    result, seen = watched(fleet, "reconcile", "-o", "json")

    assert result.code == 0, told(result)
    assert set(result.states.values()) == {"ready"}
    assert value(fleet, "db", "password") == CANARY
    settings = fleet.get(f"/api/v1/namespaces/{fleet.namespace}/configmaps/settings")
    assert settings["data"] == {"token": CANARY}
    user = fleet.get(f"/api/v1/namespaces/{fleet.namespace}/configmaps/user")
    assert user["data"] == {"word": OTHER}
    web = fleet.get(f"/apis/apps/v1/namespaces/{fleet.namespace}/deployments/web")
    generated = web["spec"]["template"]["spec"]["containers"][0]["envFrom"][0]["secretRef"]["name"]
    assert value(fleet, generated, "pin") == CANARY
    called = (tmp_path / "call").read_text()
    assert called.count(str(tmp_path / "decryptor")) == 1
    assert_clean(told(result), kept(fleet), called, *seen)

    before = fleet.writes()
    for output in ("text", "json", "yaml"):
        again = fleet.run("reconcile", "-o", output)
        assert again.code == 0
        assert_clean(told(again))
    assert fleet.writes() == before
    assert_clean(*(told(fleet.run("get", "-o", output)) for output in ("text", "json", "yaml")))


@pytest.mark.parametrize("output", ["text", "json", "markdown", "html", "diff", "name"])
def test_previews_take_no_key(fleet: Bench, key: AgeKey, tmp_path: Path, output: str):
    give(fleet, key)
    fleet.reconcile()
    fleet.env |= {"KUSTODIAN_DECRYPTOR": "/nowhere", "SOPS_AGE_KEY": key.secret}
    cache = tmp_path / "cache"
    fleet.repository.write("app/db.yaml", secret(fleet, "db", key, password=OTHER))
    fleet.repository.commit()

    plan = fleet.run("plan", "-o", output, "--cache-dir", str(cache), "--out", str(tmp_path / "plan"))
    diff = fleet.run("diff", "--base", "HEAD^", "-o", output, "--cache-dir", str(cache))

    assert (plan.code, diff.code) == (0, 0), told(plan) + told(diff)
    if output == "name":
        assert plan.stdout.startswith(f"{fleet.namespace}/app\n")
    else:
        assert "db" in plan.stdout
        assert "password" in diff.stdout
    files = [path.read_text(errors="replace") for path in (tmp_path).rglob("*") if path.is_file()]
    own = [text for text in files if key.recipient not in text]  # not the repository itself
    assert_clean(told(plan), told(diff), *own)


def test_a_preview_says_what_it_does_not_know(fleet: Bench, key: AgeKey):
    give(fleet, key)
    fleet.reconcile()
    fleet.env["KUSTODIAN_DECRYPTOR"] = "/nowhere"
    before = len(fleet.events())

    result = fleet.reconcile("--dry-run")

    changes = result.of("app")
    unknown = {c["ref"]["name"]: c for c in changes["changes"] if c["action"] == "unknown"}
    assert {"db", "vars", "settings", "web"} <= unknown.keys()
    assert "SOPS" in unknown["db"]["reason"]
    assert "--read-secrets" in json.dumps(changes)
    asked = [e["requestURI"] for e in fleet.events()[before:] if "/secrets/" in e["requestURI"]]
    assert not asked
    assert not [c for c in changes["changes"] if c["action"] == "deleted"]


def test_a_preview_that_may_decrypt_knows_everything(fleet: Bench, key: AgeKey):
    give(fleet, key)
    fleet.reconcile()

    result = fleet.reconcile("--dry-run", "--read-secrets")

    assert set(result.changes("app").values()) == {"unchanged"}
    assert_clean(told(result))


def test_a_key_of_the_run_stands_in_for_a_secret_that_is_not_there(fleet: Bench, key: AgeKey, tmp_path: Path):
    file = tmp_path / "keys.txt"
    file.write_text(key.secret)
    fleet.env["SOPS_AGE_KEY_FILE"] = str(file)

    assert set(fleet.reconcile().states.values()) == {"ready"}
    assert value(fleet, "db", "password") == CANARY


def test_the_key_of_a_run_is_for_what_names_none_and_never_for_a_preview(fleet: Bench, key: AgeKey):
    sealing = {"decryption": {"provider": "sops"}}
    fleet.repository.write("clusters/test/fleet.yaml", kustomization(fleet, "app", "app", **sealing))
    fleet.repository.commit()
    fleet.env["SOPS_AGE_KEY"] = key.secret
    fleet.reconcile()
    assert value(fleet, "db", "password") == CANARY

    fleet.env["KUSTODIAN_DECRYPTOR"] = "/nowhere"
    plan = fleet.run("plan")
    dry = fleet.reconcile("--dry-run")

    assert plan.code == 0, told(plan)
    assert dry.changes("app")["Secret/db"] == "unknown"
    assert_clean(told(plan), told(dry))


def test_without_the_secret_nothing_of_it_is_applied(fleet: Bench):
    result = fleet.reconcile(code=1)

    assert 'secrets "sops-keys" not found' in result.of("app")["error"]
    assert "SOPS_AGE_KEY" in told(result)
    assert fleet.get(f"/api/v1/namespaces/{fleet.namespace}/secrets/db") is None
    assert fleet.get(f"/apis/apps/v1/namespaces/{fleet.namespace}/deployments/web") is None


def test_without_decryption_an_encrypted_secret_is_refused(fleet: Bench):
    fleet.repository.write("clusters/test/fleet.yaml", kustomization(fleet, "app", "app"))
    fleet.repository.commit()

    result = fleet.reconcile(code=1)

    assert "is SOPS encrypted, configuring decryption is required" in result.of("app")["error"]
    assert fleet.get(f"/api/v1/namespaces/{fleet.namespace}/secrets/db") is None
