"""`oci://registry/path` → where that is, with the defaults that Flux's library fills in.

Source: google/go-containerregistry, pkg/name.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from runner.errors import UsageError

DOCKER = "index.docker.io"
_PREFIX = "oci://"
_HOST = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?"
)
_PATH = re.compile(r"[a-z0-9_./-]{2,255}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Place:
    """A repository in a registry."""

    registry: str  # host, or host:port
    path: str

    def __str__(self) -> str:
        return f"{self.registry}/{self.path}"

    @property
    def local(self) -> bool:
        """Whether Flux tries plain HTTP too, although nobody said `insecure`."""
        host = re.sub(r":[0-9]+$", "", self.registry).strip("[]")
        if host == "localhost" or host.endswith((".local", ".localhost")):
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return address.is_loopback or (address.version == 4 and address.is_private)  # noqa: PLR2004


def place(url: str, source: str) -> Place:
    """Where an artifact repository is. Raises UsageError."""
    rest = url.removeprefix(_PREFIX)
    if rest == url:
        raise wrong(source, "is not of the form oci://<registry>/<repository>")
    registry, slash, path = rest.partition("/")
    if slash and not (set(".:[") & set(registry) or registry == "localhost"):
        registry, path = DOCKER, rest  # as docker reads it: `library/x` and `x` are Docker Hub's
    if registry == "docker.io":
        registry = DOCKER
    if ":" in path or "@" in path:
        raise wrong(source, "names a tag or a digest, which belongs into spec.ref")
    if "@" in registry:
        raise wrong(source, "has credentials in it, which belong into spec.secretRef")
    if not _HOST.fullmatch(registry) or not _PATH.fullmatch(path) or ".." in path.split("/"):
        raise wrong(source, "is not of the form oci://<registry>/<repository>")
    return Place(registry, f"library/{path}" if registry == DOCKER and "/" not in path else path)


def is_tag(text: str) -> bool:
    return bool(_TAG.fullmatch(text))


def is_digest(text: str) -> bool:
    return bool(_DIGEST.fullmatch(text))


def wrong(source: str, why: str) -> UsageError:
    return UsageError(f"{source}: spec.url {why}", hint="give it like oci://ghcr.io/example/manifests.")
