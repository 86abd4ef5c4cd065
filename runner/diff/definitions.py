"""CustomResourceDefinitions: what changed in their schemas, without the thousands of lines that say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.changes import FieldChange, Touch
from runner.diff import paths
from runner.diff.walk import same, walk
from runner.model import Manifest

MOST = 50
"""Fields of schemas that are named; the others are counted."""

_DEEPEST = 100
_NESTED = frozenset({"properties", "items", "additionalProperties", "required", "description"})
_PROSE = "description"

Schema = Mapping[str, Any]


def is_definition(manifest: Manifest) -> bool:
    group = str(manifest.get("apiVersion")).rpartition("/")[0]
    return (group, manifest.get("kind")) == ("apiextensions.k8s.io", "CustomResourceDefinition")


def definition_fields(before: Manifest, after: Manifest) -> list[FieldChange]:
    """The fields of the definition one by one, those of its schemas as `v1: spec.foo.bar`."""
    changes = walk(_bare(before), _bare(after))
    old, new = _schemas(before), _schemas(after)
    schemas: list[FieldChange] = []
    prose = 0
    for version in sorted(old.keys() & new.keys()):
        found = _Comparison(f"{version}: ")
        found.schema("", old[version], new[version], 0)
        schemas += found.changes
        prose += found.prose
    changes += schemas[:MOST]
    if len(schemas) > MOST:
        changes.append(FieldChange(f"{len(schemas) - MOST} more fields of schemas", Touch.CHANGED))
    if prose:
        changes.append(FieldChange(f"descriptions of {prose} fields", Touch.CHANGED))
    return changes


def _bare(manifest: Manifest) -> dict[str, Any]:
    """The definition without its schemas."""
    spec = manifest.get("spec")
    versions = spec.get("versions") if isinstance(spec, Mapping) else None
    if not isinstance(spec, Mapping) or not isinstance(versions, list):
        return dict(manifest)
    bare = [
        {name: value for name, value in version.items() if name != "schema"}
        if isinstance(version, Mapping)
        else version
        for version in versions
    ]
    return {**manifest, "spec": {**spec, "versions": bare}}


def _schemas(manifest: Manifest) -> dict[str, Schema]:
    spec = manifest.get("spec")
    versions = spec.get("versions") if isinstance(spec, Mapping) else None
    found = {}
    for version in versions if isinstance(versions, list) else ():
        schema = version.get("schema") if isinstance(version, Mapping) else None
        root = schema.get("openAPIV3Schema") if isinstance(schema, Mapping) else None
        if isinstance(root, Mapping):
            found[str(version.get("name"))] = root
    return found


class _Comparison:
    """Two schemas, walked side by side."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.changes: list[FieldChange] = []
        self.prose = 0  # fields whose description alone differs

    def schema(self, path: str, before: Schema, after: Schema, depth: int) -> None:
        old, new = _own(before), _own(after)
        differing = [name for name in sorted(old.keys() | new.keys()) if not _alike(name, old, new)]
        if differing:
            self._add(path, Touch.CHANGED, _of(old, differing), _of(new, differing))
        elif before.get(_PROSE) != after.get(_PROSE):
            self.prose += 1
        if depth >= _DEEPEST:
            return
        self._properties(path, before, after, depth)
        for name, step in (("items", "[]"), ("additionalProperties", "[*]")):
            below, now = before.get(name), after.get(name)
            if isinstance(below, Mapping) and isinstance(now, Mapping):
                self.schema(path + step, below, now, depth + 1)

    def _properties(self, path: str, before: Schema, after: Schema, depth: int) -> None:
        old, new = _properties(before), _properties(after)
        required = _required(before), _required(after)
        for name in sorted(old.keys() | new.keys()):
            at = paths.key(path, name)
            if name not in new:
                self._add(at, Touch.REMOVED, before=_brief(old[name], required=name in required[0]))
            elif name not in old:
                self._add(at, Touch.ADDED, after=_brief(new[name], required=name in required[1]))
            else:
                if (name in required[0]) != (name in required[1]):
                    is_now = {"required": name in required[1]}
                    self._add(at, Touch.CHANGED, {"required": name in required[0]}, is_now)
                self.schema(at, old[name], new[name], depth + 1)

    def _add(self, path: str, touch: Touch, before: object = None, after: object = None) -> None:
        self.changes.append(FieldChange(self.prefix + (path or "the whole schema"), touch, before, after))


def _own(schema: Schema) -> dict[str, Any]:
    """What a schema says of its field itself, and not of those below."""
    own = {name: value for name, value in schema.items() if name not in _NESTED}
    for name in ("items", "additionalProperties"):
        if name in schema and not isinstance(schema[name], Mapping):
            own[name] = schema[name]
        elif name in schema:
            own[name] = True
    return own


def _alike(name: str, old: Schema, new: Schema) -> bool:
    return (name in old) == (name in new) and same(old.get(name), new.get(name))


def _of(own: Schema, names: list[str]) -> dict[str, Any]:
    return {name: own[name] for name in names if name in own}


def _properties(schema: Schema) -> dict[str, Schema]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return {}
    return {name: each for name, each in properties.items() if isinstance(each, Mapping)}


def _required(schema: Schema) -> frozenset[str]:
    required = schema.get("required")
    return frozenset(map(str, required)) if isinstance(required, list) else frozenset()


def _brief(schema: Schema, *, required: bool) -> str:
    """The type, as a line: `string`, `list of object, required`."""
    items = schema.get("items")
    kind = str(schema.get("type", "any"))
    if kind == "array":
        kind = f"list of {items.get('type', 'any')}" if isinstance(items, Mapping) else "list"
    return f"{kind}, required" if required else kind
