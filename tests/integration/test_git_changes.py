"""Two commits beside each other: what they differ in, their files, the merge of one onto the other."""

from __future__ import annotations

import os
import time

import pytest

from runner.errors import UsageError
from runner.ports import Blob, PathChange, PathChangeKind
from tests.integration.workspace import files, initial, isolate

BODY = "".join(f"line {number}\n" for number in range(20))


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    isolate(monkeypatch)


@pytest.fixture
def repo(tmp_path):
    workspace = initial(tmp_path / "fleet")
    workspace.write("apps/api.yaml", "kind: A\n")
    workspace.commit("first")
    return workspace


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def change(path, kind, before=""):
    return PathChange(path, PathChangeKind(kind), before)


def content(root):
    """Every file below a directory: what is in it, and whether it is executable."""
    return {name: ((root / name).read_bytes(), os.access(root / name, os.X_OK)) for name in files(root)}


# ── what two commits differ in ──


def test_every_kind_of_change_has_its_word(repo):
    for name in ("deleted", "modified", "mode", "type", "both"):
        repo.write(f"{name}.yaml", f"kind: {name}\n")
    repo.write("old/name.yaml", BODY)
    repo.write("old/edited.yaml", BODY + "one more\n")
    base = repo.commit()
    (repo.path / "deleted.yaml").unlink()
    repo.write("modified.yaml", "kind: other\n")
    (repo.path / "mode.yaml").chmod(0o755)
    repo.write("both.yaml", "kind: other too\n").chmod(0o755)
    (repo.path / "type.yaml").unlink()
    (repo.path / "type.yaml").symlink_to("kind: type\n")
    repo.git("mv", "old", "new")
    repo.write("new/edited.yaml", BODY + "another\n")
    repo.write("added.yaml")
    head = repo.commit()
    assert repo.checkout.changed(base, head) == (
        change("added.yaml", "added"),
        change("both.yaml", "modified"),
        change("deleted.yaml", "deleted"),
        change("mode.yaml", "mode"),
        change("modified.yaml", "modified"),
        change("new/edited.yaml", "renamed", "old/edited.yaml"),
        change("new/name.yaml", "renamed", "old/name.yaml"),
        change("type.yaml", "type"),
    )


def test_links_and_submodules_are_files_too(repo):
    (repo.path / "link").symlink_to("a")
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendor/lib")
    repo.git("add", "link")
    repo.git("commit", "--quiet", "-m", "links")
    base = repo.git("rev-parse", "HEAD")
    (repo.path / "link").unlink()
    (repo.path / "link").symlink_to("b")
    repo.git("update-index", "--cacheinfo", f"160000,{'2' * 40},vendor/lib")
    repo.git("add", "link")
    repo.git("config", "submodule.vendor/lib.ignore", "all")
    repo.git("config", "diff.ignoreSubmodules", "all")
    repo.git("commit", "--quiet", "-m", "others")
    assert repo.checkout.changed(base, "HEAD") == (
        change("link", "modified"),
        change("vendor/lib", "modified"),
    )
    listed = repo.checkout.files("HEAD")
    assert listed["link"].mode == 0o120000
    assert listed["vendor/lib"] == Blob(0o160000, "2" * 40)


@pytest.mark.parametrize(
    "name", ["ü b.yaml", "new\nline.yaml", "tab\t.yaml", "bytes-\udcff.yaml", '"q"', "-x", ":"]
)
def test_unusual_names_come_out_as_they_are(repo, name):
    base = repo.git("rev-parse", "HEAD")
    repo.write(f"{name}/{name}", BODY)
    second = repo.commit()
    repo.git("mv", "--", name, f"{name} moved")
    third = repo.commit()
    checkout = repo.checkout
    assert checkout.changed(base, second) == (change(f"{name}/{name}", "added"),)
    assert checkout.changed(second, third) == (change(f"{name} moved/{name}", "renamed", f"{name}/{name}"),)
    assert f"{name}/{name}" in checkout.files(second)


def test_binary_files_differ_like_any_other(repo):
    repo.write("logo.png", b"\x89PNG\0\xff" * 100)
    base = repo.commit()
    repo.write("logo.png", b"\x89PNG\0\xfe" * 100)
    assert repo.checkout.changed(base, repo.commit()) == (change("logo.png", "modified"),)


def test_an_empty_side_has_no_files(repo):
    checkout = repo.checkout
    assert checkout.changed("", "HEAD") == (change("apps/api.yaml", "added"),)
    assert checkout.changed("HEAD", "") == (change("apps/api.yaml", "deleted"),)
    assert checkout.changed("", "") == ()
    assert checkout.changed("HEAD", "HEAD") == ()
    assert checkout.files("") == {}


def test_trees_will_do_in_place_of_commits(repo):
    base, tree = repo.git("rev-parse", "HEAD"), repo.git("rev-parse", "HEAD:apps")
    checkout = repo.checkout
    assert checkout.changed(tree, base) == (change("apps/api.yaml", "renamed", "api.yaml"),)
    assert list(checkout.files(tree)) == ["api.yaml"]


def test_a_file_is_the_same_when_its_id_is(repo):
    repo.write("copy.yaml", "kind: A\n")
    repo.write("other.yaml", "kind: B\n").chmod(0o755)
    listed = repo.checkout.files(repo.commit())
    assert listed["copy.yaml"] == listed["apps/api.yaml"]
    assert listed["copy.yaml"] == Blob(0o100644, repo.blob(b"kind: A\n"))
    assert listed["other.yaml"].mode == 0o100755


@pytest.mark.parametrize("revision", ["nowhere", "0" * 40, "--output=pwned", "HEAD:apps/api.yaml", "a\0b"])
def test_what_is_no_commit_or_tree_is_wrong_input(repo, out, revision):
    checkout = repo.checkout
    for ask in (
        lambda: checkout.changed("HEAD", revision),
        lambda: checkout.changed(revision, ""),
        lambda: checkout.files(revision),
        lambda: checkout.export(revision, out),
    ):
        with pytest.raises(UsageError, match="is not known"):
            ask()
    assert not (repo.path / "pwned").exists()
    blob = repo.git("rev-parse", "HEAD:apps/api.yaml")
    with pytest.raises(UsageError, match="is not known"):
        checkout.files(blob)


def test_configuration_of_the_clone_does_not_change_the_answer(repo, tmp_path):
    repo.write("old.yaml", BODY)
    base = repo.commit()
    repo.git("mv", "old.yaml", "new.yaml")
    repo.write(".gitattributes", "*.yaml diff=loud\n")
    head = repo.commit()
    ran = tmp_path / "ran"
    script = repo.write(".git/evil.sh", f"#!/bin/sh\necho ran >> {ran}\n")
    script.chmod(0o755)
    for key, value in {
        "diff.external": script,
        "diff.loud.textconv": script,
        "diff.loud.command": script,
        "diff.renames": "false",
        "diff.renameLimit": "1",
        "diff.noprefix": "true",
        "diff.relative": "true",
        "core.quotePath": "true",
    }.items():
        repo.git("config", key, str(value))
    assert repo.checkout.changed(base, head) == (
        change(".gitattributes", "added"),
        change("new.yaml", "renamed", "old.yaml"),
    )
    assert not ran.exists()


def test_a_huge_change_is_told_without_comparing_each_with_each(repo):
    for number in range(1500):
        repo.write(f"old/{number}.yaml", f"n: {number}\n{BODY}")
    base = repo.commit()
    repo.git("mv", "old", "new")
    for number in range(750):
        repo.write(f"new/{number}.yaml", f"m: {number}\n{BODY}")
        (repo.path / f"new/{number}.yaml").rename(repo.path / f"new/x{number}.yaml")
    head, start = repo.commit(), time.monotonic()
    found = repo.checkout.changed(base, head)
    assert time.monotonic() - start < 5
    assert change("new/1499.yaml", "renamed", "old/1499.yaml") in found
    assert change("new/x1.yaml", "added") in found


# ── from the files of one tree to those of another ──


def test_a_tree_is_exported_like_a_commit(repo, out):
    tree = repo.git("rev-parse", "HEAD^{tree}")
    artifact = repo.checkout.export(tree, out)
    assert (artifact.revision, files(out)) == (f"sha1:{tree}", {"apps/api.yaml"})


def test_switching_writes_and_removes_what_differs(repo, out):
    for name in ("same", "changed", "gone/deep/a", "file-to-directory", "directory/inner", "mode"):
        repo.write(name, f"{name}\n")
    repo.write("bytes-\udcff ü\n.yaml")
    (repo.path / "was-link").symlink_to("same")
    (repo.path / "becomes-link").write_text("file\n")
    base = repo.commit()
    repo.git("rm", "--quiet", "-r", "gone", "file-to-directory", "directory", "was-link", "becomes-link")
    repo.write("changed", "other\n")
    repo.write("file-to-directory/inner", "x\n")
    repo.write("directory", "now a file\n")
    repo.write("was-link", "now a file\n")
    (repo.path / "becomes-link").symlink_to("/etc")
    (repo.path / "mode").chmod(0o755)
    repo.write("new/deep/er.yaml")
    head = repo.commit()
    checkout = repo.checkout
    checkout.export(base, out)
    written = (out / "same").stat().st_mtime_ns
    artifact = checkout.switch(out, base, head)
    exported = checkout.export(head, out.with_name("whole"))
    assert content(out) == content(exported.root)
    assert (artifact.warnings, artifact.revision) == (exported.warnings, exported.revision)
    assert not (out / "gone").exists()
    assert (out / "same").stat().st_mtime_ns == written
    back = checkout.switch(out, head, base)
    assert content(out) == content(checkout.export(base, out.with_name("again")).root)
    assert back.warnings == (
        "symlink was-link → same is left out: Flux's source-controller packs no symlinks",
    )


def test_switching_leaves_what_it_did_not_write(repo, out):
    repo.write("gone/a.yaml")
    base = repo.commit()
    repo.git("rm", "--quiet", "-r", "gone")
    repo.write("new.yaml")
    head = repo.commit()
    checkout = repo.checkout
    checkout.export(base, out)
    (out / "gone/notes").write_text("mine")
    checkout.switch(out, base, head)
    assert files(out) == {"apps/api.yaml", "new.yaml", "gone/notes"}
    checkout.switch(out, head, base)
    (out / "new.yaml").write_text("mine")
    with pytest.raises(UsageError, match=r"new\.yaml can't be written"):
        checkout.switch(out, base, head)
    assert (out / "new.yaml").read_text() == "mine"


@pytest.mark.parametrize("where", ["apps", "deep/er"])
def test_switching_follows_no_link(repo, out, tmp_path, where):
    repo.write(f"{where}/old.yaml")
    base = repo.commit()
    repo.git("rm", "--quiet", f"{where}/old.yaml")
    repo.write(f"{where}/new.yaml")
    head = repo.commit()
    checkout = repo.checkout
    checkout.export(base, out)
    stranger = tmp_path / "stranger"
    (out / where).rename(stranger)
    (out / where).symlink_to(stranger)
    with pytest.raises(UsageError, match="can't be"):
        checkout.switch(out, base, head)
    assert "new.yaml" not in files(stranger)
    assert (stranger / "old.yaml").exists()


@pytest.mark.parametrize("name", [b"..", b".git", b"a/../../b", b"/abs"])
def test_switching_refuses_paths_that_git_forbids(repo, out, name):
    checkout = repo.checkout
    checkout.export("HEAD", out)
    commit = repo.tree((b"100644", repo.blob(), name))
    with pytest.raises(UsageError, match="not a path that Git allows"):
        checkout.switch(out, "HEAD", commit)


def test_a_directory_that_is_not_there_is_named(repo, out):
    with pytest.raises(UsageError, match="out can't be opened"):
        repo.checkout.switch(out, "HEAD", "HEAD")
