"""`kustodian lint` on real repositories: what is said, how bad it is, and of which line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from runner import cli
from runner.clients.kustomize.compile import build as compile_worker
from tests.e2e.harness import ENTRY, Repository
from tests.integration.edited import Edit, config, kustomization, small, written

BROKEN = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: [\n"
Lint = Callable[..., list[dict]]


@pytest.fixture(scope="module", autouse=True)
def worker() -> None:
    compile_worker()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return small(tmp_path / "fleet")


@pytest.fixture
def lint(repository: Repository, capsys: pytest.CaptureFixture[str]) -> Lint:
    """Commit, and look at the whole; the remarks."""

    def lint(*flags: str, code: int = 1) -> list[dict]:
        repository.commit()
        chosen = flags or ("--entry", ENTRY)
        ended = cli.run(["lint", "--repo", str(repository.path), "-o", "json", *chosen])
        told, said = capsys.readouterr()
        assert ended == code, told + said
        assert not said
        document = json.loads(told)
        assert document["exitCode"] == code
        return document["remarks"]

    return lint


def source(kind: str, name: str, **spec: object) -> dict:
    meta = {"name": name, "namespace": "flux-system"}
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": kind,
        "metadata": meta,
        "spec": {"interval": "1m", **spec},
    }


def made_of(kind: str, **spec: object) -> Edit:
    """A Kustomization of a source of its own."""
    ref = {"kind": kind, "name": "other"}
    return written(f"{ENTRY}/x.yaml", kustomization("x", "./", sourceRef=ref), source(kind, "other", **spec))


def based(url: str) -> Edit:
    """A Kustomization of a directory that is made of something remote."""

    def edit(repository: Repository) -> None:
        repository.write("apps/x/kustomization.yaml", {"resources": [url]})
        repository.write(X, kustomization("x", "./apps/x"))

    return edit


def using(name: str, text: str, **spec: object) -> Edit:
    """A Kustomization of one ConfigMap."""

    def edit(repository: Repository) -> None:
        repository.write(f"apps/{name}/c.yaml", config(name, text=text))
        repository.write(f"{ENTRY}/x.yaml", kustomization(name, f"./apps/{name}", **spec))

    return edit


X = f"{ENTRY}/x.yaml"
SUBSTITUTE = {"postBuild": {"substitute": {"known": "1"}}}
FROM = {"postBuild": {"substituteFrom": [{"kind": "ConfigMap", "name": "settings"}]}}
# What is done; and of the one thing that is said: level, code, file, line, part of the message.
CASES = {
    "a path that is not there": (
        written(X, kustomization("x", "./apps/gone")),
        ("error", "missing_path", X, 1, "kustomization path not found"),
    ),
    "an unknown field": (
        written(X, kustomization("x", "./apps/app", wiat=True)),
        ("error", "malformed", X, 1, "spec.wiat"),
    ),
    "a file that is no YAML": (
        written("apps/app/b.yaml", BROKEN),
        ("error", "yaml", "apps/app/b.yaml", None, ""),
    ),
    "a variable that nobody gives": (
        using("x", "${unknown}", **SUBSTITUTE),
        ("error", "missing_variable", "apps/x/c.yaml", None, "unknown"),
    ),
    "a variable that only the cluster may have": (
        using("x", "${region}", **FROM),
        ("note", "only_in_cluster", X, 1, "settings is only in the cluster: ${region} cannot be told"),
    ),
    "a dependency that is elsewhere": (
        using("x", "1", dependsOn=[{"name": "gone"}]),
        ("warning", "dependency", X, 1, "it depends on flux-system/gone"),
    ),
    "what is suspended": (
        using("x", "1", suspend=True),
        ("note", "suspended", X, 1, "it is suspended"),
    ),
    "a kind of source that is refused": (
        made_of("Bucket", bucketName="b", endpoint="s3.example"),
        ("error", "source", X, 1, "a source of kind Bucket is not supported"),
    ),
    "a field of a source that is refused": (
        made_of("OCIRepository", url="oci://registry.example/web", verify={"provider": "cosign"}),
        ("error", "source", X, 1, "signatures are not checked here"),
    ),
    "a URL of a registry that is refused": (
        made_of("OCIRepository", url="https://registry.example/web"),
        ("error", "source", X, 1, "spec.url"),
    ),
    "a URL of a repository that is refused": (
        made_of("GitRepository", url="file:///srv/x"),
        ("error", "source", X, 1, "spec.url"),
    ),
    "an artifact that would be fetched": (
        made_of("OCIRepository", url="oci://registry.example/web"),
        ("note", "not_fetched", X, 1, "is not fetched here"),
    ),
    "a repository that would be fetched": (
        made_of("GitRepository", url="https://git.example/x.git", ref={"commit": "0" * 40}),
        ("note", "not_fetched", X, 1, "is not fetched here"),
    ),
    "a login that only the cluster may have": (
        made_of("GitRepository", url="https://git.example/x.git", secretRef={"name": "login"}),
        ("note", "not_fetched", X, 1, "Secret/flux-system/login is needed to fetch a source"),
    ),
    "a remote base that would be fetched": (
        based("https://git.example/x.git//base?ref=v1"),
        ("note", "not_fetched", "apps/x/kustomization.yaml", None, "is not fetched here"),
    ),
    "a remote base that nobody fetches": (
        based("ssh://git@git.example/x.git//base?ref=v1"),
        ("error", "remote", "apps/x/kustomization.yaml", None, "only http:// and https:// are fetched"),
    ),
    "a root that cannot be rendered": (
        written(f"{ENTRY}/bad.yaml", BROKEN),
        ("error", "yaml", f"{ENTRY}/bad.yaml", None, ""),
    ),
    "an old version": (
        written(X, kustomization("x", "./apps/x") | {"apiVersion": "kustomize.toolkit.fluxcd.io/v1beta2"}),
        ("warning", "kustomization", X, 1, "v1beta2"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_one_thing(repository: Repository, lint: Lint, case: str):
    edit, (level, code, file, line, message) = CASES[case]
    if code == "kustomization":
        repository.write("apps/x/c.yaml", config("x"))
    edit(repository)
    (told,) = lint(code=int(level == "error"))
    assert (told["level"], told["code"], told["file"]) == (level, code, file)
    assert line in {None, told["line"]}
    assert message in told["message"]
    assert told["entries"] == [ENTRY]


def test_nothing(repository: Repository, lint: Lint, capsys: pytest.CaptureFixture[str]):
    assert lint(code=0) == []
    assert cli.run(["lint", "--repo", str(repository.path), "--entry", ENTRY]) == 0
    assert capsys.readouterr().out.startswith(f"nothing to say in {ENTRY} at main@sha1:")


def test_a_circle(repository: Repository, lint: Lint):
    one = kustomization("one", "./apps/one", dependsOn=[{"name": "two"}])
    two = kustomization("two", "./apps/two", dependsOn=[{"name": "one"}])
    repository.write(X, one, two)
    for name in ("one", "two"):
        repository.write(f"apps/{name}/c.yaml", config(name))
    (told,) = lint()
    assert (told["level"], told["code"], told["file"]) == ("error", "cycle", X)
    assert "waits for itself" in told["message"]


def test_two_owners_are_told_at_their_own_files(repository: Repository, lint: Lint):
    repository.write("apps/x/mine.yaml", config("a", text="2"))
    repository.write(X, kustomization("x", "./apps/x"))
    told = lint()
    assert {each["code"] for each in told} == {"two_owners"}
    assert [(each["file"], each["line"], each["kustomization"]) for each in told] == [
        ("apps/app/a.yaml", 1, "flux-system/app"),
        ("apps/x/mine.yaml", 1, "flux-system/x"),
    ]
    assert "flux-system/app and by flux-system/x" in told[0]["message"]


def test_a_malformed_one_does_not_hide_the_others(repository: Repository, lint: Lint):
    repository.write(X, kustomization("x", "./apps/app", wiat=True), kustomization("other", "./apps/gone"))
    assert [each["code"] for each in lint()] == ["malformed", "missing_path"]


def test_values_stand_in_for_the_cluster(repository: Repository, lint: Lint, tmp_path: Path):
    using("x", "${region}", **FROM)(repository)
    settings = config("settings", region="eu")
    settings["metadata"]["namespace"] = "flux-system"
    values = tmp_path / "values.yaml"
    values.write_text(json.dumps(settings))
    assert lint("--entry", ENTRY, "--values", str(values), code=0) == []


def test_the_work_tree(repository: Repository, capsys: pytest.CaptureFixture[str]):
    written(X, kustomization("x", "./apps/gone"))(repository)
    repository.write("kustodian.yaml", {"clusters": {}})
    flags = ["lint", "--repo", str(repository.path), "--entry", ENTRY]
    assert cli.run(flags) == 0
    assert cli.run([*flags, "--worktree"]) == 1
    assert f"{X}:1: error: " in capsys.readouterr().out
    repository.write("kustodian.yaml", "[")
    assert cli.run(flags) == 0
    assert cli.run([*flags, "--worktree"]) == 1
    assert "kustodian.yaml:1: error: " in capsys.readouterr().out


# --- kustodian.yaml ---------------------------------------------------------------------------------------


def test_every_cluster_is_looked_at(repository: Repository, lint: Lint):
    other = "clusters/other"
    repository.write(f"{other}/x.yaml", kustomization("x", "./apps/gone"))
    repository.write(X, kustomization("x", "./apps/nowhere"))
    repository.write("kustodian.yaml", {"clusters": {"a": {"entry": ENTRY}, "b": {"entry": other}}})
    told = lint("--root", "flux-system/flux-system")
    assert [each["entries"] for each in told] == [[other], [ENTRY]]
    assert [each["entries"] for each in lint("--cluster", "a")] == [[ENTRY]]
    assert [each["entries"] for each in lint("--entry", other)] == [[other]]


def test_an_entry_that_is_not_there(repository: Repository, lint: Lint):
    repository.write(
        "kustodian.yaml", "clusters:\n  a: {entry: clusters/test}\n  b: {entry: clusters/gone}\n"
    )
    (told,) = lint("--worktree")
    assert (told["code"], told["file"], told["line"]) == ("no_entry", "kustodian.yaml", 3)


def test_every_fault_of_the_file(repository: Repository, lint: Lint):
    repository.write("kustodian.yaml", "clusters:\n  a: {entri: x}\nsurces: {}\n")
    *told, rest = lint("--worktree")
    assert [(each["code"], each["file"], each["line"]) for each in told] == [
        ("config", "kustodian.yaml", 2),
        ("config", "kustodian.yaml", 2),
        ("config", "kustodian.yaml", 3),
    ]
    assert (rest["level"], rest["message"]) == (
        "note",
        "nothing else is looked at before kustodian.yaml can be read",
    )


def test_a_source_that_the_file_maps_is_read(repository: Repository, lint: Lint):
    made_of("Bucket", bucketName="b", endpoint="s3.example")(repository)
    repository.write("vendor/x/c.yaml", config("x"))
    repository.write("kustodian.yaml", {"sources": {"Bucket/flux-system/other": "./vendor/x"}})
    assert lint(code=0) == []


def test_a_file_that_is_elsewhere_in_its_artifact_is_only_named(repository: Repository, lint: Lint):
    """The same path is in the repository, and nothing is wrong there."""
    made_of("Bucket", bucketName="b", endpoint="s3.example")(repository)
    repository.write("vendor/x/apps/c.yaml", BROKEN)
    repository.write("apps/c.yaml", config("fine"))
    repository.write("kustodian.yaml", {"sources": {"Bucket/flux-system/other": "./vendor/x"}})
    (told,) = lint()
    assert (told["file"], told["line"]) == (f"{ENTRY}/x.yaml", 1)
    assert told["message"].startswith("apps/c.yaml:")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "no entry is given, and kustodian.yaml names no cluster"),
        (["--entry", "clusters/gone"], "entry clusters/gone is no directory"),
        (["--cluster", "qa"], "kustodian.yaml has no cluster 'qa'"),
        (["--cluster", "qa", "--entry", ENTRY], "says what the entry is, and so does --entry"),
        (["--entry", ENTRY, "--revision", "nowhere"], "nowhere"),
        (["--entry", ENTRY, "--root", "x"], "is not NAMESPACE/NAME"),
    ],
)
def test_wrong_input(repository: Repository, capsys: pytest.CaptureFixture[str], flags: list, said: str):
    assert cli.run(["lint", "--repo", str(repository.path), *flags]) == 2
    told, error = capsys.readouterr()
    assert told == ""
    assert said in error
