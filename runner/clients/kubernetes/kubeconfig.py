"""Which kubeconfig files and which context a run uses; mistakes in them are named before they are loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from runner.errors import UsageError

_HOW = "give --kubeconfig, or set KUBECONFIG"


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """Files that exist and can be read, and the context that is meant."""

    paths: tuple[Path, ...]
    context: str
    user: Mapping[str, Any]

    @property
    def joined(self) -> str:
        """As the KUBECONFIG variable has them."""
        return os.pathsep.join(str(path) for path in self.paths)

    @property
    def command(self) -> str:
        """The credential plugin of the user, "" when there is none."""
        plugin = self.user.get("exec")
        return str(plugin.get("command") or "") if isinstance(plugin, dict) else ""


def find(kubeconfig: str | None, context: str | None) -> Kubeconfig | None:
    """The files as kubectl picks them; None when there are none. Raises UsageError."""
    paths = _paths(kubeconfig)
    if not paths:
        if context:
            raise UsageError(f"context {context}: there is no kubeconfig", hint=_HOW)
        return None
    documents = [_read(path) for path in paths]
    names = ", ".join(str(path) for path in paths)
    wanted = context or next((c for d in documents if (c := d.get("current-context"))), "")
    contexts = _named(documents, "contexts", "context")
    if not wanted:
        raise UsageError(f"{names}: no current-context", hint=f"give --context, one of: {_listed(contexts)}")
    if wanted not in contexts:
        raise UsageError(f"{names}: no context {wanted}", hint=f"there are: {_listed(contexts)}")
    cluster = contexts[wanted].get("cluster") or ""
    clusters = _named(documents, "clusters", "cluster")
    if not (clusters.get(cluster) or {}).get("server"):
        raise UsageError(f"{names}: context {wanted}: cluster {cluster!r} has no server")
    user = contexts[wanted].get("user") or ""
    users = _named(documents, "users", "user")
    if user and user not in users:
        raise UsageError(f"{names}: context {wanted}: no user {user}")
    return Kubeconfig(paths, str(wanted), users.get(user) or {})


def nothing_found() -> UsageError:
    return UsageError("no kubeconfig: none was given, and this is not a pod of a cluster", hint=_HOW)


def _paths(kubeconfig: str | None) -> tuple[Path, ...]:
    if kubeconfig:
        path = Path(kubeconfig).expanduser()
        if not path.is_file():
            raise UsageError(f"{path}: there is no such kubeconfig file", hint=_HOW)
        return (path,)
    if listed := os.environ.get("KUBECONFIG", ""):
        named = [Path(part).expanduser() for part in listed.split(os.pathsep) if part]
        found = tuple(path for path in named if path.is_file())
        if named and not found:
            raise UsageError(f"KUBECONFIG: there is no such file: {', '.join(map(str, named))}", hint=_HOW)
        if found:
            return found
    default = Path.home() / ".kube" / "config"
    return (default,) if default.is_file() else ()


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        # Only the place: the library's message quotes the line, which may hold a token.
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise UsageError(f"{path}{where}: is no valid YAML") from None
    if not isinstance(document, dict):
        raise UsageError(f"{path}: is no kubeconfig")
    return document


def _named(documents: list[Mapping[str, Any]], section: str, key: str) -> dict[str, Mapping[str, Any]]:
    """A section of all files; of entries with one name the first counts, as for kubectl."""
    found: dict[str, Mapping[str, Any]] = {}
    for document in documents:
        for entry in document.get(section) or ():
            if isinstance(entry, dict) and entry.get("name"):
                value = entry.get(key)
                found.setdefault(str(entry["name"]), value if isinstance(value, dict) else {})
    return found


def _listed(contexts: Mapping[str, object]) -> str:
    return ", ".join(sorted(contexts)) or "none"
