"""`kustodian diff` in the checkouts that there are: shallow, detached, without a default branch, edited."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from runner.clients.kustomize.compile import build as compile_worker
from tests.e2e.harness import ENTRY, Repository
from tests.integration.edited import Diff, clone, config, kustomization, replaced, small

EDIT = replaced("apps/app/a.yaml", "'1'", "'2'")


@pytest.fixture(scope="module", autouse=True)
def worker() -> None:
    compile_worker()


@pytest.fixture
def origin(tmp_path: Path) -> Repository:
    """Three commits on main; the last one is what a change starts from."""
    made = small(tmp_path / "origin")
    for text in ("one\n", "two\n"):
        made.write("README.md", text)
        made.commit()
    return made


@pytest.fixture
def diff(origin: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Diff:
    """In a clone with a branch of its own, one commit ahead."""
    repository = clone(origin, tmp_path / "clone")
    EDIT(repository)
    repository.commit()
    return Diff(repository, capsys)


def shallow(diff: Diff, branch: str = "change") -> None:
    """Work in a clone of the clone's origin that has one commit alone, as actions/checkout makes it."""
    diff.repository.git("push", "--quiet", "origin", branch)
    url = diff.repository.git("remote", "get-url", "origin")
    path = diff.repository.path.with_name("shallow")
    flags = ["--quiet", "--depth=1", "--branch", branch, "--single-branch"]
    subprocess.run(["git", "clone", *flags, f"file://{url}", path], check=True)
    diff.repository.path = path


def affected(told: dict) -> dict[str, list[str]]:
    return {each["name"]: [why["detail"] for why in each["reasons"]] for each in told["affected"]}


OWN = {"app": ["apps/app/a.yaml"]}

# --- what the base is when nobody says --------------------------------------------------------------------


def ahead(origin: Repository) -> None:
    """Main goes on meanwhile; that is none of the branch's changes."""
    origin.write("apps/app/b.yaml", config("b", text="1"))
    origin.commit()


@pytest.mark.parametrize("default", ["HEAD", ""])
def test_the_base_is_where_the_branch_left_the_default_one(diff: Diff, origin: Repository, default: str):
    ahead(origin)
    diff.repository.git("fetch", "--quiet")
    if default:
        diff.repository.git("remote", "set-head", "origin", "main")
    assert affected(diff()) == OWN


def test_a_default_branch_of_another_name(diff: Diff, origin: Repository):
    origin.git("branch", "--move", "trunk")
    diff.repository.git("fetch", "--quiet", "--prune")
    assert "origin has no default branch here" in diff.refused()
    diff.repository.git("remote", "set-head", "origin", "trunk")
    assert affected(diff()) == OWN


def test_a_default_branch_that_dangles(diff: Diff):
    diff.repository.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/gone")
    assert affected(diff()) == OWN


def test_a_detached_head(diff: Diff):
    diff.repository.git("checkout", "--quiet", "--detach")
    assert affected(diff()) == OWN


def test_no_origin(diff: Diff):
    diff.repository.git("remote", "remove", "origin")
    assert "--base main" in diff.refused()


def test_no_history_in_common_with_the_default_branch(diff: Diff):
    diff.repository.git("checkout", "--quiet", "--orphan", "other")
    diff.repository.commit()
    assert "have no history in common" in diff.refused()
    assert affected(diff("--base=origin/main")) == OWN


# --- what the clone lacks ---------------------------------------------------------------------------------


def test_a_branch_that_only_origin_has(diff: Diff, origin: Repository):
    origin.git("branch", "later")
    assert affected(diff("--base=later")) == OWN
    assert "later" not in diff.repository.git("branch", "--all")


def test_a_shallow_clone_fetches_the_base(diff: Diff):
    shallow(diff)
    assert affected(diff("--base=main")) == OWN
    assert diff.repository.git("rev-list", "--all", "--count") == "1"


def test_a_shallow_clone_fetches_a_commit(diff: Diff, origin: Repository):
    shallow(diff)
    assert affected(diff("--base", origin.git("rev-parse", "main"))) == OWN


def test_a_shallow_clone_fetches_the_head(diff: Diff):
    shallow(diff)
    assert affected(diff("--base=HEAD", "--head=main")) == OWN


def test_a_shallow_clone_that_does_not_reach_where_the_branch_began(diff: Diff):
    shallow(diff)
    diff.repository.git("fetch", "--quiet", "--depth=1", "origin", "main:refs/remotes/origin/main")
    said = diff.refused()
    assert "this clone is shallow" in said
    assert "fetch-depth: 0" in said


def test_a_shallow_clone_without_its_origin(diff: Diff):
    shallow(diff)
    diff.repository.git("remote", "set-url", "origin", "file:///nowhere/at/all")
    assert "fetch-depth: 0" in diff.refused("--base=main")
    assert "fetch-depth: 0" in diff.refused("--base=HEAD~1")


def test_a_base_that_was_pushed_over(diff: Diff, origin: Repository):
    """The commit before a forced push is on no branch; origin may have it still."""
    origin.write("apps/app/b.yaml", config("b", text="1"))
    old = origin.commit()
    origin.git("reset", "--quiet", "--hard", "HEAD~1")
    told = diff("--base", old)
    assert affected(told) == {"app": ["apps/app/a.yaml", "apps/app/b.yaml"]}
    origin.git("reflog", "expire", "--expire=now", "--all")
    origin.git("gc", "--quiet", "--prune=now")
    said = diff.refused("--base", old)
    assert "can't be fetched from origin" in said


# --- files on disk ----------------------------------------------------------------------------------------


def test_files_that_are_not_committed(diff: Diff):
    replaced("apps/app/a.yaml", "'2'", "'3'")(diff.repository)
    diff.repository.write("apps/app/new.yaml", config("new", text="1"))
    diff.repository.write("apps/app/ignored.yaml", config("ignored", text="1"))
    diff.repository.write(".gitignore", "ignored.yaml\n")
    told = diff("--worktree", "--base=HEAD")
    assert affected(told) == {"app": ["apps/app/a.yaml", "apps/app/new.yaml"]}
    assert told["unaffectedFiles"] == [".gitignore"]
    assert affected(diff("--base=HEAD")) == {}


def test_files_that_are_gone_or_renamed_and_not_committed(diff: Diff):
    (diff.repository.path / "apps/app/a.yaml").rename(diff.repository.path / "apps/app/b.yaml")
    told = diff("--worktree", "--base=HEAD")
    assert told["affected"] == []
    replaced("apps/app/b.yaml", "'2'", "'3'")(diff.repository)
    told = diff("--worktree", "--base=HEAD")
    assert affected(told) == {"app": ["apps/app/a.yaml", "apps/app/b.yaml"]}


def test_a_work_tree_beside_the_default_base(diff: Diff):
    """What is committed since the branch began, and what is not."""
    diff.repository.write("apps/app/new.yaml", config("new", text="1"))
    assert affected(diff("--worktree")) == {"app": ["apps/app/a.yaml", "apps/app/new.yaml"]}


def test_an_entry_that_is_not_committed(diff: Diff):
    diff.repository.write("clusters/new/app.yaml", kustomization("app", "./apps/app"))
    told = diff("--worktree", "--base=HEAD", entry="clusters/new")
    assert {each["action"] for each in told["changes"]} == {"created"}


def test_a_work_tree_and_a_revision(diff: Diff):
    assert "--worktree is what the files are now" in diff.refused("--worktree", "--head=main", "--base=HEAD")


def test_a_work_tree_is_not_taken_from_the_cache(diff: Diff, tmp_path: Path):
    cache = ["--cache-dir", str(tmp_path / "cache")]
    for text in ("3", "4", "3"):
        (diff.repository.path / "apps/app/a.yaml").unlink()
        diff.repository.write("apps/app/a.yaml", config("a", text=text))
        told = diff("--worktree", "--base=HEAD", *cache)
        (field,) = next(each for each in told["changes"] if each["ref"]["name"] == "a")["fields"]
        assert (field["before"], field["after"]) == ("2", text)


@pytest.mark.parametrize("kind", ["link", "directory", "mode"])
def test_what_a_file_may_become_on_disk(diff: Diff, kind: str):
    diff.repository.write("apps/app/other.yaml", config("other", text="1"))
    diff.repository.commit()
    file = diff.repository.path / "apps/app/a.yaml"
    if kind == "mode":
        file.chmod(0o755)
        told = diff("--worktree", "--base=HEAD")
        assert (told["affected"], told["unaffectedFiles"]) == ([], ["apps/app/a.yaml"])
        return
    file.unlink()
    if kind == "link":
        file.symlink_to("../../README.md")
    else:
        diff.repository.write("apps/app/a.yaml/b.yaml", config("b", text="1"))
    told = diff("--worktree", "--base=HEAD")
    assert "apps/app/a.yaml" in affected(told)["app"]
    assert f"{ENTRY}/app.yaml" not in affected(told)["app"]
