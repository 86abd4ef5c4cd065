"""A forked command (tests/forked.py) is what the command line is when Python starts anew for it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from tests import forked


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--help"], id="help"),
        pytest.param(["nothing"], id="no such command"),
        pytest.param(["tree", "--repo", "."], id="another directory"),
    ],
)
def test_it_says_the_same(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(forked.ROOT))
    monkeypatch.chdir(tmp_path)
    warm = forked.run(*arguments)
    monkeypatch.setenv(forked.COLD, "1")
    cold = forked.run(*arguments)
    assert (warm.returncode, warm.stdout, warm.stderr) == (cold.returncode, cold.stdout, cold.stderr)
    assert warm.stdout + warm.stderr


def test_its_environment_is_what_is_given_and_nothing_else() -> None:
    plain = forked.run("get", env={"PATH": os.environ["PATH"], "KUBECONFIG": "/of/this/test"})
    assert plain.returncode == 2
    assert "/of/this/test" in plain.stderr


def test_one_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cluster = {"name": "c", "cluster": {"server": f"https://127.0.0.1:{silent.getsockname()[1]}"}}
        context = {"name": "c", "context": {"cluster": "c", "user": ""}}
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(
            json.dumps({"clusters": [cluster], "contexts": [context], "current-context": "c"})
        )
        with pytest.raises(subprocess.TimeoutExpired):
            forked.run("get", "--kubeconfig", str(kubeconfig), timeout=0.5)


@pytest.mark.skipif("PYTHONHASHSEED" in os.environ, reason="PYTHONHASHSEED is set")
def test_each_has_other_hashes_than_the_one_before() -> None:
    assert forked.FORKERS.next().hashed != forked.FORKERS.next().hashed
