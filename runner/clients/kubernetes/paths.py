"""Where the API serves an object; pure."""

from __future__ import annotations

from urllib.parse import quote

from runner.ports import Api


def collection(api: Api, namespace: str) -> str:
    """The path of a kind's objects, in one namespace or, without one, in all."""
    root = f"/apis/{api.group}/{api.version}" if api.group else f"/api/{api.version}"
    if api.namespaced and namespace:
        return f"{root}/namespaces/{quote(namespace, safe='')}/{api.plural}"
    return f"{root}/{api.plural}"


def single(api: Api, namespace: str, name: str) -> str:
    """The path of one object."""
    return f"{collection(api, namespace)}/{quote(name, safe='')}"


def addressable(*segments: str) -> bool:
    """Whether names can stand in a path: `..` would climb, and a server takes `%2F` for a slash."""
    return all(s not in {"", ".", ".."} and "/" not in s and "%" not in s for s in segments)
