"""Other repositories, read only: nothing of the machine's own git configuration counts."""

from runner.clients.git.remote.repositories import RemoteRepositories

__all__ = ["RemoteRepositories"]
