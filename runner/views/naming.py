"""Objects as people name them on the command line: KIND[.GROUP]/[NAMESPACE/]NAME."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from runner.errors import UsageError
from runner.model import ResourceRef
from runner.ports import Api

_FORM = "give it as KIND/NAMESPACE/NAME, or KIND/NAME without a namespace; KIND.GROUP tells kinds apart."


def resolve(text: str, served: Iterable[Api], known: Collection[ResourceRef]) -> ResourceRef:
    """The object that is meant; `known` ones go before those that could exist.

    Raises:
        UsageError: it can mean nothing, or several.
    """
    kind, namespace, name = _parts(text)
    found = {ref for ref in known if (ref.namespace, ref.name) == (namespace, name) and _is(ref, kind)}
    apis = list(served)
    if not found:
        # A plural is only known of what is served.
        meant = [
            api for api in apis if kind in {*_names(api.kind, api.group), *_names(api.plural, api.group)}
        ]
        found = {ResourceRef(namespace, name, api.group, api.kind, api.version) for api in meant}
        found = {ref for ref in known if ref in found} or {
            ResourceRef(namespace, name, api.group, api.kind, api.version)
            for api in meant
            if api.namespaced == bool(namespace)
        }
        if meant and not found:
            needs = "needs a namespace" if meant[0].namespaced else "has no namespace"
            raise UsageError(f"{text}: a {meant[0].kind} {needs}", hint=_FORM)
    if not found:
        raise UsageError(f"{text}: the cluster serves no such kind, and no Kustomization has it", hint=_FORM)
    if len(found) > 1:
        names = ", ".join(sorted(f"{ref.kind}.{ref.group}".rstrip(".") for ref in found))
        raise UsageError(f"{text} can be any of {names}", hint="name the kind with its group.")
    return found.pop()


def _parts(text: str) -> tuple[str, str, str]:
    parts = text.split("/")
    if len(parts) not in {2, 3} or not all(parts):
        raise UsageError(f"{text!r} names no object", hint=_FORM)
    return parts[0].lower(), parts[1] if parts[2:] else "", parts[-1]


def _is(ref: ResourceRef, kind: str) -> bool:
    return kind in _names(ref.kind, ref.group)


def _names(kind: str, group: str) -> tuple[str, str]:
    return kind.lower(), f"{kind}.{group}".lower()
