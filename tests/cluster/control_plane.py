"""A real Kubernetes control plane on this machine, without containers."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import urllib3.exceptions

from runner.clients.kustomize.toolchain import publish
from tests.cluster import build, data_directory
from tests.cluster.api import Api
from tests.cluster.audit import AuditLog
from tests.cluster.certificates import Authority, private_key
from tests.cluster.components import ETCD_SOCKET, NODE, Components, node, stages
from tests.cluster.kubeconfig import kubeconfig
from tests.cluster.processes import Processes
from tests.cluster.waiting import wait_until

ADMIN = "kustodian-test-admin"
MASTERS = "system:masters"
START_SECONDS = 60.0
CERTIFICATE, KEY, KUBECONFIG = "client.crt", "client.key", "kubeconfig"
DEFAULT_SERVICE_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"


class ControlPlaneError(RuntimeError):
    """The control plane did not come up, or was asked for what it cannot do."""


class ControlPlane:
    """Runs etcd, kube-apiserver and, unless told otherwise, the controllers, the scheduler and kwok.

    `start` gives one that ends with `stop`, with its `with` block, or with this process.
    `attach` gives a view of one that another process started.
    """

    def __init__(self, directory: Path, server: str) -> None:
        """Refer to the control plane in `directory`; use `start` or `attach`."""
        self.directory = directory
        self.server = server
        self.audit_log = directory / "audit.log"
        self._started: _Started | None = None
        self._apis: dict[Path, Api] = {}
        self._audits: dict[str | None, AuditLog] = {}

    @classmethod
    def start(cls, data_dir: Path | None = None, *, controllers: bool = True) -> ControlPlane:
        """Start a control plane and wait until it can be used: about four seconds.

        `data_dir` must be empty or absent, and is removed in the end. Without `controllers` there is only the
        API: nothing reacts to what is written.

        Raises:
            ControlPlaneError: it was not ready in time, or one of its programs ended.
            BuildError: its programs were not there and could not be built.
        """
        binaries = build.ensure()
        directory, lock = data_directory.claim(data_dir)
        held = _free_port()
        port = held.getsockname()[1]
        plane = cls(directory, f"https://127.0.0.1:{port}")
        try:
            processes = Processes(directory, held=(lock, held.fileno()))
        finally:
            held.close()
            os.close(lock)
        plane._started = _Started(plane, processes, Components(binaries, port), controllers=controllers)
        try:
            plane._started.bring_up()
        except BaseException:
            plane.stop()
            raise
        return plane

    @classmethod
    def attach(cls, directory: Path) -> ControlPlane:
        """The control plane that another process has running in `directory`; it can be used, not stopped."""
        return cls(directory, (directory / "server").read_text())

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig; its only context is `kustodian-test`."""
        return self.user_kubeconfig(ADMIN, [MASTERS])

    @property
    def supervisor_pid(self) -> int:
        """The process id of the supervisor, whose children the programs are."""
        return self._own().processes.supervisor_pid

    def user_kubeconfig(self, user: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig with a certificate for this user in these groups; without a role it may do nothing."""
        return self._identity(user, groups) / KUBECONFIG

    def api(self, user: str = ADMIN, groups: Sequence[str] | None = None) -> Api:
        """A client for raw requests, as the administrator or as another user."""
        if groups is None:
            groups = [MASTERS] if user == ADMIN else []
        identity = self._identity(user, groups)
        if identity not in self._apis:
            authority = self.directory / "ca.crt"
            self._apis[identity] = Api(self.server, authority, identity / CERTIFICATE, identity / KEY)
        return self._apis[identity]

    def audit_events(self, user: str | None = None) -> list[dict[str, Any]]:
        """The requests that were answered so far, oldest first, of all users or of one.

        The API server writes an event just after its answer: wait for the event, do not expect it at once.
        """
        return list(self._audits.setdefault(user, AuditLog(self.audit_log, user)).read())

    def stop_apiserver(self) -> None:
        """Kill the API server, as in a crash: connections break off, new ones are refused."""
        self._own().processes.stop("kube-apiserver")

    def start_apiserver(self) -> None:
        """Start the API server again, on the same port and data, and wait until it is ready."""
        self._own().start_apiserver()

    def restart_apiserver(self) -> None:
        """Kill the API server and start it again: every watch breaks off."""
        self.stop_apiserver()
        self.start_apiserver()

    def stop(self) -> None:
        """End all programs and remove the directory; does nothing the second time, or for a view."""
        for api in self._apis.values():
            api.close()
        if self._started is not None:
            self._started.processes.close()

    def __enter__(self) -> Self:
        """Use it in a `with` block, which stops it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def _own(self) -> _Started:
        if self._started is None:
            raise ControlPlaneError(
                f"the control plane in {self.directory}: is shared and was started by another process, so "
                "its programs cannot be stopped here; start one of your own"
            )
        return self._started

    def _identity(self, user: str, groups: Sequence[str]) -> Path:
        """The directory of a user's certificate, key and kubeconfig; made when it is not there."""
        name = hashlib.sha256(json.dumps([user, *groups]).encode()).hexdigest()[:16]
        identity = self.directory / "users" / name
        if not identity.exists():
            identity.parent.mkdir(exist_ok=True)
            authority = Authority.load(self.directory)
            credential = authority.client(user, groups)
            text = kubeconfig(self.server, authority.credential.certificate, user, credential)
            # All at once: another process may be making the same user's at this moment.
            staged = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=identity.parent))
            files = {CERTIFICATE: credential.certificate, KEY: credential.key, KUBECONFIG: text.encode()}
            for file, content in files.items():
                (staged / file).touch(mode=0o600)
                (staged / file).write_bytes(content)
            publish(staged, identity)
        return identity


class _Started:
    """The programs of a control plane that this process started."""

    def __init__(
        self, plane: ControlPlane, processes: Processes, components: Components, *, controllers: bool
    ) -> None:
        self.plane = plane
        self.processes = processes
        self.components = components
        self.controllers = controllers

    def bring_up(self) -> None:
        """Write what the programs read, then start them in the order in which they need each other."""
        directory = self.plane.directory
        authority = Authority.create()
        authority.save(directory)
        server = authority.server()
        (directory / "server.crt").write_bytes(server.certificate)
        (directory / "server.key").write_bytes(server.key)
        (directory / "service-accounts.key").write_bytes(private_key())
        (directory / "stages.yaml").write_text(stages(self.components.binaries.stages))
        (directory / "server").write_text(self.plane.server)
        self.processes.start("etcd", self.components.etcd())
        self.wait("etcd", "its socket is there", (directory / ETCD_SOCKET).is_socket)
        self.start_apiserver()
        if self.controllers:
            self._start_controllers()

    def start_apiserver(self) -> None:
        """Start the API server and wait until it says that it is ready."""
        argv = self.components.kube_apiserver(service_accounts=self.controllers)
        self.processes.start("kube-apiserver", argv)
        self.wait("kube-apiserver", "/readyz is ok", lambda: self._status("/readyz") == 200)

    def _start_controllers(self) -> None:
        def identity(user: str) -> Path:
            return self.plane.user_kubeconfig(user, [MASTERS])

        manager, scheduler = "kube-controller-manager", "kube-scheduler"
        manager_identity = identity(f"system:{manager}")
        self.processes.start(manager, self.components.kube_controller_manager(manager_identity))
        self.processes.start(scheduler, self.components.kube_scheduler(identity(f"system:{scheduler}")))
        self.processes.start("kwok", self.components.kwok(identity("kwok")))
        answer = self.plane.api().request("POST", "/api/v1/nodes", node())
        if answer.status != 201:
            raise ControlPlaneError(f"the test node: was not created: {answer.body}; correct its manifest")
        account_exists = "the default ServiceAccount exists"
        self.wait(manager, account_exists, lambda: self._status(DEFAULT_SERVICE_ACCOUNT) == 200)
        self.wait("kwok", "the node is Ready", self._node_is_ready)
        self.wait(scheduler, "still runs", lambda: True)

    def wait(self, program: str, what: str, condition: Callable[[], bool]) -> None:
        """Wait for a condition that `program` brings about; stop waiting when it ends."""

        def reached() -> bool:
            if (status := self.processes.ended(program)) is not None:
                raise ControlPlaneError(self._failure(program, what, f"it ended with status {status}"))
            return condition()

        try:
            wait_until(reached, what, START_SECONDS)
        except TimeoutError:
            raise ControlPlaneError(self._failure(program, what, f"not within {START_SECONDS:g} s")) from None

    def _failure(self, program: str, what: str, why: str) -> str:
        return (
            f"the test control plane's {program}: waited until {what}: {why}; its log says why, "
            "the end of it:\n"
            f"{self.processes.log_tail(program)}"
        )

    def _status(self, path: str) -> int:
        try:
            return self.plane.api().get(path).status
        except urllib3.exceptions.HTTPError:
            return 0

    def _node_is_ready(self) -> bool:
        answer = self.plane.api().get(f"/api/v1/nodes/{NODE}")
        conditions = answer.body.get("status", {}).get("conditions", [])
        tainted = answer.body.get("spec", {}).get("taints", [])
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
        return ready and not tainted


def _free_port() -> socket.socket:
    """A socket that holds a free port of 127.0.0.1 without listening, for a program to share."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    holder.bind(("127.0.0.1", 0))
    return holder
