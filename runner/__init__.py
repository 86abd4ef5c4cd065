"""Reconcile Flux Kustomizations from CI, without controllers in the cluster."""
