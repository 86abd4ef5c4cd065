"""From a kubeconfig to a cluster; the `kubernetes` package does configuration, credentials and TLS."""

from __future__ import annotations

import logging
import re
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from runner.clients.kubernetes.client import KubernetesCluster
from runner.clients.kubernetes.kubeconfig import Kubeconfig, find, nothing_found
from runner.clients.kubernetes.transport import Headers, Transport
from runner.errors import ClusterError, UsageError

POOL_SIZE = 128
"""Connections that are kept; more than any number of threads that talk at once."""
FRESH_SECONDS = 10.0
"""For so long a token is used as it is: near its expiry the package would run a plugin for every request."""

_TOKEN_LIKE = re.compile(r"[A-Za-z0-9_\-.+/=]{40,}")


def connect(
    *, kubeconfig: str | None, context: str | None, impersonate: str = "", groups: Sequence[str] = ()
) -> KubernetesCluster:
    """The cluster of a kubeconfig's context, or the one this process runs in; nothing is sent yet.

    Args:
        kubeconfig: A file. Without one the files in KUBECONFIG count, then `~/.kube/config`, then the pod.
        context: One of its contexts; its current one when not given.
        impersonate: A user to act as, instead of the one the kubeconfig may name.
        groups: The groups to act in with `impersonate`.

    Raises:
        UsageError: there is none, or it is wrong.
    """
    from kubernetes.client import ApiClient

    found = find(kubeconfig, context)
    configuration = _load(found)
    configuration.connection_pool_maxsize = POOL_SIZE
    configuration.keep_alive = True  # else a dead network looks like a quiet watch
    if not configuration.verify_ssl:
        warnings.filterwarnings("ignore", "Unverified HTTPS request")
    acting = impersonation(
        {"as": impersonate, "as-groups": groups} if impersonate else found.user if found else {}
    )
    pool = ApiClient(configuration).rest_client.pool_manager
    transport = Transport(configuration.host, pool, PackageCredentials(configuration, found, acting))
    return KubernetesCluster(transport, context=found.context if found else "")


class PackageCredentials:
    """Headers from the `kubernetes` package, which refreshes tokens of plugins, OIDC and pods."""

    def __init__(self, configuration: Any, found: Kubeconfig | None, acting: Headers) -> None:  # noqa: ANN401 - untyped
        self._configuration = configuration
        self._found = found
        self._acting = acting
        self._lock = threading.Lock()
        self._current: Headers = ()
        self._fresh_until = 0.0
        self._renew_after = 0.0

    def headers(self) -> Headers:
        with self._lock:  # one thread at a time may run a plugin
            if time.monotonic() >= self._fresh_until:
                self._current = self._read()
                self._fresh_until = time.monotonic() + FRESH_SECONDS
            return self._current

    def renew(self, refused: Headers) -> bool:
        """Load everything anew: a token file may have changed, a plugin's token may have been revoked."""
        with self._lock:
            if refused == self._current and time.monotonic() >= self._renew_after:
                self._renew_after = time.monotonic() + FRESH_SECONDS
                self._configuration = _load(self._found)
                self._current = self._read()
            return self._current != refused

    def _read(self) -> Headers:
        try:
            with _errors_logged():
                token = self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        except Exception as error:  # noqa: BLE001 - plugins and identity providers fail in their own ways
            raise ClusterError(f"credentials cannot be refreshed: {type(error).__name__}") from None
        return (*self._acting, *((("Authorization", token),) if token else ()))


def _load(found: Kubeconfig | None) -> Any:  # noqa: ANN401 - the package's type is not exported as one
    from kubernetes.client import Configuration
    from kubernetes.config import ConfigException, load_incluster_config, load_kube_config

    configuration = Configuration()
    if found is None:
        try:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        except (ConfigException, OSError):
            raise nothing_found() from None
        return configuration
    try:
        with _errors_logged() as errors:
            load_kube_config(  # type: ignore[no-untyped-call]
                found.joined, context=found.context, client_configuration=configuration
            )
    except Exception as error:  # noqa: BLE001 - the package lets through whatever goes wrong inside
        # Not its message: it quotes entries of the file, credentials included.
        missing = re.fullmatch(r"File does not exist: (.+)", str(error))
        why = missing[0] if missing else f"cannot be used ({type(error).__name__})"
        raise UsageError(f"{found.joined}: context {found.context}: {why}") from None
    if found.command and not (configuration.api_key or configuration.cert_file):
        why = _TOKEN_LIKE.sub("…", (errors or ["no output"])[0].partition("\n")[0])[:300]
        raise UsageError(
            f"{found.joined}: context {found.context}: credential plugin {found.command} failed: {why}"
        )
    return configuration


@contextmanager
def _errors_logged() -> Iterator[list[str]]:
    """What the package writes into the log, where it should have raised."""
    messages: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    keep = Keep(logging.ERROR)
    logging.getLogger().addHandler(keep)
    try:
        yield messages
    finally:
        logging.getLogger().removeHandler(keep)


def impersonation(user: Mapping[str, Any]) -> Headers:
    """The headers for acting as somebody else, which the package leaves out."""
    if not user.get("as"):
        return ()
    headers = [("Impersonate-User", str(user["as"]))]
    headers += [("Impersonate-Group", str(group)) for group in user.get("as-groups") or ()]
    if user.get("as-uid"):
        headers.append(("Impersonate-Uid", str(user["as-uid"])))
    for key, values in (user.get("as-user-extra") or {}).items():
        headers += [(f"Impersonate-Extra-{key}", str(value)) for value in values]
    return tuple(headers)
