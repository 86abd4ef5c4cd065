"""What changes hands: objects that are taken over from others, Kustomizations that Flux gets back."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.model import FIELD_MANAGER, FLUX, Manifest, ResourceRef

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
RELEASE, RELEASE_NAMESPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"
MANAGED_BY = "app.kubernetes.io/managed-by"
HELM_RELEASE = "helm.toolkit.fluxcd.io"


class Origin(enum.StrEnum):
    """Who ran something until now."""

    FLUX = "flux"
    KUBECTL = "kubectl"
    HELM = "helm"


@dataclass(frozen=True, slots=True)
class Adoption:
    """One live object that an entry wants and that others made, and what is taken off it."""

    ref: ResourceRef
    origin: Origin
    release: str = ""  # Helm's, namespace/name
    annotations: tuple[str, ...] = ()  # that go
    labels: tuple[str, ...] = ()  # that go
    managers: tuple[str, ...] = ()  # whose fields become ours
    refused: str = ""  # why it is left alone; "" when it is taken over


@dataclass(frozen=True, slots=True)
class Adopted:
    """What is taken over for one Kustomization."""

    kustomization: str
    objects: tuple[Adoption, ...] = ()
    inventory: tuple[ResourceRef, ...] = ()  # that Flux's status has, and our record had not


@dataclass(frozen=True, slots=True)
class Adopting:
    """The whole of `kustodian adopt`."""

    server: str
    entry: str
    revision: str
    kustomizations: tuple[Adopted, ...] = ()
    written: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def refused(self) -> bool:
        return any(each.refused for k in self.kustomizations for each in k.objects)


@dataclass(frozen=True, slots=True)
class Released:
    """What Flux is left of one Kustomization."""

    kustomization: str
    objects: int  # in the inventory of its status
    status: bool  # whether its inventory had to be written there
    resumed: bool  # whether spec.suspend is taken back
    suspended: bool  # whether Flux leaves it alone afterwards


@dataclass(frozen=True, slots=True)
class Releasing:
    """The whole of `kustodian release`."""

    server: str
    entry: str
    revision: str
    kustomizations: tuple[Released, ...] = ()
    deleted: tuple[ResourceRef, ...] = ()  # our own objects
    written: bool = False


def adoption(ref: ResourceRef, wanted: Manifest, live: Manifest, owner: str) -> Adoption | None:
    """What is to be done about one live object; None when nobody but us and Flux has a hand in it."""
    meta = live["metadata"]
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    foreign = [e for e in meta.get("managedFields") or () if _is_foreign(e)]
    origin = _origin(annotations, foreign)
    if origin is None:
        return None
    kept = wanted["metadata"]
    gone = [LAST_APPLIED] + ([RELEASE, RELEASE_NAMESPACE] if origin is Origin.HELM else [])
    helm = origin is Origin.HELM and labels.get(MANAGED_BY) == "Helm"
    release = (
        f"{annotations.get(RELEASE_NAMESPACE, '')}/{annotations[RELEASE]}" if RELEASE in annotations else ""
    )
    return Adoption(
        ref,
        origin,
        release,
        tuple(n for n in gone if n in annotations and n not in (kept.get("annotations") or {})),
        (MANAGED_BY,) if helm and MANAGED_BY not in (kept.get("labels") or {}) else (),
        tuple(dict.fromkeys(str(e.get("manager")) for e in foreign)),
        _refusal(labels, owner),
    )


def operations(adopted: Adoption, live: Manifest, now: str) -> list[dict[str, Any]]:
    """The JSON patch that takes an object over; nothing but its metadata changes.

    The fields of other managers go to ours, as Flux does it: so the next apply takes away what Git lacks.
    """
    meta = live["metadata"]
    entries: list[Mapping[str, Any]] = list(meta.get("managedFields") or ())
    foreign = [e for e in entries if _is_foreign(e)]
    own = [e for e in entries if _is_ours(e)]
    fields: dict[str, Any] = {}
    for entry in [*own, *foreign]:
        fields = _union(fields, entry.get("fieldsV1") or {})
    for part, names in (("f:annotations", adopted.annotations), ("f:labels", adopted.labels)):
        _forget(fields, part, names)
    made = {
        "manager": FIELD_MANAGER,
        "operation": "Apply",
        "apiVersion": live["apiVersion"],
        "time": now,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    kept = [e for e in entries if e not in own and e not in foreign]
    patch: list[dict[str, Any]] = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": meta["resourceVersion"]},
        *({"op": "remove", "path": f"/metadata/annotations/{_token(n)}"} for n in adopted.annotations),
        *({"op": "remove", "path": f"/metadata/labels/{_token(n)}"} for n in adopted.labels),
    ]
    if foreign:
        patch.append({"op": "replace", "path": "/metadata/managedFields", "value": [made, *kept]})
    return patch


def _origin(annotations: Mapping[str, str], foreign: list[Mapping[str, Any]]) -> Origin | None:
    if RELEASE in annotations or any(_is_helm(e) for e in foreign):
        return Origin.HELM
    return Origin.KUBECTL if LAST_APPLIED in annotations or foreign else None


def _refusal(labels: Mapping[str, str], owner: str) -> str:
    if f"{HELM_RELEASE}/name" in labels:
        name = f"{labels.get(f'{HELM_RELEASE}/namespace', '')}/{labels[f'{HELM_RELEASE}/name']}"
        return f"it belongs to HelmRelease {name}"
    holder = f"{labels.get(f'{FLUX}/namespace', '')}/{labels.get(f'{FLUX}/name', '')}"
    return "" if holder in {"/", owner} else f"it belongs to Kustomization {holder}"


def _is_foreign(entry: Mapping[str, Any]) -> bool:
    manager = str(entry.get("manager"))
    known = manager.startswith("kubectl") or manager == "before-first-apply" or _is_helm(entry)
    return known and not entry.get("subresource")


def _is_helm(entry: Mapping[str, Any]) -> bool:
    return str(entry.get("manager")).lower() == "helm"


def _is_ours(entry: Mapping[str, Any]) -> bool:
    who = (entry.get("manager"), entry.get("operation"))
    return who == (FIELD_MANAGER, "Apply") and not entry.get("subresource")


def _union(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Two sets of fields as the server writes them: trees whose leaves are empty."""
    return {
        key: _union(one.get(key) or {}, other.get(key) or {}) for key in sorted(one.keys() | other.keys())
    }


def _forget(fields: dict[str, Any], part: str, names: tuple[str, ...]) -> None:
    """Take out what is about to go; whoever owns nothing of a map any more does not own the map."""
    owned = (fields.get("f:metadata") or {}).get(part) or {}
    for name in names:
        owned.pop(f"f:{name}", None)


def _token(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
