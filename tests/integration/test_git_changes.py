"""Two commits beside each other: what they differ in, their files, the merge of one onto the other."""

from __future__ import annotations

import gc
import os
import re
import shutil
import socket
import time

import pytest

from runner.clients.git import GitCheckout, scratch
from runner.errors import UsageError
from runner.ports import Blob, PathChange, PathChangeKind
from tests.integration.workspace import files, initial

BODY = "".join(f"line {number}\n" for number in range(20))


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


# ── how commits are related ──


def test_parents_and_the_last_common_commit(repo):
    first = repo.git("rev-parse", "HEAD")
    second = repo.commit("second")
    repo.git("checkout", "--quiet", "-b", "side", first)
    side = repo.commit("side\n\nparent not one\n")
    repo.git("merge", "--quiet", "-m", "merge", "main")
    merge = repo.git("rev-parse", "HEAD")
    checkout = repo.checkout
    assert checkout.parents(merge) == (side, second)
    assert (checkout.parents(side), checkout.parents(first)) == ((first,), ())
    assert checkout.merge_base(second, side) == first
    assert checkout.merge_base(second, merge) == second
    assert checkout.merge_base(unrelated(repo), second) == ""
    with pytest.raises(UsageError, match="is not known"):
        checkout.merge_base("0" * 40, second)


def test_where_a_shallow_history_ends_parents_are_known_and_ancestors_are_not(repo):
    first = repo.git("rev-parse", "HEAD")
    repo.commit("second")
    repo.git("branch", "side", first)
    repo.git("checkout", "--quiet", "side")
    repo.commit("side")
    shallow = repo.clone("shallow", "--depth=1", "--no-single-branch")
    checkout = shallow.checkout
    assert checkout.parents("HEAD") == (first,)
    assert checkout.merge_base("main", "side") is None
    with pytest.raises(UsageError, match="main: their history ends before it meets") as caught:
        checkout.merged("main", "side")
    assert "fetch-depth: 0" in caught.value.hint


# ── the merge of one onto the other ──


def unrelated(repo) -> str:
    return repo.git("commit-tree", "-m", "from elsewhere", "HEAD^{tree}")


def sides(repo, ours, theirs):
    """Two commits on `main`'s tip, one of each set of files."""
    start, made = repo.git("rev-parse", "HEAD"), []
    for written in (ours, theirs):
        repo.git("checkout", "--quiet", "--detach", start)
        for name, text in written.items():
            repo.write(name, text)
        made.append(repo.commit())
    repo.git("checkout", "--quiet", "main")
    return made


def everything(repo):
    """All that is in the clone: files, refs, objects, configuration, index."""
    return {
        str(path.relative_to(repo.path)): path.read_bytes() for path in repo.path.rglob("*") if path.is_file()
    }


def test_a_merge_has_what_both_sides_did_and_leaves_the_clone_alone(repo, out):
    repo.write("shared.yaml", BODY)
    repo.commit()
    base, head = sides(
        repo,
        {"shared.yaml": f"top\n{BODY}", "base.yaml": "b\n"},
        {"shared.yaml": f"{BODY}bottom\n", "head.yaml": "h\n"},
    )
    before, checkout = everything(repo), repo.checkout
    tree = checkout.merged(base, head)
    assert checkout.changed(base, tree) == (
        change("head.yaml", "added"),
        change("shared.yaml", "modified"),
    )
    assert checkout.files(tree)["base.yaml"] == checkout.files(base)["base.yaml"]
    checkout.export(base, out)
    artifact = checkout.switch(out, base, tree)
    assert (out / "shared.yaml").read_text() == f"top\n{BODY}bottom\n"
    assert artifact.revision == f"sha1:{tree}"
    assert everything(repo) == before
    with pytest.raises(UsageError, match="is not known"):
        repo.checkout.files(tree)  # another checkout of the same clone


def test_merging_what_is_contained_changes_nothing(repo):
    first = repo.git("rev-parse", "HEAD")
    repo.write("b.yaml")
    second = repo.commit()
    checkout = repo.checkout
    assert checkout.merged(first, second) == checkout.merged(second, first)
    assert checkout.merged(first, second) == repo.git("rev-parse", f"{second}^{{tree}}")


def test_conflicts_are_named(repo):
    names = [f"apps/{number:02}.yaml" for number in range(12)] + ["a ü\n.yaml"]
    for name in names:
        repo.write(name, BODY)
    repo.commit()
    base, head = sides(repo, dict.fromkeys(names[-1:], "ours\n"), dict.fromkeys(names[-1:], "theirs\n"))
    with pytest.raises(UsageError) as caught:
        repo.checkout.merged(base, head)
    assert caught.value.message == f"{head[:8]} can't be merged onto {base[:8]}: both change a ü\\n.yaml"
    assert "rebase" in caught.value.hint
    base, head = sides(repo, dict.fromkeys(names, "ours\n"), dict.fromkeys(names, "theirs\n"))
    with pytest.raises(UsageError, match=r"apps/08\.yaml and 3 more$"):
        repo.checkout.merged(base, head)


def test_unrelated_histories_are_not_merged(repo):
    stranger = unrelated(repo)
    with pytest.raises(UsageError, match="they have no history in common"):
        repo.checkout.merged("main", stranger)


def test_attributes_and_drivers_of_the_clone_have_no_say_in_a_merge(repo, tmp_path):
    ran = tmp_path / "ran"
    repo.write(".gitattributes", "*.yaml merge=loud\n*.txt merge=union\n")
    repo.write("a.yaml", BODY)
    repo.write("a.txt", "a\n")
    repo.git("config", "merge.loud.driver", f"touch {ran}")
    repo.commit()
    base, head = sides(repo, {"a.yaml": "x\n", "a.txt": "x\n"}, {"a.yaml": "y\n", "a.txt": "y\n"})
    with pytest.raises(UsageError, match=r"both change a\.txt, a\.yaml$"):
        repo.checkout.merged(base, head)
    assert not ran.exists()


def test_an_old_git_is_told_apart(repo, tmp_path, monkeypatch):
    git = shutil.which("git")
    (tmp_path / "bin").mkdir()
    old = tmp_path / "bin/git"
    old.write_text(f'#!/bin/sh\ncase "$*" in *merge-tree*) exit 129;; esac\nexec {git} "$@"\n')
    old.chmod(0o755)
    second = repo.commit("second")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(UsageError, match="this git is too old") as caught:
        repo.checkout.merged("HEAD~1", second)
    assert "2.38" in caught.value.hint


def test_a_sha256_repository(tmp_path):
    repo = initial(tmp_path / "fleet", "--object-format=sha256")
    repo.write("a.yaml")
    repo.commit()
    base, head = sides(repo, {"b.yaml": "b\n"}, {"c.yaml": "c\n"})
    checkout = repo.checkout
    assert checkout.changed("", "HEAD") == (change("a.yaml", "added"),)
    assert set(checkout.files(checkout.merged(base, head))) == {"a.yaml", "b.yaml", "c.yaml"}
    with pytest.raises(UsageError, match="is not known"):
        checkout.ensure("0" * 64)


def test_a_linked_work_tree_in_a_directory_with_a_colon(repo, tmp_path):
    moved = tmp_path / 'a:b "c"'
    repo.path.rename(moved)
    repo.path = moved
    base, head = sides(repo, {"b.yaml": "b\n"}, {"c.yaml": "c\n"})
    repo.git("worktree", "add", "--quiet", "--detach", "../linked", base)
    checkout = GitCheckout.open(tmp_path / "linked")
    assert set(checkout.files(checkout.merged("HEAD", head))) == {"apps/api.yaml", "b.yaml", "c.yaml"}


# ── commits that the clone lacks ──


def test_a_shallow_clone_fetches_exactly_one_commit(repo, out):
    repo.write("a.yaml")
    base = repo.commit()
    repo.write("b.yaml")
    repo.commit()
    shallow = repo.clone("shallow", "--depth=1")
    before, checkout = everything(shallow), shallow.checkout
    (parent,) = checkout.parents("HEAD")
    with pytest.raises(UsageError, match="is not known"):
        checkout.resolve(base)
    assert checkout.ensure(parent) == parent == base
    assert checkout.resolve(base) == base
    assert checkout.changed(base, "HEAD") == (change("b.yaml", "added"),)
    checkout.export(base, out)
    assert files(out) == {"a.yaml", "apps/api.yaml"}
    assert checkout.merge_base(base, "HEAD") is None
    (before_that,) = checkout.parents(base)
    with pytest.raises(UsageError, match="is not known"):
        checkout.resolve(before_that)
    assert everything(shallow) == before
    assert checkout.ensure(before_that) == before_that  # and another one
    assert checkout.files(before_that) != {}
    assert everything(shallow) == before


def test_a_whole_clone_fetches_what_is_new_with_its_history(repo):
    clone = repo.clone("clone")
    start = repo.git("rev-parse", "HEAD")
    repo.git("checkout", "--quiet", "-b", "topic")
    repo.write("new.yaml")
    middle, tip = repo.commit(), repo.commit()
    before, checkout = everything(clone), clone.checkout
    assert checkout.ensure("topic") == tip
    assert checkout.ensure(middle) == middle
    assert checkout.merge_base(tip, "HEAD") == start
    assert checkout.merged("HEAD", tip) == repo.git("rev-parse", f"{tip}^{{tree}}")
    assert everything(clone) == before


def test_what_the_clone_has_is_not_asked_for(repo):
    clone = repo.clone("clone")
    repo.path.rename(repo.path.with_name("gone"))
    checkout = clone.checkout
    assert checkout.ensure("main") == checkout.ensure("HEAD") == checkout.resolve("HEAD")


def test_a_base_that_was_pushed_over_is_still_compared(repo):
    old = repo.commit("to be pushed over")
    shallow = repo.clone("shallow", "--depth=1")
    repo.git("reset", "--quiet", "--hard", "HEAD~1")
    repo.write("other.yaml")
    new = repo.commit("pushed with force")
    checkout = shallow.checkout
    assert checkout.ensure(new) == new
    assert checkout.changed(old, new) == (change("other.yaml", "added"),)
    whole = repo.clone("whole").checkout
    assert whole.ensure(old) == old
    assert whole.merge_base(old, new) == whole.parents(old)[0]


def test_a_clone_without_contents_gets_them_elsewhere(repo, out, tmp_path, monkeypatch):
    for number in range(30):
        repo.write(f"many/{number}.yaml", f"n: {number}\n")
    base = repo.commit()
    repo.write("apps/api.yaml", "kind: B\n")
    head = repo.commit()
    repo.git("config", "uploadpack.allowFilter", "true")
    partial = repo.clone("partial", "--filter=blob:none", "--no-checkout")
    repo.write("late.yaml", "late: true\n")
    late = repo.commit()
    before, checkout = everything(partial), partial.checkout
    assert checkout.changed(base, head) == (change("apps/api.yaml", "modified"),)
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    checkout.export(base, out)
    assert (out / "apps/api.yaml").read_text() == "kind: A\n"
    assert (tmp_path / "trace").read_text().count("built-in: git fetch") == 1  # not one for each file
    monkeypatch.delenv("GIT_TRACE")
    with pytest.raises(UsageError, match="is not known"):
        checkout.resolve(late)  # and nothing is fetched to find out
    assert checkout.ensure(late) == late
    checkout.switch(out, base, late)
    assert (out / "late.yaml").read_text() == "late: true\n"
    assert checkout.merge_base(late, base) == base
    assert everything(partial) == before


@pytest.mark.parametrize("revision", ["0" * 40, "nowhere", "v1.0/x"])
def test_what_origin_lacks_too_is_said_with_its_reason(repo, revision):
    checkout = repo.clone("clone").checkout
    with pytest.raises(UsageError, match="can't be fetched from origin: ") as caught:
        checkout.ensure(revision)
    assert caught.value.message.startswith(f"{revision} is not in this clone, ")
    assert "fetch-depth: 0" in caught.value.hint


@pytest.mark.parametrize("revision", ["", "--upload-pack=touch pwned", "+main:main", "a b", "HEAD~9", "x/*"])
def test_only_hashes_and_branches_are_fetched(repo, revision):
    clone = repo.clone("clone")
    with pytest.raises(UsageError, match="is not known"):
        clone.checkout.ensure(revision)
    assert not (clone.path / "pwned").exists()


def test_an_origin_out_of_reach_gives_no_secret_away(repo):
    clone = repo.clone("clone")
    clone.git("remote", "set-url", "origin", "http://user:s3cr3t@127.0.0.1:9/acme?key=qu3ry")
    clone.git("config", "http.extraHeader", "Authorization: basic t0k3n")
    with pytest.raises(UsageError, match="can't be fetched from origin") as caught:
        clone.checkout.ensure("0" * 40)
    assert "127.0.0.1" in caught.value.message
    assert not {"s3cr3t", "t0k3n", "user", "qu3ry"} & set(
        re.findall(r"\w+", caught.value.message + caught.value.hint)
    )


def test_an_origin_that_never_answers_is_given_up(repo, monkeypatch):
    monkeypatch.setattr(scratch, "_PATIENCE", 0.5)
    clone = repo.clone("clone")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        clone.git("remote", "set-url", "origin", f"http://127.0.0.1:{silent.getsockname()[1]}/fleet")
        with pytest.raises(UsageError, match="it takes too long"):
            clone.checkout.ensure("0" * 40)


def test_without_origin_there_is_nothing_to_fetch_from(repo):
    with pytest.raises(UsageError, match="is not known"):
        repo.checkout.ensure("0" * 40)


def test_a_fetch_runs_no_hook_and_asks_nobody(repo, tmp_path):
    clone = repo.clone("clone")
    new, ran = repo.commit("new"), tmp_path / "ran"
    for name in ("post-checkout", "reference-transaction", "post-merge", "pre-auto-gc"):
        clone.write(f".git/hooks/{name}", f"#!/bin/sh\ntouch {ran}\n").chmod(0o755)
    clone.git("config", "init.templateDir", str(clone.path / ".git"))
    assert clone.checkout.ensure(new) == new
    assert not ran.exists()


def test_what_was_fetched_goes_with_the_checkout(repo, tmp_path):
    second = repo.commit("second")
    (tmp_path / "scratch").mkdir()
    checkout = GitCheckout.open(repo.path, tmp_path / "scratch")
    checkout.merged("HEAD~1", second)
    assert len(list((tmp_path / "scratch").iterdir())) == 1
    del checkout
    gc.collect()
    assert not list((tmp_path / "scratch").iterdir())
