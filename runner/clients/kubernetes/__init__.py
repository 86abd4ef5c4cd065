"""The cluster that a run works on, over the Kubernetes API."""

from __future__ import annotations

from runner.clients.kubernetes.client import KubernetesCluster
from runner.clients.kubernetes.connection import connect
from runner.clients.kubernetes.foreign import connect_by
from runner.clients.kubernetes.observer import WatchingObserver

__all__ = ["KubernetesCluster", "WatchingObserver", "connect", "connect_by"]
