"""A manifest as the body of an apply: JSON, which the API server reads as YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

_BREAKS = {char.encode(): f"\\u{ord(char):04x}".encode() for char in "\u0085\u2028\u2029"}
"""Characters that end a line in YAML and not in JSON: unescaped, the blanks around them would be lost."""


def as_yaml(manifest: Mapping[str, Any]) -> bytes:
    """The same value to either parser."""
    text = orjson.dumps(manifest)
    for char, escaped in _BREAKS.items():
        text = text.replace(char, escaped)
    return text
