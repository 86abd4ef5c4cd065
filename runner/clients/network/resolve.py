"""Name → addresses that were checked, and that nothing looks up again before it connects."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from runner.clients.network.policy import Policy, refusal
from runner.errors import SourceError

Lookup = Callable[[str, int], Sequence[str]]
"""The addresses of a host; raises OSError."""

HINT = "--allow-private-network lets a preview reach it; a deploy may reach private addresses."


class Forbidden(SourceError):
    """The address policy does not allow this target."""


class Unresolved(SourceError):
    """A name has no address, or nobody could be asked; `again` when that may pass."""

    def __init__(self, message: str, *, again: bool) -> None:
        super().__init__(message)
        self.again = again


@dataclass(frozen=True, slots=True)
class Pinned:
    """A host, and the addresses to connect to in its place."""

    host: str
    port: int
    addresses: tuple[str, ...]


@dataclass(slots=True)
class Resolver:
    """Resolves each host once and keeps the answer: a name that changes its address gains nothing by it."""

    policy: Policy
    lookup: Lookup | None = None  # None: the machine's own resolver
    _known: dict[tuple[str, int], Pinned] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def pinned(self, host: str, port: int) -> Pinned:
        """Where to connect to for a host, which may be a literal address.

        Raises:
            Forbidden: one of its addresses may not be reached.
            Unresolved: it has none.
        """
        with self._lock:
            known = self._known.get((host, port))
        if known is None:
            known = Pinned(host, port, self._checked(host, self._addresses(host, port)))
            with self._lock:
                known = self._known.setdefault((host, port), known)
        return known

    def _addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            return (str(ipaddress.ip_address(host)),)
        except ValueError:
            pass
        try:
            found = (self.lookup or _system)(host, port)
        except UnicodeError as exc:
            raise Unresolved(f"{host} is no name of a host", again=False) from exc
        except OSError as exc:
            again = isinstance(exc, socket.gaierror) and exc.errno == socket.EAI_AGAIN
            raise Unresolved(f"{host} cannot be resolved", again=again) from exc
        if not found:
            raise Unresolved(f"{host} has no address", again=False)
        return found

    def _checked(self, host: str, addresses: Sequence[str]) -> tuple[str, ...]:
        for text in addresses:
            if why := refusal(ipaddress.ip_address(text), self.policy):
                told = host if host == text else f"{host} ({text})"
                hint = HINT if not refusal(ipaddress.ip_address(text), Policy(private=True)) else ""
                raise Forbidden(f"{told} is not reached from here: it is {why}", hint=hint)
        return tuple(dict.fromkeys(addresses))


def _system(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]).partition("%")[0] for *_, address in found]
