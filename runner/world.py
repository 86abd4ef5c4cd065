"""The outside, as a run needs it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from runner.ports import Clock, Cluster, Listener, Observer


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
