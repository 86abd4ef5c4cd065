"""Who to be at a registry: what docker's configuration says, from a file or out of a Secret."""

from __future__ import annotations

import json
import os
import re
import subprocess
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.clients.oci.reference import DOCKER
from runner.errors import SourceError

HELPER_SECONDS = 20.0
MOST_BYTES = 1 << 20
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DOCKER_KEYS = ("https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io")


@dataclass(frozen=True, slots=True)
class Login:
    """Credentials for one registry; nothing of it is ever printed."""

    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity: str = field(default="", repr=False)  # to be exchanged for an access token
    token: str = field(default="", repr=False)  # an access token already


def of_config(text: str | bytes, registry: str, where: str) -> Login | None:
    """The login for a registry out of a docker configuration; None when it has none.

    Raises:
        SourceError: it is no docker configuration; its content is not quoted.
    """
    return _of_auths(_loaded(text, where), registry, where)


def of_machine(registry: str, *, helpers: bool) -> Login | None:
    """The login that this machine's docker configuration has, by a credential helper where that is allowed.

    A helper is a program that the configuration names; previews run none.
    """
    path = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SourceError(f"{path} has more than {MOST_BYTES:,} bytes")
        config = _loaded(path.read_bytes(), str(path))
    except OSError:
        return None
    if helpers and (name := _helper(config, registry)):
        return _asked(name, registry)
    return _of_auths(config, registry, str(path))


def _loaded(text: str | bytes, where: str) -> Mapping[str, Any]:
    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict) or not isinstance(config.get("auths") or {}, dict):
        raise SourceError(f"{where} is no docker configuration")
    return config


def _of_auths(config: Mapping[str, Any], registry: str, where: str) -> Login | None:
    auths = config.get("auths") or {}
    by_host = {_host(str(key)): value for key, value in sorted(auths.items(), reverse=True)}
    for key in _keys(registry):
        entry = auths.get(key, by_host.get(key))
        if isinstance(entry, dict) and (login := _login(entry, where)):
            return login
    return None


def _login(entry: Mapping[str, Any], where: str) -> Login | None:
    given = {name: entry.get(name) or "" for name in ("username", "password", "auth", "identitytoken")}
    given["registrytoken"] = entry.get("registrytoken") or ""
    if not all(isinstance(value, str) for value in given.values()):
        raise SourceError(f"{where} has a login that is not made of strings")
    user, password = given["username"], given["password"]
    if given["auth"]:
        try:
            user, _, password = b64decode(given["auth"]).decode().rstrip("\0").partition(":")
        except ValueError:
            raise SourceError(f"{where} has a login that is not base64") from None
    if not (user or password or given["identitytoken"] or given["registrytoken"]):
        return None
    return Login(user, password, given["identitytoken"], given["registrytoken"])


def _keys(registry: str) -> tuple[str, ...]:
    return _DOCKER_KEYS if registry == DOCKER else (registry,)


def _host(key: str) -> str:
    """`https://ghcr.io/v2/` names the registry ghcr.io."""
    return re.sub(r"^https?://", "", key).partition("/")[0]


def _helper(config: Mapping[str, Any], registry: str) -> str:
    helpers = config.get("credHelpers")
    by_registry = helpers if isinstance(helpers, dict) else {}
    for key in _keys(registry):
        if by_registry.get(key):
            return str(by_registry[key])
    return str(config.get("credsStore") or "")


def _asked(name: str, registry: str) -> Login | None:
    """What `docker-credential-NAME get` knows of a registry."""
    if not _HELPER.fullmatch(name):
        raise SourceError("docker's configuration names a credential helper that cannot be a program's name")
    program = f"docker-credential-{name}"
    key = _keys(registry)[0]
    try:
        done = subprocess.run(
            [program, "get"], input=key.encode(), capture_output=True, timeout=HELPER_SECONDS, check=False
        )
    except FileNotFoundError:
        raise SourceError(
            f"{program} is not on PATH, and docker's configuration names it for {registry}",
            hint="install it, or log in without it.",
        ) from None
    except (OSError, subprocess.TimeoutExpired):
        raise SourceError(f"{program} did not answer for {registry}") from None
    if done.returncode:
        return None  # the protocol's way to say that it knows none
    try:
        found = json.loads(done.stdout)
        user, secret = str(found["Username"]), str(found["Secret"])
    except (ValueError, KeyError, TypeError):
        raise SourceError(f"{program} answers for {registry} what is no login") from None
    return Login(identity=secret) if user == "<token>" else Login(user, secret)
