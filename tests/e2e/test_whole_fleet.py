"""Every source and every secret at once: previewed without a credential, deployed with all of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Bench, Result
from tests.e2e.whole import Fleet, fleet
from tests.gits import sshd
from tests.sops import has_gpg

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not sshd(), reason="no sshd on this machine: package openssh-server"),
    pytest.mark.skipif(not has_gpg(), reason="there is no gpg to make a key with"),
    pytest.mark.skipif(shutil.which("strace") is None, reason="no strace on this machine"),
]
FOREIGN = {"web", "lib", "oci", "based"}
OURS = {"fleet", "vendored", "sealed"}


@pytest.fixture
def whole(world: Bench, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(world, tmp_path) as made:
        world.cluster = "test"
        yield made


def traced(world: Bench, trace: Path, *arguments: str) -> tuple[Result, str]:
    """Run, and every call of it, and of whatever it starts, that has to do with a network."""
    strace = ["strace", "--follow-forks", "--quiet=all", "--trace=%network", "--output", str(trace)]
    done = subprocess.run(
        [*strace, *world.command(*arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **world.env},
    )
    return Result(done.returncode, done.stdout, done.stderr), trace.read_text()


def assert_clean(whole: Fleet, *results: Result) -> None:
    for result in results:
        told = result.stdout + result.stderr
        assert not [each for each in (*whole.sealed, *whole.logins) if each in told]


def test_who_has_no_credential_sees_placeholders_and_reaches_nothing(whole: Fleet, tmp_path: Path):
    world = whole.world
    world.env["KUSTODIAN_DECRYPTOR"] = "/nowhere"

    built, calls = traced(world, tmp_path / "trace", "build", "-o", "json")

    assert built.code == 1, built.stderr
    assert not re.findall(r"AF_INET6?\b", calls)
    known = {each["name"]: each for each in built.json["kustomizations"]}
    assert {name for name, each in known.items() if each["errors"]} == FOREIGN
    shown = json.dumps(known["sealed"]["resources"], ensure_ascii=False)
    own = world.namespace
    assert set(re.findall(r"‹SOPS ([^›]*) [0-9a-f]{8}›", shown)) == {
        f"{own}/settings:data.token",
        f"{own}/db:password",
        f"{own}/old:password",
        f"{own}/blob:blob",
        "apps/sealed/patch.yaml:password",
        "apps/sealed/web.env:pin",
        "apps/sealed/key",
    }
    assert whole.servers.seen == []
    assert_clean(whole, built)


def test_a_preview_asks_the_cluster_alone_and_takes_no_secret(whole: Fleet, tmp_path: Path):
    world = whole.world
    whole.give()
    world.env["KUSTODIAN_DECRYPTOR"] = "/nowhere"
    before = len(world.events())

    dry, calls = traced(world, tmp_path / "trace", "reconcile", "--dry-run", "-o", "json")

    assert dry.code == 1, dry.stderr
    ports = set(re.findall(r"connect\(.*AF_INET.*htons\((\d+)\)", calls))
    assert ports == {world.plane.server.rpartition(":")[2]}
    assert {name for name, state in dry.states.items() if state == "failed"} == FOREIGN
    assert dry.changes("sealed")["Secret/db"] == "unknown"
    asked = [event["requestURI"] for event in world.events()[before:]]
    assert not [uri for uri in asked if "/secrets" in uri]
    assert world.writes() == []
    assert whole.servers.seen == []
    assert_clean(whole, dry)


def test_who_has_them_deploys_all_of_it_once(whole: Fleet):
    world = whole.world
    whole.give()

    told = world.reconcile()

    assert told.states == dict.fromkeys(FOREIGN | OURS, "ready")
    assert world.config_maps() == {"web", "part", "lib", "oci", "vendored", "base", "page", "settings"}
    revisions = {each["source"].partition("/")[0]: each["revision"] for each in told.json["sources"]}
    assert set(revisions) >= {"GitRepository", "OCIRepository"}
    assert len(told.json["sources"]) == 5

    def value(name: str, field: str) -> str:
        found = world.get(f"/api/v1/namespaces/{world.namespace}/secrets/{name}")
        return b64decode(found["data"][field]).decode()

    settings = world.get(f"/api/v1/namespaces/{world.namespace}/configmaps/settings")
    assert settings["data"] == {"token": whole.value("token")}
    assert value("db", "password") == whole.value("object")
    assert value("plain", "password") == whole.value("patch")
    assert value("old", "password") == whole.value("openpgp")
    assert value("blob", "blob") == whole.value("value")
    web = world.get(f"/apis/apps/v1/namespaces/{world.namespace}/deployments/web")
    generated = web["spec"]["template"]["spec"]["containers"][0]["envFrom"][0]["secretRef"]["name"]
    assert (value(generated, "pin"), value(generated, "key")) == (whole.value("envs"), whole.value("file"))

    before = world.writes()
    again = world.reconcile()
    assert world.writes() == before
    assert again.states == told.states
    assert_clean(whole, told, again)
