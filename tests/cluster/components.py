"""What each program of the test control plane is started with."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tests.cluster.build import Binaries

ETCD_SOCKET = "etcd-client.sock"
ETCD_PEER_SOCKET = "etcd-peer.sock"
MANIFESTS = Path(__file__).with_name("manifests")
NODE = "node-1"

# With the defaults (20 a second) the controllers, not the API server, decide how long a test takes.
CLIENT_SPEED = ("--kube-api-qps=500", "--kube-api-burst=1000")

# Stays below a pod's readiness rule, so that a pod with a broken image is never made ready.
_READY_RULE = "name: pod-ready\n"
_SELECTOR = "    matchExpressions:\n"
_NOT_BROKEN = """\
    - key: '.spec.containers.[].image | select(contains("broken"))'
      operator: 'DoesNotExist'
"""


@dataclasses.dataclass(frozen=True)
class Components:
    """The programs' command lines; relative paths in them are relative to the data directory.

    etcd is reached through sockets in that directory: no port to choose, and no other user can reach it.
    """

    binaries: Binaries
    port: int

    def etcd(self) -> list[str]:
        """etcd, on data that nobody needs after a power cut."""
        client, peer = f"unix://{ETCD_SOCKET}", f"unix://{ETCD_PEER_SOCKET}"
        return [
            str(self.binaries.etcd),
            "--name=test",
            "--data-dir=etcd",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=test={peer}",
            "--unsafe-no-fsync",
            "--snapshot-count=10000",
            "--log-level=warn",
        ]

    def kube_apiserver(self, *, service_accounts: bool) -> list[str]:
        """kube-apiserver; without service accounts pods need none, as nothing would create them."""
        return [
            str(self.binaries.kube_apiserver),
            f"--etcd-servers=unix://{ETCD_SOCKET}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            f"--secure-port={self.port}",
            # The port is held by a socket that never listens, so that nobody else takes it.
            "--permit-port-sharing=true",
            "--cert-dir=.",
            "--tls-cert-file=server.crt",
            "--tls-private-key-file=server.key",
            "--client-ca-file=ca.crt",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-account-key-file=service-accounts.key",
            "--service-account-signing-key-file=service-accounts.key",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--allow-privileged=true",
            "--audit-log-path=audit.log",
            "--audit-log-maxsize=0",
            f"--audit-policy-file={MANIFESTS / 'audit-policy.yaml'}",
            *([] if service_accounts else ["--disable-admission-plugins=ServiceAccount"]),
        ]

    def kube_controller_manager(self, kubeconfig: Path) -> list[str]:
        """kube-controller-manager, without an address of its own."""
        return [
            str(self.binaries.kube_controller_manager),
            f"--kubeconfig={kubeconfig}",
            "--leader-elect=false",
            "--secure-port=0",
            "--service-account-private-key-file=service-accounts.key",
            "--root-ca-file=ca.crt",
            *CLIENT_SPEED,
        ]

    def kube_scheduler(self, kubeconfig: Path) -> list[str]:
        """kube-scheduler, without an address of its own."""
        program = str(self.binaries.kube_scheduler)
        return [
            program,
            f"--kubeconfig={kubeconfig}",
            "--leader-elect=false",
            "--secure-port=0",
            *CLIENT_SPEED,
        ]

    def kwok(self, kubeconfig: Path) -> list[str]:
        """kwok, which plays every node and every pod on it; without an address of its own."""
        return [
            str(self.binaries.kwok),
            f"--kubeconfig={kubeconfig}",
            "--config=stages.yaml",
            "--manage-all-nodes=true",
            "--node-port=0",
            "--node-lease-duration-seconds=40",
        ]


def stages(directory: Path) -> str:
    """The stages in `directory`, less readiness for pods whose image is "broken", and our own for those."""
    own = [(MANIFESTS / "pod-image-broken.yaml").read_text()]
    return "---\n".join([*(_without_broken(path.read_text()) for path in sorted(directory.iterdir())), *own])


def node() -> dict[str, object]:
    """The one node, with more room than any test fills; kwok reports its state."""
    room = {"cpu": "1k", "memory": "1Ti", "pods": "100k", "ephemeral-storage": "1Ti"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": NODE,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "type": "kwok"},
        },
        "status": {"allocatable": room, "capacity": room},
    }


def _without_broken(stage: str) -> str:
    if _READY_RULE not in stage:
        return stage
    if stage.count(_SELECTOR) != 1:
        raise ValueError(
            "kwok's stage pod-ready: has not exactly one list of match expressions, so broken images "
            f"cannot be kept out of it; adapt {__file__} to the pinned version of kwok"
        )
    return stage.replace(_SELECTOR, _SELECTOR + _NOT_BROKEN)
