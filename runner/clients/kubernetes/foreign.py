"""From a kubeconfig that a Secret holds to its cluster: whoever wrote it gets nothing of this machine.

As in Flux, what runs a program, names a file or leaves TLS unverified is refused; and so is what an address
policy refuses. What is left reaches the `kubernetes` package, and nothing else of the text.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

import yaml

from runner.clients.kubernetes.client import KubernetesCluster
from runner.clients.kubernetes.connection import POOL_SIZE, impersonation
from runner.clients.kubernetes.transport import Headers, Transport
from runner.errors import ClusterError

Addresses = Callable[[str, int], Sequence[str]]
"""Where to connect to for a host and a port; raises ClusterError when that is not allowed."""

_NAME = "the-one"
_CLUSTER = ("server", "certificate-authority-data", "tls-server-name")
_USER = ("token", "client-certificate-data", "client-key-data", "username", "password")
_ENCODED = ("certificate-authority-data", "client-certificate-data", "client-key-data")
_REFUSED = {
    "cluster": {
        "certificate-authority": "names a file; give certificate-authority-data",
        "insecure-skip-tls-verify": "leaves the server unverified; give certificate-authority-data",
        "proxy-url": "is not supported",
    },
    "user": {
        "exec": "runs a program; give a token or a client certificate",
        "auth-provider": "is not supported; give a token or a client certificate",
        "tokenFile": "names a file; give the token",
        "client-certificate": "names a file; give client-certificate-data",
        "client-key": "names a file; give client-key-data",
    },
}
_HINT = "a server, certificate-authority-data and a token are all that it needs."


def connect_by(kubeconfig: bytes, name: str, addresses: Addresses) -> KubernetesCluster:
    """The cluster of a kubeconfig's current context; nothing is sent yet.

    Args:
        kubeconfig: Its text, which is not trusted.
        name: What it is called in errors.
        addresses: Says where its host is, once and for all.

    Raises:
        ClusterError: it is none, asks for what is refused, or leads to where nothing may go.
    """
    from kubernetes.client import ApiClient, Configuration
    from kubernetes.config import load_kube_config_from_dict

    cluster, user, context = _chosen(kubeconfig, name)
    if wrong := [*_refused("cluster", cluster), *_refused("user", user), *_garbled({**cluster, **user})]:
        raise ClusterError(f"{name}: {'; '.join(wrong)}", hint=_HINT)
    where = _server(cluster, name)
    host, port = str(where.hostname), where.port or 443
    found = addresses(host, port)
    configuration = Configuration()
    clean = {
        "current-context": _NAME,
        "contexts": [{"name": _NAME, "context": {"cluster": _NAME, "user": _NAME}}],
        "clusters": [{"name": _NAME, "cluster": _kept(cluster, _CLUSTER)}],
        "users": [{"name": _NAME, "user": _kept(user, _USER)}],
    }
    try:
        load_kube_config_from_dict(clean, client_configuration=configuration, persist_config=False)  # type: ignore[no-untyped-call]
        configuration.connection_pool_maxsize = POOL_SIZE
        configuration.keep_alive = True
        configuration.tls_server_name = configuration.tls_server_name or host
        pool = ApiClient(configuration).rest_client.pool_manager
        token = configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
    except Exception as error:  # noqa: BLE001 - the package lets through whatever goes wrong inside, and quotes it
        raise ClusterError(f"{name}: its credentials cannot be used ({type(error).__name__})") from None
    headers = (
        ("Host", where.netloc),
        *impersonation(user),
        *((("Authorization", str(token)),) if token else ()),
    )
    at = f"[{found[0]}]" if ":" in found[0] else found[0]
    base = where._replace(netloc=f"{at}:{port}").geturl()
    transport = Transport(base, pool, Fixed(headers), shown=where.geturl())
    return KubernetesCluster(transport, context=context)


class Fixed:
    """Credentials that nothing refreshes."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def headers(self) -> Headers:
        return self._headers

    def renew(self, refused: Headers) -> bool:  # noqa: ARG002 -- the protocol has it
        """There are no others."""
        return False


def _chosen(kubeconfig: bytes, name: str) -> tuple[Mapping[str, Any], Mapping[str, Any], str]:
    """The cluster and the user of the current context, and what that is called."""
    try:
        document = yaml.safe_load(kubeconfig)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError):
        document = None  # the library's message quotes the text
    if not isinstance(document, dict):
        raise ClusterError(f"{name}: is no kubeconfig")
    wanted = document.get("current-context")
    if not wanted:
        raise ClusterError(f"{name}: has no current-context")
    context = _entry(document, "contexts", "context", wanted)
    cluster = _entry(document, "clusters", "cluster", (context or {}).get("cluster"))
    user = _entry(document, "users", "user", (context or {}).get("user"))
    for what, found in (("context", context), ("cluster", cluster), ("user", user)):
        if found is None:
            raise ClusterError(f"{name}: its current-context has no {what}")
    return cluster or {}, user or {}, str(wanted)


def _entry(document: Mapping[str, Any], section: str, key: str, wanted: object) -> Mapping[str, Any] | None:
    entries = document.get(section)
    for each in entries if isinstance(entries, list) else ():
        if isinstance(each, dict) and each.get("name") == wanted and wanted:
            value = each.get(key)
            return value if isinstance(value, dict) else {}
    return None


def _refused(part: str, given: Mapping[str, Any]) -> Iterator[str]:
    for field, why in _REFUSED[part].items():
        if given.get(field):
            yield f"{field} {why}"


def _garbled(given: Mapping[str, Any]) -> Iterator[str]:
    for field in _ENCODED:
        try:
            b64decode("".join(str(given.get(field) or "").split()), validate=True)
        except (BadBase64, ValueError):
            yield f"{field} is not in base64"


def _server(cluster: Mapping[str, Any], name: str) -> SplitResult:
    where = SplitResult("", "", "", "", "")
    try:
        where = urlsplit(str(cluster.get("server") or ""))
        good = where.scheme == "https" and where.hostname and (where.port or 1) and "@" not in where.netloc
    except ValueError:
        good = False
    if not good or where.query or where.fragment:
        raise ClusterError(f"{name}: its server is not https://HOST[:PORT]")
    return where


def _kept(given: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    return {name: str(given[name]) for name in names if given.get(name)}
