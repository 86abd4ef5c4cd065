"""How the action reaches the cluster: what the inputs hold is secret, so no message ever quotes it."""

from __future__ import annotations

import base64
import binascii
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from runner.action.inputs import Inputs, wrong

_SECRETS = ("token", "password", "client-key-data")


@contextmanager
def kubeconfig(inputs: Inputs) -> Iterator[str]:
    """The file to connect with; "" when the job's own KUBECONFIG, or its pod, is to be used.

    What the input holds is a secret: no message ever quotes it, and a file that is made of it can be
    read by nobody else and goes away with the run.
    """
    given = inputs.text("kubeconfig")
    if inputs.text("server"):
        if given:
            raise wrong("server", "it is given beside a kubeconfig", hint="one of the two is enough.")
        with _private(_made(inputs)) as path:
            yield path
    elif not given:
        if not inputs.has_cluster:
            raise wrong(
                "kubeconfig",
                "it is empty, and the job sets no KUBECONFIG",
                hint="a secret that doesn't exist is empty, and so is every secret in a fork's pull request.",
            )
        yield ""
    elif content := _content(given):
        with _private(content) as path:
            yield path
    else:
        yield str(_existing(inputs, given))


@contextmanager
def _private(content: str) -> Iterator[str]:
    """A file that nobody else can read, and that goes away with the run."""
    with tempfile.TemporaryDirectory(prefix="kubeconfig-") as directory:
        path = Path(directory) / "kubeconfig"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
            file.write(content)
        yield str(path)


def _made(inputs: Inputs) -> str:
    """A kubeconfig of a server, its authority and a token."""
    server, authority, token = (inputs.text(name) for name in ("server", "ca", "bearer-token"))
    if not re.fullmatch(r"https://[^\s/@]+(?:/\S*)?", server):
        raise wrong("server", "it is no address of an API server", hint="https://cluster.example:6443.")
    if not token:
        raise wrong("bearer-token", "it is empty", hint="`server` needs it: a service account's token.")
    cluster = {"server": server}
    if authority:
        encoded = authority if "BEGIN CERTIFICATE" not in authority else _base64(authority)
        if "BEGIN CERTIFICATE" not in _decoded(encoded):
            raise wrong("ca", "it is no certificate, plain or in base64")
        cluster["certificate-authority-data"] = "".join(encoded.split())
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "action",
        "clusters": [{"name": "action", "cluster": cluster}],
        "users": [{"name": "action", "user": {"token": token}}],
        "contexts": [{"name": "action", "context": {"cluster": "action", "user": "action"}}],
    }
    return yaml.safe_dump(document)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decoded(text: str) -> str:
    """What a base64 text holds; "" for what is none."""
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def _content(given: str) -> str:
    """The kubeconfig that the value is, plain or in base64; "" when it is none."""
    for candidate in (given, _decoded(given)):
        with suppress(yaml.YAMLError):
            document = yaml.safe_load(candidate)
            if isinstance(document, dict) and "clusters" in document:
                return candidate
    return ""


def _existing(inputs: Inputs, given: str) -> Path:
    places = [inputs.workspace(), *map(Path, filter(None, [inputs.environment.get("RUNNER_TEMP")]))]
    with suppress(OSError):  # such as: the name is too long
        found = (places[0] / given).resolve()
        if found.is_file() and any(found.is_relative_to(place.resolve()) for place in places):
            return found
    raise wrong(
        "kubeconfig",
        "it is no kubeconfig, none in base64, and no path of one in GITHUB_WORKSPACE or RUNNER_TEMP",
        hint="other directories of the runner, its ~/.kube too, are not there in the action's container.",
    )


def secrets(path: str) -> Iterator[str]:
    """What of a kubeconfig must not be seen: GitHub knows the secret as a whole, not its parts."""
    document: Any = None
    with suppress(OSError, yaml.YAMLError, ValueError):
        document = yaml.safe_load(Path(path).read_text()) if path else None
    users = document.get("users") if isinstance(document, Mapping) else None
    for each in users if isinstance(users, list) else ():
        user = each.get("user") if isinstance(each, Mapping) else None
        for name in _SECRETS:
            value = user.get(name) if isinstance(user, Mapping) else None
            if isinstance(value, str) and value.strip():
                yield value
