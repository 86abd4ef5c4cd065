"""From a rendered object to the one that is sent: owner, common metadata, and what Flux normalises.

Source: fluxcd/pkg/ssa (SetOwnerLabels, NormalizeUnstructured, SetCommonMetadata), in that order.
"""

from __future__ import annotations

import binascii
import re
import ssl
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from typing import Any

from runner import redact
from runner.model import FLUX, Kustomization, Manifest

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_BUNDLE = ("spec", "conversion", "webhook", "clientConfig")
_WORKLOADS = frozenset(
    [("apps", kind) for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")] + [("batch", "Job")]
)


def prepare(manifest: Manifest, owner: Kustomization) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The object as it is applied, and what there is to say about it; the input is left alone."""
    prepared = {key: value for key, value in manifest.items() if key != "status" or _keeps_status(manifest)}
    meta = dict(manifest["metadata"])
    meta.pop("creationTimestamp", None)
    prepared["metadata"] = meta
    warnings = _own(meta, owner, f"{manifest['kind']}/{meta.get('name')}")
    _normalise(prepared)
    if owner.labels:
        meta["labels"] = {**meta["labels"], **owner.labels}
    if (owner.manifest.get("spec") or {}).get("commonMetadata") is not None:
        warnings += _annotate(meta, owner, f"{manifest['kind']}/{meta.get('name')}")
    return prepared, warnings


def encrypted(manifest: Manifest) -> str:
    """Why a Secret cannot be applied: it still is what SOPS made of it. "" when it is none."""
    left = str((manifest["metadata"].get("annotations") or {}).get(f"{FLUX}/decrypt", "")).lower()
    if redact.is_secret(manifest) and "sops" in manifest and left != "disabled":
        name = manifest["metadata"].get("name")
        return (
            f"Secret/{name} is SOPS encrypted, configuring decryption is required for this secret "
            "to be reconciled"
        )
    return ""


def _own(meta: dict[str, Any], owner: Kustomization, subject: str) -> tuple[str, ...]:
    """Set Flux's owner labels."""
    labels, warnings = _texts(meta, "labels", subject)
    meta["labels"] = {**labels, f"{FLUX}/name": owner.name, f"{FLUX}/namespace": owner.namespace}
    return warnings


def _annotate(meta: dict[str, Any], owner: Kustomization, subject: str) -> tuple[str, ...]:
    """Set the common annotations; a `commonMetadata` without any reads those that are there all the same."""
    annotations, warnings = _texts(meta, "annotations", subject)
    together = {**annotations, **owner.annotations}
    if not together:
        return ()  # nothing is set, so what is there stays as it is
    meta["annotations"] = together
    return warnings


def _texts(meta: Mapping[str, Any], field: str, subject: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Labels or annotations as Flux reads them: null is "", and one other value that is no text costs all."""
    found = {key: "" if value is None else value for key, value in (meta.get(field) or {}).items()}
    wrong = sorted(str(key) for key, value in found.items() if not isinstance(value, str))
    if not wrong:
        return found, ()
    told = f"{subject} loses all its {field}, as it would in Flux: the value of {wrong[0]} is not a string"
    return {}, (told,)


def _keeps_status(manifest: Manifest) -> bool:
    return manifest.get("kind") == "CustomResourceDefinition"


def _normalise(prepared: dict[str, Any]) -> None:
    group = str(prepared["apiVersion"]).rpartition("/")[0]
    kind = prepared["kind"]
    if redact.is_secret(prepared):
        _encode_string_data(prepared)
    elif (group, kind) == ("apiextensions.k8s.io", "CustomResourceDefinition"):
        _rebuild(prepared, _BUNDLE, _with_certificates)
    elif (group, kind) == ("", "Service"):
        _rebuild(prepared, ("spec",), _with_protocols)
    elif (group, kind) == ("", "Pod"):
        _rebuild(prepared, ("spec",), _with_container_protocols)
    elif (group, kind) in _WORKLOADS:
        _rebuild(prepared, ("spec", "template", "spec"), _with_container_protocols)
    elif (group, kind) == ("batch", "CronJob"):
        _rebuild(prepared, ("spec", "jobTemplate", "spec", "template", "spec"), _with_container_protocols)


def _encode_string_data(prepared: dict[str, Any]) -> None:
    """`stringData` is written only: the server keeps it as `data`, over the same keys."""
    if not isinstance(prepared.get("data") or {}, Mapping):
        return  # the server says what is wrong with it
    given = prepared.pop("stringData", None)
    if isinstance(given, Mapping) and given:
        coded = {key: b64encode(str(value).encode()).decode() for key, value in given.items()}
        prepared["data"] = {**(prepared.get("data") or {}), **coded}


def _rebuild(parent: dict[str, Any], path: tuple[str, ...], change: Any) -> None:  # noqa: ANN401 -- a function
    """Replace the mapping at `path` by what `change` makes of it, copying on the way down."""
    for field in path[:-1]:
        if not isinstance(parent.get(field), Mapping):
            return
        parent[field] = dict(parent[field])
        parent = parent[field]
    if isinstance(parent.get(path[-1]), Mapping):
        parent[path[-1]] = change(parent[path[-1]])


def _with_certificates(client: Mapping[str, Any]) -> dict[str, Any]:
    """Without a `caBundle` that holds no certificate: the server refuses what cert-manager is to fill in.

    Source: fluxcd/pkg/ssa, RemoveCABundleFromCRD.
    """
    bundle = client.get("caBundle")
    if not isinstance(bundle, str) or not bundle or _holds_certificate(bundle):
        return dict(client)
    return {name: value for name, value in client.items() if name != "caBundle"}


def _holds_certificate(bundle: str) -> bool:
    """Whether any part of a coded bundle is a certificate, as Go's x509 reads them."""
    try:
        text = b64decode(re.sub(r"[\r\n]", "", bundle), validate=True).decode("ascii", "replace")
    except (binascii.Error, ValueError):
        return False
    return any(_is_certificate(each) for each in _CERTIFICATE.findall(text))


def _is_certificate(text: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        return False
    return True


def _with_container_protocols(pod: Mapping[str, Any]) -> dict[str, Any]:
    """Of containers alone: Flux leaves those that come first as they are, and who owns what shows it."""
    changed = dict(pod)
    if isinstance(pod.get("containers"), list):
        changed["containers"] = [
            _with_protocols(c) if isinstance(c, Mapping) else c for c in pod["containers"]
        ]
    return changed


def _with_protocols(holder: Mapping[str, Any]) -> dict[str, Any]:
    """`protocol` is part of a port's key in server-side apply, so it is never left to a default."""
    changed = dict(holder)
    if isinstance(holder.get("ports"), list):
        changed["ports"] = list(_ports(holder["ports"]))
    return changed


def _ports(ports: list[Any]) -> Iterator[Any]:
    for port in ports:
        yield {**port, "protocol": "TCP"} if isinstance(port, Mapping) and not port.get("protocol") else port
