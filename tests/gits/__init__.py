"""Real Git servers on loopback: git http-backend behind plain or encrypted HTTP, and sshd."""

from tests.gits.over_http import GitServer, git_server
from tests.gits.over_ssh import SshServer, ssh_server, sshd

__all__ = ["GitServer", "SshServer", "git_server", "ssh_server", "sshd"]
