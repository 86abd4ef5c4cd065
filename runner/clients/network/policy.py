"""Which addresses a fetch may reach. Pure: an address and a policy in, a reason out.

What a repository names is hostile input in a preview: a pull request must not make the runner ask the
services of its own network, least of all those that hand out its cloud's credentials.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address

METADATA = frozenset(
    map(
        ip_address,
        (
            "169.254.169.254",  # nearly every cloud
            "fd00:ec2::254",  # AWS over IPv6
            "fd20:ce::254",  # Google Cloud over IPv6
            "100.100.100.200",  # Alibaba Cloud
            "192.0.0.192",  # Oracle Cloud
            "168.63.129.16",  # Azure's wire server, a public address
        ),
    )
)
"""Services that hand out the credentials of the machine they are asked from: never reached."""

_SHARED = ip_network("100.64.0.0/10")  # carrier-grade NAT, and the pods of some clusters
_SITE_LOCAL = ip_network("fec0::/10")
_NAT64 = IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
_COMPATIBLE = IPv6Network("::/96")


@dataclass(frozen=True, slots=True)
class Policy:
    """What a fetch may reach besides the internet."""

    private: bool = False  # loopback and private networks too; link-local and metadata never


def refusal(address: Address, policy: Policy) -> str:
    """Why an address may not be reached; "" when it may."""
    inner = list(_embedded(address))
    if address not in _NAT64:  # which is nothing but a way to write the other one
        inner.append(address)
    return next((why for each in inner if (why := _refusal(each, policy))), "")


def _refusal(address: Address, policy: Policy) -> str:
    if address in METADATA:
        return "the metadata service of a cloud"
    if address.is_link_local:
        return "a link-local address"
    if address.is_unspecified or address.is_multicast or address == IPv4Address("255.255.255.255"):
        return "no address of a single host"
    if address.is_loopback:
        return "" if policy.private else "a loopback address"
    if address.is_private or address in _SHARED or address in _SITE_LOCAL:
        return "" if policy.private else "a private address"
    return "a reserved address" if address.is_reserved or not address.is_global else ""


def _embedded(address: Address) -> Iterator[Address]:
    """The IPv4 addresses that an IPv6 one leads to by way of a translator."""
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped:
        yield address.ipv4_mapped
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _NAT64 or address in _LOCAL_NAT64:
        yield low
    if address in _COMPATIBLE and int(address) > 1:  # 0 and 1 are :: and ::1
        yield low
