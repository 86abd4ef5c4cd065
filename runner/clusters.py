"""The clusters of one run: its own, and those that `spec.kubeConfig` names."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from runner.access import Access
from runner.errors import ClusterError
from runner.evidence import Evidence
from runner.fleet import Remote
from runner.model import KubeConfig, ResourceRef
from runner.render import remote
from runner.world import World


@dataclass(slots=True)
class Clusters:
    """How each is reached, with whose rights. A cluster has the name of its `Kustomization.target`."""

    world: World
    evidence: Evidence
    expected: Callable[[str, str], Iterable[ResourceRef]]  # what will be looked for: a cluster, as a user
    gone: Callable[[str], KubeConfig | None]  # what leads to one that only recorded Kustomizations name
    _accesses: dict[tuple[str, str], Access] = field(default_factory=dict)
    _ways: dict[str, Remote] = field(default_factory=dict)
    _mutex: threading.RLock = field(default_factory=threading.RLock)

    def aim(self, cluster: str, way: Remote | None) -> None:
        """Note how another cluster is reached, as far as that is known now."""
        with self._mutex:
            if way is not None and self._ways.get(cluster) != way:
                self._ways[cluster] = way
                self._accesses = {key: made for key, made in self._accesses.items() if key[0] != cluster}

    def way(self, cluster: str) -> Remote:
        """The way to another cluster; where nobody looked for it yet, it is read now.

        Raises ClusterError when the run's own cluster does not answer.
        """
        with self._mutex:
            if cluster not in self._ways:
                where = self.gone(cluster)
                if where is None:
                    return Remote(why=f"kubeConfig {cluster} is not known")
                self._ways[cluster] = remote.read(where, self.world.cluster.get(where.secret.ref))
            return self._ways[cluster]

    def access(self, user: str, cluster: str) -> Access:
        """What the objects of a cluster are reached through as a user; "" is the run itself, and its own.

        Of them nothing is asked by that. Raises ClusterError when it is not known how to reach it.
        """
        with self._mutex:
            if (cluster, user) not in self._accesses:
                made = self.access("", cluster).acting_as(user) if user else self._own(cluster)
                made.evidence.expect(self.expected(cluster, user))
                self._accesses[cluster, user] = made
            return self._accesses[cluster, user]

    def requests(self) -> dict[str, int]:
        """What was sent, to all clusters together."""
        with self._mutex:
            asked = {id(made.cluster): made.cluster for (_, user), made in self._accesses.items() if not user}
        asked[id(self.world.cluster)] = self.world.cluster
        total: Counter[str] = Counter()
        for each in asked.values():
            total.update(each.requests)
        return dict(total)

    def _own(self, cluster: str) -> Access:
        """A cluster, with the rights of the run or of the kubeconfig that leads to it."""
        if not cluster:
            return Access(self.world.cluster, self.world.observer, self.evidence)
        way = self.way(cluster)
        if way.why or not way.asked:
            raise ClusterError(way.why or f"kubeConfig {cluster} is not read here")
        client, observer = self.world.reach(way.kubeconfig, f"kubeConfig {cluster}")
        return Access(client, observer, Evidence(client, self.world.clock))
