"""The five chapters of the demo; each checks what it shows."""

from __future__ import annotations

from examples.demo.clusters import Target
from examples.demo.repository import Repository
from examples.demo.terminal import Kustodian, check, heading, say

ENTRY = ("--entry", "clusters/staging")
EVERYTHING = {"flux-system", "infra-crds", "infra-controllers", "grade-api", "grade-web"}
CONTROLLER = "infrastructure/controllers/gradebook-controller.yaml"
RELEASED = "image: registry.example/school/gradebook-controller:0.9.1"
BROKEN = "image: registry.example/school/broken-controller:0.10.0"


def tell(repository: Repository, kustodian: Kustodian, target: Target) -> str:
    """Tell all of it; gives what was seen, in one sentence."""
    _reconcile(repository, kustodian, target)
    _tree(kustodian)
    _change(repository, kustodian)
    _break(repository, kustodian, target)
    _repair(repository, kustodian)
    _again(kustodian, target)
    return (
        f"{len(EVERYTHING)} Kustomizations made ready in their order; a change of one base rolled out to "
        "grade-api alone; a broken image of infra-controllers blocked grade-api and grade-web, nothing else, "
        "and was repaired; a run with nothing to do sent 0 writes"
    )


def _reconcile(repository: Repository, kustodian: Kustodian, target: Target) -> None:
    heading("1. From a Git repository to a cluster in which everything is ready")
    say("It is examples/fleet, two clusters in the layout of Flux's documentation; staging is deployed.")
    say("Flux's own controllers are part of it, and skipped: nobody needs them here.")
    target.adapt(repository)
    repository.edit(
        "clusters/staging/infrastructure.yaml",
        "timeout: 2m",
        f"timeout: {target.patience}",
        after="name: infra-controllers",
    )
    repository.begin()
    answer = kustodian("reconcile", *ENTRY)
    check("reconciled", EVERYTHING, set(answer.states))
    check("not ready", set(), answer.unready)


def _tree(kustodian: Kustodian) -> None:
    heading("2. Who brings whom, and who waits for whom")
    answer = kustodian.offline("tree", *ENTRY)
    check("in the tree", set(), {name for name in EVERYTHING if f"/{name} " not in answer.text})


def _change(repository: Repository, kustodian: Kustodian) -> None:
    heading("3. A change of one base: first what it would do, then the rollout")
    repository.edit("apps/base/grade-api/kustomization.yaml", "PAGE_SIZE=50", "PAGE_SIZE=100")
    repository.commit("grade-api: longer pages")
    check("affected", {"grade-api"}, kustodian("reconcile", *ENTRY, "--dry-run").changed)
    check("rolled out", {"grade-api"}, kustodian("reconcile", *ENTRY).changed)


def _break(repository: Repository, kustodian: Kustodian, target: Target) -> None:
    heading("4. A release whose image does not exist blocks its dependents, and nothing else")
    say(f"In this copy infra-controllers has {target.patience} to become healthy (spec.timeout), so that")
    say("nobody waits for long. Exit code 1 is what makes a workflow red.")
    repository.edit(CONTROLLER, RELEASED, BROKEN)
    repository.commit("gradebook-controller 0.10.0")
    answer = kustodian("reconcile", *ENTRY, exit_code=1)
    blocked = dict.fromkeys(("grade-api", "grade-web"), "infra-controllers")
    check("blocked", blocked, answer.blocked)
    check("not ready", {"infra-controllers", *blocked}, answer.unready)


def _repair(repository: Repository, kustodian: Kustodian) -> None:
    say("\nThe next commit repairs it:")
    repository.revert()
    answer = kustodian("reconcile", *ENTRY)
    check("repaired", {"infra-controllers"}, answer.changed)
    check("still not ready", set(), answer.unready)


def _again(kustodian: Kustodian, target: Target) -> None:
    heading("5. Once more, with nothing to do: nothing is written")
    before = target.writes() if target.writes else 0
    answer = kustodian("reconcile", *ENTRY)
    check("changed", set(), answer.changed)
    check("writes", 0, answer.writes)
    if target.writes:
        check("writes in the API server's audit log", 0, target.writes() - before)
        say("\nThe API server's own audit log agrees: 0 writes.")
    kustodian("get")
