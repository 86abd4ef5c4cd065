"""How the cluster of `spec.kubeConfig` is reached: by a Secret, desired or in the run's own cluster.

Source of the rules: fluxcd/pkg/runtime, impersonation: the key that is named; without one `value`, then
`value.yaml`.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Mapping

from runner import redact
from runner.errors import Refused
from runner.fleet import Produced, Remote
from runner.model import KubeConfig, Kustomization, Manifest, ResourceRef
from runner.render.variables import Live, NotRead

_NAMES = ("value", "value.yaml")


def find(
    k: Kustomization, desired: Mapping[ResourceRef, Produced], live: Live
) -> tuple[Remote | None, frozenset[str]]:
    """The way to one Kustomization's cluster, and who produces its Secret; None for the run's own.

    Raises:
        ClusterError: the run's own cluster does not answer.
    """
    where = k.kube_config
    if where is None:
        return None, frozenset()
    produced = desired.get(where.secret.ref)
    producers = frozenset({produced.kustomization} if produced is not None else ())
    if produced is not None and not redact.is_sealed(produced.object):
        return read(where, produced.object), producers
    try:
        found = live(where.secret)
    except Refused as exc:
        return Remote(why=exc.message, live=True), producers
    if isinstance(found, NotRead):
        return Remote(asked=False), producers
    made = read(where, found)
    return Remote(made.kubeconfig, made.why, live=True), producers


def read(where: KubeConfig, secret: Manifest | None) -> Remote:
    """What a Secret says; nothing of it is quoted."""
    if secret is None:
        return Remote(why=f"{where.secret} has the kubeconfig, and there is no such Secret")
    data, text = secret.get("data") or {}, secret.get("stringData") or {}
    names = (where.key,) if where.key else _NAMES
    for name in names:
        if text.get(name):
            return Remote(str(text[name]).encode())
        if data.get(name):
            try:
                return Remote(b64decode(str(data[name]), validate=True))
            except (BadBase64, ValueError):
                return Remote(why=f"{where.secret}: data.{name} is not in base64")
    return Remote(why=f"{where.secret} has no key {' or '.join(names)} with a kubeconfig")
