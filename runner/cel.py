"""Expressions in CEL (Common Expression Language), as Flux reads them.

The environment is that of fluxcd/pkg/runtime/cel: strings, sets, encoders and optional values; neither
Kubernetes' own functions (`quantity`, `url`, …) nor `math`. It is evaluated by Google's cel-cpp, which
ends an expression itself: after ten thousand steps of its loops, in linear time within its regular
expressions, and none is longer than 100,000 characters or nests deeper than 32 levels.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_ENVIRONMENT = "extensions: [{name: strings}, {name: optional}, {name: sets}, {name: encoders}]"
_MOST_SHOWN = 500  # characters of an expression in a message
_INT64 = range(-(2**63), 2**63)
_WORDS = (  # cel-cpp's, and those of cel-go, which people search for
    (re.compile(r'^Key not found in map : "(.*)"$', re.DOTALL), r"no such key: \1"),
    (re.compile(r'^No value with name "(.*)" found in Activation$', re.DOTALL), r"no such attribute(s): \1"),
    (re.compile(r"^No matching overloads found : (.*)$", re.DOTALL), r"no such overload: \1"),
)
_LACKS_A_VARIABLE = "no such attribute(s): "
_CODE = re.compile(r"^[A-Z_]+: ")
_PROBLEM = re.compile(r"^(?:[A-Z_]+: )?ERROR: (<input>:\d+:\d+: .*)$", re.MULTILINE)


class ExpressionError(Exception):
    """The text is no expression, or the expression has no answer; the message names it."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition on objects, compiled."""

    text: str
    _compiled: Any

    def holds(self, data: Mapping[str, Any]) -> bool:
        """Whether it is true of the data, whose keys are its variables.

        Raises:
            ExpressionError: it cannot be evaluated, or is neither true nor false.
        """
        from cel_expr_python import cel

        try:
            answer = self._compiled.eval(data=_plain(data))
            type_ = answer.type()
            # An error is an answer too, whose value is a text, which is true to Python.
            value = answer.value() if type_ in (cel.Type.BOOL, cel.Type.ERROR) else None
        except (RuntimeError, TypeError, ValueError) as exc:
            raise ExpressionError(self._failed(exc)) from exc
        if type_ == cel.Type.ERROR:
            raise ExpressionError(self._failed(value))
        if type_ != cel.Type.BOOL or not isinstance(value, bool):
            raise ExpressionError(f"failed to evaluate CEL expression as boolean: '{_short(self.text)}'")
        return value

    def _failed(self, why: object) -> str:
        return f"failed to evaluate the CEL expression '{_short(self.text)}': {_why(str(why))}"


@functools.lru_cache(maxsize=1024)
def parse(text: str) -> Expression:
    """An expression whose variables and types show only when it is evaluated; for `healthCheckExprs`.

    Raises:
        ExpressionError: the syntax is wrong, with the place; or it fails whatever the object is.
    """
    expression = Expression(text, _compile(text, (), check=False))
    try:
        expression.holds({})
    except ExpressionError as exc:
        if _LACKS_A_VARIABLE not in str(exc):
            raise
    return expression


@functools.lru_cache(maxsize=1024)
def condition(text: str, variables: Sequence[str]) -> Expression:
    """An expression over objects of these names, known to be true or false; for `readyExpr`.

    Raises:
        ExpressionError: the syntax or a type is wrong, or a name is unknown, with the place.
    """
    from cel_expr_python import cel

    compiled = _compile(text, variables, check=True)
    if (type_ := compiled.return_type()) != cel.Type.BOOL:
        got = type_.name().lower()
        raise ExpressionError(
            f"CEL expression output type mismatch: expected bool, got {got}: '{_short(text)}'"
        )
    return Expression(text, compiled)


def _compile(text: str, variables: Sequence[str], *, check: bool) -> Any:  # noqa: ANN401 -- cel's own type
    try:
        return _environment(variables).compile(text, disable_check=not check)
    except (RuntimeError, TypeError, ValueError) as exc:
        told = "; ".join(_PROBLEM.findall(str(exc))) or _why(str(exc))
        raise ExpressionError(f"failed to parse the CEL expression '{_short(text)}': {told}") from exc


@functools.cache
def _environment(variables: Sequence[str]) -> Any:  # noqa: ANN401 -- cel's own type
    from cel_expr_python import cel

    object_ = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    return cel.NewEnv(
        config=cel.NewEnvConfigFromYaml(_ENVIRONMENT),
        variables=dict.fromkeys(variables, object_),
    )


def _plain(value: Any) -> Any:  # noqa: ANN401 -- JSON is untyped
    """JSON as cel takes it; a whole number beyond 64 bits is inexact, as it is to Go."""
    match value:
        case Mapping():
            return {str(key): _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case int() if value not in _INT64:
            return float(value)
        case _:
            return value


def _short(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def _why(text: str) -> str:
    """The reason alone, in the words of Flux's library where it has its own."""
    first = text.partition("\n")[0]
    reason = _CODE.sub("", re.sub(r" \[[A-Z_]+\]$", "", first))
    for pattern, words in _WORDS:
        reason = pattern.sub(words, reason)
    return reason
