"""What GitHub's own machines do to the action, and no imitation of a workflow shows."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runner import state
from runner.action import OUTPUTS
from tests.e2e.act import events
from tests.e2e.act.image import Action
from tests.e2e.act.runner import Runner
from tests.e2e.harness import ENTRY, Bench, config_map, deployment, kustomization
from tests.integration.relay import Relay

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.xdist_group("docker")]
BROKEN = "registry.example/broken:1"
Make = Callable[..., Runner]


@pytest.fixture
def relay(action: Action, world: Bench) -> Iterator[Relay]:
    """The world's API server at an address that containers can reach."""
    with Relay(world.plane.server, action.docker.gateway) as started:
        yield started


@pytest.fixture
def runner(
    action: Action,
    world: Bench,
    repository: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Make]:
    """Makes GitHub's runner, for one kubeconfig."""
    made: list[Runner] = []
    # The checkout will not be the test's own any more; no container sees these.
    for name, value in (("COUNT", "1"), ("KEY_0", "safe.directory"), ("VALUE_0", "*")):
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)

    def make(kubeconfig: str) -> Runner:
        inputs = {"entry": ENTRY, "root": world.root, "kubeconfig": kubeconfig}
        made.append(Runner(action, world.repository.path, repository, tmp_path / "runner", inputs))
        return made[-1]

    yield make
    for each in made:
        action.docker.remove(each.name)


@pytest.fixture
def push(world: Bench) -> dict:
    """A push of two Kustomizations: the health of the first decides whether the second ever starts."""
    world.repository.write(
        "clusters/test/app.yaml", kustomization(world, "app", "app", wait=True, timeout="5m")
    )
    needs = [{"name": "app"}]
    world.repository.write("clusters/test/late.yaml", kustomization(world, "late", "late", dependsOn=needs))
    world.repository.write("app/web.yaml", deployment(world, "web"))
    world.repository.write("late/late.yaml", config_map(world, "late"))
    return events.push(events.NOTHING, world.repository.commit())


@pytest.fixture
def stuck(world: Bench, push: dict) -> dict:
    """The same, but the first never gets healthy."""
    world.repository.write("app/web.yaml", deployment(world, "web", image=BROKEN))
    return events.push(events.NOTHING, world.repository.commit())


def test_a_checkout_of_somebody_else_is_deployed_and_left_as_it_was(
    runner: Make, relay: Relay, world: Bench, push: dict
):
    step = runner(relay.kubeconfig(world.kubeconfig))
    config = (world.repository.path / ".git/config").read_bytes()
    refused = step.git("rev-parse", "HEAD")
    assert "dubious ownership" in refused.stderr

    assert step.run("push", push) == 0, step.log

    assert world.config_maps() == {"late"}
    assert step.outputs.keys() == set(OUTPUTS)
    assert step.summary.startswith("### ✓ Reconciled")
    assert (world.repository.path / ".git/config").read_bytes() == config
    assert step.home() == []
    assert step.strangers() == []
    assert world.repository.git("status", "--porcelain", "--ignored") == ""
    assert not step.runs


def test_a_server_at_the_runners_own_address_is_explained(runner: Make, world: Bench, push: dict):
    step = runner(world.kubeconfig.read_text())

    assert step.run("push", push) == 4, step.log

    hint = "inside a container action this address is the container itself"
    assert hint in step.log
    assert hint in step.summary
    assert step.outputs["changed"] == "false"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_health_wait_is_told_and_completed_by_the_next_run(
    runner: Make, relay: Relay, world: Bench, stuck: dict, number: signal.Signals
):
    step = runner(relay.kubeconfig(world.kubeconfig))
    process = step.start("push", stuck)
    step.wait_for("checking health")
    before = world.deployed()

    ended_by = step.cancel(process, after=signal.SIGINT if number == signal.SIGTERM else None)

    assert ended_by == number.name, step.log
    assert process.returncode == 128 + number
    assert not step.runs
    assert step.outputs.keys() == set(OUTPUTS)
    assert "### ✗ Interrupted" in step.summary
    assert step.strangers() == []
    assert inventory(world, "app") == {"web"}
    assert world.config_maps() == set()
    assert world.deployed() == before

    world.repository.write("app/web.yaml", deployment(world, "web"))
    world.repository.commit()
    assert set(world.reconcile().states.values()) == {"ready"}
    assert world.config_maps() == {"late"}


def test_a_run_whose_server_went_silent_still_ends_and_tells(
    runner: Make, relay: Relay, world: Bench, stuck: dict
):
    step = runner(relay.kubeconfig(world.kubeconfig))
    process = step.start("push", stuck)
    step.wait_for("checking health")
    relay.go_deaf()

    ended_by = step.cancel(process)

    assert ended_by == "SIGINT", step.log
    assert process.returncode == 128 + signal.SIGINT
    assert step.outputs.keys() == set(OUTPUTS)
    assert "nterrupted" in step.summary
    assert not step.runs


def inventory(world: Bench, name: str) -> set[str]:
    """The names of the objects that a Kustomization has on record."""
    record = world.get(f"/api/v1/namespaces/{world.namespace}/configmaps/kustodian-{name}")
    return {ref.name for ref in state.decode(record).inventory}
