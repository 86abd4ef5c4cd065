"""Which proxy a request goes through."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment

from runner.errors import SourceError


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy; the URL has no credentials in it."""

    url: str
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    trusted: bool = False  # the environment names it, not a repository

    @classmethod
    def of(cls, url: str, *, trusted: bool = False) -> Proxy:
        """Raises SourceError when the URL is no http or https one."""
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SourceError("the proxy's address is no http:// or https:// URL")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        port = f":{parts.port}" if parts.port else ""
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(f"{parts.scheme}://{host}{port}", user, password, trusted)


def from_environment(scheme: str, host: str, port: int) -> Proxy | None:
    """The proxy of HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, unless NO_PROXY names the host or its network."""
    found = getproxies_environment()
    url = found.get(scheme) or found.get("all")
    if not url or _is_loopback(host) or _bypassed(host, port, found.get("no", "")):
        return None
    return Proxy.of(url, trusted=True)


def _bypassed(host: str, port: int, names: str) -> bool:
    """Whether NO_PROXY names a host: itself, a domain that it is in, its network in CIDR, or `*`."""
    return any(_names(each.strip().lower(), host.lower(), port) for each in names.split(",") if each.strip())


def _names(entry: str, host: str, port: int) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        domain = entry.removesuffix(f":{port}").removeprefix("*.").removeprefix(".")
        return entry == "*" or host == domain or host.endswith(f".{domain}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
