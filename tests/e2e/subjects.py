"""Objects of each sort that makes a difference to the server, and where they may be changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runner.model import FLUX, ResourceRef

GROUP = "proof.example"
Path = tuple[str | int, ...]


def definition(default: int = 3) -> dict[str, Any]:
    """A kind with defaults, a list of each sort, and the subresources that have a rule of their own."""
    item = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}, "value": {"type": "integer", "default": default}},
    }
    listed = {"type": "array", "items": {"type": "string"}}
    spec = {
        "size": {"type": "integer", "default": default},
        "replicas": {"type": "integer"},
        "atomic": listed,
        "set": {**listed, "x-kubernetes-list-type": "set"},
        "keyed": {
            "type": "array",
            "items": item,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    }
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    properties = {"spec": {"type": "object", "properties": spec}, "status": free}
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
        "subresources": {"status": {}, "scale": scale},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {"kind": "Thing", "plural": "things"},
            "scope": "Namespaced",
            "versions": [version],
        },
    }


@dataclass
class Subject:
    """One object as Git has it now, and where it may be changed."""

    manifest: dict[str, Any]
    plural: str
    values: dict[Path, tuple[Any, ...]]  # of fields that we set; the first is the one we want
    free: Path  # a field that we leave alone
    lists: tuple[Path, ...] = ()
    scales: bool = False

    @property
    def ref(self) -> ResourceRef:
        return ResourceRef.of(self.manifest)

    @property
    def path(self) -> str:
        ref = self.ref
        root = f"/apis/{ref.api_version}" if ref.group else "/api/v1"
        place = f"/namespaces/{ref.namespace}" if ref.namespace else ""
        return f"{root}{place}/{self.plural}/{ref.name}"


def subjects(namespace: str) -> list[Subject]:
    """One object of each sort that makes a difference to the server."""

    def made(api: str, kind: str, labels: str = "app", **rest: Any) -> dict[str, Any]:
        meta = {"name": namespace if kind == "PriorityClass" else kind.lower(), "namespace": namespace}
        if kind == "PriorityClass":
            del meta["namespace"]
        owner = {f"{FLUX}/name": "app", f"{FLUX}/namespace": namespace, "tier": labels}
        return {
            "apiVersion": api,
            "kind": kind,
            "metadata": {**meta, "labels": owner, "annotations": {"note": "wanted"}},
            **rest,
        }

    marked: dict[Path, tuple[Any, ...]] = {
        ("metadata", "labels", "tier"): ("app", "other"),
        ("metadata", "annotations", "note"): ("wanted", "unwanted"),
    }
    containers = [
        {"name": name, "image": "x:1", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}
        for name in ("one", "two")
    ]
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": containers}}
    ports = [{"name": name, "port": port} for name, port in (("a", 80), ("b", 81))]
    env: Path = ("spec", "template", "spec", "containers")
    return [
        Subject(
            made("v1", "ConfigMap", data={"a": "1", "b": "2"}),
            "configmaps",
            {**marked, ("data", "a"): ("1", "9"), ("data", "b"): ("2", "9")},
            ("data", "free"),
        ),
        Subject(
            made("v1", "Secret", data={"a": "MQ=="}, type="Opaque"),
            "secrets",
            {**marked, ("data", "a"): ("MQ==", "OQ==")},
            ("data", "free"),
        ),
        Subject(
            made("v1", "Service", spec={"selector": {"app": "x"}, "ports": ports}),
            "services",
            {**marked, ("spec", "selector", "app"): ("x", "y"), ("spec", "ports", 0, "name"): ("a", "c")},
            ("spec", "selector", "free"),
            (("spec", "ports"),),
        ),
        Subject(
            made(
                "apps/v1",
                "Deployment",
                spec={"selector": {"matchLabels": {"app": "x"}}, "template": template},
            ),
            "deployments",
            {
                **marked,
                (*env, 0, "image"): ("x:1", "x:2"),
                (*env, 1, "env", 0, "value"): ("1", "9"),
            },
            ("spec", "template", "metadata", "annotations", "free"),
            (env, (*env, 0, "env")),
            scales=True,
        ),
        Subject(
            made(
                f"{GROUP}/v1",
                "Thing",
                spec={
                    "atomic": ["a", "b"],
                    "set": ["a", "b"],
                    "keyed": [{"name": "a", "value": 1}, {"name": "b"}],
                },
            ),
            "things",
            {**marked, ("spec", "keyed", 0, "value"): (1, 9), ("spec", "atomic"): (["a", "b"], ["a"])},
            ("spec", "size"),
            (("spec", "atomic"), ("spec", "set"), ("spec", "keyed")),
            scales=True,
        ),
        Subject(
            made("scheduling.k8s.io/v1", "PriorityClass", value=7, description="wanted"),
            "priorityclasses",
            {**marked, ("description",): ("wanted", "unwanted")},
            ("metadata", "annotations", "free"),
        ),
    ]
