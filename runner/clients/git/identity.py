"""One name for a repository, whichever way it was cloned."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

_SCP = re.compile(r"(?:[^@/]*@)?(?P<host>\[[^\]]+\]|[^:/]+):(?P<path>.*)", re.DOTALL)
_DEFAULT_PORTS = {"http": 80, "https": 443, "git": 9418}


def repository_id(url: str, relative_to: Path) -> str:
    """`github.com/acme/fleet` for https, ssh and scp-like URLs alike; a path for a local repository.

    A port is part of the name only over HTTP and when it is not the usual one: the ssh port of a
    server says nothing about which repository is meant.
    """
    if "://" not in url:
        scp = _SCP.fullmatch(url)
        return _name(scp["host"], scp["path"]) if scp else _local(url, relative_to)
    try:
        parts = urlsplit(url)
    except ValueError:  # git can't fetch from it either; only credentials must not get out
        return url.rpartition("@")[2]
    if parts.scheme.lower() == "file":
        return _local(unquote(parts.path), relative_to)
    return _name(_host(parts), unquote(parts.path))


def _host(parts: SplitResult) -> str:
    host, scheme = parts.hostname or "", parts.scheme.lower()
    try:
        port = parts.port
    except ValueError:  # not a number: whatever it is, it is no credential and no usual port
        return host
    usual = "ssh" in scheme or port in {None, _DEFAULT_PORTS.get(scheme)}
    return host if usual else f"{host}:{port}"


def _name(host: str, path: str) -> str:
    path = path.strip("/").removesuffix(".git").rstrip("/")
    return f"{host.strip('[]').rstrip('.').lower()}/{path}"


def _local(path: str, relative_to: Path) -> str:
    """`/srv/fleet`, `/srv/fleet.git` and `/srv/fleet/.git` are what git takes for the same repository."""
    absolute = os.path.normpath(relative_to / path)
    return absolute.removesuffix(".git").rstrip("/") or "/"
