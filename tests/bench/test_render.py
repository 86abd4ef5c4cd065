"""That the benchmark of rendering measures what it says, and notices who renders something else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from runner.assembly import PREFIX
from runner.clients.kustomize import WorkerPool
from tests.bench import measure, overlays, peers, render
from tests.fidelity.compare import Case


def _shares(fleet: Sequence[Case]) -> dict[str, float]:
    kfiles = [(case.root / case.path / "kustomization.yaml").read_text() for case in fleet]
    having = {key: sum(f"{key}:" in text for text in kfiles) for key in ("patches", "components")}
    having["substitute"] = sum("postBuild" in case.kustomization["spec"] for case in fleet)
    return {key: count / len(fleet) for key, count in having.items()}


def test_fleet_and_sample_have_the_stated_mixture(tmp_path: Path) -> None:
    fleet = overlays.write(tmp_path, 250)
    sample = overlays.sample(fleet, 100)
    assert _shares(fleet) == _shares(sample) == {"patches": 0.5, "components": 0.2, "substitute": 0.4}
    assert "of ten, 5 with a patch, 2 a component, 4 a variable" in overlays.MIXTURE
    assert len({case.path for case in sample}) == 100
    assert fleet[200:].count(sample[-1])


def test_every_overlay_renders_what_it_is_made_of(tmp_path: Path) -> None:
    fleet = overlays.write(tmp_path, 10)
    with WorkerPool(1) as pool:
        counts = [len(pool.build(case.request).resources) for case in fleet]
        settings = [each.object for each in pool.build(fleet[0].request).resources]
    assert counts == [6, 5, 5, 5, 4, 5, 4, 4, 4, 4]
    assert {"site": "north", "color": "blue"} in [each.get("data") for each in settings]


def test_a_peer_that_renders_something_else_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = peers.Kustomize("silent", ("true",))
    monkeypatch.setattr(peers, "renderers", lambda: ([silent], ["another is not here"]))
    render.bench(10, 0)
    said = capsys.readouterr().out
    assert "silent: OTHER objects in 10 of 10, like overlays/app-0001" in said
    assert "another is not here" in said
    assert "two workers beside one" in said


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("KUSTODIAN_CACHE", str(tmp_path))
    found, absent = peers.renderers()
    assert found == []
    assert [text.startswith(peers.NOT_HERE) for text in absent] == [True, True]


def test_no_run_sweeps_out_what_a_benchmark_works_in() -> None:
    assert not measure.DIRECTORY.startswith(PREFIX)
