"""Bad input: one clear error each, the right exit code, and nothing written."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
import yaml

from tests.e2e.harness import Bench, config_map, kustomization

pytestmark = pytest.mark.cluster


def written_after(world: Bench, *arguments: str, code: int, kubeconfig: Path | None = None) -> str:
    """Run, expect the exit code and no write request; what was said on stderr."""
    result = world.run("reconcile", *arguments, kubeconfig=kubeconfig)
    assert result.code == code, f"{result.code}\n{result.stdout}\n{result.stderr}"
    assert "Traceback" not in result.stderr
    assert world.writes() == []
    return result.stdout + result.stderr


def test_not_a_repository(world: Bench, tmp_path: Path):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "is not in a Git repository" in written_after(world, "--repo", str(empty), code=2)


def test_a_repository_without_commits(world: Bench):
    assert "error:" in written_after(world, code=2)


def test_the_entry_is_missing(world: Bench):
    world.repository.write("clusters/other/a.yaml", config_map(world, "a"))
    world.repository.commit()
    assert "entry clusters/test is no directory of main@sha1:" in written_after(world, code=2)


def test_the_entry_climbs_out(world: Bench):
    world.repository.commit()
    assert "is not a path inside the repository" in written_after(world, "--entry", "../x", code=2)


def test_an_unknown_revision(world: Bench):
    world.repository.commit()
    assert "nowhere" in written_after(world, "--revision", "nowhere", code=2)


def test_a_yaml_error_in_the_entry_names_file_and_line(world: Bench):
    world.repository.write("clusters/test/kustomization.yaml", "resources: [a.yaml]\n")
    world.repository.write("clusters/test/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: [\n")
    world.repository.commit()
    said = written_after(world, code=3)
    assert "cannot be rendered" in said
    assert "clusters/test/a.yaml" in said
    assert "line" in said or "a.yaml:" in said


def test_a_yaml_error_below_fails_only_that_kustomization(world: Bench):
    world.repository.write(
        "clusters/test/all.yaml", kustomization(world, "bad", "bad"), kustomization(world, "good", "good")
    )
    world.repository.write("bad/a.yaml", "apiVersion: v1\nkind: ConfigMap\n  name: x\n")
    world.repository.write("good/a.yaml", config_map(world, "good"))
    world.repository.commit()
    result = world.reconcile(code=1)
    assert result.states == {"fleet": "ready", "bad": "failed", "good": "ready"}
    assert "bad/a.yaml" in result.of("bad")["error"]


def without(world: Bench, *fields: str) -> dict:
    manifest = kustomization(world, "app", "app")
    for field in fields:
        del manifest["spec"][field]
    return manifest


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param(["sourceRef"], "spec.sourceRef is missing", id="no sourceRef"),
        pytest.param(["prune"], "spec.prune is missing", id="no prune"),
        pytest.param(
            ["interval", "sourceRef"], "spec.interval is missing; spec.sourceRef is missing", id="two"
        ),
    ],
)
def test_a_kustomization_that_lacks_a_field(world: Bench, fields: list[str], said: str):
    world.repository.write("clusters/test/app.yaml", without(world, *fields))
    world.repository.commit()
    output = written_after(world, code=2)
    assert said in output
    assert f"Kustomization {world.namespace}/app" in output


def test_a_field_that_is_not_honoured_is_refused_by_name(world: Bench):
    manifest = kustomization(world, "app", "app", decryption={"provider": "gpg"}, wiat=True)
    world.repository.write("clusters/test/app.yaml", manifest)
    world.repository.commit()
    output = written_after(world, code=2)
    assert "spec.decryption" in output
    assert "spec.wiat is not a field" in output


def test_a_missing_path_is_that_kustomizations_failure(world: Bench):
    world.repository.write("clusters/test/app.yaml", kustomization(world, "app", "nowhere"))
    world.repository.commit()
    result = world.reconcile(code=1)
    assert "kustomization path not found" in result.of("app")["error"]


def test_an_unknown_dependency_is_the_failure_of_the_one_that_names_it(world: Bench):
    world.repository.write(
        "clusters/test/all.yaml",
        kustomization(world, "app", "app", dependsOn=[{"name": "nobody"}]),
        kustomization(world, "good", "good"),
    )
    world.repository.write("app/a.yaml", config_map(world, "app"))
    world.repository.write("good/a.yaml", config_map(world, "good"))
    world.repository.commit()
    result = world.reconcile(code=1)
    assert result.states == {"fleet": "ready", "app": "failed", "good": "ready"}
    assert f"dependency '{world.namespace}/nobody' not found" in result.of("app")["error"]
    assert world.config_maps() == {"good"}


def test_a_cycle_is_shown_whole(world: Bench):
    world.repository.write(
        "clusters/test/all.yaml",
        *(
            kustomization(world, name, "app", dependsOn=[{"name": other}])
            for name, other in (("a", "b"), ("b", "c"), ("c", "a"))
        ),
    )
    world.repository.write("app/a.yaml", config_map(world, "app"))
    world.repository.commit()
    output = written_after(world, code=2)
    ns = world.namespace
    assert f"{ns}/a waits for {ns}/b (dependsOn)" in output
    assert f"{ns}/c waits for {ns}/a (dependsOn)" in output


def test_a_parent_that_waits_for_a_child_which_depends_on_it(world: Bench):
    world.repository.write("clusters/test/all.yaml", kustomization(world, "parent", "parent", wait=True))
    child = kustomization(world, "child", "child", dependsOn=[{"name": "parent"}])
    world.repository.write("parent/child.yaml", child)
    world.repository.write("child/a.yaml", config_map(world, "a"))
    world.repository.commit()
    output = written_after(world, code=2)
    assert "waits for itself" in output


def test_a_kind_that_the_server_lacks(world: Bench):
    release = {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": "r", "namespace": world.namespace},
        "spec": {},
    }
    world.repository.write("clusters/test/all.yaml", kustomization(world, "app", "app"))
    world.repository.write("app/a.yaml", release, config_map(world, "a"))
    world.repository.commit()
    result = world.reconcile(code=1)
    assert "HelmRelease" in result.of("app")["error"]
    assert "helm-controller" in result.of("app")["hint"]
    assert world.config_maps() == set(), "nothing of a stage is applied when something in it fails"


def test_an_object_that_two_want_is_refused_with_both_names(world: Bench):
    world.repository.write(
        "clusters/test/all.yaml", kustomization(world, "a", "app"), kustomization(world, "b", "app")
    )
    world.repository.write("app/a.yaml", config_map(world, "shared"))
    world.repository.commit()
    result = world.reconcile(code=1)
    assert f"is wanted by {world.namespace}/a and by {world.namespace}/b" in result.of("a")["error"]
    assert result.states == {"fleet": "ready", "a": "failed", "b": "failed"}


def test_no_kubeconfig(world: Bench):
    world.repository.write("clusters/test/a.yaml", config_map(world, "a"))
    world.repository.commit()
    assert "kubeconfig" in written_after(world, "--kubeconfig", "/nonexistent/config", code=2)


def test_an_unknown_context(world: Bench):
    world.repository.write("clusters/test/a.yaml", config_map(world, "a"))
    world.repository.commit()
    assert "nowhere" in written_after(world, "--context", "nowhere", code=2)


def changed_config(world: Bench, directory: Path, **user_or_cluster: object) -> Path:
    config = yaml.safe_load(world.kubeconfig.read_text())
    if "server" in user_or_cluster:
        config["clusters"][0]["cluster"]["server"] = user_or_cluster["server"]
    else:
        config["users"][0]["user"] = user_or_cluster
    target = directory / "config"
    target.write_text(json.dumps(config))
    return target


def test_wrong_credentials(world: Bench, tmp_path: Path):
    world.repository.write("clusters/test/a.yaml", config_map(world, "a"))
    world.repository.commit()
    config = changed_config(world, tmp_path, token="canary-of-a-token")
    output = written_after(world, code=4, kubeconfig=config)
    assert "401" in output
    assert "canary" not in output


def test_a_server_that_cannot_be_reached(world: Bench, tmp_path: Path):
    world.repository.write("clusters/test/a.yaml", config_map(world, "a"))
    world.repository.commit()
    with socket.socket() as taken:  # bound, and listening to nobody
        taken.bind(("127.0.0.1", 0))
        server = f"https://127.0.0.1:{taken.getsockname()[1]}"
        output = written_after(world, code=4, kubeconfig=changed_config(world, tmp_path, server=server))
    assert server in output
    assert "reached" in output


def test_credentials_that_may_not_write(world: Bench, tmp_path: Path):
    world.repository.write("clusters/test/a.yaml", config_map(world, "a"))
    world.repository.commit()
    nobody = world.plane.user_kubeconfig(f"nobody-{world.namespace}")
    result = world.run("reconcile", kubeconfig=nobody)
    assert result.code == 4
    assert "forbidden" in result.stderr.lower()


def test_a_flag_that_is_wrong(world: Bench):
    world.repository.write("clusters/test/a.yaml", config_map(world, "a"))
    world.repository.commit()
    assert "OBJECTS,PERCENT%" in written_after(world, "--prune-limit", "many", code=2)
    assert "NAMESPACE/NAME" in written_after(world, "--root", "no-slash", code=2)
    assert "there is no Kustomization" in written_after(world, "nobody", code=2)
