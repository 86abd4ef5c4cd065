"""What a run leaves on disk, and what it takes away."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from runner import assembly


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def old(path: Path) -> Path:
    os.utime(path, (0, 0))
    return path


def left_behind(directory: Path, name: str, *, marked: bool) -> Path:
    path = directory / name
    path.mkdir()
    (path / "file").write_text("content")
    if marked:
        (path / assembly.MARKER).touch()
    return old(path)


def test_what_a_killed_run_left_is_swept_out(temporary: Path):
    left = left_behind(temporary, f"{assembly.PREFIX}abc", marked=True)
    with assembly.workspace() as own:
        assert own.is_dir()
        assert not left.exists()
    assert not own.exists()


@pytest.mark.parametrize("name", ["kustodian-notes", f"{assembly.PREFIX}notes"])
def test_a_directory_that_no_run_made_is_left_alone_whatever_its_name(temporary: Path, name: str):
    foreign = left_behind(temporary, name, marked=False)
    with assembly.workspace():
        pass
    assert (foreign / "file").read_text() == "content"


def test_the_directory_of_a_run_that_goes_on_is_left_alone(temporary: Path):
    with assembly.workspace() as other:
        old(other)
        with assembly.workspace():
            assert other.is_dir()


def test_a_young_directory_may_not_have_been_locked_yet(temporary: Path):
    young = left_behind(temporary, f"{assembly.PREFIX}young", marked=True)
    os.utime(young)
    with assembly.workspace():
        assert young.is_dir()
