"""The support table of the README; `python -m runner.discover.support` prints it."""

from __future__ import annotations

from collections.abc import Iterator

from runner.discover.fields import FIELDS, Support


def table() -> str:
    """A row for every field of `spec`, and for those below that differ from what holds them."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "| `spec` field | here | |"
    yield "| --- | --- | --- |"
    for field in FIELDS:
        if field.support is None:
            continue
        here = f"**{field.support}**" if field.support is Support.REFUSED else field.support
        yield f"| `{field.path}` | {here} | {field.why} |"


if __name__ == "__main__":
    print(table())  # noqa: T201 -- what it is for
