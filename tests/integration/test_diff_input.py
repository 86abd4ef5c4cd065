"""Bad and odd input of `kustodian diff`: a clear result, or one error with a hint and its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner import cli
from runner.clients.kustomize.compile import build as compile_worker
from tests.e2e.harness import ENTRY, Repository
from tests.integration.edited import Diff, Edit, config, kustomization, replaced, small

BROKEN = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: [\n"


@pytest.fixture(scope="module", autouse=True)
def worker() -> None:
    compile_worker()


@pytest.fixture
def diff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Diff:
    return Diff(small(tmp_path / "fleet"), capsys)


def affected(told: dict) -> list[str]:
    return [each["name"] for each in told["affected"]]


def changed(diff: Diff, *edits: Edit) -> str:
    """The commit before the edits."""
    base = diff.repository.git("rev-parse", "HEAD")
    for edit in edits:
        edit(diff.repository)
    diff.repository.commit()
    return base


def write(path: str, *documents: object) -> Edit:
    return lambda repository: repository.write(path, *documents)


# --- revisions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["--base", "--head"])
@pytest.mark.parametrize("revision", ["nowhere", "0" * 40, "HEAD~9", "-x", "a b", "", "main\n"])
def test_an_unknown_revision(diff: Diff, flag: str, revision: str):
    rest = [] if flag == "--base" else ["--base", "HEAD"]
    said = diff.refused(f"{flag}={revision}", *rest)
    assert "is not known in" in said or "origin has no default branch" in said


def test_a_base_that_is_the_head(diff: Diff):
    told = diff("--base", "HEAD", "--exit-code")
    assert (told["affected"], told["changes"]) == ([], [])


def test_histories_without_a_common_commit(diff: Diff):
    diff.repository.git("checkout", "--quiet", "--orphan", "other")
    replaced("apps/app/a.yaml", "'1'", "'2'")(diff.repository)
    diff.repository.commit()
    assert affected(diff("--base=main")) == ["app"]


# --- entries ----------------------------------------------------------------------------------------------


def test_an_entry_that_neither_side_has(diff: Diff):
    assert "entry clusters/nowhere is no directory of" in diff.refused(
        "--base=HEAD", entry="clusters/nowhere"
    )


@pytest.mark.parametrize("entry", ["../x", "/etc", "", "apps/app/a.yaml"])
def test_an_entry_that_is_no_directory_inside(diff: Diff, entry: str):
    diff.refused("--base=HEAD", entry=entry)


@pytest.mark.parametrize("empty", ["base", "head"])
def test_a_side_without_any_file(diff: Diff, empty: str):
    full = diff.repository.git("rev-parse", "HEAD")
    diff.repository.git("rm", "-rq", ".")
    diff.repository.commit()
    base, head = ("HEAD", full) if empty == "base" else (full, "HEAD")
    told = diff(f"--base={base}", f"--head={head}")
    action = "created" if empty == "base" else "deleted"
    assert {(each["ref"]["name"], each["action"]) for each in told["changes"]} == {
        ("app", action),
        ("a", action),
    }


# --- contents ---------------------------------------------------------------------------------------------


def test_a_manifest_of_five_megabytes(diff: Diff):
    big = config("big", **{f"key{number}": "x" * 1000 for number in range(5000)})
    diff.repository.write("apps/app/big.yaml", big)
    diff.repository.commit()
    base = changed(diff, replaced("apps/app/big.yaml", "key4999: x", "key4999: y"))
    (told,) = diff("--base", base)["changes"]
    assert [each["path"] for each in told["fields"]] == ["data.key4999"]


def test_thousands_of_objects(diff: Diff):
    text = "".join(
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{number}, namespace: x}}\n---\n"
        for number in range(1_000)
    )
    diff.repository.write("apps/app/many.yaml", text)
    diff.repository.commit()
    base = changed(diff, replaced("apps/app/many.yaml", "name: c777,", "name: c777, labels: {x: y},"))
    (told,) = diff("--base", base)["changes"]
    assert (told["ref"]["name"], told["action"]) == ("c777", "configured")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(bytes(range(256)) * 10, id="binary"),
        pytest.param(b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '\xff\xfe'}\n", id="not UTF-8"),
        pytest.param(BROKEN.encode(), id="no YAML"),
    ],
)
def test_a_manifest_that_cannot_be_read(diff: Diff, content: bytes):
    def broken(repository: Repository) -> None:
        (repository.path / "apps/app/b.yaml").write_bytes(content)

    base = changed(diff, broken)
    told = diff("--base", base, code=1)
    (fault,) = told["errors"]
    assert (fault["kustomization"], fault["side"]) == ("flux-system/app", "head")
    assert fault["file"] == "apps/app/b.yaml"
    assert told["changes"] == []
    back = diff("--base=HEAD", f"--head={base}")
    assert [each["side"] for each in back["errors"]] == ["base"]


def test_a_binary_file_that_a_generator_embeds(diff: Diff):
    def embed(repository: Repository) -> None:
        made = {"name": "made", "files": ["made.bin"], "namespace": "default"}
        repository.write("apps/app/kustomization.yaml", {"configMapGenerator": [made]})
        (repository.path / "apps/app/made.bin").write_bytes(bytes(range(256)))

    changed(diff, embed)
    base = changed(diff, lambda r: (r.path / "apps/app/made.bin").write_bytes(bytes(reversed(range(256)))))
    (told,) = diff("--base", base)["changes"]
    assert [each["path"] for each in told["fields"] if each["path"] != "metadata.name"] == [
        'binaryData["made.bin"]'
    ]


# --- one side that is wrong -------------------------------------------------------------------------------

CYCLE = (
    kustomization("one", "./apps/app", dependsOn=[{"name": "two"}]),
    kustomization("two", "./apps/app", dependsOn=[{"name": "one"}]),
)
WRONG = {
    "a malformed Kustomization": (
        write(f"{ENTRY}/bad.yaml", kustomization("bad", "./apps/app", sourceRef=None)),
        2,
        "spec.sourceRef",
    ),
    "an unknown field": (
        write(f"{ENTRY}/bad.yaml", kustomization("bad", "./apps/app", wiat=True)),
        2,
        "spec.wiat",
    ),
    "a broken root": (write(f"{ENTRY}/bad.yaml", BROKEN), 3, f"{ENTRY}/bad.yaml"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_head_that_is_wrong(diff: Diff, case: str):
    edit, code, said = WRONG[case]
    assert said in diff.refused("--base", changed(diff, edit), code=code)


@pytest.mark.parametrize("case", WRONG)
def test_a_base_that_is_wrong(diff: Diff, case: str):
    """It is told as the base's fault, and stands in nobody's way."""
    edit, _, said = WRONG[case]
    head = changed(diff, edit)
    told = diff("--base=HEAD", "--head", head)
    (fault,) = told["errors"]
    assert fault["side"] == "base"
    assert said in json.dumps(fault)
    assert (told["changes"], told["affected"]) == ([], [])


def test_a_circle_of_the_head(diff: Diff):
    base = changed(diff, write(f"{ENTRY}/circle.yaml", *CYCLE))
    said = diff.refused("--base", base)
    assert "flux-system/one" in said
    assert "flux-system/two" in said


def test_a_circle_of_the_base(diff: Diff):
    """What the head mends is told like any other change."""
    head = changed(diff, write(f"{ENTRY}/circle.yaml", *CYCLE))
    assert affected(diff("--base=HEAD", "--head", head)) == ["flux-system", "one", "two"]


# --- output -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["diff", "name"])
def test_a_form_without_a_place_for_faults(diff: Diff, output: str, capsys: pytest.CaptureFixture[str]):
    base = changed(diff, write("apps/app/b.yaml", BROKEN))
    flags = ["--repo", str(diff.repository.path), "--entry", ENTRY, "--no-cache"]
    assert cli.run(["diff", *flags, "--base", base, "-o", output]) == 1
    assert "flux-system/app cannot be rendered in the head: apps/app/b.yaml" in capsys.readouterr().err
