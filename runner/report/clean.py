"""Foreign text made safe for a terminal and for a CI log."""

from __future__ import annotations

import re

NAME = 320
"""How long a name, a path or a reason may get: an identity is at most 63 + 1 + 253 characters."""

MESSAGE = 2000
"""How long a message may get in all its lines."""

LINES = 20
"""How many lines a message may have."""

_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\r\n]*(?:\x07|\x1b\\|\x9c)?"  # titles, links
    r"|\x1b[ -/]*[0-~]"
)
# Controls, soft hyphens, zero-width and bidirectional marks, tags: all that shows nothing, or reorders.
_HIDDEN = (
    r"\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    r"\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff"
)
_INVISIBLE = re.compile(f"[{_HIDDEN}]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
# GitHub's runner obeys these wherever a log line begins with the one or contains the other.
_COMMAND = re.compile(r"^(\s*:)(?=:)|(?<=##)(?=\[)")

UNSAFE = re.compile(rf"[{_HIDDEN}\x85\u2028\u2029]")
"""What must not reach a terminal as it is; formats with an escape of their own (JSON, YAML) use it."""


def lines(text: str) -> list[str]:
    """Its lines without what a terminal or a CI runner would obey; none of them blank at the ends."""
    found = [_line(raw) for raw in _ESCAPE.sub("", text).splitlines()]
    while found and not found[-1]:
        found.pop()
    while found and not found[0]:
        found.pop(0)
    return found


def line(text: str, limit: int = NAME) -> str:
    """The whole text as one line of at most `limit` characters."""
    return cut(" ".join(" ".join(lines(_bounded(text, limit))).split()), limit)


def block(text: str, limit: int = MESSAGE, most: int = LINES) -> list[str]:
    """The text's lines, cut where there is too much of it; the cut shows."""
    kept: list[str] = []
    left = limit
    for number, each in enumerate(lines(_bounded(text, limit))):
        if number == most or left <= 0:
            kept[-1] = cut(kept[-1] + " …", len(kept[-1]) + 2)
            break
        kept.append(cut(each, left))
        left -= len(each) + 1
    return kept


def cut(text: str, limit: int) -> str:
    """The text, or as much of it as fits with a … behind."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _bounded(text: str, limit: int) -> str:
    # What is cut anyway need not be cleaned first; sequences that vanish get generous room.
    return text[: 16 * limit]


def _line(raw: str) -> str:
    shown = _SURROGATE.sub("\ufffd", _INVISIBLE.sub("", raw.replace("\t", "    "))).rstrip()
    return _COMMAND.sub(r"\1 ", shown)
