"""What is read of an OCI registry, and as whom. Immutable, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Certificates:
    """What a source adds to the machine's own authorities, and who it is; all PEM."""

    named: bool = False  # the source names a Secret for them, whatever that holds
    ca: str = ""
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ProxyAccess:
    """A proxy that a source names."""

    address: str = field(repr=False)  # may hold credentials
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class OciAccess:
    """How to reach an OCI repository, and as whom."""

    source: str  # whose it is; for messages
    url: str  # oci://registry/repository
    insecure: bool = False
    docker_configs: tuple[str, ...] | None = field(default=None, repr=False)  # None: the machine's own
    certificates: Certificates = Certificates()
    proxy: ProxyAccess | None = None  # None: what the environment says
    timeout: float = 60.0  # seconds, for each request


@dataclass(frozen=True, slots=True)
class Layer:
    """Which layer of an artifact is read: the first, or the first of a media type."""

    media_type: str = ""
    copied: bool = False  # as it is: what the controller that unpacks it refuses then is refused
