"""Values that are made once, whoever asks and however often."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from runner.errors import SourceError
from runner.once import Once


def test_a_value_is_made_by_the_first_and_waited_for_by_the_others():
    once, made, go = Once[int](), [], threading.Event()

    def make() -> int:
        made.append(1)
        assert go.wait(60)
        return 7

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(once.get, "a", make) for _ in range(8)]
        assert once.get("b", lambda: 8) == 8  # who wants another one does not wait
        go.set()
        assert [each.result() for each in asked] == [7] * 8
    assert made == [1]


def test_a_failure_is_kept():
    once, made = Once[int](), []

    def fail() -> int:
        made.append(1)
        raise SourceError("it is broken")

    for _ in range(2):
        with pytest.raises(SourceError, match="it is broken"):
            once.get("a", fail)
    assert made == [1]


def test_what_is_no_error_of_ours_is_not():
    """An interrupt says nothing about the value."""
    once = Once[int]()

    def interrupted() -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        once.get("a", interrupted)
    assert once.get("a", lambda: 7) == 7
