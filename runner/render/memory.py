"""Renderings of earlier runs, found again by everything that went into them.

What a build reads is only known when it is over. So a rendering is kept under what is known before (the
Kustomization, the variables, the tool) together with the content of every path that the build looked at;
it counts for any tree in which all of these are the same. What holds a secret is never kept.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from runner.content import Content
from runner.fleet import Rendering, Variables
from runner.model import Kustomization, Manifest, ResourceRef
from runner.ports import Memory
from runner.redact import is_secret
from runner.rendered import Closure

FORMAT = 1
MOST = 4
"""Renderings that are kept under one key: as many branches as somebody works on by turns."""


@dataclass(slots=True)
class Passing:
    """A memory of this process alone: what one side of a comparison was rendered to serves the other."""

    stamp: str = ""
    _values: dict[str, bytes] = field(default_factory=dict)

    def get(self, key: str) -> bytes | None:
        return self._values.get(key)

    def put(self, key: str, value: bytes) -> None:
        self._values[key] = value


@dataclass(slots=True)
class Recall:
    """What was rendered before; any number of threads may ask."""

    memory: Memory
    parsed: dict[int, tuple[Manifest, Kustomization]] = field(default_factory=dict)
    """Kustomizations of the objects that were rendered, by the identity of the object."""
    _known: dict[str, list[_Kept]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, k: Kustomization, variables: Variables, content: Content) -> Rendering | None:
        """The rendering of the same Kustomization with the same variables and the same files."""
        if variables.opens:
            return None
        for kept in self._kept(self._key(k, variables)):
            if kept.seen.same(content):
                warnings = (*variables.warnings, *kept.rendering.warnings)
                return replace(kept.rendering, variables=variables, warnings=warnings)
        return None

    def closures(self, k: Kustomization, variables: Variables) -> list[Closure]:
        """What earlier builds of the same Kustomization with the same variables looked at."""
        return [kept.seen.closure for kept in self._kept(self._key(k, variables))]

    def keep(self, k: Kustomization, variables: Variables, content: Content, made: Rendering) -> None:
        """Keep a rendering, unless it failed, or has anything that is secret, was decrypted or is remote."""
        if not made.ok or made.pins or made.closure.links or variables.display or variables.opens:
            return
        if any(map(is_secret, made.objects)):
            return
        own = made.warnings[len(variables.warnings) :]  # those of the variables come with them
        new = _Kept(Seen.of(made.closure, content), replace(made, variables=Variables(), warnings=own))
        key = self._key(k, variables)
        kept = self._kept(key)
        with self._lock:
            kept.insert(0, new)
            del kept[MOST:]
            plain = [each.plain() for each in kept]
        with suppress(orjson.JSONEncodeError):  # a file's name need not be text
            self.memory.put(key, orjson.dumps(plain))

    def _kept(self, key: str) -> list[_Kept]:
        with self._lock:
            known = self._known.get(key)
        if known is None:
            known = _unpacked(self.memory.get(key))
            with self._lock:
                known = self._known.setdefault(key, known)
        return known

    def _key(self, k: Kustomization, variables: Variables) -> str:
        inputs = [
            FORMAT,
            self.memory.stamp,
            k.id,
            k.manifest["apiVersion"],
            k.manifest.get("spec"),
            sorted(variables.values.items()),
            sorted(variables.overridable),
            variables.complete,
        ]
        return hashlib.sha256(orjson.dumps(inputs, option=orjson.OPT_SORT_KEYS)).hexdigest()


@dataclass(frozen=True, slots=True)
class Seen:
    """What a build looked at, with what was there."""

    read: Mapping[str, str]
    stat: Sequence[str]
    dirs: Sequence[str]
    listed: Mapping[str, str]
    missing: Sequence[str]

    @classmethod
    def of(cls, closure: Closure, content: Content) -> Seen:
        return cls(
            {path: content.id(path) for path in closure.read},
            closure.stat,
            closure.dirs,
            {path: content.listing(path) for path in closure.listed},
            closure.missing,
        )

    @property
    def closure(self) -> Closure:
        return Closure(
            tuple(self.read), tuple(self.stat), tuple(self.dirs), tuple(self.listed), tuple(self.missing)
        )

    def same(self, content: Content) -> bool:
        return (
            all(content.id(path) == id_ for path, id_ in self.read.items())
            and all(content.id(path) for path in self.stat)
            and all(content.is_directory(path) for path in self.dirs)
            and all(content.listing(path) == names for path, names in self.listed.items())
            and not any(content.id(path) or content.is_directory(path) for path in self.missing)
        )


@dataclass(frozen=True, slots=True)
class _Kept:
    seen: Seen
    rendering: Rendering

    def plain(self) -> dict[str, Any]:
        made, seen = self.rendering, self.seen
        refs = [ResourceRef.of(each) for each in made.objects] if made.unresolved else []
        return {
            "read": seen.read,
            "stat": seen.stat,
            "dirs": seen.dirs,
            "listed": seen.listed,
            "missing": seen.missing,
            "objects": made.objects,
            "unresolved": {
                str(number): made.unresolved[ref] for number, ref in enumerate(refs) if ref in made.unresolved
            },
            "warnings": made.warnings,
            "dropped": made.dropped,
        }

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> _Kept:
        seen = Seen(plain["read"], plain["stat"], plain["dirs"], plain["listed"], plain["missing"])
        objects = tuple(plain["objects"])
        return cls(
            seen,
            Rendering(
                objects=objects,
                shown=objects,  # nothing secret is kept
                unresolved={
                    ResourceRef.of(objects[int(number)]): tuple(names)
                    for number, names in plain["unresolved"].items()
                },
                closure=seen.closure,
                warnings=tuple(plain["warnings"]),
                dropped=plain["dropped"],
            ),
        )


def _unpacked(packed: bytes | None) -> list[_Kept]:
    """What was kept; whatever cannot be read was never there."""
    if packed is None:
        return []
    try:
        return [_Kept.of(plain) for plain in orjson.loads(packed)]
    except (KeyError, ValueError, TypeError, AttributeError, IndexError):
        return []
