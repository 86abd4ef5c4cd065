"""Real servers on loopback: git http-backend behind plain or encrypted HTTP, sshd, and plain pages."""

from tests.gits.over_http import GitServer, git_server
from tests.gits.over_ssh import SshServer, ssh_server, sshd
from tests.gits.pages import Pages, pages

__all__ = ["GitServer", "Pages", "SshServer", "git_server", "pages", "ssh_server", "sshd"]
