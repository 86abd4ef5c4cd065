"""What is measured against: a control plane of one's own, a repository, the command line."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.clients.kubernetes import KubernetesCluster, connect
from tests.bench.manifests import FLUX_NAMESPACE, Manifest, namespace
from tests.bench.measure import DIRECTORY, Usage, run
from tests.cluster import ControlPlane, wait_until
from tests.e2e.harness import ENTRY, Repository

SETTLE_SECONDS = 300.0


@dataclass(frozen=True)
class Run:
    """One run of our command line."""

    usage: Usage
    result: dict[str, Any]

    @property
    def requests(self) -> dict[str, int]:
        found: dict[str, int] = self.result["requests"]
        return found


@dataclass(frozen=True)
class World:
    """A control plane that nobody else uses, and where to put files."""

    plane: ControlPlane
    cluster: KubernetesCluster
    directory: Path

    def repository(self, name: str) -> Repository:
        return Repository(self.directory / name)

    def reconcile(self, repository: Repository, *more: str, home: str = FLUX_NAMESPACE) -> Run:
        """Reconcile a repository in a process of its own; `home` is the root's namespace."""
        flags = ["--repo", str(repository.path), "--entry", ENTRY, "--root", f"{home}/fleet", *more]
        argv = [sys.executable, "-m", "runner.cli", "reconcile", "-o", "json", *flags]
        usage = run([*argv, "--kubeconfig", str(self.plane.kubeconfig)])
        return Run(usage, json.loads(usage.stdout))

    def make_namespace(self, name: str) -> None:
        """A namespace that can be used: pods need its ServiceAccount."""
        self.cluster.apply(namespace(name))
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        wait_until(lambda: self.plane.api().get(account).status == 200, account)

    def settle(self) -> None:
        """Wait until the controllers have seen every Deployment, so that they are quiet."""

        def seen(each: Manifest) -> bool:
            observed = each.get("status", {}).get("observedGeneration")
            return bool(observed == each["metadata"]["generation"])

        path = "/apis/apps/v1/deployments"
        wait_until(
            lambda: all(seen(each) for each in self.plane.api().get(path).body["items"]),
            "the controllers have seen every Deployment",
            SETTLE_SECONDS,
        )


@contextmanager
def fresh() -> Iterator[World]:
    """A new control plane, with a client; both are gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix=DIRECTORY) as name,
        ControlPlane.start() as plane,
        closing(connect(kubeconfig=str(plane.kubeconfig), context=None)) as cluster,
    ):
        yield World(plane, cluster, Path(name).resolve())


def isolate() -> None:
    """Nobody's cluster, proxy or Git configuration, for this process and those that it starts."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        del os.environ[name]
    direct = ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"]))
    os.environ |= {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "KUBECONFIG": "/nonexistent/no-benchmark-may-use-your-cluster",
        "NO_PROXY": direct,
        "no_proxy": direct,
    }
    for role in ("AUTHOR", "COMMITTER"):
        os.environ |= {f"GIT_{role}_NAME": "somebody", f"GIT_{role}_EMAIL": "somebody@example.org"}
    with contextlib.suppress(AttributeError, ValueError):
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
