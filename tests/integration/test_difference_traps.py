"""The rarer traps of real repositories, each with a fleet of its own; the others are in test_difference."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from runner import review
from runner.changes import Comparison
from runner.clients.kustomize.compile import build as compile_worker
from runner.model import Action
from tests.e2e.harness import ENTRY, Repository
from tests.integration.edited import affected, compared, config, kustomization, replaced, uses

OUTPUTS = ("text", "json", "markdown", "html", "diff", "name")
SOURCE = {"kind": "GitRepository", "name": "flux-system", "namespace": "flux-system"}


@pytest.fixture(scope="module", autouse=True)
def worker() -> None:
    compile_worker()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "fleet")


def unit(repository: Repository, name: str, *documents: object, **spec: object) -> None:
    """A Kustomization of the root, and the manifests below its path."""
    repository.write(f"{ENTRY}/{name}.yaml", kustomization(name, f"./apps/{name}", **spec))
    if documents:
        repository.write(f"apps/{name}/all.yaml", *documents)


def after(repository: Repository, *edits: object) -> Comparison:
    """What the edits change."""
    repository.commit()
    for edit in edits:
        edit(repository)
    repository.commit()
    return compared(repository, "HEAD~1")


def test_a_namespace_that_children_get_from_their_parents_kustomization_file(repository: Repository):
    child = kustomization("child", "./apps/child", sourceRef=SOURCE)
    del child["metadata"]["namespace"]
    explicit = kustomization("explicit", "./apps/child", sourceRef=SOURCE)
    unit(repository, "team", child, explicit)
    repository.write("apps/team/kustomization.yaml", {"resources": ["all.yaml"], "namespace": "blue"})
    repository.write("apps/child/a.yaml", config("a", text="1"))
    told = after(repository, replaced("apps/team/kustomization.yaml", "blue", "red"))
    assert {each.kustomization: [str(why) for why in each.reasons] for each in told.affected} == {
        "flux-system/team": ["files: apps/team/kustomization.yaml"],
        **{f"red/{name}": ["new: ./apps/child"] for name in ("child", "explicit")},
        **{f"blue/{name}": ["removed: ./apps/child"] for name in ("child", "explicit")},
    }
    moved = [each for each in told.changes if each.ref.kind == "ConfigMap"]
    assert {each.action for each in moved} == {Action.MOVED}


def test_a_patch_that_replaces_what_a_child_patches(repository: Repository):
    own = [{"patch": "- {op: add, path: /data/own, value: '1'}", "target": {"kind": "ConfigMap"}}]
    over = {"patch": "- {op: replace, path: /spec/patches, value: []}", "target": {"kind": "Kustomization"}}
    unit(repository, "parent", kustomization("child", "./apps/child", patches=own), patches=[over])
    repository.write("apps/child/a.yaml", config("a", text="1"))
    told = after(repository, replaced("apps/parent/all.yaml", "value: ''1''", "value: ''2''"))
    assert affected(told) == {}
    assert told.idle == ("apps/parent/all.yaml",)


def test_a_generated_name_without_a_hash_leaves_its_users_alone(repository: Repository):
    unit(repository, "app", uses("app", "made"))
    made = {"name": "made", "namespace": "default", "literals": ["a=1"]}
    kfile = {"resources": ["all.yaml"], "configMapGenerator": [made]}
    repository.write(
        "apps/app/kustomization.yaml", {**kfile, "generatorOptions": {"disableNameSuffixHash": True}}
    )
    told = after(repository, replaced("apps/app/kustomization.yaml", "a=1", "a=2"))
    assert [(str(each.ref), each.action) for each in told.changes] == [
        ("ConfigMap/default/made", Action.CONFIGURED)
    ]


def test_a_source_whose_content_is_not_here(repository: Repository):
    meta = {"name": "chart", "namespace": "flux-system"}
    spec = {"interval": "5m", "url": "oci://registry.example/chart", "ref": {"tag": "1.0"}}
    oci = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "OCIRepository",
        "metadata": meta,
        "spec": spec,
    }
    repository.write(f"{ENTRY}/oci.yaml", oci)
    unit(repository, "app", sourceRef={"kind": "OCIRepository", "name": "chart"})
    told = after(repository, replaced(f"{ENTRY}/oci.yaml", "'1.0'", "'2.0'"))
    assert affected(told) == {
        "flux-system": [f"files: {ENTRY}/oci.yaml"],
        "app": ["source: OCIRepository/flux-system/chart"],
    }
    (fault,) = told.faults
    assert (fault.kustomization, fault.side) == ("flux-system/app", "both")
    assert "OCIRepository/flux-system/chart" in fault.problems[0].message
    assert (fault.problems[0].file, fault.problems[0].line) == (f"{ENTRY}/app.yaml", 1)


def test_a_source_that_is_not_here_and_stays_as_it_is(repository: Repository):
    """The place of what is wrong moves down a line; that is no change."""
    unit(repository, "app", sourceRef={"kind": "Bucket", "name": "files"})
    told = after(repository, replaced(f"{ENTRY}/app.yaml", "apiVersion", "# a word\n---\napiVersion"))
    assert affected(told) == {}
    assert [(each.side, each.kustomization) for each in told.faults] == [("both", "flux-system/app")]


def test_a_remote_base_is_refused_on_both_sides(repository: Repository):
    unit(repository, "remote")
    unit(repository, "app", config("a", text="1"))
    remote = "https://releases.example/crds.yaml"
    repository.write("apps/remote/kustomization.yaml", {"resources": [remote]})
    told = after(repository, replaced("apps/app/all.yaml", "'1'", "'2'"))
    assert affected(told) == {"app": ["files: apps/app/all.yaml"]}
    (fault,) = told.faults
    assert (fault.side, fault.problems[0].file) == ("both", "apps/remote/kustomization.yaml")
    assert remote in fault.problems[0].message


def composed(repository: Repository) -> None:
    """Two artifacts made of copies; in both, as in the repository, there is an a.yaml."""
    copies = {
        "one": [{"from": "@repo/parts/one/**", "to": "@artifact/"}],
        "two": [{"from": "@repo/parts/two/**", "to": "@artifact/"}],
    }
    generator = {
        "apiVersion": "source.extensions.fluxcd.io/v1beta1",
        "kind": "ArtifactGenerator",
        "metadata": {"name": "parts", "namespace": "flux-system"},
        "spec": {
            "sources": [{"alias": "repo", "kind": "GitRepository", "name": "flux-system"}],
            "artifacts": [{"name": name, "copy": copy} for name, copy in copies.items()],
        },
    }
    url = "https://git.example/fleet"
    repository.git("remote", "add", "origin", url)
    source = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": "flux-system", "namespace": "flux-system"},
        "spec": {"interval": "1m", "url": url},
    }
    repository.write(f"{ENTRY}/sources.yaml", source, generator)
    for name in copies:
        reference = {"kind": "ExternalArtifact", "name": name}
        repository.write(f"{ENTRY}/{name}.yaml", kustomization(name, "./", sourceRef=reference))
        repository.write(f"parts/{name}/a.yaml", config(name, text="1"))
    repository.write("a.yaml", config("nobody", text="1"))


def test_an_artifact_that_is_put_together(repository: Repository):
    composed(repository)
    told = after(
        repository,
        replaced("parts/one/a.yaml", "'1'", "'2'"),
        replaced("parts/two/a.yaml", "\ndata:", "\n# a word\ndata:"),
        replaced("a.yaml", "'1'", "'2'"),
    )
    assert affected(told) == {"one": ["source: parts/one/a.yaml"]}
    assert told.idle == ("a.yaml", "parts/two/a.yaml")


def test_how_an_artifact_is_put_together(repository: Repository):
    composed(repository)
    told = after(repository, replaced(f"{ENTRY}/sources.yaml", "parts/two/**", "parts/one/**"))
    assert affected(told) == {
        "flux-system": [f"files: {ENTRY}/sources.yaml"],
        "two": ["source: ExternalArtifact/flux-system/two"],
    }


def test_a_kustomization_two_levels_down(repository: Repository):
    unit(repository, "infra")
    repository.write("apps/infra/kustomization.yaml", {"resources": ["../../deep"]})
    repository.write("deep/kustomization.yaml", {"resources": ["ks.yaml"]})
    repository.write("deep/ks.yaml", kustomization("middle", "./apps/middle"))
    repository.write("apps/middle/ks.yaml", kustomization("leaf", "./apps/leaf"))
    repository.write("apps/leaf/a.yaml", config("a", text="1"))
    told = after(
        repository,
        replaced("apps/leaf/a.yaml", "'1'", "'2'"),
        replaced("deep/ks.yaml", "10m", "20m"),
    )
    assert affected(told) == {
        "infra": ["shared: deep/ks.yaml"],
        "middle": ["spec: deep/ks.yaml"],
        "leaf": ["files: apps/leaf/a.yaml"],
    }


def test_a_kustomization_that_applies_its_own_definition(repository: Repository):
    unit(repository, "own", kustomization("own", "./apps/own"))
    told = after(repository, replaced("apps/own/all.yaml", "10m", "20m"))
    assert affected(told) == {"own": ["files: apps/own/all.yaml"]}


def test_two_clusters_with_the_same_names(repository: Repository):
    for cluster in ("test", "other"):
        repository.write(f"clusters/{cluster}/app.yaml", kustomization("app", f"./apps/{cluster}"))
        repository.write(f"apps/{cluster}/a.yaml", config("a", text="1"))
    told = after(repository, replaced("apps/other/a.yaml", "'1'", "'2'"))
    assert (affected(told), told.idle) == ({}, ("apps/other/a.yaml",))
    other = compared(repository, "HEAD~1", entry="clusters/other")
    assert affected(other) == {"app": ["files: apps/other/a.yaml"]}


def test_a_file_that_becomes_executable(repository: Repository):
    unit(repository, "app", config("a", text="1"))
    told = after(repository, lambda r: (r.path / "apps/app/all.yaml").chmod(0o755))
    assert (affected(told), told.idle) == ({}, ("apps/app/all.yaml",))


def test_a_file_that_becomes_a_link(repository: Repository):
    unit(repository, "app", config("a", text="1"), config("b", text="1"))
    repository.write("apps/app/kustomization.yaml", {"resources": ["all.yaml"]})
    repository.write("elsewhere.yaml", config("a", text="1"))

    def link(repository: Repository) -> None:
        (repository.path / "apps/app/all.yaml").unlink()
        (repository.path / "apps/app/all.yaml").symlink_to("../../elsewhere.yaml")

    told = after(repository, link)
    assert affected(told) == {"app": ["files: apps/app/all.yaml", "render: head cannot be rendered"]}
    assert [(each.side, each.problems[0].file) for each in told.faults] == [
        ("head", "apps/app/kustomization.yaml")
    ]


def test_links_and_submodules_join_nothing(repository: Repository):
    unit(repository, "app", config("a", text="1"))
    head = repository.commit()

    def join(repository: Repository) -> None:
        (repository.path / "apps/app/link.yaml").symlink_to("all.yaml")
        (repository.path / "apps/app/directory").symlink_to("..")
        repository.git("update-index", "--add", "--cacheinfo", f"160000,{head},apps/app/nested.yaml")
        repository.git("add", "apps/app/link.yaml", "apps/app/directory")

    join(repository)
    repository.git("commit", "--quiet", "--message", "links")
    told = compared(repository, head)
    assert affected(told) == {}
    assert len(told.idle) == 3


@pytest.mark.parametrize("name", [b"a\nb.yaml", b'caf\xc3\xa9 ".yaml', b"-n.yaml"])
def test_names_of_files_that_nobody_expects(repository: Repository, name: bytes):
    unit(repository, "app", config("a", text="1"))
    shown = os.fsdecode(name)
    base = repository.commit()
    file = Path(os.fsdecode(os.fsencode(repository.path) + b"/apps/app/" + name))
    file.write_text(yaml.safe_dump(config("b", text="1")))
    repository.commit()
    joined = compared(repository, base)
    assert affected(joined) == {"app": [f"files: apps/app/{shown}"]}
    base = repository.commit()
    file.write_text(yaml.safe_dump(config("b", text="2")))
    repository.commit()
    told = compared(repository, base)
    assert affected(told) == {"app": [f"files: apps/app/{shown}"]}
    for output in OUTPUTS:
        review.shown(told, output, 0).encode(errors="strict")


def test_a_name_that_is_no_text(repository: Repository):
    """Kustomization files are text: one that is made up cannot list it, in Flux as here."""
    unit(repository, "loose", config("a", text="1"))
    unit(repository, "listed", config("b", text="1"))
    repository.write("apps/listed/kustomization.yaml", {"resources": ["all.yaml"]})

    def add(repository: Repository) -> None:
        for name in ("loose", "listed"):
            file = os.fsencode(repository.path) + f"/apps/{name}/".encode() + b"\xff\n.yaml"
            Path(os.fsdecode(file)).write_text(yaml.safe_dump(config("c", text="1")))

    told = after(repository, add)
    assert affected(told) == {"loose": ["files: apps/loose/\udcff\n.yaml", "render: head cannot be rendered"]}
    assert told.idle == ("apps/listed/\udcff\n.yaml",)
    for output in OUTPUTS:
        review.shown(told, output, 0).encode(errors="strict")
