"""CEL as Flux reads it.

The expressions are those of Flux's documentation and library (kustomize-controller 1.9.5,
docs/spec/v1/kustomizations.md; fluxcd/pkg runtime 0.110.3, cel/*_test.go), and one for everything that its
environment has or lacks. What Flux makes of each was found by running that library; where we differ, the
test says so.
"""

from __future__ import annotations

import subprocess
import sys
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import cel

OBJECT = {
    "apiVersion": "example.com/v1",
    "kind": "Db",
    "metadata": {"name": "x", "generation": 2, "labels": {"app/version": "v1.2.3"}},
    "spec": {"size": "10Gi", "n": 3},
    "status": {
        "observedGeneration": 2,
        "f": 0.5,
        "nul": None,
        "when": "2026-03-01T12:00:00Z",
        "list": ["a", "b"],
        "flag": True,
        "conditions": [
            {"type": "Ready", "status": "True"},
            {"type": "Synced", "status": "False", "reason": "x"},
        ],
    },
}
FLEET = {
    "metadata": {"name": "a", "generation": 1, "labels": {"app/version": "v1"}},
    "spec": {},
    "status": {"observedGeneration": 1, "flag": True, "conditions": [{"type": "Ready", "status": "True"}]},
}
BOTH = ("self", "dep")

TRUE = r"""
true
true // a comment
status.flag
status.nul == null
status.list[0] == 'a'
status.?nope.?x.orValue(true)
status[?'flag'].orValue(false)
optional.of(1).value() == 1
status.conditions.exists(e, e.type == 'Ready' && e.status == 'True')
status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True')
status.conditions.filter(e, e.type == 'Nope').all(e, e.status == 'False')
status.conditions.exists_one(e, e.status == 'True')
status.conditions.map(e, e.type) == ['Ready', 'Synced']
status.conditions.map(e, e.status == 'True', e.type) == ['Ready']
status.conditions.exists(e, e.reason == 'x')
status.conditions[0].type == 'Ready'
metadata.labels['app/version'] == 'v1.2.3'
'app/version' in metadata.labels
metadata.labels.all(k, k.startsWith('app'))
metadata.generation == status.observedGeneration
metadata.generation == 2.0
metadata.generation == 2u
metadata.generation >= 1.5
status.f < 1
1 == 1.0
spec.n + 1 == 4
spec.n in [1, 2, 3]
status.list.size() == 2
'é'.size() == 1
nope || status.flag
status.flag || nope
status.flag ? true : nope
timestamp(status.when) < timestamp('2027-01-01T00:00:00Z')
timestamp(status.when).getHours() == 12
timestamp(status.when).getHours('+02:00') == 14
timestamp(status.when).getFullYear('Europe/Berlin') == 2026
timestamp(status.when) + duration('1h') == timestamp('2026-03-01T13:00:00Z')
true || quantity('1Gi') == 1
status.when.matches('^[0-9]{4}-')
'A'.lowerAscii() == 'a' && 'a'.upperAscii() == 'A' && ' a '.trim() == 'a'
'a,b'.split(',').join('-') == 'a-b'
'a,b'.split(',').first().value() == 'a' && 'a,b'.split(',').last().value() == 'b'
'abc'.substring(1) == 'bc' && 'abc'.charAt(1) == 'b' && 'abc'.indexOf('c') == 2
'abc'.replace('b', 'x') == 'axc' && 'abc'.reverse() == 'cba'
'%s is %d'.format(['a', 1]) == 'a is 1'
strings.quote('a') == '"a"'
sets.contains(status.list, ['a']) && sets.equivalent([1, 2, 1], [2, 1]) && sets.contains([1, 2], [2.0])
base64.encode(b'a') == 'YQ==' && string(base64.decode('YQ==')) == 'a'
[1, 'a'] == [1, 'a']
{'a': 1, 'b': 'x'} == {'b': 'x', 'a': 1}
type(spec.n) == int && type(status.conditions) == list
int('3') == 3 && int(3.7) == 3 && double('1.5') == 1.5 && string(3) == '3' && bool('true')
dyn(true)
kind == 'Db' && apiVersion.startsWith('example.com/')
r'\d' == '\\d'
"""
FALSE = """
has(status.nope)
status.?nope.orValue(false)
status.?nope.hasValue()
status.conditions.all(e, has(e.reason) && e.reason == 'x')
metadata.generation == '2'
!status.flag
nope && false
sets.intersects(status.list, ['z'])
status == null
status.list.all(e, e == 1)
"""
NO_ANSWER = """
foo → no such attribute(s): foo
status → as boolean
status.nul → as boolean
status.list → as boolean
spec.size → as boolean
status.list[5] == 'a' → Index error: index=5 size=2
status.nope → no such key: nope
status.nope == null → no such key: nope
has(status.nope.x) → no such key: nope
has(nope.x) → no such attribute(s): nope
status.conditions.exists(e, e.reason == 'y') → no such key: reason
status.conditions.all(i, c, c.type != '') → no such attribute(s)
status.list.exists(e, e) → no such overload
metadata.labels.nope == 'x' → no such key: nope
metadata.generation > '1' → no such overload
spec.n / 0 == 1 → divide by zero
spec.n + 0.5 > 3.0 → no such overload
size(status.nul) == 0 → no such overload
!spec.n → no such overload
status.flag && spec.n → no such overload
nope && true → no such attribute(s): nope
spec.n ? true : false → no such overload
1 < status.nul → no such overload
quantity(spec.size).isGreaterThan(quantity('1Gi')) → no such overload: quantity(string)
isQuantity(spec.size) → no such overload: isQuantity(string)
math.greatest(spec.n, 2) == 2 → no such attribute(s): math
cel.bind(x, 1, x == 1) → no such attribute(s): cel
has(status.flag.x) → SELECT
"""
"""The last one is false to Flux: a truth has no fields."""
NO_EXPRESSION = """
foo. → <input>:1:5: Syntax error: no viable alternative
has(status) → <input>:1:5:
'it''s' → <input>:1:5: Syntax error: extraneous input
in → <input>:1:1: Syntax error
a b → <input>:1:3: Syntax error
(true → <input>:1:6: Syntax error
1 + → <input>:1:4: Syntax error
// only a comment → <input>:1:18: Syntax error
'unfinished → <input>:1:1: Syntax error
"""
NEVER = """
timestamp('yesterday') == timestamp(0) → conversion failed
duration('1d') == duration('24h') → conversion failed
now() > timestamp(0) → no such overload: now()
'a'.matches('(') → invalid regular expression
int('x') == 3 → cannot convert
'some-value' → as boolean
null → as boolean
1 → as boolean
optional.none() → failed to evaluate
9223372036854775807 + 1 > 0 → overflow
url('https://x').getHost() == 'x' → no such overload
'abc'.find('b') == 'b' → no such overload
[3, 1].sort() == [1, 3] → no such overload
base64.decode('?') == b'' → invalid base64
quantity('1Gi') == 1 || status.flag → no such overload
"""
"""What fails whatever the object is. Flux finds the first five before it asks, the others then.

The last one is true to Flux where `status.flag` is."""

READY = """
dep.metadata.labels['app/version'] == self.metadata.labels['app/version'] && \
dep.status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True') && \
dep.metadata.generation == dep.status.observedGeneration
dep.status.flag == true
dep.status.flag && true
true
dep.metadata.generation < 1.5
dep.?metadata.?annotations.?x.orValue('') == ''
bool(dep.status.flag)
type(dep) == map
dep.metadata.name.lowerAscii() == 'a'
"""
NOT_READY = """
foo → <input>:1:1: undeclared reference to 'foo'
foo == 'bar' → <input>:1:1: undeclared reference to 'foo'
status.flag == true → undeclared reference
self == 'bar' → <input>:1:6: found no matching overload for '_==_' applied to '(map(string, dyn), string)'
dep. → <input>:1:5: Syntax error
'foo' → expected bool, got string
null → expected bool, got null
dep.status.flag → expected bool, got dyn
dyn(true) → expected bool, got dyn
optional.of(true) → expected bool, got optional_type
1 == 1.0 → found no matching overload
[1] == ['a'] → found no matching overload
quantity('1') == 1 → undeclared reference to 'quantity'
true ? 1 : 'a' → found no matching overload
"""


def rows(table: str) -> list[str]:
    return [line for line in table.split("\n") if line]


def pairs(table: str) -> list[tuple[str, str]]:
    return [(expression, why) for expression, _, why in (r.rpartition(" → ") for r in rows(table))]


@pytest.mark.parametrize("expression", rows(TRUE))
def test_true(expression):
    assert cel.parse(expression).holds(OBJECT) is True


@pytest.mark.parametrize("expression", rows(FALSE))
def test_false(expression):
    assert cel.parse(expression).holds(OBJECT) is False


@pytest.mark.parametrize(("expression", "why"), pairs(NO_ANSWER))
def test_neither_true_nor_false(expression, why):
    with pytest.raises(cel.ExpressionError) as caught:
        cel.parse(expression).holds(OBJECT)
    assert expression in str(caught.value)
    assert why in str(caught.value)


@pytest.mark.parametrize(("expression", "why"), [*pairs(NO_EXPRESSION), *pairs(NEVER)])
def test_what_can_never_be_true_is_refused_with_the_place(expression, why):
    with pytest.raises(cel.ExpressionError) as caught:
        cel.parse(expression)
    assert f"'{expression}'" in str(caught.value)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("expression", rows(READY))
def test_a_condition_on_two_objects(expression):
    assert cel.condition(expression, BOTH).holds({"self": FLEET, "dep": FLEET}) is True


@pytest.mark.parametrize(("expression", "why"), pairs(NOT_READY))
def test_a_condition_is_checked_before_it_is_asked(expression, why):
    with pytest.raises(cel.ExpressionError) as caught:
        cel.condition(expression, BOTH)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "here"),
    [
        pytest.param("1 < 1.5", False, id="numbers that are written out are of one type; to Flux of any"),
        pytest.param("1 in [1, 'a']", True, id="a list may mix types; to Flux it may not"),
    ],
)
def test_a_condition_is_not_what_it_is_to_flux(expression, here):
    try:
        answer = cel.condition(expression, BOTH).holds({"self": FLEET, "dep": FLEET})
    except cel.ExpressionError:
        answer = False
    assert answer is here


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"a": MappingProxyType({"b": (1, 2)})}, id="read-only mappings and tuples"),
        pytest.param({"a": {"b": [1, 2], "other": 2**70}}, id="a number beyond 64 bits"),
    ],
)
def test_what_an_object_may_be_made_of(data):
    assert cel.parse("a.b.size() == 2").holds(data)


def test_a_loop_within_loops_comes_to_an_end():
    numbers = {"x": list(range(1000))}
    slow = cel.parse("x.all(a, x.all(b, x.all(c, a + b + c >= 0)))")
    with pytest.raises(cel.ExpressionError, match="Iteration budget exceeded"):
        slow.holds(numbers)
    assert cel.parse("x.all(a, a >= 0)").holds(numbers)


def test_a_regular_expression_takes_no_longer_than_its_text():
    assert not cel.parse("x.matches('^(a+)+$')").holds({"x": "a" * 100_000 + "b"})


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param("(" * 500 + "true" + ")" * 500, id="deep"),
        pytest.param(" || ".join(["a"] * 30_000), id="long"),
    ],
)
def test_an_expression_is_of_human_size(expression):
    with pytest.raises(cel.ExpressionError, match="exceed"):
        cel.parse(expression)


IS_READY = cel.parse("status.ready")  # compiled here: what is generated is measured


@given(
    st.dictionaries(
        st.sampled_from(["status", "spec", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("ready"), inner),
        ),
    )
)
def test_nothing_but_a_truth_is_true(data):
    try:
        answer = IS_READY.holds(data)
    except cel.ExpressionError:
        return
    assert answer is data["status"]["ready"]


def test_the_library_is_loaded_only_for_an_expression():
    code = "import sys; import runner.cli, runner.pipeline; sys.exit('cel_expr_python' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
