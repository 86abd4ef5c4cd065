"""OCI registries, read only."""

from runner.clients.oci.artifacts import OciArtifacts

__all__ = ["OciArtifacts"]
