"""When each Kustomization was last looked at for drift, so that one frequent schedule serves every interval.

One ConfigMap beside the root's record. It is no record: losing it means that all are due.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import orjson

from runner.errors import Refused
from runner.model import Manifest, ResourceRef
from runner.ports import Cluster
from runner.state import LABEL

_KEY = "seen.json"
_TRIES = 3


def ref(root: str) -> ResourceRef:
    """Where the moments of an entry are kept."""
    namespace, _, name = root.partition("/")
    return ResourceRef(namespace, f"kustodian-looks-{_short(name)}", "", "ConfigMap", "v1")


def read(cluster: Cluster, root: str) -> dict[str, float]:
    """Seconds since the epoch by Kustomization; of one that was never looked at there is none."""
    return _moments(cluster.get(ref(root)))


def write(cluster: Cluster, root: str, looked_at: Iterable[str], known: Iterable[str], now: float) -> None:
    """Note that these were looked at now; what is not known any more is left out.

    Another run may write at the same time: the later moments of both are kept. Raises ClusterError.
    """
    names, fresh = set(known), dict.fromkeys(looked_at, round(now, 3))
    for left in reversed(range(_TRIES)):
        live = cluster.get(ref(root))
        before = {id_: at for id_, at in _moments(live).items() if id_ in names}
        try:
            _send(cluster, live, _manifest(root, before | fresh))
        except Refused as exc:
            if not left or exc.reason not in {"Conflict", "AlreadyExists", "NotFound"}:
                raise
        else:
            return


def _send(cluster: Cluster, live: Manifest | None, manifest: dict[str, object]) -> None:
    if live is None:
        cluster.create(manifest)
        return
    version = live["metadata"]["resourceVersion"]
    meta = manifest["metadata"]
    if isinstance(meta, dict):
        manifest = {**manifest, "metadata": {**meta, "resourceVersion": version}}
    cluster.replace(manifest)


def _manifest(root: str, moments: Mapping[str, float]) -> dict[str, object]:
    at = ref(root)
    labels = {"app.kubernetes.io/managed-by": "kustodian", LABEL: "looks"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": at.name, "namespace": at.namespace, "labels": labels},
        "data": {_KEY: orjson.dumps(moments, option=orjson.OPT_SORT_KEYS).decode()},
    }


def _moments(live: Manifest | None) -> dict[str, float]:
    """What cannot be read was not looked at."""
    text = ((live or {}).get("data") or {}).get(_KEY, "{}")
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {id_: float(at) for id_, at in pairs if isinstance(at, int | float)}


def _short(name: str) -> str:
    if len(name) <= 200:  # noqa: PLR2004 -- with the prefix it has to fit into 253 characters
        return name
    return f"{name[:200]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
