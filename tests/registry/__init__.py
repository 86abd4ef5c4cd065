"""A real OCI registry on loopback, and what can stand between it and a client."""

from tests.registry.gate import Gate, Rule
from tests.registry.server import Registry, registry

__all__ = ["Gate", "Registry", "Rule", "registry"]
