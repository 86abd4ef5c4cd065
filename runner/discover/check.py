"""Whether a Kustomization is what Flux's CRD takes, and asks for nothing that we would get wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from runner import selector
from runner.discover import expressions
from runner.discover.fields import BELOW, Field, Support, Type
from runner.durations import seconds
from runner.model import FLUX, Manifest

SERVED = "v1"
OLD_VERSIONS = frozenset({"v1beta1", "v1beta2"})

_PARTS = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})
_UNSET: tuple[object, ...] = (None, False, [], {}, "")  # what says of a refused field that it is not used
_REMOTE = ("git::", "gh:", "ssh://", "https://", "http://", "git@", "github.com:", "github.com/")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")  # of an object: it becomes part of a user's
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_HOLDS: Mapping[Type, tuple[type, str]] = {
    Type.STRING: (str, "not a string"),
    Type.BOOLEAN: (bool, "neither true nor false"),
    Type.DURATION: (str, "not a string"),
    Type.OBJECT: (Mapping, "not an object"),
    Type.LIST: (list, "not a list"),
    Type.STRINGS: (Mapping, "not an object"),
    Type.ANY: (object, ""),
}


def problems(manifest: Manifest) -> Iterator[str]:
    """Everything that is wrong with the object, each with its path."""
    version = str(manifest.get("apiVersion", "")).rpartition("/")[2]
    if version != SERVED and version not in OLD_VERSIONS:
        yield f"apiVersion {manifest.get('apiVersion')} is not served by Flux"
    for part in sorted(manifest.keys() - _PARTS):
        yield f"{part} is not a field of a Kustomization"
    meta = manifest.get("metadata") or {}
    for name in ("name", "namespace"):
        if not meta.get(name):
            yield f"metadata.{name} is missing"
    spec = manifest.get("spec")
    names = isinstance(spec, Mapping) and (spec.get("serviceAccountName") or spec.get("kubeConfig"))
    if names and meta.get("namespace") and not _NAME.fullmatch(str(meta["namespace"])):
        yield f"metadata.namespace is {meta['namespace']!r}, which is no name of a namespace"
    if spec is None:
        yield "spec is missing"
    elif not isinstance(spec, Mapping):
        yield "spec is not an object"
    else:
        yield from _fields("", "spec", spec)


def warnings(manifest: Manifest) -> Iterator[str]:
    """What is worth a word, although nothing is wrong with it."""
    version = str(manifest.get("apiVersion", "")).rpartition("/")[2]
    if version in OLD_VERSIONS:
        yield f"apiVersion {FLUX}/{version} is not served by Flux any more; read as {SERVED}: write that"


def _fields(path: str, at: str, value: Mapping[str, Any]) -> Iterator[str]:
    """The fields of one object. `path` is theirs in the table, `at` is for people."""
    known = BELOW[path]
    for field in known.values():
        if field.required and value.get(field.name) in (None, ""):
            yield f"{at}.{field.name} is missing"
    for name in sorted(value, key=str):
        here = f"{at}.{name}"
        if name not in known:
            yield f"{here} is not a field of a Kustomization"
        elif value[name] is not None and not (known[name].required and value[name] == ""):
            yield from _value(known[name], here, value[name])


def _value(field: Field, at: str, value: object) -> Iterator[str]:
    if field.support is Support.REFUSED and value not in _UNSET:
        yield f"{at}: {field.why}"
    type_, wrong = _HOLDS[field.type]
    if isinstance(value, type_):
        yield from _content(field, at, value)
    else:
        quotes = "; put it in quotes" if type_ is str and isinstance(value, bool | int | float) else ""
        yield f"{at} is {_shown(value)}, {wrong}{quotes}"


def _content(field: Field, at: str, value: Any) -> Iterator[str]:  # noqa: ANN401 -- of the field's type
    match field.type:
        case Type.STRING:
            yield from _string(field, at, value)
        case Type.DURATION:
            try:
                seconds(value)
            except ValueError as exc:
                yield f"{at}: {exc}"
        case Type.OBJECT:
            yield from _fields(field.path, at, value)
            yield from _whole(field, at, value)
        case Type.STRINGS:
            if wrong := sorted(str(key) for key, each in value.items() if not isinstance(each, str)):
                yield f"{at}: the value of {', '.join(wrong)} is not a string; put it in quotes"
        case Type.LIST:
            for number, each in enumerate(value):
                yield from _value(BELOW[field.path]["[]"], f"{at}[{number}]", each)
            yield from expressions.duplicates(field.path, at, value)
        case Type.BOOLEAN | Type.ANY:
            pass


def _string(field: Field, at: str, value: str) -> Iterator[str]:
    if field.choices and value not in field.choices:
        yield f"{at} is {value!r}, not one of {', '.join(field.choices)}"
    if len(value) < field.shortest or (field.longest and len(value) > field.longest):
        yield f"{at} has {len(value)} characters; it takes {field.shortest} to {field.longest}"
    if field.path == "serviceAccountName" and value and not _NAME.fullmatch(value):
        yield f"{at} is {value!r}, which is no name of a ServiceAccount"
    if field.path == "kubeConfig.secretRef.name" and value and not _NAME.fullmatch(value):
        yield f"{at} is {value!r}, which is no name of a Secret"
    if field.path == "kubeConfig.secretRef.key" and value and not _KEY.fullmatch(value):
        yield f"{at} is {value!r}, which is no key of a Secret"
    yield from expressions.problems(field.path, at, value)
    if field.path == "components[]" and not _is_local(value):
        yield f"{at}: component path '{value}' must be local and relative"


def _is_local(path: str) -> bool:
    """Flux's rule; `file://` and a relative path counts as local."""
    lower = path.lower()
    if any(lower.startswith(prefix) and len(lower) > len(prefix) for prefix in _REMOTE):
        return False
    return not lower.startswith("/") and not lower.removeprefix("file://").startswith("/")


def _whole(field: Field, at: str, value: Mapping[str, Any]) -> Iterator[str]:
    """What the CRD asks of several fields at once."""
    if field.path == "kubeConfig" and (value.get("configMapRef") is None) == (value.get("secretRef") is None):
        yield f"exactly one of {at}.configMapRef or {at}.secretRef must be specified"
    if field.path == "ignore[].target":
        yield from (f"{at}.{name}: {wrong}" for name, wrong in selector.problems(value).items())


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list) else repr(value)
