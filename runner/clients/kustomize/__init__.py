"""Rendering as Flux does it: a pool of worker processes built on Flux's own libraries."""

from runner.clients.kustomize.decryptor import Decryptor
from runner.clients.kustomize.pool import WorkerPool

__all__ = ["Decryptor", "WorkerPool"]
