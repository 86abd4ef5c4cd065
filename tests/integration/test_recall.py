"""Renderings of earlier runs: when they count, and when they must not, on real git and the worker."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runner import review
from runner.changes import Comparison
from runner.clients import memory
from runner.clients.kustomize import WorkerPool
from runner.clients.kustomize.compile import build as compile_worker
from runner.clients.memory import TIDY_SECONDS, DirectoryMemory
from runner.options import Options
from runner.rendered import BuildRequest, Built
from tests.e2e.harness import Repository
from tests.integration.test_difference import ENTRY, affected, config, fleet, kustomization, replaced

Edit = Callable[[Repository], object]


@pytest.fixture(scope="module", autouse=True)
def worker() -> None:
    compile_worker()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    repository = Repository(tmp_path_factory.mktemp("recall") / "fleet")
    fleet(repository)
    repository.write("patches/kustomization.yaml", {"resources": ["a.yaml"]})
    repository.write("patches/a.yaml", config("patched", text="1"))
    repository.write(f"{ENTRY}/optional.yaml", kustomization("optional", "./patches"))
    repository.write(".sourceignore", "emptied/*\napps/loose/ignored*.yaml\n")
    repository.write("emptied/x.yaml", config("ignored", text="1"))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "default"}}
    repository.write("secret/a.yaml", {**secret, "stringData": {"password": "hunter2hunter2"}})
    repository.write(f"{ENTRY}/secret.yaml", kustomization("secret", "./secret"))
    repository.commit()
    return repository


@pytest.fixture
def repository(original: Repository, tmp_path: Path) -> Repository:
    original.git("clone", "--quiet", "--no-hardlinks", str(original.path), str(tmp_path / "clone"))
    clone = Repository.__new__(Repository)
    object.__setattr__(clone, "path", tmp_path / "clone")
    clone.git("checkout", "--quiet", "-b", "change")
    return clone


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that the workers were asked to build, as they are asked; not those that only warm one up."""
    paths: list[str] = []
    real = WorkerPool.build

    def build(self: WorkerPool, request: BuildRequest) -> Built:
        if request.path != ".":
            paths.append(request.path.removeprefix("./"))
        return real(self, request)

    monkeypatch.setattr(WorkerPool, "build", build)
    return paths


def compared(repository: Repository, cache: Path | None, **options: object) -> Comparison:
    return review.diff(Options(repo=repository.path, entry=ENTRY, cache=cache, **options), "origin/main")


@pytest.fixture
def cache(repository: Repository, tmp_path: Path, built: list[str]) -> Path:
    """A cache that knows everything of the base."""
    compared(repository, tmp_path / "cache")
    assert len(built) > 10
    built.clear()
    return tmp_path / "cache"


MISSES = {
    "a file that was read": (replaced("apps/listed/a.yaml", "text: '1'", "text: '2'"), {"apps/listed"}),
    "a base that two share": (
        replaced("base/a.yaml", "text: '1'", "text: '2'"),
        {"shared/one", "shared/two"},
    ),
    "a file that was only looked for in vain": (
        lambda r: r.write("patches/kustomization.yml", {"resources": []}),
        {"patches"},
    ),
    "a directory's list of entries": (
        lambda r: r.write("apps/loose/b.yaml", config("second", text="1")),
        {"apps/loose"},
    ),
    "a directory inside a directory that was listed": (
        lambda r: r.write("apps/loose/more/b.yaml", config("second", text="1")),
        {"apps/loose"},
    ),
    "a source's ignore file": (
        lambda r: r.write(".sourceignore", "apps/loose/a.yaml\n"),
        {
            "apps/loose",
            "children",
        },  # its parent: a guard holds the deletions, and it is told where it is written
    ),
    "a new file that the ignore file leaves out": (
        lambda r: r.write("apps/loose/ignored.yaml", config("ignored", text="2")),
        set(),
    ),
    "a file whose name is no text": (
        lambda r: (r.path / os.fsdecode(b"apps/loose/\xff.yaml")).write_text("a: 1\n"),
        {"apps/loose"},
    ),
    "a variable": (
        replaced(f"{ENTRY}/vars.yaml", "size: '1'", "size: '2'"),
        {ENTRY, "apps/substituted", "apps/overridable"},
    ),
    "the spec": (
        replaced(f"{ENTRY}/optional.yaml", "prune: true", "prune: true\n  targetNamespace: other"),
        {ENTRY, "patches"},
    ),
    "nothing that anybody reads": (lambda r: r.write("docs/a.md", "text\n"), set()),
}


@pytest.mark.parametrize("case", MISSES)
def test_what_has_to_be_rendered_again(repository: Repository, cache: Path, built: list[str], case: str):
    edit, expected = MISSES[case]
    edit(repository)
    repository.commit()
    told = compared(repository, cache)
    assert {path for path in built if path != "secret"} == expected
    assert told == compared(repository, None)


def test_a_deploy_and_a_build_keep_and_find_nothing(repository: Repository, cache: Path, built: list[str]):
    from runner import commands

    before = sorted(cache.rglob("*"))
    commands.build(Options(repo=repository.path, entry=ENTRY), "yaml", show_secrets=False)
    assert len(built) > 10
    assert sorted(cache.rglob("*")) == before


def test_nothing_that_holds_a_secret_is_kept(repository: Repository, cache: Path, built: list[str]):
    kept = b"".join(path.read_bytes() for path in cache.rglob("*") if path.is_file())
    assert b'"loose"' in kept
    assert b"hunter2" not in kept
    assert b"aHVudGVyMmh1bnRlcjI" not in kept
    compared(repository, cache)
    assert set(built) == {"secret"}


def _files(cache: Path) -> Iterator[Path]:
    return (path for path in cache.rglob("*") if path.is_file())


def _swapped(cache: Path) -> None:
    """Every value where another one belongs, each of them sound in itself."""
    files = sorted(_files(cache))
    contents = [file.read_bytes() for file in files]
    for file, content in zip(files, contents[1:] + contents[:1], strict=True):
        file.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut short": lambda cache: [file.write_bytes(file.read_bytes()[:-9]) for file in _files(cache)],
    "one byte is another": lambda cache: [
        file.write_bytes(file.read_bytes().replace(b'"1"', b'"7"')) for file in _files(cache)
    ],
    "empty": lambda cache: [file.write_bytes(b"") for file in _files(cache)],
    "lost": lambda cache: [file.unlink() for file in _files(cache)],
    "in each other's place": _swapped,
}


@pytest.mark.parametrize("how", DAMAGE)
def test_what_is_damaged_is_as_if_it_were_not_there(
    repository: Repository, cache: Path, built: list[str], how: str
):
    replaced("base/a.yaml", "text: '1'", "text: '2'")(repository)
    repository.commit()
    plain = compared(repository, None)
    built.clear()
    DAMAGE[how](cache)
    assert compared(repository, cache) == plain
    assert len(built) > 10


def test_concurrent_runs_share_a_cache(repository: Repository, tmp_path: Path):
    replaced("base/a.yaml", "text: '1'", "text: '2'")(repository)
    repository.commit()
    plain = compared(repository, None)
    memories = [_memory(tmp_path / "shared") for _ in range(4)]
    value = b"x" * 100_000

    def write(each: DirectoryMemory) -> None:
        for _ in range(50):
            each.put("key", value)
            assert each.get("key") == value

    failures: list[BaseException] = []

    def guarded(each: DirectoryMemory) -> None:
        try:
            write(each)
        except BaseException as exc:  # noqa: BLE001 -- told by the main thread
            failures.append(exc)

    threads = [threading.Thread(target=guarded, args=(each,)) for each in memories]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert [path.name for path in (tmp_path / "shared").rglob("tmp*")] == []
    assert compared(repository, tmp_path / "shared") == plain


def _memory(directory: Path, repository: str = "example.org/fleet", worker: Path = Path(__file__)):
    return DirectoryMemory(directory, repository, worker)


def test_what_another_repository_or_worker_kept_is_not_found(tmp_path: Path):
    mine = _memory(tmp_path)
    mine.put("key", b"value")
    assert _memory(tmp_path).get("key") == b"value"
    assert replace(mine, repository="example.org/other").get("key") is None
    other = tmp_path / "worker"
    other.write_bytes(b"another program")
    assert replace(mine, worker=other).get("key") is None


def test_another_repository_with_the_same_files_renders_for_itself(
    repository: Repository, cache: Path, built: list[str]
):
    repository.git("remote", "set-url", "origin", "https://example.org/somebody/else.git")
    compared(repository, cache)
    assert len(built) > 10


def test_what_was_not_asked_for_longest_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    kept = _memory(tmp_path)
    for number in range(4):
        before = set(_files(tmp_path))
        kept.put(f"{number}", b"x" * 1000)
        (file,) = set(_files(tmp_path)) - before
        os.utime(file, (1000 + number, 1000 + number))
    assert kept.get("0") is not None  # asked for just now
    monkeypatch.setattr(memory, "LIMIT", 2500)
    kept.tidy()
    assert [kept.get(f"{number}") is not None for number in range(4)] == [True, False, False, True]
    kept.put("4", b"x" * 1000)
    kept.tidy()
    assert kept.get("0") is not None  # it was looked at a moment ago
    os.utime(tmp_path / "tidied", (1, 1))
    assert TIDY_SECONDS > 60
    kept.tidy()
    assert sum(kept.get(f"{number}") is not None for number in range(5)) == 2


def _components(path: str) -> Edit:
    spec = {"components": [path], "ignoreMissingComponents": True}
    return lambda r: r.write("children/listed.yaml", kustomization("listed", "./apps/listed", **spec))


NESTED: dict[str, Edit] = {
    "a new file that the kustomization file lists": lambda r: r.write(
        "apps/listed/kustomization.yaml", {"resources": ["a.yaml", "unlisted/b.yaml"]}
    ),
    "a base that was not one before": lambda r: r.write(
        "apps/listed/kustomization.yaml", {"resources": ["a.yaml", "../../base"]}
    ),
    "bases of bases": lambda r: (
        r.write("deep/a/kustomization.yaml", {"resources": ["../b"]}),
        r.write("deep/b/kustomization.yaml", {"resources": ["../c"]}),
        r.write("deep/c/kustomization.yaml", {"resources": ["../../base"]}),
        r.write("apps/listed/kustomization.yaml", {"resources": ["a.yaml", "../../deep/a"]}),
    ),
    "more levels than it is worth": lambda r: (
        [r.write(f"deep/{n}/kustomization.yaml", {"resources": [f"../{n + 1}"]}) for n in range(9)],
        r.write("deep/9/kustomization.yaml", {"resources": ["../../base"]}),
        r.write("apps/listed/kustomization.yaml", {"resources": ["a.yaml", "../../deep/0"]}),
    ),
    "a tree without a kustomization file": lambda r: [
        r.write(f"apps/loose/{path}/x.yaml", config(path.replace("/", "-"), text="1"))
        for path in ("p", "p/q", "p/q/r", "s/t")
    ],
    "a component that may be missing and is there": _components("../../components/extra"),
    "a component that may be missing and has no files": _components("../../emptied"),
    "it cannot be rendered": lambda r: r.write(
        "apps/listed/kustomization.yaml", {"resources": ["gone.yaml"]}
    ),
    "it cannot be read": lambda r: r.write("apps/listed/a.yaml", "a: [\n"),
    "its directory is not there": replaced("children/listed.yaml", "./apps/listed", "./apps/gone"),
    "its directory is empty but for what is ignored": lambda r: (
        r.write(".sourceignore", "apps/listed/*\n"),
        r.write("README.md", "text\n"),
    ),
}


@pytest.mark.parametrize("case", NESTED)
def test_a_build_of_few_files_is_the_build_of_all(repository: Repository, cache: Path, case: str):
    NESTED[case](repository)
    repository.commit()
    assert compared(repository, cache) == compared(repository, None)


def test_one_changed_file_writes_few(repository: Repository, cache: Path, monkeypatch: pytest.MonkeyPatch):
    from runner.clients.git import GitCheckout

    monkeypatch.setattr(GitCheckout, "export", lambda *_: pytest.fail("all files are written"))
    replaced("base/a.yaml", "text: '1'", "text: '2'")(repository)
    repository.commit()
    assert affected(compared(repository, cache)).keys() == {"one", "two"}
