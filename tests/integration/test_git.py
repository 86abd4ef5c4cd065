"""The Git client against real repositories."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner.clients.git import GitCheckout, repository_id
from runner.errors import UsageError
from tests.integration.workspace import Workspace, files, initial


@pytest.fixture
def empty(tmp_path):
    return initial(tmp_path / "fleet")


@pytest.fixture
def repo(empty):
    empty.write("apps/api.yaml", "kind: A\n")
    empty.commit("first")
    return empty


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


# ── which repository ──


def test_opens_the_work_tree_that_holds_a_path(repo):
    assert GitCheckout.open(repo.path / "apps").root == repo.path
    assert GitCheckout.open(repo.path / "apps/api.yaml").root == repo.path


def test_opens_a_linked_work_tree(repo):
    repo.git("worktree", "add", "--quiet", "-b", "topic", "../linked")
    linked = GitCheckout.open(repo.path.with_name("linked"))
    assert (linked.root.name, linked.branch) == ("linked", "topic")


def test_elsewhere_is_wrong_input(tmp_path):
    with pytest.raises(UsageError, match="is not in a Git repository") as caught:
        GitCheckout.open(tmp_path)
    assert "--repo" in caught.value.hint
    with pytest.raises(UsageError, match="does not exist"):
        GitCheckout.open(tmp_path / "nowhere")


def test_a_bare_repository_has_no_files(repo):
    bare = repo.clone("bare.git", "--bare")
    with pytest.raises(UsageError, match="has no work tree"):
        GitCheckout.open(bare.path)


def test_an_empty_repository_opens_but_has_no_commit(empty, out):
    checkout = empty.checkout
    assert checkout.branch == "main"
    for ask in (
        lambda: checkout.resolve("HEAD"),
        lambda: checkout.export("", out),
        lambda: checkout.identity,
    ):
        with pytest.raises(UsageError, match="has no commits yet"):
            ask()
    assert checkout.is_ancestor("HEAD", "HEAD") is None


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/acme/fleet",
        "https://github.com/acme/fleet.git",
        "https://github.com/acme/fleet.git/",
        "https://GitHub.com:443/acme/fleet",
        "http://github.com/acme/fleet",
        "https://x-access-token:s3cr3t@github.com/acme/fleet",
        "https://user:p%40ss@github.com/acme/fleet?token=s3cr3t#frag",
        "ssh://git@github.com/acme/fleet.git",
        "ssh://git@github.com:2222/acme/fleet",
        "git+ssh://git@github.com/acme/fleet",
        "git@github.com:acme/fleet.git",
        "git@github.com:/acme/fleet",
        "GITHUB.com:acme/fleet.git",
        "git://github.com/acme/fleet.git",
    ],
)
def test_every_way_to_clone_gives_one_identity(repo, url):
    repo.git("remote", "add", "origin", url)
    assert repo.checkout.identity == "github.com/acme/fleet"


@pytest.mark.parametrize(
    ("url", "identity"),
    [
        ("https://git.test:8443/acme/fleet", "git.test:8443/acme/fleet"),
        ("https://git.test/Acme/Fleet", "git.test/Acme/Fleet"),
        ("ssh://[fd00::1]:22/acme/fleet", "fd00::1/acme/fleet"),
        ("git@[fd00::1]:acme/fleet", "fd00::1/acme/fleet"),
        ("https://git.test/group/sub/my%20fleet.git", "git.test/group/sub/my fleet"),
        ("https://u:s3cr3t@[bad/acme", "[bad/acme"),
        ("https://u:s3cr3t@git.test:port/acme", "git.test/acme"),
        ("file:///srv/fleet.git", "/srv/fleet"),
        ("/srv/fleet/.git", "/srv/fleet"),
        ("../other", "/srv/other"),
        ("./a:b", "/srv/here/a:b"),
    ],
)
def test_identity_of_unusual_urls(url, identity):
    assert repository_id(url, Path("/srv/here")) == identity


def test_the_same_repository_in_every_spelling(repo):
    checkout = repo.checkout
    assert checkout.same(f"file://{repo.path}")
    assert not checkout.same("ssh://git@github.com/acme/fleet")
    repo.git("remote", "add", "origin", "https://token@github.com/acme/fleet.git")
    assert checkout.same("ssh://git@GitHub.com/acme/fleet")
    assert checkout.same(str(repo.path))
    assert not checkout.same("ssh://git@github.com/acme/other")
    assert not checkout.same("ssh://git@git.test/acme/fleet")


def test_without_origin_the_oldest_root_commit_is_the_identity(repo, monkeypatch):
    first = repo.git("rev-parse", "HEAD")
    assert repo.checkout.identity == f"commit:{first}"
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2001-01-01T00:00:00Z")
    repo.git("checkout", "--quiet", "--orphan", "imported")
    older = repo.commit("another history")
    repo.git("checkout", "--quiet", "main")
    repo.git("merge", "--quiet", "--allow-unrelated-histories", "-s", "ours", "-m", "merge", "imported")
    assert repo.checkout.identity == f"commit:{older}"


def test_which_repository_it_is_is_asked_once(repo):
    checkout = repo.checkout
    before = checkout.identity
    repo.git("remote", "add", "origin", "https://github.com/acme/fleet")
    assert checkout.identity == before
    assert repo.checkout.identity == "github.com/acme/fleet"


def test_a_shallow_clone_without_origin_is_unknown(repo):
    repo.commit("second")
    shallow = repo.clone("shallow", "--depth=1")
    assert shallow.checkout.identity == str(repo.path)
    shallow.git("remote", "remove", "origin")
    assert shallow.checkout.identity == "unknown"


# ── which commit ──


def test_resolves_what_people_write(repo):
    first = repo.git("rev-parse", "HEAD")
    repo.git("tag", "-a", "v1", "-m", "annotated")
    repo.git("tag", "light")
    second = repo.commit("second")
    repo.git("branch", "feature/x", first)
    checkout = repo.checkout
    assert {checkout.resolve(name) for name in ("HEAD", "main", "refs/heads/main", second, second[:8])} == {
        second
    }
    assert {checkout.resolve(name) for name in ("v1", "light", "HEAD~1", "HEAD^1", "feature/x")} == {first}


def test_a_branch_that_only_origin_has_is_found(repo):
    repo.git("branch", "release")
    clone = repo.clone("clone", "--single-branch")
    clone.git("fetch", "--quiet", "origin", "release:refs/remotes/origin/release")
    assert clone.checkout.resolve("release") == repo.git("rev-parse", "release")


@pytest.mark.parametrize(
    "revision",
    [
        "",
        "-x",
        "--all",
        "--output=pwned",
        "nowhere",
        "main..HEAD",
        "^HEAD",
        "HEAD:apps",
        "a\0b",
        "a\nb",
        "0" * 40,
    ],
)
def test_unknown_revisions_are_wrong_input(repo, revision):
    with pytest.raises(UsageError, match="is not known") as caught:
        repo.checkout.resolve(revision)
    assert "fetch-depth" not in caught.value.hint
    assert not (repo.path / "pwned").exists()


def test_a_shallow_clone_says_how_to_get_more(repo):
    first = repo.git("rev-parse", "HEAD")
    repo.commit("second")
    with pytest.raises(UsageError) as caught:
        repo.clone("shallow", "--depth=1").checkout.resolve(first)
    assert "fetch-depth: 0" in caught.value.hint


def test_ambiguous_hash_is_told_apart(empty):
    seen = {}
    for number in range(2000):  # four hex digits collide soon
        blob = empty.git("commit-tree", "-m", str(number), empty.git("write-tree"))
        if blob[:4] in seen:
            break
        seen[blob[:4]] = blob
    empty.commit()
    with pytest.raises(UsageError, match="is ambiguous"):
        empty.checkout.resolve(blob[:4])


def test_ancestry(repo):
    first = repo.git("rev-parse", "HEAD")
    second = repo.commit("second")
    repo.git("checkout", "--quiet", "-b", "side", first)
    side = repo.commit("side")
    checkout = repo.checkout
    assert checkout.is_ancestor(first, second) is True
    assert checkout.is_ancestor(second, second) is True
    assert checkout.is_ancestor(second, first) is False
    assert checkout.is_ancestor(side, second) is False
    assert checkout.is_ancestor("0" * 40, second) is None
    assert checkout.is_ancestor("--help", second) is None


def test_ancestry_in_a_shallow_clone_is_yes_no_or_unknown(repo):
    first = repo.git("rev-parse", "HEAD")
    second, third = repo.commit("second"), repo.commit("third")
    repo.git("branch", "side", first)
    shallow = repo.clone("shallow", "--depth=2")
    shallow.git("fetch", "--quiet", "--depth=1", "origin", "side:side")
    checkout = shallow.checkout
    assert checkout.is_ancestor(second, third) is True
    assert checkout.is_ancestor(first, third) is None  # true, but out of sight
    assert checkout.is_ancestor(third, second) is False  # out of sight or not, history has no circles


def test_a_branch_is_where_origin_has_it_and_not_where_the_clone_does(repo):
    first = repo.git("rev-parse", "HEAD")
    thrown_away = repo.commit("second")
    whole, shallow = repo.clone("whole"), repo.clone("shallow", "--depth=1")
    repo.git("reset", "--quiet", "--hard", first)
    kept = repo.commit("third")
    for clone in (whole, shallow):
        assert clone.checkout.resolve("origin/main") == thrown_away
        assert clone.checkout.tip("main") == kept
        assert clone.checkout.tip("nowhere") == ""
        assert clone.checkout.tip("--all") == ""
        assert clone.git("rev-parse", "origin/main") == thrown_away, "the clone is left as it is"
    checkout = whole.checkout
    assert checkout.is_ancestor(thrown_away, checkout.tip("main")) is False
    assert repo.checkout.tip("main") == "", "there is no origin"


# ── the files of a commit ──


def test_exports_a_commit_and_names_its_revision(repo, out):
    first = repo.git("rev-parse", "HEAD")
    repo.write("apps/web.yaml")
    repo.commit("second")
    artifact = repo.checkout.export(first, out)
    assert (artifact.root, artifact.revision, artifact.warnings) == (out, f"main@sha1:{first}", ())
    assert files(out) == {"apps/api.yaml"}


def test_a_detached_head_has_no_branch(repo, out):
    repo.git("checkout", "--quiet", "--detach")
    assert repo.checkout.branch == ""
    assert repo.checkout.export("HEAD", out).revision == f"sha1:{repo.git('rev-parse', 'HEAD')}"


def test_a_branch_keeps_its_slashes_even_beside_a_tag_of_its_name(repo, out):
    repo.git("checkout", "--quiet", "-b", "feature/x")
    repo.git("tag", "feature/x")
    assert repo.checkout.export("HEAD", out).revision.startswith("feature/x@sha1:")


def test_awkward_names_and_contents_come_out_byte_for_byte(repo, out):
    contents = {
        "ü b.yaml": b"\xff\x00\r\n",
        "new\nline.yaml": b"",
        'quo"te\\.yaml': b"no newline at the end",
        "-x": b"dash\n",
        "tab\there/deep/er.yaml": b"a" * (3 << 20),
        "case/File.yaml": b"1",
        "case/file.yaml": b"2",
        "bytes-\udcff.yaml": b"not UTF-8",
    }
    for name, content in contents.items():
        repo.write(name, content)
    artifact = repo.checkout.export(repo.commit(), out)
    assert artifact.warnings == ()
    assert {name: (out / name).read_bytes() for name in contents} == contents
    assert files(out) == {*contents, "apps/api.yaml"}


def test_attributes_change_nothing(repo, out):
    repo.git("config", "filter.loud.clean", "cat")
    repo.git("config", "filter.loud.smudge", "tr a-z A-Z")
    repo.git("config", "core.autocrlf", "true")
    repo.write(
        ".gitattributes",
        "*.crlf -text\n*.lf text eol=crlf\n*.loud filter=loud\n*.subst export-subst\nsecret export-ignore\n"
        "*.utf16 text working-tree-encoding=UTF-16\n",
    )
    contents = {
        "a.crlf": b"one\r\ntwo\r\n",
        "a.lf": b"one\ntwo\n",
        "a.loud": b"quiet\n",
        "a.subst": b"$Format:%H$\n",
        "secret": b"kept\n",
        "lfs.yaml": b"version https://git-lfs.test/spec/v1\noid sha256:0\nsize 1\n",
    }
    for name, content in contents.items():
        repo.write(name, content)
    commit = repo.commit()
    repo.checkout.export(commit, out)
    assert {name: (out / name).read_bytes() for name in contents} == contents


def test_the_executable_bit_is_kept(repo, out):
    repo.write("hook.sh").chmod(0o755)
    commit = repo.commit()
    repo.checkout.export(commit, out)
    repo.checkout.export("", out / "worktree")
    for root in (out, out / "worktree"):
        assert os.access(root / "hook.sh", os.X_OK)
        assert not (root / "apps/api.yaml").stat().st_mode & 0o111


def test_links_and_submodules_are_left_out_and_named(repo, out):
    (repo.path / "apps/x").symlink_to("../y")
    (repo.path / "abs").symlink_to("/etc")
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendor/lib")
    repo.git("add", "-A", "apps", "abs")
    repo.git("commit", "--quiet", "-m", "links")
    artifact = repo.checkout.export("HEAD", out)
    assert artifact.warnings == (
        "symlink abs → /etc is left out: Flux's source-controller packs no symlinks",
        "symlink apps/x → ../y is left out: Flux's source-controller packs no symlinks",
        "submodule vendor/lib is left out: its files are in another repository",
    )
    assert files(out) == {"apps/api.yaml"}


def test_many_links_are_counted(repo, out):
    for number in range(25):
        (repo.path / f"link{number:02}\n").symlink_to("\udcff")
    repo.commit()
    for commit in ("HEAD", ""):
        warnings = repo.checkout.export(commit, out / (commit or "worktree")).warnings
        assert len(warnings) == 21
        assert warnings[0].startswith(r"symlink link00\n → \udcff is left out")
        assert warnings[-1] == "and 5 more are left out"


@pytest.mark.parametrize("name", [b"..", b".git", b".GIT", b"a/../../b", b"/abs", b"."])
def test_paths_that_git_forbids_are_refused(repo, out, name):
    commit = repo.tree((b"100644", repo.blob(), name))
    with pytest.raises(UsageError, match="not a path that Git allows"):
        repo.checkout.export(commit, out)
    assert not files(out)


def test_a_tree_that_contradicts_itself_writes_outside_of_nothing(repo, out, tmp_path):
    inner = repo.git("rev-parse", "HEAD:apps")
    link = repo.blob(os.fsencode(tmp_path / "victim"))
    commit = repo.tree((b"120000", link, b"a"), (b"40000", inner, b"a"))
    (tmp_path / "victim").mkdir()
    repo.checkout.export(commit, out)
    assert files(out) == {"a/api.yaml"}
    assert not files(tmp_path / "victim")
    twice = repo.tree((b"100644", repo.blob(), b"a"), (b"100644", repo.blob(b"other"), b"a"))
    with pytest.raises(UsageError, match="a can't be written"):
        repo.checkout.export(twice, tmp_path / "twice")


def test_missing_content_is_an_error(repo, out):
    blob = repo.git("rev-parse", "HEAD:apps/api.yaml")
    (repo.path / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(UsageError, match=r"apps/api\.yaml can't be read: its content is not in this clone"):
        repo.checkout.export("HEAD", out)


def test_replacement_objects_do_not_count(repo, out):
    first = repo.git("rev-parse", "HEAD")
    repo.write("apps/api.yaml", "kind: B\n")
    second = repo.commit("second")
    repo.git("replace", second, first)
    repo.checkout.export(second, out)
    assert (out / "apps/api.yaml").read_text() == "kind: B\n"


def test_two_thousand_files_are_quick(repo, out):
    for number in range(2000):
        repo.write(f"apps/{number % 50}/{number}.yaml", f"n: {number}\n")
    commit = repo.commit()
    checkout, start = repo.checkout, time.monotonic()
    checkout.export(commit, out)
    assert time.monotonic() - start < 5
    assert len(files(out)) == 2001
    assert (out / "apps/7/1957.yaml").read_text() == "n: 1957\n"


def test_a_sha256_repository(tmp_path, out):
    repo = Workspace(tmp_path)
    repo.git("init", "--quiet", "-b", "main", "--object-format=sha256")
    repo.write("a.yaml")
    commit = repo.commit()
    assert len(commit) == 64
    assert repo.checkout.export("HEAD", out).revision == f"main@sha256:{commit}"


# ── the work tree ──


def test_a_clean_work_tree_is_its_commit(repo, out):
    head = repo.git("rev-parse", "HEAD")
    assert repo.checkout.export("", out).revision == f"main@sha1:{head}"
    assert files(out) == {"apps/api.yaml"}


def test_a_work_tree_with_changes(repo, out):
    repo.write(".gitignore", "*.log\n")
    repo.write("gone.yaml")
    repo.write("staged-then-gone.yaml")
    head = repo.commit()
    repo.write("apps/api.yaml", "kind: Changed\n")
    repo.write("new ü\n.yaml")
    repo.write("debug.log")
    (repo.path / "gone.yaml").unlink()
    repo.git("rm", "--quiet", "staged-then-gone.yaml")
    (repo.path / "link").symlink_to("/etc")
    artifact = repo.checkout.export("", out)
    assert artifact.revision == f"main@sha1:{head}-dirty"
    assert files(out) == {".gitignore", "apps/api.yaml", "new ü\n.yaml"}
    assert (out / "apps/api.yaml").read_text() == "kind: Changed\n"
    assert artifact.warnings == (
        "symlink link → /etc is left out: Flux's source-controller packs no symlinks",
    )


def test_the_work_tree_is_whole_from_a_subdirectory_too(repo, out):
    repo.write("clusters/a.yaml")
    GitCheckout.open(repo.path / "apps").export("", out)
    assert files(out) == {"apps/api.yaml", "clusters/a.yaml"}


def test_a_directory_that_became_a_link_is_not_followed(repo, out, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/api.yaml").write_text("kind: Stranger\n")
    (repo.path / "apps/api.yaml").unlink()
    (repo.path / "apps").rmdir()
    (repo.path / "apps").symlink_to(tmp_path / "elsewhere")
    artifact = repo.checkout.export("", out)
    assert files(out) == set()
    assert "symlink apps →" in artifact.warnings[0]


def test_nested_repositories_stay_out(repo, out):
    nested = Workspace(repo.path / "nested")
    nested.path.mkdir()
    nested.git("init", "--quiet")
    nested.write("inner.yaml")
    nested.commit()
    artifact = repo.checkout.export("", out)
    assert files(out) == {"apps/api.yaml"}
    assert artifact.warnings == ("submodule nested is left out: its files are in another repository",)


def test_what_a_sparse_checkout_leaves_out_is_not_deleted(repo, out):
    repo.write("infra/crd.yaml", "kind: C\n")
    repo.commit()
    repo.git("sparse-checkout", "set", "apps")
    assert not (repo.path / "infra").exists()
    assert not repo.checkout.export("", out).revision.endswith("-dirty")
    assert (out / "infra/crd.yaml").read_text() == "kind: C\n"


# ── the surroundings ──


def test_variables_of_a_surrounding_git_do_not_lead_astray(repo, out, tmp_path, monkeypatch):
    other = Workspace(tmp_path / "other")
    other.path.mkdir()
    other.git("init", "--quiet")
    for name, value in {
        "GIT_DIR": str(other.path / ".git"),
        "GIT_WORK_TREE": str(other.path),
        "GIT_INDEX_FILE": str(other.path / ".git/index"),
        "GIT_OBJECT_DIRECTORY": str(other.path / ".git/objects"),
        "GIT_CONFIG_PARAMETERS": "'core.bare'='true'",
        "GIT_CEILING_DIRECTORIES": str(repo.path),
    }.items():
        monkeypatch.setenv(name, value)
    checkout = GitCheckout.open(repo.path / "apps")
    assert checkout.root == repo.path
    assert not checkout.export("", out).revision.endswith("-dirty")
    assert files(out) == {"apps/api.yaml"}


def test_configuration_of_the_caller_is_kept(repo, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "remote.origin.url")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://git.test/acme/fleet")
    assert repo.checkout.identity == "git.test/acme/fleet"


def test_nothing_in_the_repository_is_run_or_written(repo, out, tmp_path):
    ran = tmp_path / "ran"
    script = repo.write(".git/evil.sh", f"#!/bin/sh\necho ran >> {ran}\n")
    script.chmod(0o755)
    for key in ("core.fsmonitor", "core.pager", "diff.external", "core.sshCommand", "core.editor"):
        repo.git("config", key, str(script))
    repo.git("config", "core.hooksPath", str(script.parent))
    os.utime(repo.path / "apps/api.yaml", (0, 0))  # makes `git status` want to refresh the index
    ran.unlink(missing_ok=True)
    index = (repo.path / ".git/index").read_bytes()
    config = (repo.path / ".git/config").read_bytes()
    checkout = repo.checkout
    checkout.export("", out / "worktree")
    checkout.export("HEAD", out / "commit")
    assert checkout.is_ancestor("HEAD", "HEAD")
    assert checkout.identity
    assert not ran.exists()
    assert (repo.path / ".git/index").read_bytes() == index
    assert (repo.path / ".git/config").read_bytes() == config


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_checkout_that_belongs_to_somebody_else(repo, out):
    for path in (repo.path, *repo.path.rglob("*")):
        os.chown(path, 4711, 4711)
    refused = subprocess.run(["git", "status"], cwd=repo.path, capture_output=True, check=False)
    assert b"dubious ownership" in refused.stderr
    assert repo.checkout.export("HEAD", out / "a").revision == repo.checkout.export("", out / "b").revision


def test_without_git_the_message_says_so(repo):
    code = (
        "import pathlib, runner.clients.git as g, runner.errors as e\n"
        "try: g.GitCheckout.open(pathlib.Path('.'))\n"
        "except e.UsageError as error: print(error.message)"
    )
    environment = {"PATH": "/nowhere", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert done.stdout == b"git can't be run\n"


def test_importing_the_client_does_not_import_gitpython():
    code = "import sys, runner.clients.git; assert 'git' not in sys.modules"
    environment = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_one_file_is_read_raw_wherever_it_is(repo):
    repo.write("kustodian.yaml", "a: 1\n")
    repo.write("sub/kustodian.yaml", "b\n")
    (repo.path / "link.yaml").symlink_to("kustodian.yaml")
    repo.commit("files")
    commit = repo.checkout.resolve("HEAD")
    repo.write("kustodian.yaml", "a: 2\n")
    checkout = repo.checkout
    assert checkout.read(commit, "kustodian.yaml") == b"a: 1\n"
    assert checkout.read("", "kustodian.yaml") == b"a: 2\n"
    for where in (commit, ""):
        assert checkout.read(where, "link.yaml") is None
        assert checkout.read(where, "sub") is None
        assert checkout.read(where, "nothing.yaml") is None


def test_the_commit_that_last_changed_a_document(repo):
    documents = ["a: 1\n", "b: 1\n", "c: 1\n"]
    commits = []
    for number in range(3):
        documents[number] = documents[number].replace("1", "2\nmore: true")
        repo.write("some/all.yaml", "---\n".join(documents))
        commits.append(repo.commit(f"Change {number}"))
    head, checkout = commits[-1], repo.checkout
    found = [checkout.last_change(head, "some/all.yaml", line).subject for line in (1, 4, 7)]
    assert found == ["Change 0", "Change 1", "Change 2"]
    assert checkout.last_change(head, "some/all.yaml", 0).id == head
    assert checkout.last_change(commits[1], "some/all.yaml", 0).subject == "Change 1"
    assert checkout.last_change(head, "nothing.yaml", 1) is None
    assert checkout.last_change(head, "some/all.yaml", 99) is None
    shallow = repo.clone("shallow", "--depth=1")
    assert shallow.checkout.last_change(head, "some/all.yaml", 1) is None
