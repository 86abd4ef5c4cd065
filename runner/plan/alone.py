"""What is left as it is, and why."""

from __future__ import annotations

from runner.markers import marked
from runner.model import FLUX, Manifest
from runner.plan.kinds import group_kind
from runner.plan.values import Ground

PART_OF, INSTANCE = "app.kubernetes.io/part-of", "app.kubernetes.io/instance"
VIRTUAL = "virtual: the cluster does not serve this kind of Flux's"
BOOTSTRAP = "part of Flux's own installation"


def skipped(manifest: Manifest, ground: Ground) -> str:
    """Why an object is not applied, whatever the cluster holds; "" when it is."""
    if group_kind(manifest) in ground.virtual:
        return VIRTUAL
    if is_bootstrap(manifest) and not (ground.install_flux and not _is_kustomize_controller(manifest)):
        return BOOTSTRAP
    return ""


def is_bootstrap(manifest: Manifest) -> bool:
    """Whether an object is one that `flux bootstrap` commits to run the controllers.

    Its Namespace is applied like any other; Kustomizations and sources are not part of it.
    """
    labels = manifest["metadata"].get("labels") or {}
    return labels.get(PART_OF) == "flux" and INSTANCE in labels and manifest["kind"] != "Namespace"


def left_alone(manifest: Manifest, live: Manifest | None) -> str:
    """Flux's markers that keep an object as it is, on the desired or on the live one."""
    for carrier in (manifest, live):
        if marked(carrier, "reconcile", "disabled"):
            return f"{FLUX}/reconcile: disabled"
        if marked(carrier, "ssa", "Ignore"):
            return f"{FLUX}/ssa: Ignore"
    if live is not None and marked(manifest, "ssa", "IfNotPresent"):
        return f"{FLUX}/ssa: IfNotPresent"
    return ""


def _is_kustomize_controller(manifest: Manifest) -> bool:
    return "kustomize-controller" in str(manifest["metadata"].get("name"))
