"""GitHub's workflow commands: lines of a log that its runner obeys, and lines that it must not."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence

from runner.forge import Annotation, Level
from runner.report import clean


def quoted(lines: Iterable[str]) -> Iterator[str]:
    """Lines in which the runner obeys no command, whoever wrote them."""
    word = secrets.token_hex(16)
    yield f"::stop-commands::{word}"
    yield from lines
    yield f"::{word}::"


def annotated(each: Annotation) -> str:
    """One line of a log that GitHub shows at a line of a file; without a place it is shown above the log."""
    command = {Level.FAILURE: "error", Level.WARNING: "warning", Level.NOTICE: "notice"}[each.level]
    place = ",".join(f"{key}={_property(value)}" for key, value in _place(each) if value)
    return f"::{command}{' ' if place else ''}{place}::{escaped(clean.line(each.message, clean.MESSAGE))}"


def escaped(message: str) -> str:
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _place(each: Annotation) -> Sequence[tuple[str, str]]:
    line = str(each.line) if each.line else ""
    return ("file", clean.line(each.path, clean.MESSAGE)), ("line", line), ("title", clean.line(each.title))


def _property(value: str) -> str:
    return escaped(value).replace(":", "%3A").replace(",", "%2C")
