"""YAML → values with their lines, held to the schema. No value is ever quoted: a URL may have a password."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.errors import UsageError

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from yaml import MappingNode, Node

FILE = "kustodian.yaml"
MOST_BYTES = 1 << 18

At = tuple[str | int, ...]
"""Keys and positions that lead to a value."""


class Fault(NamedTuple):
    """One thing that is wrong with the file."""

    message: str
    line: int = 0  # 0 when unknown
    hint: str = ""

    def __str__(self) -> str:
        return f"{FILE}:{self.line}: {self.message}" if self.line else f"{FILE}: {self.message}"


class Misconfigured(UsageError):
    """The file is not what its schema says; `faults` are all that was found."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        found = tuple(sorted(dict.fromkeys(faults), key=lambda each: each.line))
        super().__init__("\n".join(map(str, found)), hint=next((f.hint for f in found if f.hint), ""))
        self.faults = found


@dataclass(slots=True)
class Document:
    """The values of the file, and the line of each."""

    value: Any
    lines: dict[At, int] = field(default_factory=dict)

    def line(self, at: At) -> int:
        """Of a value, else of the nearest one around it."""
        while at and at not in self.lines:
            at = at[:-1]
        return self.lines.get(at, 0)


def parse(text: bytes) -> Document:
    """The file's one document; an empty file is an empty mapping. Raises Misconfigured."""
    import yaml  # few repositories have the file

    if len(text) > MOST_BYTES:
        raise Misconfigured([Fault(f"it has more than {MOST_BYTES:,} bytes")])
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        reader = _Reader(yaml.SafeLoader(""))
        value = reader.value(node, ()) if node is not None else {}
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        mark = getattr(exc, "problem_mark", None)
        raise Misconfigured([Fault("this is not YAML", mark.line + 1 if mark is not None else 0)]) from exc
    return Document({} if value is None else value, reader.lines)


def schema() -> dict[str, Any]:
    """The published JSON Schema."""
    loaded: dict[str, Any] = json.loads((Path(__file__).parent / "schema.json").read_bytes())
    return loaded


def faults(document: Document) -> Iterator[Fault]:
    """Where a document is not what the schema says."""
    from jsonschema import Draft202012Validator

    for error in Draft202012Validator(schema()).iter_errors(document.value):
        yield from _told(error, document)


class _Reader:
    """Makes values of nodes. An alias is refused: a few of them make a file that no memory holds."""

    def __init__(self, loader: Any) -> None:  # noqa: ANN401 -- yaml.SafeLoader, loaded late
        self.loader, self.lines, self.seen = loader, dict[At, int](), set[int]()

    def value(self, node: Node, at: At) -> Any:  # noqa: ANN401 -- whatever YAML holds
        import yaml

        self.lines.setdefault(at, node.start_mark.line + 1)
        if id(node) in self.seen:
            raise Misconfigured([Fault("aliases are not read here", self.lines[at], "write it out.")])
        self.seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, at)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(each, (*at, number)) for number, each in enumerate(node.value)]
        return self.loader.construct_object(node)

    def mapping(self, node: MappingNode, at: At) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            name = key.value if isinstance(key.value, str) else ""
            if not name:
                raise Misconfigured([Fault("this key is no text", line)])
            if name in found:
                raise Misconfigured([Fault(f"the key {name!r} is there twice", line)])
            self.lines[(*at, name)] = line
            found[name] = self.value(value, (*at, name))
        return found


def _told(error: ValidationError, document: Document) -> Iterator[Fault]:
    at: At = tuple(error.absolute_path)
    rule: Mapping[str, Any] = error.schema
    hint = str(rule.get("description", ""))
    if "propertyNames" in error.absolute_schema_path:
        name = str(error.instance)
        yield Fault(f"{name!r} under {_path(at)} is not {rule['title']}", document.line((*at, name)), hint)
        return
    where = _path(at)
    prefix = f"{where} " if where else "it "
    line = document.line(at)
    match error.validator:
        case "additionalProperties":
            known = sorted(rule["properties"])
            for name in sorted(error.instance.keys() - set(known)):
                here = f"{prefix}has the key {name!r}, which is not known"
                yield Fault(here, document.line((*at, name)), f"the keys are {', '.join(known)}.")
        case "required":
            for name in error.validator_value:
                if name not in error.instance:
                    yield Fault(f"{prefix}has no {name}", line, hint)
        case "enum":
            yield Fault(f"{prefix}is none of {', '.join(error.validator_value)}", line, hint)
        case _:
            yield Fault(f"{prefix}is not {rule['title']}", line, hint)


def _path(at: At) -> str:
    return ".".join(map(str, at))
