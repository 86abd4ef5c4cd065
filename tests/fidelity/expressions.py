"""Flux's variable expressions: one table by hand, and a grammar for many more."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import strategies as st

VARIABLES = {
    "v": "abcDEF", "e": "", "n": "123", "p": "/a/b/c.tar.gz", "u": "héllo", "d": "dflt", "_s": "a b 'c' \"d\""
}  # fmt: skip
UNSET = ("x", "y", "a")


class Fault(NamedTuple):
    """What is wrong, a part of Flux's message."""

    text: str


BRACE = Fault("missing closing brace")
NAME = Fault("unable to parse variable name")
WITHIN = Fault("unable to parse substitution within function")
BAD = Fault("bad substitution")


def unset(name: str) -> Fault:
    return Fault(f'variable not set (strict mode): "{name}"')


class Row(NamedTuple):
    template: str
    lenient: str | Fault
    strict: str | Fault


def _same(*pairs: tuple[str, str | Fault]) -> list[Row]:
    return [Row(template, result, result) for template, result in pairs]


PLAIN = _same(
    ("${v}", "abcDEF"),
    ("$v", "$v"),
    ("$$v", "$v"),
    ("$${v}", "${v}"),
    ("$$$v", "$$v"),
    ("$$${v}", "$abcDEF"),
    ("$$$${v}", "$${v}"),
    ("\\${v}", "\\abcDEF"),
    ("$(v)", "$(v)"),
    ("{{ v }}", "{{ v }}"),
    ("${e}", ""),
    ("a $ b", "a $ b"),
    ("${_s}", "a b 'c' \"d\""),
)
DEFAULTS = _same(
    ("${x:-d1}", "d1"),
    ("${x:=d1}", "d1"),
    ("${x=d1}", "d1"),
    ("${e:-d1}", "d1"),
    ("${e:=d1}", "d1"),
    ("${e=d1}", "d1"),
    ("${v:-d1}", "abcDEF"),
    ("${x:=}", ""),
    ("${x:+d1}", "d1"),
    ("${v:+d1}", "abcDEF"),
    ("${x:?msg}", "msg"),
    ("${v:?msg}", "abcDEF"),
    ('${x:={"k":1}}', '{"k":1}'),
    ('${v:={"k":1}}', "abcDEF}"),
    ("${x:=a$$b}", "a$$b"),
    ("${x:=p-${d}-s}", "p-dflt-s"),
    ("${x:=${y:=deep}}", "deep"),
    ("${x:=a b}", "a b"),
    ("${x:=http://h:80/}", "http://h:80/"),
    ("${v:-2}", "abcDEF"),
)
PARTS = _same(
    ("${v:2}", "cDEF"),
    ("${v:2:3}", "cDE"),
    ("${v:99}", ""),
    ("${v:2:99}", "cDEF"),
    ("${v: -2}", "abcDEF"),
    ("${v:a}", "abcDEF"),
    ("${v:1:b}", "abcDEF"),
    ("${v:1:-1}", "bcDE"),
    ("${v:1:-9}", ""),
    ("${v:9:-1}", ""),
    ("${#v}", "6"),
    ("${#u}", "6"),
)
CASES = _same(
    ("${v^}", "AbcDEF"), ("${v^^}", "ABCDEF"), ("${v,}", "abcDEF"), ("${v,,}", "abcdef"), ("${u^^}", "HÉLLO")
)  # fmt: skip
REMOVALS = _same(
    ("${p#*/}", "a/b/c.tar.gz"),
    ("${p##*/}", "c.tar.gz"),
    ("${p%.*}", "/a/b/c.tar"),
    ("${p%%.*}", "/a/b/c"),
    ("${v#zz}", "abcDEF"),
)
REPLACEMENTS = _same(
    ("${v/b/X}", "aXcDEF"),
    ("${v//[a-z]/X}", "abcDEF"),
    ("${v/b/}", "acDEF"),
    ("${p//\\//-}", "-a-b-c.tar.gz"),
    ("${v/#a/X}", "XbcDEF"),
    ("${v/%F/X}", "abcDEX"),
    ("${v/#a/}", "abcDEF"),
    ("${v/%F/}", "abcDEF"),
)
FAULTS = _same(
    ("${x-d1}", BRACE),
    ("${x+d1}", BRACE),
    ("${x?d1}", BRACE),
    ("${a.b}", BRACE),
    ("${a-b}", BRACE),
    ("${v[0]}", BRACE),
    ("${v }", BRACE),
    ("${v@Q}", BRACE),
    ("${v", BRACE),
    ("${}", NAME),
    ("${ v }", NAME),
    ("${{ v }}", NAME),
    ("${.v}", NAME),
    ("${!v}", NAME),
    ("${@}", NAME),
    ("${v:}", WITHIN),
    ("${v::2}", WITHIN),
    ("${x:=abc", WITHIN),
    ("${v^x}", BAD),
    ("${v/b}", BAD),
    ("${v:1:9223372036854775807}", Fault("slice bounds out of range")),  # Flux panics
)
STRICT = [
    Row("${x}", "", unset("x")),
    Row("${1}", "", unset("1")),
    Row("${v:=${x}}", "abcDEF", unset("x")),
    Row("${x//a/b}", "", unset("x")),
    Row("${x#a}", "", unset("x")),
    Row("${x%a}", "", unset("x")),
    Row("${x^^}", "", unset("x")),
    Row("${x,,}", "", unset("x")),
    Row("${x:2}", "", unset("x")),
    Row("${#x}", "0", unset("x")),
    Row("${x:=1} ${x}", "1 ", unset("x")),
]
TABLE = [*PLAIN, *DEFAULTS, *PARTS, *CASES, *REMOVALS, *REPLACEMENTS, *FAULTS, *STRICT]


# --- many more ------------------------------------------------------------------------------------------
# No line breaks and no control characters: the CLI reads lines, and YAML prints the others escaped.

_names = st.sampled_from([*VARIABLES])
_any = st.one_of(_names, st.sampled_from(UNSET))
_words = st.text("ab cDEF.-_:/#%^,=+?*[]0129'\"\\éß&!|>{", max_size=6)
_text = st.one_of(_words, st.sampled_from(["$", "$$", "$$$", "}", "{", "$v", "$(v)", " - ", "//", "\\"]))
_number = st.integers(-3, 9).map(str)


def _expressions(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    word = st.one_of(_words, _words, inner)
    default = st.sampled_from([":=", ":-", "=", ":+", ":?"])
    glob = st.text("ab*?./cDEF[]\\-", max_size=4)
    plain = st.text("abcDEF./*-_ é", min_size=1, max_size=3)
    replace = st.sampled_from(["/", "//", "/#", "/%"])
    made = st.one_of(
        st.tuples(_names),
        st.tuples(_any, default, word),
        st.tuples(_any, default, st.lists(word, max_size=3).map("".join)),
        st.tuples(_names, st.sampled_from(["^", "^^", ",", ",,"])),
        st.tuples(_names, st.just(":"), _number),
        st.tuples(_names, st.just(":"), _number, st.just(":"), _number),
        st.tuples(_names, st.sampled_from(["#", "##", "%", "%%"]), glob),
        st.tuples(
            _names, replace, plain.filter(lambda t: "/" not in t), st.just("/"), st.one_of(plain, inner)
        ),
        st.tuples(st.just("#"), _names),
    )
    return made.map(lambda parts: "${" + "".join(parts) + "}")


_expression = st.recursive(_expressions(st.just("z")), _expressions, max_leaves=3)
_sound = st.lists(st.one_of(_text, _expression, _expression), min_size=1, max_size=4).map("".join)


@st.composite
def _faulty(draw: st.DrawFn) -> str:
    """A template with a character too many or too few, or with a variable that is not set."""
    template = draw(_sound)
    at = draw(st.integers(0, len(template)))
    wrong = st.sampled_from(["", "", "$", "{", "}", ":", "/", "#", "${x}", "${#y}", "${a^^}", "${x//b/c}"])
    return template[:at] + draw(wrong) + template[at + 1 :]


TEMPLATES = st.one_of(*[_sound] * 14, _faulty())
"""Few of them are faulty, as every fault costs a start of the program."""
