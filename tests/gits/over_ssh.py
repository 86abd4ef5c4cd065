"""A real sshd that runs git for one key, on a port of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import wait_until


@dataclass(frozen=True)
class SshServer:
    """Serves every repository below `root` by its absolute path."""

    root: Path
    port: int
    identity: str  # the private key that it knows
    known_hosts: str
    user: str

    def url(self, name: str, host: str = "127.0.0.1") -> str:
        return f"ssh://{self.user}@{host}:{self.port}{self.root}/{name}"


def sshd() -> str:
    """The program, "" where the machine has none (package openssh-server)."""
    return shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin") or ""


def key(directory: Path, name: str, passphrase: str = "") -> Path:
    """A new pair of keys; the private one's file."""
    file = directory / name
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", name, "-f", str(file)]
    subprocess.run(command, check=True)
    return file


@contextmanager
def ssh_server(root: Path, directory: Path, authorized: Path) -> Iterator[SshServer]:
    """Runs until the end of the block; `authorized` is a public key."""
    host = key(directory, "host")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": host,
        "AuthorizedKeysFile": authorized,
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "PermitRootLogin": "yes",
        "SetEnv": "GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=*",
    }
    config = directory / "sshd_config"
    config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    if os.geteuid() == 0:  # where a service starts it, that makes this directory; sshd insists on it
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    process = subprocess.Popen([sshd(), "-D", "-e", "-f", str(config)], stderr=subprocess.DEVNULL)

    def listens() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    try:
        wait_until(listens, "sshd listens")
        known = f"[127.0.0.1]:{port} {host.with_suffix('.pub').read_text()}"
        identity = authorized.with_suffix("").read_text()
        yield SshServer(root, port, identity, known, getpass.getuser())
    finally:
        process.terminate()
        process.wait()
