"""Through what the objects of a Kustomization are reached: which cluster, and with whose rights."""

from __future__ import annotations

from dataclasses import dataclass

from runner.evidence import Evidence
from runner.ports import Cluster, Observer


@dataclass(frozen=True, slots=True)
class Access:
    """What objects are read, watched and written through, all with the same rights."""

    cluster: Cluster
    observer: Observer
    evidence: Evidence
    user: str = ""  # who is acted as; "" for the run itself

    def acting_as(self, user: str) -> Access:
        """The same cluster with another user's rights; its lists are that user's own, too."""
        cluster = self.cluster.acting_as(user)
        return Access(cluster, self.observer.acting_as(user), self.evidence.through(cluster), user)
