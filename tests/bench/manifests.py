"""What is deployed: a wide fleet, a chain."""

from __future__ import annotations

from typing import Any

from tests.e2e.harness import ENTRY, Repository

Manifest = dict[str, Any]

FLUX_NAMESPACE = "flux-system"
WAIT = {"wait": True, "timeout": "5m"}
_IMAGE = "registry.example/app:1"


def deployment(namespace: str, name: str, replicas: int, image: str = _IMAGE) -> Manifest:
    labels = {"app": name}
    container = {"name": "app", "image": image, "ports": [{"containerPort": 8080}]}
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }
    return _object("apps/v1", "Deployment", namespace, name, spec=spec)


def application(namespace: str, name: str, image: str = _IMAGE) -> list[Manifest]:
    """Four objects, none of which makes the cluster do much."""
    backend = {"service": {"name": name, "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    rule = {"host": f"{name}.example.org", "http": {"paths": [path]}}
    ports = [{"port": 80, "targetPort": 8080}]
    return [
        deployment(namespace, name, 0, image),
        _object("v1", "ServiceAccount", namespace, name),
        _object("v1", "Service", namespace, name, spec={"selector": {"app": name}, "ports": ports}),
        _object("networking.k8s.io/v1", "Ingress", namespace, name, spec={"rules": [rule]}),
    ]


def applications(namespace: str, units: int) -> list[Manifest]:
    return [each for name in names(units) for each in application(namespace, name)]


def names(units: int) -> list[str]:
    return [f"app-{number:04}" for number in range(1, units + 1)]


def namespace(name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def fleet(repository: Repository, target: str, units: int, home: str = FLUX_NAMESPACE) -> None:
    """Kustomizations side by side in a namespace, each with an application of its own."""
    repository.write(f"{ENTRY}/namespace.yaml", namespace(target))
    for name in names(units):
        _unit(repository, kustomization(home, name, f"apps/{name}", **WAIT), application(target, name))
    repository.commit()


def chain(repository: Repository, target: str, units: int, others: int) -> None:
    """Kustomizations one after the other, each with a Deployment whose pod has to become ready.

    The others stand beside it, like those of a fleet, and depend on nothing.
    """
    repository.write(f"{ENTRY}/namespace.yaml", namespace(target))
    before = ""
    for name in names(units):
        needs = {"dependsOn": [{"name": before}]} if before else {}
        link = kustomization(target, name, f"apps/{name}", **WAIT, **needs)
        _unit(repository, link, [deployment(target, name, 1)])
        before = name
    for name in names(others):
        other = f"other-{name}"
        _unit(repository, kustomization(target, other, f"apps/{other}", **WAIT), application(target, other))
    repository.commit()


def kustomization(namespace: str, name: str, path: str, **spec: object) -> Manifest:
    source = {"kind": "GitRepository", "name": "fleet"}
    return _object(
        "kustomize.toolkit.fluxcd.io/v1",
        "Kustomization",
        namespace,
        name,
        spec={"interval": "1h", "path": f"./{path}", "prune": True, "sourceRef": source, **spec},
    )


def _unit(repository: Repository, kustomization: Manifest, objects: list[Manifest]) -> None:
    name = kustomization["metadata"]["name"]
    repository.write(f"{ENTRY}/{name}.yaml", kustomization)
    repository.write(f"apps/{name}/app.yaml", *objects)
    repository.write(f"apps/{name}/kustomization.yaml", {"resources": ["app.yaml"]})


def _object(version: str, kind: str, namespace: str, name: str, **rest: object) -> Manifest:
    place = {"namespace": namespace} if namespace else {}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, **place}, **rest}
