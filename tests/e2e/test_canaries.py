"""Nothing that the action leaves behind has a sealed value: no log, comment, file, record or argument."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import stat
import subprocess
import sys
import tempfile
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests import workflow
from tests.cluster.api import MERGE
from tests.e2e.harness import Bench
from tests.e2e.whole import Fleet, fleet
from tests.fakes.github import TOKEN, Server
from tests.gits import sshd
from tests.sops import has_gpg

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not sshd(), reason="no sshd on this machine: package openssh-server"),
    pytest.mark.skipif(not has_gpg(), reason="there is no gpg to make a key with"),
]
LOGINS = {"git-token", "deploy-key", "registry"}
MADE = {"settings", "db", "old", "blob", "plain"}
"""What the fleet is to write: there the values belong."""


def forms(text: str) -> Iterator[bytes]:
    """How a text may look where somebody only seems to have hidden it."""
    raw = text.encode()
    yield raw
    yield raw.hex().encode()
    yield hashlib.sha256(raw).hexdigest().encode()
    for before in range(3):  # in base64 of something longer it stands at one of three places
        for coded in (b64encode, urlsafe_b64encode):
            yield coded(bytes(before) + raw)[4 : (before + len(raw)) // 3 * 4]


@dataclass
class Job:
    """The action's step as the runner starts it, one process with its files."""

    whole: Fleet
    server: Server
    temp: Path
    left: dict[str, bytes] = field(default_factory=dict)  # everything that anybody could read, by what it is
    known: set[tuple[int, int]] = field(default_factory=set)

    def run(self, event: str, payload: dict[str, Any], **inputs: str) -> tuple[int, str]:
        """Run, and meanwhile look at every process and at every file that is made; code and log."""
        self.temp.mkdir(exist_ok=True)
        self.server.calls.clear()
        (self.temp / "event.json").write_text(json.dumps(payload))
        world = self.whole.world
        environment = {
            **os.environ,
            **world.env,
            **workflow.environment(world.repository.path, self.temp, self.server.url),
            "GITHUB_EVENT_NAME": event,
            "INPUT_CLUSTER": "test",
            "INPUT_TOKEN": TOKEN,
            "INPUT_KUBECONFIG": world.kubeconfig.read_text(),
            "INPUT_CACHE-DIR": str(self.temp / "cache"),
            **workflow.inputs(**inputs),
        }
        command = [sys.executable, "-u", "-m", "runner.cli", "action"]
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )
            while process.poll() is None:
                self._look(process.pid)
                try:
                    process.wait(0.05)
                except subprocess.TimeoutExpired:
                    continue
            self._look(process.pid)
            log.seek(0)
            said = log.read().decode().splitlines()
        for number, call in enumerate(self.server.calls):
            self.left[f"{event} call {number}"] = call.text.encode()
        # What hides a value has to name it; it never gets further than the runner.
        told = "\n".join(line for line in said if not line.startswith("::add-mask::"))
        self.left[f"{event} log"] = told.encode()
        return process.returncode, told

    def _look(self, own: int) -> None:
        """At the step's processes and files; what has gone meanwhile is no matter."""
        step = b""
        with suppress(OSError):
            step = Path(f"/proc/{own}/cmdline").read_bytes()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if os.getsid(int(process.name)) != own:
                    continue
                arguments = (process / "cmdline").read_bytes()
                self.left[f"arguments {process.name} {arguments[:40]!r}"] = arguments
                # The step itself was given the inputs; what has yet to become another program is its copy.
                if arguments and arguments != step and int(process.name) != own:
                    self._keep(process / "environ", f"environment {process.name}")
        for top in (self.whole.world.env["TMPDIR"], self.temp):
            for directory, _, names in os.walk(top):
                for name in names:
                    self._keep(Path(directory) / name, f"{directory}/{name}")

    def _keep(self, file: Path, name: str) -> None:
        with suppress(OSError):  # it may have gone
            found = file.stat()
            if stat.S_ISREG(found.st_mode) and (found.st_ino, found.st_mtime_ns) not in self.known:
                content = file.read_bytes()
                if name.startswith("/"):  # those of a process have no time of their own
                    self.known.add((found.st_ino, found.st_mtime_ns))
                self.left[f"{name} {hashlib.sha256(content).hexdigest()[:8]}"] = content

    def records(self) -> None:
        """Add what the cluster holds of the runs, but for what they were to write."""
        world = self.whole.world
        for path in ("api/v1/{}/configmaps", "api/v1/{}/secrets", "api/v1/{}/events"):
            for item in world.api.get("/" + path.format(f"namespaces/{world.namespace}")).body["items"]:
                name = item["metadata"]["name"]
                if name in LOGINS | MADE or name.startswith("web-"):
                    continue
                packed = (item.get("binaryData") or {}).values()
                texts = [gzip.decompress(b64decode(each)) for each in packed]
                self.left[f"{item.get('kind', path)} {name}"] = b"\n".join(
                    [json.dumps(item).encode(), *texts]
                )
        leases = f"/apis/coordination.k8s.io/v1/namespaces/{world.namespace}/leases"
        self.left["leases"] = json.dumps(world.api.get(leases).body).encode()

    def assert_clean(self, *more: str) -> None:
        """Nothing has a sealed value, in whatever form; what is left after a run has no login either."""
        self.records()
        assert any("kustodian-" in name for name in self.left)
        hidden = {form for text in (*self.whole.sealed, *more) for form in forms(text)}
        found = {
            f"{name}: {content[max(0, content.find(form) - 80) : content.find(form) + 60]!r}"
            for name, content in self.left.items()
            for form in hidden
            if form in content
        }
        assert not found
        here = [file for file in self.temp.rglob("*") if file.is_file()]
        tmp = [file for file in Path(self.whole.world.env["TMPDIR"]).rglob("*") if file.is_file()]
        for file in (*here, *tmp):
            assert not [each for each in self.whole.logins if each.encode() in file.read_bytes()], file


@pytest.fixture
def job(world: Bench, tmp_path: Path) -> Iterator[Job]:
    """The fleet, whose keys are inputs: no Secret of the cluster has them."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        world.env[name] = ""
    with fleet(world, tmp_path) as whole, Server() as server:
        del whole.secrets["sops-keys"]
        whole.give()
        yield Job(whole, server, tmp_path / "temp")


def keys(job: Job) -> dict[str, str]:
    return {"sops_age_key": job.whole.age.secret, "sops_pgp_key": job.whole.pgp.secret}


def deploy(job: Job, **inputs: str) -> tuple[int, str]:
    head = job.whole.world.repository.git("rev-parse", "HEAD")
    job.server.repository.pull(7, job.server.repository.commit(head), state="closed", commits=(head,))
    payload = {"ref": "refs/heads/main", "repository": {"default_branch": "main"}}
    told = {"checks": "kustomizations", "statuses": "kustomizations"}
    return job.run("push", payload, **keys(job), **told, **inputs)


def test_a_deploy_a_preview_with_keys_and_a_look_at_drift(job: Job):
    world, repository = job.whole.world, job.whole.world.repository
    code, log = deploy(job)
    assert code == 0, log
    settings = world.get(f"/api/v1/namespaces/{world.namespace}/configmaps/settings")
    assert settings["data"] == {"token": job.whole.value("token")}

    base = repository.git("rev-parse", "HEAD")
    repository.git("checkout", "--quiet", "-b", "topic")
    changed = replace(job.whole, canary="canary-77e1")
    head = changed.seal()
    job.server.repository.pull(5, job.server.repository.commit(head))
    pull = {"number": 5, "head": {"sha": head}, "base": {"sha": base, "ref": "main"}}
    payload = {"pull_request": pull, "number": 5, "repository": {"default_branch": "main"}}
    allowed = {"read_secrets": "true", "allow_private_network": "true", "allow_remote_bases": "true"}
    code, log = job.run("pull_request", payload, **keys(job), **allowed, comment="always")
    assert code == 0, log
    (comment,) = job.server.repository.comments
    assert "password" in comment.body
    assert "`Secret/" in comment.body
    assert "changed in the cluster too" not in comment.body  # by whom?
    assert (job.temp / "kustodian").is_dir()

    repository.git("checkout", "--quiet", "main")
    by_hand = "canary-by-hand-31"
    for kind, name, data in (
        ("configmaps", "settings", {"data": {"token": by_hand}}),
        ("secrets", "db", {"stringData": {"password": by_hand}}),
    ):
        path = f"/api/v1/namespaces/{world.namespace}/{kind}/{name}?fieldManager=somebody"
        assert world.api.request("PATCH", path, data, MERGE).status == 200
    code, log = job.run("schedule", {"schedule": "17 * * * *"}, **keys(job), mode="drift")
    assert code == 0, log
    (issue,) = job.server.repository.issues
    assert "settings" in issue.body
    assert "db" in issue.body
    job.assert_clean(*(changed.value(part) for part in ("token", "object", "patch", "file")), by_hand)


def test_what_the_server_and_the_health_check_say_of_a_value(job: Job):
    """A sealed patch puts a value where the server refuses it, and quotes it."""
    world = job.whole.world
    value = "canary: not a label"
    meta = {"name": "web", "namespace": world.namespace, "labels": {"pin": value}}
    patch = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta}
    world.repository.write("apps/sealed/label.yaml", job.whole.whole(patch, job.whole.age))
    kfile = job.whole.kfile
    kfile["patches"].append({"path": "label.yaml"})
    world.repository.write("apps/sealed/kustomization.yaml", kfile)
    world.repository.commit()
    code, log = deploy(job)
    assert code == 1, log
    assert "‹hidden›" in log
    job.assert_clean(value)
