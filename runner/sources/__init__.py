"""sourceRef → artifact: the tree of files as source-controller or source-watcher would have packed it."""

from runner.sources.checkout import Checkout

__all__ = ["Checkout"]
