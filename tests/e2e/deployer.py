"""What a run does to objects one by one, with the proofs that it keeps; in this process."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from runner import apply, plan
from runner.clients.kubernetes import KubernetesCluster
from runner.evidence import FEW, SETTLED, Evidence
from runner.inventory import Entry
from runner.model import ResourceRef
from runner.plan import Assessment, Ground, NoProofs
from runner.proven import Proofs
from tests.cluster import ControlPlane, wait_until
from tests.e2e.subjects import Subject, definition, subjects

KEY = b"key"


@dataclass
class Later:
    """A clock for which everything that was changed by now is settled."""

    ahead: float = 2 * SETTLED

    def now(self) -> float:
        return time.time() + self.ahead

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class Deployer:
    """What a run does to objects, step by step, and what it remembers of them."""

    cluster: KubernetesCluster
    pool: ThreadPoolExecutor
    clock: Any = field(default_factory=Later)
    recorded: dict[ResourceRef, Entry] = field(default_factory=dict)
    places: tuple[ResourceRef, ...] = ()

    def proofs(self) -> Proofs:
        """As a new run has them: nothing is remembered of the cluster, and there is enough for lists."""
        evidence = Evidence(self.cluster, self.clock)
        evidence.expect(replace(ref, name=f"{ref.name}-{n}") for ref in self.places for n in range(FEW + 1))
        session: Any = SimpleNamespace(options=SimpleNamespace(all=False), key=KEY)
        access: Any = SimpleNamespace(evidence=evidence, user="")
        secrets = frozenset(ref for ref in self.places if ref.kind == "Secret")
        return Proofs(session, access, dict(self.recorded), evidence.rules(), secrets)

    def assess(self, subject: Subject, proofs: plan.Proofs) -> Assessment:
        return plan.assess([subject.manifest], self.cluster, self.pool, Ground(proofs=proofs))[0]

    def deploy(self, subject: Subject, *, killed: bool = False) -> Assessment:
        """What a run does with one object; one that is killed has recorded what may be touched."""
        proofs = self.proofs()
        assessed = self.assess(subject, proofs)
        assert not assessed.error, assessed.error
        entry = proofs.entry(assessed)
        if assessed.action.writes:
            self.recorded[subject.ref] = replace(entry, proof=None)
            order = apply.Order(assessed.sent, assessed.live if assessed.cleans else None)
            (sent,) = apply.send([order], self.cluster, self.pool, lambda: False)
            assert not sent.error, sent.error
            made = proofs.make(subject.manifest, sent.live) if assessed.exact else None
            entry = Entry(subject.ref, sent.uid, made)
        if not killed:
            self.recorded[subject.ref] = entry
        return assessed

    def check(self, subject: Subject, trail: list[str]) -> bool:
        """Hold what proofs say against a dry-run; whether it was proven."""
        told = self.assess(subject, self.proofs())
        tried = self.assess(subject, NoProofs())
        if told.action is not tried.action:
            raise Disagreement(f"{subject.ref}: {told.action} {told.proven=}, but {tried}; {trail}")
        return told.proven


class Disagreement(AssertionError):
    """A proof says something else than a dry-run."""


def define(plane: ControlPlane, cluster: KubernetesCluster) -> None:
    made = cluster.apply(definition()).manifest
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{made['metadata']['name']}"

    def established() -> bool:
        conditions = plane.api().get(path).body.get("status", {}).get("conditions") or []
        return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)

    wait_until(established, "the definition is established")
    cluster.rediscover()
    wait_until(lambda: plane.api().get("/apis/proof.example/v1/things").status == 200, "things are served")


def fresh(deployer: Deployer) -> list[Subject]:
    """Objects in a namespace of their own, none of them deployed yet."""
    name = f"proof-{uuid.uuid4().hex[:8]}"
    deployer.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    made = subjects(name)
    deployer.places, deployer.recorded = tuple(each.ref for each in made), {}
    return made
