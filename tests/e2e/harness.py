"""A Git repository to write, a cluster of one's own inside the shared one, and the command line to run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from runner import state
from tests import forked
from tests.cluster import ControlPlane, wait_until
from tests.cluster.api import Api

WRITES = {"create", "update", "patch", "delete", "deletecollection"}
ENTRY = "clusters/test"
ON_A_CLUSTER = {
    "reconcile",
    "get",
    "plan",
    "events",
    "trace",
    "pause",
    "resume",
    "rollback",
    "adopt",
    "release",
    "drift",
}


@dataclass(frozen=True)
class Result:
    """What one run of the command line left."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.stdout)
        return found

    @property
    def states(self) -> dict[str, str]:
        """The outcome of each Kustomization, by name."""
        return {each["name"]: each["state"] for each in self.json["kustomizations"]}

    def of(self, name: str) -> dict[str, Any]:
        """What is said of one Kustomization."""
        found: dict[str, Any] = next(k for k in self.json["kustomizations"] if k["name"] == name)
        return found

    def changes(self, name: str) -> dict[str, str]:
        """What happened to the objects of one Kustomization: `Kind/name` to action."""
        return {f"{c['ref']['kind']}/{c['ref']['name']}": c["action"] for c in self.of(name)["changes"]}


@dataclass
class Repository:
    """A real Git repository with an entry at clusters/test."""

    path: Path

    def __post_init__(self) -> None:
        self.path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def write(self, path: str, *documents: str | Mapping[str, Any]) -> None:
        """A file of YAML documents, given as objects or as text."""
        texts = [
            textwrap.dedent(each) if isinstance(each, str) else yaml.safe_dump(each, sort_keys=False)
            for each in documents
        ]
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("---\n".join(texts))

    def remove(self, path: str) -> None:
        self.git("rm", "-r", "--quiet", path)

    def commit(self, message: str = "change") -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")


@dataclass
class Bench:
    """One test's world: a repository, a namespace, a user whose requests the audit log shows."""

    plane: ControlPlane
    repository: Repository
    namespace: str
    user: str
    kubeconfig: Path
    api: Api
    env: dict[str, str] = field(default_factory=dict)
    cluster: str = ""  # of kustodian.yaml: it says entry, root and kubeconfig

    @property
    def root(self) -> str:
        return f"{self.namespace}/fleet"

    def command(self, *arguments: str, kubeconfig: Path | None = None) -> list[str]:
        """A command line; those that take an entry and a root get them."""
        flags: list[str] = []
        if arguments[0] in {
            "reconcile",
            "build",
            "tree",
            "diff",
            "plan",
            "trace",
            "rollback",
            "adopt",
            "drift",
        }:
            whole = ["--cluster", self.cluster] if self.cluster else ["--entry", ENTRY, "--root", self.root]
            flags += ["--repo", str(self.repository.path), *whole]
        if not self.cluster and (arguments[0] in ON_A_CLUSTER or "--live" in arguments):
            flags += ["--kubeconfig", str(kubeconfig or self.kubeconfig)]
        return [sys.executable, "-m", "runner.cli", arguments[0], *flags, *arguments[1:]]

    def run(self, *arguments: str, kubeconfig: Path | None = None, seconds: float = 120) -> Result:
        _, _, _, *command = self.command(*arguments, kubeconfig=kubeconfig)
        done = forked.run(*command, env={**os.environ, **self.env}, timeout=seconds)
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, kubeconfig: Path | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments, kubeconfig=kubeconfig),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **self.env},
        )

    def reconcile(self, *arguments: str, code: int = 0, kubeconfig: Path | None = None) -> Result:
        """Reconcile with JSON output, and make sure of the exit code."""
        result = self.run("reconcile", "-o", "json", *arguments, kubeconfig=kubeconfig)
        assert result.code == code, f"exit code {result.code}\n{result.stdout}\n{result.stderr}"
        return result

    def get(self, path: str) -> Any:
        """An object of the API by its path below /api/v1 or /apis, None when there is none."""
        answer = self.api.get(path)
        return answer.body if answer.status == 200 else None

    def config_maps(self) -> set[str]:
        """The names of the ConfigMaps of this test's namespace, without the platform's and our records."""
        items = self.api.get(f"/api/v1/namespaces/{self.namespace}/configmaps").body["items"]
        names = {item["metadata"]["name"] for item in items}
        return {name for name in names if name != "kube-root-ca.crt" and not name.startswith("kustodian-")}

    def records(self) -> dict[str, state.Record]:
        """What is remembered of this test's Kustomizations, by name."""
        items = self.api.get(f"/api/v1/namespaces/{self.namespace}/configmaps").body["items"]
        ours = [i for i in items if (i["metadata"].get("labels") or {}).get(state.LABEL) == "state"]
        found = [state.decode(each) for each in ours]
        return {record.kustomization.partition("/")[2]: record for record in found}

    def forget(self) -> None:
        """Take the records away: every run on this control plane reads those of all namespaces."""
        path = f"/api/v1/namespaces/{self.namespace}/configmaps?labelSelector={state.SELECTOR}"
        self.api.request("DELETE", path)

    def writes(self) -> list[str]:
        """Every write request of this test's user, from the audit log; dry-runs are none."""
        return [
            f"{event['verb']} {event['requestURI'].partition('?')[0]}"
            for event in self.events()
            if event["verb"] in WRITES and "dryRun=All" not in event["requestURI"]
        ]

    def deployed(self) -> list[str]:
        """The writes to what is deployed: neither to our records and the lock, nor an Event.

        The last ones about a Kustomization may come while its children are under way.
        """
        return [each for each in self.writes() if "/kustodian-" not in each and not each.endswith("/events")]

    def events(self) -> list[dict[str, Any]]:
        """The audit log of this test's user, once a request that was sent now is in it."""
        probe = f"/api/v1/namespaces/{self.namespace}/configmaps/probe-{uuid.uuid4().hex[:8]}"
        with_user = self.plane.api(self.user, ["system:masters"])
        with_user.get(probe)
        with_user.close()

        def seen() -> list[dict[str, Any]]:
            events = self.plane.audit_events(self.user)
            return events if any(event["requestURI"] == probe for event in events) else []

        return wait_until(seen, f"the audit log shows {probe}")


def bench(plane: ControlPlane, directory: Path, name: str = "") -> Bench:
    """A fresh world in the shared control plane."""
    namespace = f"t-{name or uuid.uuid4().hex[:8]}"
    user = f"user-{namespace}"
    repository = Repository(directory / namespace)
    kubeconfig = directory / f"{namespace}.kubeconfig"
    shutil.copy(plane.user_kubeconfig(user, ["system:masters"]), kubeconfig)
    return Bench(plane, repository, namespace, user, kubeconfig, plane.api())


def kustomization(bench: Bench, name: str, path: str, **spec: Any) -> dict[str, Any]:
    """A Flux Kustomization of this test's namespace."""
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": bench.namespace},
        "spec": {
            "interval": "10m",
            "path": f"./{path}",
            "prune": True,
            "sourceRef": {"kind": "GitRepository", "name": "fleet"},
            **spec,
        },
    }


def config_map(bench: Bench, name: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": bench.namespace},
        "data": data or {"key": "value"},
    }


def deployment(bench: Bench, name: str, image: str = "registry.example/app:1", **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": bench.namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "app", "image": image}]},
            },
            **spec,
        },
    }
