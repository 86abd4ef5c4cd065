"""Two YAML files as one, as Helm merges values: maps go into each other, everything else is replaced."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

_LIMIT = 200_000  # values in one file, aliases written out
_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?(?:0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)$")
_FLOAT = re.compile(
    r"[-+]?(?:(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?|\.(?:inf|Inf|INF))$|\.(?:nan|NaN|NAN)$"
)


class _Loader(yaml.SafeLoader):
    """Like Flux's reader, which knows no dates and takes no `1:30` for a number."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, {f"{_TAG}int": _INT, f"{_TAG}float": _FLOAT}.get(tag, expression))
        for tag, expression in resolvers
        if tag != f"{_TAG}timestamp"
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def merged(base: bytes, overlay: bytes) -> bytes:
    """Every document of `base`, then every document of `overlay`, as one. Raises ValueError."""
    text: str = yaml.safe_dump(_merged(_loaded(base), _loaded(overlay)), sort_keys=True, allow_unicode=True)
    return text.encode()


def _loaded(data: bytes) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    plain = _Plain()
    try:
        for document in yaml.load_all(data, Loader=_Loader):
            if document is None:
                continue
            if not isinstance(document, Mapping):
                raise ValueError("only YAML maps can be merged")  # noqa: TRY004 - it is the text that is wrong
            whole = _merged(whole, plain.value(document))
    except (yaml.YAMLError, RecursionError) as exc:
        raise ValueError(f"it is not YAML: {exc}") from exc
    return whole


def _merged(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    whole = dict(base)
    for key, value in overlay.items():
        old = whole.get(key)
        both = isinstance(value, Mapping) and isinstance(old, Mapping)
        whole[key] = _merged(old or {}, value) if both else value
    return whole


@dataclass(slots=True)
class _Plain:
    """Writes a file's values out as JSON has them: nothing shared, keys that are text."""

    seen: int = 0

    def value(self, value: Any) -> Any:  # noqa: ANN401 - whatever YAML holds
        self.seen += 1
        if self.seen > _LIMIT:
            raise ValueError(f"it has more than {_LIMIT} values")
        if isinstance(value, Mapping):
            return {_key(key): self.value(item) for key, item in value.items()}
        return [self.value(item) for item in value] if isinstance(value, list) else value


def _key(key: object) -> str:
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    return str(key)
