"""The outside, as a run needs it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from runner.errors import ClusterError
from runner.ports import Clock, Cluster, Listener, Observer

Reach = Callable[[bytes, str], tuple[Cluster, Observer]]
"""By the text of a kubeconfig and what it is called: the cluster that its current context names.

Equal texts give the same client. Nothing is sent. Raises ClusterError when it may not or cannot be used.
"""


def _nowhere(_: bytes, name: str) -> tuple[Cluster, Observer]:
    raise ClusterError(f"{name}: no other cluster is reached here")


@dataclass(frozen=True, slots=True)
class World:
    """The outside, as a run needs it."""

    cluster: Cluster
    observer: Observer
    clock: Clock
    pool: Executor
    listener: Listener
    cancel: Callable[[], None]  # makes everything that waits on the cluster end soon
    cancelled: Callable[[], bool]
    reach: Reach = _nowhere
