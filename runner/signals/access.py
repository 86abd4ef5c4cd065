"""Who may do what in the cluster, who gets in from outside, and what the API server still serves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.changes import Severity
from runner.model import Manifest
from runner.signals.rules import DEFINITION, Rule, at, kinds, mappings, some, texts

_RBAC = "rbac.authorization.k8s.io"
_ROUTES = ("Gateway", "GRPCRoute", "HTTPRoute", "TLSRoute")
_OPEN = frozenset({"LoadBalancer", "NodePort"})
_POWERS = frozenset({"bind", "escalate", "impersonate"})


def _grants(before: Manifest, after: Manifest) -> Iterator[str]:
    role = at(after, "roleRef.name", "")
    same = role == at(before, "roleRef.name", "")
    had = frozenset(_subjects(before)) if same else frozenset[str]()
    if new := [subject for subject in _subjects(after) if subject not in had]:
        kind = at(after, "roleRef.kind", "ClusterRole")
        yield f"gives {some(new)} the rights of {kind}/{role} in the whole cluster"


def _grants_all(before: Manifest, after: Manifest) -> Iterator[str]:
    if at(after, "roleRef.name") != "cluster-admin":
        return
    had = frozenset(_subjects(before)) if at(before, "roleRef.name") == "cluster-admin" else frozenset[str]()
    if new := [subject for subject in _subjects(after) if subject not in had]:
        yield f"gives {some(new)} every right in its namespace (cluster-admin)"


def _subjects(manifest: Manifest) -> list[str]:
    return [
        "/".join(str(part) for name in ("kind", "namespace", "name") if (part := subject.get(name)))
        for subject in mappings(manifest.get("subjects"))
    ]


def _everything(before: Manifest, after: Manifest) -> Iterator[str]:
    had = _rights(before)
    for right in sorted(_rights(after) - had):
        group, resource, verb = right
        if "*" in {resource, verb} or verb in _POWERS:
            yield f"may now {verb} {resource}{f' of {group}' if group else ''} in the whole cluster"


def _more(before: Manifest, after: Manifest) -> Iterator[str]:
    had = _rights(before)
    new = [
        f"{verb} {resource}"
        for _, resource, verb in sorted(_rights(after) - had)
        if "*" not in {resource, verb} and verb not in _POWERS
    ]
    if new:
        yield f"allows more in the whole cluster: {some(new)}"


def _rights(role: Manifest) -> frozenset[tuple[str, str, str]]:
    return frozenset(
        (group, resource, verb)
        for rule in mappings(role.get("rules"))
        for group in texts(rule.get("apiGroups")) or [""]
        for resource in [*texts(rule.get("resources")), *texts(rule.get("nonResourceURLs"))]
        for verb in texts(rule.get("verbs"))
    )


def _exposed(before: Manifest, after: Manifest) -> Iterator[str]:
    was, is_now = (at(each, "spec.type", "ClusterIP") for each in (before, after))
    if is_now in _OPEN and is_now != was:
        yield f"can be reached from outside the cluster: it is a {is_now} now"


def _address(before: Manifest, after: Manifest) -> Iterator[str]:
    was, is_now = (at(each, "spec.type", "ClusterIP") for each in (before, after))
    if before and was != is_now and "ExternalName" in {was, is_now}:
        yield f"loses or gets its address in the cluster: type {was} → {is_now}"


def _hosts(before: Manifest, after: Manifest) -> Iterator[str]:
    old, new = dict.fromkeys(_names(before)), dict.fromkeys(_names(after))
    if come := [name for name in new if name not in old]:
        yield f"answers for {some(come)}"
    if go := [name for name in old if name not in new]:
        yield f"no longer answers for {some(go)}"


def _names(manifest: Manifest) -> list[str]:
    spec = manifest.get("spec")
    listed = [each.get("host") for each in mappings(at(spec, "rules"))]
    listed += [each.get("hostname") for each in mappings(at(spec, "listeners"))]
    return [name for name in [*listed, *texts(at(spec, "hostnames"))] if isinstance(name, str)]


def _failure_policy(before: Manifest, after: Manifest) -> Iterator[str]:
    old, new = _policies(before), _policies(after)
    for name in old.keys() & new.keys():
        if old[name] == new[name]:
            continue
        if new[name] == "Ignore":
            yield f"lets requests through unchecked when webhook {name} does not answer"
        else:
            yield f"refuses requests when webhook {name} does not answer"


def _policies(manifest: Manifest) -> dict[str, Any]:
    return {
        str(hook.get("name")): at(hook, "failurePolicy", "Fail")
        for hook in mappings(manifest.get("webhooks"))
    }


def _unserved(before: Manifest, after: Manifest) -> Iterator[str]:
    old, new = _versions(before), _versions(after)
    for name, version in old.items():
        if version.get("served") is True and at(new.get(name), "served") is not True:
            yield f"no longer serves {name}: whoever asks for it is refused"


def _unstorable(before: Manifest, after: Manifest) -> Iterator[str]:
    old, new = _versions(before), _versions(after)
    for name, version in old.items():
        if version.get("storage") is True and name not in new:
            yield f"drops {name}, in which its objects are stored: refused until they are migrated"


def _stored(before: Manifest, after: Manifest) -> Iterator[str]:
    old, new = (
        next((name for name, each in _versions(side).items() if each.get("storage") is True), "")
        for side in (before, after)
    )
    if old and new and old != new:
        yield f"stores its objects as {new}, no longer as {old}"


def _versions(definition: Manifest) -> dict[str, Mapping[str, Any]]:
    return {str(each.get("name")): each for each in mappings(at(definition, "spec.versions"))}


_HOSTED = kinds("networking.k8s.io", "Ingress") | kinds("gateway.networking.k8s.io", *_ROUTES)
_WEBHOOKS = kinds(
    "admissionregistration.k8s.io", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"
)
_SERVICE = kinds("", "Service")
_DEFINITION = frozenset({DEFINITION})

RULES = (
    Rule("cluster-rbac", Severity.CAUTION, kinds(_RBAC, "ClusterRoleBinding"), _grants),
    Rule("cluster-rbac", Severity.CAUTION, kinds(_RBAC, "RoleBinding"), _grants_all),
    Rule("cluster-rbac", Severity.CAUTION, kinds(_RBAC, "ClusterRole"), _everything),
    Rule("cluster-rbac", Severity.NOTE, kinds(_RBAC, "ClusterRole"), _more),
    Rule("exposed", Severity.CAUTION, _SERVICE, _exposed),
    Rule("address", Severity.CAUTION, _SERVICE, _address),
    Rule("hosts", Severity.NOTE, _HOSTED, _hosts),
    Rule("webhook", Severity.CAUTION, _WEBHOOKS, _failure_policy),
    Rule("crd-version", Severity.CAUTION, _DEFINITION, _unserved),
    Rule("crd-version", Severity.BLOCKER, _DEFINITION, _unstorable),
    Rule("crd-version", Severity.NOTE, _DEFINITION, _stored),
)
