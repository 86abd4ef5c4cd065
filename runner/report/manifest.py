"""Manifests as YAML for people to read; for display only.

What is applied, recorded or printed by `build` is emitted by the worker, whose YAML is Flux's. Views are
pure functions and cannot ask it; no program of ours reads back what they show. It means the same, though.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from runner.report import clean

_FIRST = ("apiVersion", "kind", "metadata")
_DEEPEST = 64
_LONGEST_KEY = 500  # readers give up on longer ones, unless they are marked

# Controls, marks that show nothing or reorder, surrogates, spaces other than the one: never as they are.
ESCAPED = re.compile(f"{clean.UNSAFE.pattern}|[^\\S \\n]|[\\x1c-\\x1f\\ud800-\\udfff\\ufffe\\uffff]")
"""What is shown by its number, because it could not be seen, or would be obeyed."""

_PLAIN = re.compile(
    r"(?!\.\.\.|---)(?:[^\W\d]|[_/.$‹(<^\d]|-(?=[^\s-])|--(?=\w))(?:[^\n:#]|:(?! |$)|(?<! )#)*(?<! )",
    re.UNICODE,
)
_NUMBER = re.compile(r"[-+.]?\d[\d_,.:eExXoOtTzZ a-fA-F+-]*|0[xo].*")
_WORDS = re.compile(r"y|n|yes|no|on|off|true|false|null|~|[-+]?\.inf|\.nan|=|<<", re.IGNORECASE)


def yaml(manifest: Mapping[str, Any]) -> str:
    """One object as a block-style document; ends with a line break."""
    ordered = {key: manifest[key] for key in _FIRST if key in manifest}
    ordered |= {key: manifest[key] for key in sorted(manifest.keys() - ordered.keys())}
    return "\n".join(_mapping(ordered, 0)) + "\n" if ordered else "{}\n"


def lines(value: object) -> list[str]:
    """Any JSON value as lines of YAML."""
    if isinstance(value, Mapping) and value:
        return list(_mapping({key: value[key] for key in sorted(value)}, 0))
    if isinstance(value, list | tuple) and value:
        return list(_sequence(value, 0))
    return list(_placed("", value, 0))


def scalar(value: object) -> str:
    """A value on one line, in flow style where it has parts."""
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, float):
        return _float(value)
    if value is None or isinstance(value, bool | int):
        return json.dumps(value)
    return _escape(json.dumps(value, ensure_ascii=False, sort_keys=True, default=str))


def visible(text: str) -> str:
    """One line of a text, with what could not be seen shown by its number, and spaces at its end as dots."""
    shown = ESCAPED.sub(_numbered, text)
    bare = shown.rstrip(" ")
    return bare + "·" * (len(shown) - len(bare))


def _mapping(mapping: Mapping[str, Any], indent: int) -> Iterator[str]:
    pad = " " * indent
    for key, value in mapping.items():
        name = _string(str(key))
        if len(name) > _LONGEST_KEY:
            yield f"{pad}? {name}"
            name = ""
        yield from _placed(f"{pad}{name}:", value, indent)


def _sequence(sequence: list[Any] | tuple[Any, ...], indent: int) -> Iterator[str]:
    pad = " " * indent
    for item in sequence:
        if isinstance(item, Mapping | list | tuple) and item and indent < 2 * _DEEPEST:
            first, *rest = _nested(item, indent + 2)
            yield f"{pad}- {first[indent + 2 :]}"
            yield from rest
        else:
            yield from _placed(f"{pad}-", item, indent)


def _placed(head: str, value: object, indent: int) -> Iterator[str]:
    """A value behind its key, or below it."""
    lead = f"{head} " if head else ""
    if isinstance(value, Mapping | list | tuple) and value and indent < 2 * _DEEPEST:
        yield head
        # Items stand below their key without a further indent, as kubectl prints them.
        yield from _nested(value, indent + 2 if isinstance(value, Mapping) else indent)
    elif isinstance(value, str) and _block(value):
        tail = "+" if value.endswith("\n\n") else "" if value.endswith("\n") else "-"
        yield f"{lead}|{tail}"
        pad = " " * (indent + 2)
        yield from (pad + line if line else "" for line in value.removesuffix("\n").split("\n"))
    else:
        yield f"{lead}{scalar(value)}"


def _nested(value: Mapping[str, Any] | list[Any] | tuple[Any, ...], indent: int) -> Iterator[str]:
    if isinstance(value, Mapping):
        return _mapping({key: value[key] for key in sorted(value)}, indent)
    return _sequence(value, indent)


def _block(text: str) -> bool:
    """Whether a text may stand as lines of its own, meaning exactly itself."""
    if "\n" not in text or text[0].isspace() or ESCAPED.search(text.replace("\t", "")):
        return False
    return not any(line and not line.strip() for line in text.split("\n"))


def _string(text: str) -> str:
    if (
        _PLAIN.fullmatch(text)
        and not _WORDS.fullmatch(text)
        and not _NUMBER.fullmatch(text)
        and not ESCAPED.search(text)
    ):
        return text
    return _escape(json.dumps(text, ensure_ascii=False))


def _escape(text: str) -> str:
    return ESCAPED.sub(_numbered, text)


def _numbered(found: re.Match[str]) -> str:
    number = ord(found.group())
    if 0xD800 <= number <= 0xDFFF:  # half a character: no text can hold it  # noqa: PLR2004
        return "\ufffd"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"  # noqa: PLR2004


def _float(number: float) -> str:
    if not math.isfinite(number):
        return ".nan" if math.isnan(number) else ".inf" if number > 0 else "-.inf"
    text = repr(number)
    whole, e, exponent = text.partition("e")
    return text if not e or "." in whole else f"{whole}.0e{exponent}"
