"""Everything that may happen to an object in a cluster, by whomever, drawn at random."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from runner import typed
from runner.model import FIELD_MANAGER, FLUX, Manifest
from tests.cluster.api import APPLY, MERGE, Answer, Api
from tests.e2e.subjects import Path, Subject

JSON_PATCH = "application/json-patch+json"
OTHERS = ("kube-controller-manager", "somebody", "kubectl-edit", "kubectl", FIELD_MANAGER)


class Edits:
    """Requests as others send them. Each answers with what it did, in words."""

    def __init__(self, api: Api, seed: int = 0) -> None:
        self.api = api
        self.chance = random.Random(seed)  # noqa: S311 -- it has to be drawn the same way again
        self.kinds: tuple[Callable[[Subject], str], ...] = (
            self.update,
            self.update,
            self.apply,
            self.apply_as_ours,
            self.apply_as_ours,
            self.remove,
            self.reorder,
            self.add,
            self.forge,
            self.strip,
            self.scale,
            self.status,
            self.delete,
            self.recreate,
            self.mark,
            self.touch,
        )

    def any(self, subject: Subject) -> str:
        return self.chance.choice(self.kinds)(subject)

    def update(self, subject: Subject) -> str:
        path, value = self._value(subject)
        return self.rewrite(subject, lambda live: put(live, path, value), f"sets {path} to {value!r}")

    def add(self, subject: Subject) -> str:
        value: Any = self.chance.choice([5, 6]) if subject.free == ("spec", "size") else "eHh4"
        return self.rewrite(subject, lambda live: put(live, subject.free, value), "adds a field")

    def remove(self, subject: Subject) -> str:
        path = self.chance.choice(list(subject.values))
        return self.rewrite(subject, lambda live: drop(live, path), f"removes {path}")

    def reorder(self, subject: Subject) -> str:
        if not subject.lists:
            return self.touch(subject)
        path = self.chance.choice(subject.lists)
        return self.rewrite(subject, lambda live: reverse(live, path), f"reverses {path}")

    def touch(self, subject: Subject) -> str:
        return self.rewrite(subject, lambda _: None, "writes what is there")

    def mark(self, subject: Subject) -> str:
        marker, value = self.chance.choice([("reconcile", "disabled"), ("ssa", "Ignore"), ("ssa", "Merge")])
        path: Path = ("metadata", "annotations", f"{FLUX}/{marker}")
        return self.rewrite(subject, lambda live: put(live, path, value), f"marks it {marker}: {value}")

    def strip(self, subject: Subject) -> str:
        patch = [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]
        self._send("PATCH", subject.path, patch, JSON_PATCH, self._who())
        return "strips managedFields"

    def forge(self, subject: Subject) -> str:
        """Change something, then give back the ownership that somebody had kept."""
        kept = self.live(subject)
        told = self.update(subject)
        if not kept:
            return told
        owners = kept["metadata"]["managedFields"]
        self.rewrite(subject, lambda live: put(live, ("metadata", "managedFields"), owners), "")
        return f"{told}, and restores managedFields"

    def apply(self, subject: Subject) -> str:
        path, value = self._value(subject)
        part = skeleton(subject.manifest)
        put(part, path[:1], get(subject.manifest, path[:1]))
        if path[0] == "metadata":
            part["metadata"] = copy.deepcopy(dict(subject.manifest["metadata"]))
        put(part, path, value)
        self.apply_manifest(subject, part, "another-applier")
        return f"another-applier applies {path} = {value!r}"

    def apply_as_ours(self, subject: Subject) -> str:
        """As Flux would, from another commit: it may be the same second."""
        part = copy.deepcopy(subject.manifest)
        path, value = self._value(subject)
        put(part, path, value)
        if self.chance.random() < 0.2:
            drop(part, path)
        self.apply_manifest(subject, part)
        if self.chance.random() < 0.5:
            self.status(subject)
        return f"our manager applies {path} = {value!r}"

    def scale(self, subject: Subject) -> str:
        if not subject.scales:
            return self.touch(subject)
        replicas = self.chance.randint(0, 3)
        self._send("PATCH", f"{subject.path}/scale", {"spec": {"replicas": replicas}}, MERGE, self._who())
        return f"scales to {replicas}"

    def status(self, subject: Subject) -> str:
        if not subject.scales:
            return self.touch(subject)
        status = {"status": {"observedGeneration": self.chance.randint(1, 99)}}
        self._send("PATCH", f"{subject.path}/status", status, MERGE, "kube-controller-manager")
        return "writes status"

    def delete(self, subject: Subject) -> str:
        self._send("DELETE", subject.path, None, "application/json", "")
        return "deletes it"

    def recreate(self, subject: Subject) -> str:
        """Somebody else's object under the same name, or ours as another tool would make it."""
        self.delete(subject)
        return f"deletes it; {self.apply_as_ours(subject)}"

    def merge(self, subject: Subject, patch: Manifest, who: str) -> Answer:
        return self._send("PATCH", subject.path, patch, MERGE, who)

    def _value(self, subject: Subject) -> tuple[Path, Any]:
        path = self.chance.choice(list(subject.values))
        return path, self.chance.choice(subject.values[path])

    def _who(self) -> str:
        return self.chance.choice(OTHERS)

    def rewrite(self, subject: Subject, change: Callable[[dict[str, Any]], object], what: str = "") -> str:
        """Read it, change it, write it, as anybody."""
        live = self.live(subject)
        if not live:
            return "finds nothing"
        change(live)
        who = self._who()
        answer = self._send("PUT", subject.path, live, "application/json", who)
        return f"{who} {what} ({answer.status})"

    def live(self, subject: Subject) -> dict[str, Any]:
        """The object as it is; {} when it is not."""
        answer = self.api.get(subject.path)
        return answer.body if answer.status == 200 else {}

    def apply_manifest(self, subject: Subject, manifest: Manifest, who: str = FIELD_MANAGER) -> Answer:
        """Server-side; our manager sends what Flux's and ours do of a manifest."""
        body = typed.sent(manifest) if who == FIELD_MANAGER else manifest
        return self._send("PATCH", subject.path, body, APPLY, who, force="true")

    def _send(self, method: str, path: str, body: object, form: str, who: str, **query: str) -> Answer:
        query |= {"fieldManager": who} if who else {}
        return self.api.request(method, f"{path}?{urlencode(query)}", json.loads(json.dumps(body)), form)


def skeleton(manifest: Manifest) -> dict[str, Any]:
    """What names an object, and nothing else."""
    meta = manifest["metadata"]
    named = {key: meta[key] for key in ("name", "namespace") if key in meta}
    return {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "metadata": named}


def get(tree: Any, path: Path) -> Any:
    for step in path:
        tree = tree[step]
    return copy.deepcopy(tree)


def put(tree: Any, path: Path, value: Any) -> None:
    """Set a field, where what holds it is there or can be made."""
    for step in path[:-1]:
        if isinstance(tree, list) and step >= len(tree):
            return
        tree = tree.setdefault(step, {}) if isinstance(tree, dict) else tree[step]
    if isinstance(tree, dict | list):
        tree[path[-1]] = copy.deepcopy(value)


def drop(tree: Any, path: Path) -> None:
    holder = _holder(tree, path)
    if isinstance(holder, dict):
        holder.pop(path[-1], None)


def reverse(tree: Any, path: Path) -> None:
    found = (_holder(tree, path) or {}).get(path[-1])
    if isinstance(found, list):
        found.reverse()


def _holder(tree: Any, path: Path) -> Any:
    for step in path[:-1]:
        try:
            tree = tree[step]
        except (KeyError, IndexError, TypeError):
            return None
    return tree
