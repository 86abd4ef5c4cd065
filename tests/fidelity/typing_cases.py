"""What a value becomes once its text stands in a manifest: YAML decides anew what is a number."""

# ruff: noqa: FBT003 -- booleans are what is expected

from __future__ import annotations

from typing import Any, NamedTuple

from tests.fidelity.expressions import Fault


class Typed(NamedTuple):
    """`template` is a string of the manifest, in which `@` is the variable; `value` is what that one has."""

    template: str
    value: str
    result: Any


WHOLE = "${@}"

SCALARS = [
    Typed(WHOLE, value, result)
    for value, result in [
        ("123", 123),
        ("-7", -7),
        ("+7", 7),
        ("1_000", 1000),
        ("010", 8),
        ("0o17", 15),
        ("0x1F", 31),
        ("0b11", 3),
        ("9007199254740993", 9007199254740992),  # through floating point
        ("1.10", 1.1),
        (".5", 0.5),
        ("1e5", 100000),
        ("1.5e3", 1500),
        ("1.0", 1),
        ("true", True),
        ("True", True),
        ("yes", True),
        ("on", True),
        ("y", True),
        ("Y", True),
        ("false", False),
        ("no", False),
        ("OFF", False),
        ("n", False),
        ("tRue", "tRue"),
        ("", None),
        ("null", None),
        ("~", None),
        ("#all", None),
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01T10:00:00Z", "2024-01-01T10:00:00Z"),
        ("12:30", "12:30"),
        ("1.2.3", "1.2.3"),
        ("10m", "10m"),
        ("=", "="),
        ("a #b", "a"),
        ("a#b", "a#b"),
        ("x:y", "x:y"),
        ("!!str 123", "123"),
        ("!!int '12'", 12),
        ("{a: b}", {"a": "b"}),
        ("[1, yes, null]", [1, True, None]),
        ("'123'", "123"),
        ('"1\\n2"', "1\n2"),
        ("a\\nb", "a\\nb"),
        ("a\nb", "ab"),
        ("\n7\n", 7),
        ("&mark b", "b"),
        ("| x", Fault("yaml")),
        ("ünï — ☃", "ünï — ☃"),
        ("  padded  ", "padded"),
        ("x: y", Fault("mapping values are not allowed in this context")),
        ("*nothing", Fault("unknown anchor 'nothing' referenced")),
        ("@at", Fault("found character that cannot start any token")),
        ("`tick", Fault("found character that cannot start any token")),
        ("%percent", Fault("found character that cannot start any token")),
        ("- item", Fault("block sequence entries are not allowed in this context")),
        ("'open", Fault("found unexpected end of stream")),
        ("{open", Fault("yaml: ")),
        ("!!int x", Fault("cannot decode !!str `x` as a !!int")),
        ("héllo", "héllo"),
    ]
]

PLACES = [
    Typed("pre-${@}", "123", "pre-123"),
    Typed("${@}-post", "123", "123-post"),
    Typed("${@}${@}", "12", 1212),
    Typed("${@}", '"', Fault("yaml: ")),
    Typed('"${@}"', "123", '"123"'),
    Typed("'${@}'", "123", "'123'"),
    Typed("x: ${@}", "123", "x: 123"),
    Typed("it's: ${@}", "it's", Fault("yaml: ")),
    Typed("a #${@}", "123", "a #123"),
    Typed("one\n${@}\n", "123", "one\n123\n"),
    Typed("one\n${@}", "x: y", "one\nx: y"),
    Typed(" ${@} ", "123", " 123 "),
    Typed("${@:=5}", "", 5),
    Typed("${@:0:1}", "héllo", "h"),
    Typed("${@:0:2}", "héllo", Fault("yaml: ")),
    Typed("${@:=a b}" + " words that go on" * 8, "v", "v" + " words that go on" * 8),
    Typed(
        "words that go on " * 4 + "${unset:=a long default}" + " ${@}",
        "v",
        "words that go on " * 4 + "a long default v",
    ),
    Typed("$${verbatim}${@}", "", "${verbatim}"),
    Typed("${@//b/x}", "abc", "axc"),
    Typed("true${@}", "", True),
    Typed("1${@}", "e3", 1000),
]

CASES = [*SCALARS, *PLACES]
