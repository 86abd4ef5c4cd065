"""Sources that are not the checkout, in whole runs: a real registry, a real API server, the command line."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster import ControlPlane
from tests.e2e import fluxed
from tests.e2e.harness import Bench, Repository, bench, config_map, kustomization
from tests.gits import git_server, ssh_server, sshd
from tests.gits.over_ssh import key
from tests.registry import Gate, registry
from tests.registry.gate import PASSWORD, USER

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def real():
    with registry() as made:
        yield made


@pytest.fixture
def fleet(world: Bench, tmp_path):
    """A repository whose one Kustomization is built from an artifact; docker knows no login here."""
    (tmp_path / "docker").mkdir()
    world.env["DOCKER_CONFIG"] = str(tmp_path / "docker")
    return world


def source(world: Bench, host: str, **spec):
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "OCIRepository",
        "metadata": {"name": "web", "namespace": world.namespace},
        "spec": {"interval": "1m", "url": f"oci://{host}/{world.namespace}/web", **spec},
    }


def write(world: Bench, host: str, *others, **spec) -> None:
    uses = kustomization(world, "web", ".", sourceRef={"kind": "OCIRepository", "name": "web"})
    world.repository.write("clusters/test/all.yaml", source(world, host, **spec), uses, *others)
    world.repository.commit()


def push(world: Bench, real, tag: str = "latest", **data: str) -> str:
    text = json.dumps(config_map(world, "web", **data))
    return real.push(f"{world.namespace}/web", tag, {"web.yaml": text})


def live(world: Bench) -> dict[str, str]:
    found = world.get(f"/api/v1/namespaces/{world.namespace}/configmaps/web")
    return found["data"] if found else {}


def applied(world: Bench) -> list[str]:
    """The revisions of its source that `web` is on record with, newest first, as `get` tells them."""
    told = world.run("get", "-n", world.namespace, "-o", "json").json["kustomizations"]
    web, top = ({each["name"]: each for each in told}[id_] for id_ in ("web", "fleet"))
    history = [past["sources"][name(world)] for past in web["history"]]
    assert web["revision"] == history[0] == top["deployments"][0]["sources"][name(world)]
    assert top["revision"].startswith("main@sha1:")
    assert top["history"][0]["sources"] == {}
    return history


def name(world: Bench) -> str:
    return f"OCIRepository/{world.namespace}/web"


def test_a_tag_that_moves_is_deployed_by_the_next_run_and_pending_before(fleet: Bench, real):
    first = push(fleet, real, colour="blue")
    write(fleet, real.host)
    told = fleet.reconcile()
    assert live(fleet) == {"colour": "blue"}
    assert told.json["sources"] == [{"source": name(fleet), "revision": f"latest@{first}", "recorded": None}]

    before = len(fleet.writes())
    again = fleet.reconcile()
    assert len(fleet.writes()) == before  # nothing moved: nothing is written, not even a record
    assert again.json["sources"][0]["recorded"] == f"latest@{first}"

    second = push(fleet, real, colour="red")
    plan = fleet.run("plan", "-o", "json", "--base", "HEAD", "--allow-private-network")
    assert plan.code == 0, plan.stderr
    (pending,) = plan.json["pending"]
    assert pending["reason"] == f"{name(fleet)} moved from latest@{first} to latest@{second}"
    assert plan.json["affected"] == []
    text = fleet.run("plan", "--base", "HEAD", "--allow-private-network").stdout
    assert f"{name(fleet)}: latest@sha256:{second[7:15]} (was latest@sha256:{first[7:15]})" in text

    told = fleet.reconcile()
    assert told.changes("web") == {"ConfigMap/web": "configured"}
    assert live(fleet) == {"colour": "red"}
    moved = {"source": name(fleet), "revision": f"latest@{second}", "recorded": f"latest@{first}"}
    assert told.json["sources"] == [moved]
    assert applied(fleet) == [f"latest@{second}", f"latest@{first}"]
    assert f"   latest@sha256:{second[7:15]}   " in fleet.run("get", "-n", fleet.namespace).stdout
    before = len(fleet.writes())
    fleet.reconcile()
    assert len(fleet.writes()) == before


def test_a_tag_that_moves_and_changes_no_object_is_recorded_once(fleet: Bench, real):
    push(fleet, real, colour="blue")
    write(fleet, real.host)
    fleet.reconcile()
    files = {"web.yaml": json.dumps(config_map(fleet, "web", colour="blue")), "README.md": "new"}
    second = real.push(f"{fleet.namespace}/web", "latest", files)
    assert fleet.reconcile().changes("web") == {"ConfigMap/web": "unchanged"}
    before = len(fleet.writes())
    again = fleet.reconcile()
    assert again.json["sources"][0]["recorded"] == f"latest@{second}"
    assert applied(fleet) == [f"latest@{second}"]
    assert len(fleet.writes()) == before


def test_a_source_that_is_suspended_stays_where_it_was(fleet: Bench, real):
    push(fleet, real, colour="blue")
    write(fleet, real.host)
    fleet.reconcile()
    push(fleet, real, colour="red")
    write(fleet, real.host, suspend=True)
    told = fleet.reconcile()
    assert live(fleet) == {"colour": "blue"}
    assert told.json["sources"][0]["revision"] == told.json["sources"][0]["recorded"]
    write(fleet, real.host, suspend=False)
    fleet.reconcile()
    assert live(fleet) == {"colour": "red"}


def test_a_registry_that_is_gone_fails_its_kustomization_and_prunes_nothing(fleet: Bench, real):
    push(fleet, real, colour="blue")
    write(fleet, real.host)
    recorded = fleet.reconcile().json["sources"][0]["revision"]
    write(fleet, "127.0.0.1:1")
    told = fleet.reconcile(code=1)
    assert told.states["web"] == "failed"
    assert "cannot be reached" in told.of("web")["error"]
    assert live(fleet) == {"colour": "blue"}
    assert set(applied(fleet)) == {recorded}, "what failed was made from nothing newer"
    write(fleet, real.host)
    assert fleet.reconcile().json["sources"][0]["recorded"] == recorded


def test_a_preview_stays_outside_of_private_networks_unless_told(fleet: Bench, real):
    push(fleet, real, colour="blue")
    write(fleet, real.host)
    dry = fleet.reconcile("--dry-run", code=1)
    assert "127.0.0.1 is not reached from here: it is a loopback address" in dry.of("web")["error"]
    assert "--allow-private-network" in dry.of("web")["hint"]
    assert fleet.run("build").code == 1
    assert fleet.reconcile("--dry-run", "--allow-private-network").states["web"] == "ready"
    built = fleet.run("build", "-o", "json", "--allow-private-network")
    assert built.code == 0, built.stderr
    assert "blue" in built.stdout


def test_a_login_of_the_desired_state_and_of_the_cluster(fleet: Bench, real):
    push(fleet, real, colour="blue")
    with Gate.before(real.host, login="bearer") as gate:
        auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        login = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": "login", "namespace": fleet.namespace},
            "stringData": {".dockerconfigjson": json.dumps({"auths": {gate.host: {"auth": auth}}})},
        }
        write(fleet, gate.host, login, secretRef={"name": "login"})
        told = fleet.reconcile()
        assert live(fleet) == {"colour": "blue"}

        keep = {"kustomize.toolkit.fluxcd.io/prune": "disabled"}
        login["metadata"] = {**login["metadata"], "annotations": keep}
        write(fleet, gate.host, login, secretRef={"name": "login"})
        fleet.reconcile()
        write(fleet, gate.host, secretRef={"name": "login"})  # now it is only in the cluster
        push(fleet, real, colour="red")
        dry = fleet.run("reconcile", "--dry-run", "--allow-private-network")
        assert f"Secret/{fleet.namespace}/login is needed to fetch a source" in dry.stdout
        told = fleet.reconcile()
        assert live(fleet) == {"colour": "red"}
        for each in (told.stdout, told.stderr, dry.stdout, dry.stderr):
            assert PASSWORD not in each
            assert auth not in each


def test_kustodian_yaml_maps_a_bucket(fleet: Bench):
    uses = kustomization(fleet, "web", ".", sourceRef={"kind": "Bucket", "name": "web"})
    fleet.repository.write("clusters/test/all.yaml", uses)
    fleet.repository.write("vendor/web/web.yaml", config_map(fleet, "web", colour="green"))
    fleet.repository.commit()
    told = fleet.reconcile(code=1)
    assert "a source of kind Bucket is not supported" in told.of("web")["error"]
    assert f"Bucket/{fleet.namespace}/web: ./directory" in told.of("web")["hint"]

    fleet.repository.write("kustodian.yaml", {"sources": {f"Bucket/{fleet.namespace}/web": "./vendor/web"}})
    base = fleet.repository.git("rev-parse", "HEAD")
    fleet.repository.commit()
    fleet.reconcile()
    assert live(fleet) == {"colour": "green"}
    # What a pull request says of sources counts once it is merged.
    diff = fleet.run("diff", "--base", base, "-o", "json")
    assert diff.code == 1
    assert {error["kustomization"] for error in diff.json["errors"]} == {f"{fleet.namespace}/web"}


# --- other Git repositories ------------------------------------------------------------------------------


@pytest.fixture
def other(tmp_path):
    """Another repository, served over HTTP to who knows the password."""
    (tmp_path / "served").mkdir()
    return Repository(tmp_path / "served" / "web")


def git_source(world: Bench, url: str, **spec):
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": "web", "namespace": world.namespace},
        "spec": {"interval": "1m", "url": url, "ref": {"branch": "main"}, **spec},
    }


def write_git(world: Bench, url: str, *others, uses=None, **spec) -> None:
    of = {"sourceRef": {"kind": "GitRepository", "name": "web"}, **(uses or {})}
    uses = kustomization(world, "web", "deploy", **of)
    world.repository.write("clusters/test/all.yaml", git_source(world, url, **spec), uses, *others)
    world.repository.commit()


def put(world: Bench, other: Repository, **data: str) -> str:
    other.write("deploy/web.yaml", config_map(world, "web", **data))
    other.write("README.md", "# not in the deployment\n")
    return other.commit()


def git_name(world: Bench) -> str:
    return f"GitRepository/{world.namespace}/web"


def test_another_repository_is_deployed_with_its_login_and_previewed_without(fleet: Bench, other):
    first = put(fleet, other, colour="blue")
    login = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
    with git_server(other.path.parent, login=login) as server:
        keep = {"kustomize.toolkit.fluxcd.io/prune": "disabled"}
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "login", "namespace": fleet.namespace, "annotations": keep},
            "stringData": {"username": USER, "password": PASSWORD},
        }
        write_git(fleet, server.url("web"), secret, secretRef={"name": "login"})
        told = [fleet.reconcile()]
        assert live(fleet) == {"colour": "blue"}
        revision = f"main@sha1:{first}"
        assert told[0].json["sources"] == [
            {"source": git_name(fleet), "revision": revision, "recorded": None}
        ]

        write_git(fleet, server.url("web"), secretRef={"name": "login"})  # now it is only in the cluster
        told.append(fleet.reconcile())
        before = len(fleet.writes())
        told.append(fleet.reconcile())
        assert len(fleet.writes()) == before

        second = put(fleet, other, colour="red")
        asked = len(server.seen)
        private = "--allow-private-network"
        told.append(fleet.run("plan", "--base", "HEAD", private))
        assert f"Secret/{fleet.namespace}/login is needed to fetch a source" in told[-1].stdout
        assert len(server.seen) == asked
        told.append(fleet.run("plan", "-o", "json", "--base", "HEAD", private, "--read-secrets"))
        (pending,) = told[-1].json["pending"]
        assert pending["reason"] == f"{git_name(fleet)} moved from {revision} to main@sha1:{second}"
        assert told[-1].json["affected"] == []
        text = fleet.run("plan", "--base", "HEAD", private, "--read-secrets").stdout
        assert f"{git_name(fleet)}: main@sha1:{second[:8]} (was main@sha1:{first[:8]})" in text

        told.append(fleet.reconcile())
        assert live(fleet) == {"colour": "red"}
        for each in told:
            assert PASSWORD not in each.stdout + each.stderr
            assert login.removeprefix("Basic ") not in each.stdout + each.stderr


def test_files_of_this_repository_are_no_reason_for_what_another_one_has(fleet: Bench, other):
    """The same path is in both; a change of ours changes nothing that is built from theirs."""
    put(fleet, other, colour="blue")
    with git_server(other.path.parent) as server:
        write_git(fleet, server.url("web"))
        fleet.repository.write("deploy/web.yaml", config_map(fleet, "web", colour="ours"))
        write_git(fleet, server.url("web"), uses={"commonMetadata": {"labels": {"team": "a"}}})
        diff = fleet.run("diff", "--base", "HEAD^", "-o", "json", "--allow-private-network")
        assert diff.code == 0, diff.stderr
        (web,) = [each for each in diff.json["affected"] if each["name"] == "web"]
        assert {reason["code"] for reason in web["reasons"]} == {"spec"}


def test_a_file_of_another_repository_is_not_taken_for_one_of_ours(fleet: Bench, other):
    """The same path is in both: neither its history nor a line of it is told of ours."""
    first = put(fleet, other, colour="blue")
    with git_server(other.path.parent) as server:
        write_git(fleet, server.url("web"))
        fleet.repository.write("deploy/web.yaml", config_map(fleet, "ours"))
        fleet.repository.commit()
        fleet.reconcile()
        options = ("-o", "json", "--allow-private-network")
        told = fleet.run("trace", f"ConfigMap/{fleet.namespace}/web", *options).json
        assert (told["file"], told["line"], told["commit"]) == ("deploy/web.yaml", 1, None)
        (note,) = told["notes"]
        assert note.startswith(f"its file is one of {git_name(fleet)}")
        shown = fleet.run("trace", f"configmaps/{fleet.namespace}/web", "--allow-private-network").stdout
        assert f"deploy/web.yaml:1  (at main@sha1:{first[:8]})" in shown

        other.write("deploy/web.yaml", "a: [\n")
        other.commit()
        built = fleet.run("build", *options).json["kustomizations"]
        (problem,) = [error for each in built for error in each["errors"]]
        written = fleet.repository.path.joinpath("clusters/test/all.yaml").read_text().splitlines()
        assert problem["file"] == "clusters/test/all.yaml"
        assert problem["line"] == written.index("---") + 2
        assert problem["message"].startswith("deploy/web.yaml")


def test_another_repository_that_is_suspended_or_gone(fleet: Bench, other):
    put(fleet, other, colour="blue")
    with git_server(other.path.parent) as server:
        write_git(fleet, server.url("web"))
        fleet.reconcile()
        put(fleet, other, colour="red")
        write_git(fleet, server.url("web"), suspend=True)
        told = fleet.reconcile()
        assert live(fleet) == {"colour": "blue"}
        assert told.json["sources"][0]["revision"] == told.json["sources"][0]["recorded"]
    write_git(fleet, server.url("web"), timeout="5s")
    told = fleet.reconcile(code=1)
    assert "cannot be reached" in told.of("web")["error"]
    assert live(fleet) == {"colour": "blue"}


def test_a_preview_opens_no_socket_to_a_private_repository(fleet: Bench, other, tmp_path):
    if shutil.which("strace") is None:
        pytest.skip("no strace on this machine")
    put(fleet, other, colour="blue")
    with git_server(other.path.parent) as server:
        write_git(fleet, server.url("web"))
        trace = tmp_path / "trace"
        strace = ["strace", "--follow-forks", "--quiet=all", "--trace=connect", "--output", str(trace)]
        command = [*strace, *fleet.command("build")]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, **fleet.env}
        )
        assert done.returncode == 1, done.stderr
        assert "127.0.0.1 is not reached from here: it is a loopback address" in done.stderr + done.stdout
        assert "AF_INET" not in trace.read_text()
        assert server.seen == []


@pytest.mark.skipif(not sshd(), reason="no sshd on this machine: package openssh-server")
def test_ssh_a_range_signatures_and_an_include_together(fleet: Bench, other, tmp_path):
    """Deployed with what Secrets of the cluster hold; a preview asks for none of them, and no server."""
    keys = tmp_path / "keys"
    keys.mkdir()
    deploy_key, signing = key(keys, "deploy"), key(keys, "signing")
    other.git("config", "gpg.format", "ssh")
    other.git("config", "user.signingKey", str(signing))
    put(fleet, other, colour="blue")
    other.git("tag", "--sign", "-m", "1.0.0", "1.0.0")
    library = Repository(other.path.parent / "library")
    library.write("lib.yaml", config_map(fleet, "library", from_="library"))
    library.commit()
    with (
        ssh_server(other.path.parent, keys, deploy_key.with_suffix(".pub")) as ssh,
        git_server(other.path.parent, login=f"Bearer {PASSWORD}") as http,
    ):
        login = {"identity": ssh.identity, "known_hosts": ssh.known_hosts}
        if fleet.api.get(f"/api/v1/namespaces/{fleet.namespace}").status != 200:
            namespace = {"metadata": {"name": fleet.namespace}}
            assert fleet.api.request("POST", "/api/v1/namespaces", namespace).status == 201
        for name, data in (
            ("deploy-key", login),
            ("signers", {"me.sshpub": signing.with_suffix(".pub").read_text()}),
            ("token", {"bearerToken": PASSWORD}),
        ):
            body = {"metadata": {"name": name}, "stringData": data}
            path = f"/api/v1/namespaces/{fleet.namespace}/secrets"
            assert fleet.api.request("POST", path, body).status == 201
        lib = git_source(fleet, http.url("library"), secretRef={"name": "token"})
        lib["metadata"]["name"] = "library"
        signed = {"mode": "TagAndHEAD", "secretRef": {"name": "signers"}}
        spec = {
            "ref": {"semver": ">=1.0.0 <2.0.0"},
            "secretRef": {"name": "deploy-key"},
            "verify": signed,
            "include": [{"repository": {"name": "library"}, "toPath": "deploy/library"}],
            "sparseCheckout": ["deploy"],
        }
        write_git(fleet, ssh.url("web"), lib, **spec)

        dry = fleet.reconcile("--dry-run", "--allow-private-network", code=1)
        assert "is needed to fetch a source, and it is not read" in dry.of("web")["error"]
        assert http.seen == []

        told = fleet.reconcile(code=1)  # the tag is signed, its commit is not
        assert "commit " in told.of("web")["error"]
        assert "is not signed" in told.of("web")["error"]
        other.git("commit", "--quiet", "--allow-empty", "--gpg-sign", "-m", "signed")
        newest = other.git("rev-parse", "HEAD")
        other.git("tag", "--sign", "-m", "1.1.0", "1.1.0")
        told = fleet.reconcile()
        assert live(fleet) == {"colour": "blue"}
        assert fleet.config_maps() == {"web", "library"}
        revisions = {each["source"]: each["revision"] for each in told.json["sources"]}
        assert revisions[git_name(fleet)] == f"1.1.0@sha1:{newest}"
        assert set(revisions) == {git_name(fleet), git_name(fleet).replace("/web", "/library")}
        for secret in (PASSWORD, ssh.identity.splitlines()[2]):
            assert secret not in told.stdout + told.stderr + dry.stdout + dry.stderr


def test_flux_is_told_of_the_revision_that_an_artifact_was_made_from(
    fresh_control_plane: Callable[..., ControlPlane], tmp_path: Path, real
):
    """As `flux push artifact --revision` notes it; an artifact that says nothing has none."""
    world = bench(fresh_control_plane(), tmp_path)
    fluxed.serve(world.api)
    files = {"web.yaml": json.dumps(config_map(world, "web", colour="blue"))}
    noted = {"org.opencontainers.image.revision": "main@sha1:0123456789abcdef"}
    first = real.push(f"{world.namespace}/web", "latest", files, annotations=noted)
    write(world, real.host)
    world.reconcile()
    told = fluxed.status(world, "web")
    assert told["lastAppliedRevision"] == f"latest@{first}"
    assert told["lastAppliedOriginRevision"] == "main@sha1:0123456789abcdef"
    assert told["history"][0]["metadata"]["originRevision"] == "main@sha1:0123456789abcdef"

    push(world, real, colour="red")
    world.reconcile()
    assert "lastAppliedOriginRevision" not in fluxed.status(world, "web")
