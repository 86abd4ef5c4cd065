"""sourceRef → artifact: the tree of files as source-controller or source-watcher would have packed it."""

from runner.sources.bases import Bases
from runner.sources.checkout import Checkout
from runner.sources.git import GitRepositories
from runner.sources.oci import OciRepositories

__all__ = ["Bases", "Checkout", "GitRepositories", "OciRepositories"]
