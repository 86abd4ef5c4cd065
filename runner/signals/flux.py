"""What changes in how Flux's own objects are reconciled."""

from __future__ import annotations

from collections.abc import Iterator

from runner.changes import Severity
from runner.model import Manifest
from runner.signals.rules import HELM_RELEASE, KUSTOMIZATION, OCI_REPOSITORY, Rule, at, kinds

_DEPLOYING = frozenset({KUSTOMIZATION, HELM_RELEASE})
_SOURCES = kinds("source.toolkit.fluxcd.io", "GitRepository", "HelmRepository", "HelmChart", "Bucket")
_SUSPENDED = _DEPLOYING | _SOURCES | {OCI_REPOSITORY} | kinds("batch", "CronJob", "Job")


def _suspend(before: Manifest, after: Manifest) -> Iterator[str]:
    was, is_now = at(before, "spec.suspend") is True, at(after, "spec.suspend") is True
    if is_now and not before:
        yield "is created suspended: it does nothing until it is resumed"
    elif is_now and not was:
        yield "is suspended: it does nothing until it is resumed"
    elif was and not is_now:
        yield "is resumed: all that has changed in the meantime goes out at once"


def _prune(before: Manifest, after: Manifest) -> Iterator[str]:
    was, is_now = at(before, "spec.prune") is True, at(after, "spec.prune") is True
    if not before or was == is_now:
        return
    if is_now:
        yield "turns prune on: what left Git while it was off, and is still on record, is deleted"
    else:
        yield "turns prune off: what leaves Git from now on stays in the cluster"


def _deletion_policy(before: Manifest, after: Manifest) -> Iterator[str]:
    old, new = (at(each, "spec.deletionPolicy", "MirrorPrune") for each in (before, after))
    if before and old != new:
        yield f"changes what becomes of its objects when it goes: deletionPolicy {old} → {new}"


def _identity(before: Manifest, after: Manifest) -> Iterator[str]:
    if before and at(before, "spec.serviceAccountName") != at(after, "spec.serviceAccountName"):
        old, new = (at(each, "spec.serviceAccountName", "the controller's own") for each in (before, after))
        yield f"deploys with other rights: ServiceAccount {old} → {new}"
    if before and at(before, "spec.kubeConfig") != at(after, "spec.kubeConfig"):
        yield "deploys to another cluster: spec.kubeConfig changes"


def _target(before: Manifest, after: Manifest) -> Iterator[str]:
    old, new = (at(each, "spec.targetNamespace", "") for each in (before, after))
    if before and old != new:
        yield (
            f"deploys to another namespace: targetNamespace {old or 'none'} → {new or 'none'};"
            " its objects are made there anew"
        )


def _release(before: Manifest, after: Manifest) -> Iterator[str]:
    names = ("releaseName", "targetNamespace", "storageNamespace")
    changed = [name for name in names if before and at(before, f"spec.{name}") != at(after, f"spec.{name}")]
    if changed:
        yield f"is uninstalled and installed anew: {', '.join(changed)} changes"


RULES = (
    Rule("suspend", Severity.CAUTION, _SUSPENDED, _suspend),
    Rule("prune-policy", Severity.CAUTION, frozenset({KUSTOMIZATION}), _prune),
    Rule("prune-policy", Severity.CAUTION, frozenset({KUSTOMIZATION}), _deletion_policy),
    Rule("identity", Severity.CAUTION, _DEPLOYING, _identity),
    Rule("target-namespace", Severity.CAUTION, frozenset({KUSTOMIZATION}), _target),
    Rule("reinstall", Severity.CAUTION, frozenset({HELM_RELEASE}), _release),
)
