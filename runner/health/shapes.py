"""Custom resources that have no `Ready` condition, and say in words of their own whether they work.

kstatus, and so Flux, calls them Current at once. None of these rules ever says Failed: what is wrong may
be put right by an object that is still to come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from runner.health.fields import mapping, mappings, maybe_number, text
from runner.health.workloads import Judgement
from runner.model import Manifest, Status

_AT_REST = frozenset({"Healthy", "Suspended"})
_GATEWAY = "gateway.networking.k8s.io"
_ROUTES = ("GRPCRoute", "HTTPRoute", "TCPRoute", "TLSRoute", "UDPRoute")


def application(manifest: Manifest) -> Judgement | None:
    """Argo CD: healthy and, where Argo CD itself is to sync it, synced."""
    health, sync = text(manifest, "status.health.status"), text(manifest, "status.sync.status")
    if not health:
        return None
    if health not in _AT_REST:
        message = text(manifest, "status.health.message")
        return Status.IN_PROGRESS, f"health is {health}" + (f": {message}" if message else "")
    automated = isinstance(mapping(manifest, "spec.syncPolicy").get("automated"), Mapping)
    if automated and sync != "Synced":
        return Status.IN_PROGRESS, f"sync is {sync or 'Unknown'}"
    return Status.CURRENT, f"Application is {health}"


def gateway(manifest: Manifest) -> Judgement | None:
    """Gateway API: a controller has put the listeners into its data plane."""
    return _all(manifest, mappings(manifest, "status.conditions"), ("Programmed",))


def gateway_class(manifest: Manifest) -> Judgement | None:
    """Gateway API: there is a controller for it."""
    return _all(manifest, mappings(manifest, "status.conditions"), ("Accepted",))


def route(manifest: Manifest) -> Judgement | None:
    """Gateway API: every parent takes it, and finds what it leads to."""
    said = [
        condition
        for parent in mappings(manifest, "status.parents")
        for condition in mappings(parent, "conditions")
    ]
    return _all(manifest, said, ("Accepted", "ResolvedRefs"))


def _all(manifest: Manifest, said: Iterable[Mapping[str, Any]], types: tuple[str, ...]) -> Judgement | None:
    """Whether all conditions of these types are true of the present generation; None without any."""
    found = [condition for condition in said if condition.get("type") in types]
    generation = maybe_number(manifest, "metadata.generation")
    for condition in found:
        name = text(condition, "type")
        if maybe_number(condition, "observedGeneration") not in {None, generation}:
            return Status.IN_PROGRESS, f"{name} is of an older generation"
        if text(condition, "status") != "True":
            return Status.IN_PROGRESS, text(condition, "message") or f"{name} is {text(condition, 'status')}"
    return (
        (Status.CURRENT, f"Resource is {' and '.join(sorted({c['type'] for c in found}))}") if found else None
    )


SHAPES: Mapping[tuple[str, str], Callable[[Manifest], Judgement | None]] = {
    ("argoproj.io", "Application"): application,
    (_GATEWAY, "Gateway"): gateway,
    (_GATEWAY, "GatewayClass"): gateway_class,
    **{(_GATEWAY, kind): route for kind in _ROUTES},
}
