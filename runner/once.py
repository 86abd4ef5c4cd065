"""What is made once: by whoever asks first, while those who want the same wait, and nobody else does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from runner.errors import RunnerError

V = TypeVar("V")


@dataclass(slots=True)
class _Place(Generic[V]):
    """Of one key: what was made for it, or why that failed."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    made: list[V] = field(default_factory=list)  # empty, or that one
    failed: RunnerError | None = None


class Once(Generic[V]):
    """Values by their keys; any number of threads may ask."""

    def __init__(self) -> None:
        self._places: dict[Hashable, _Place[V]] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value, made if there is none. A RunnerError is kept as well, and raised again.

        What `make` asks for in turn must not lead back to the same key: it would wait for itself.
        """
        with self._lock:
            place = self._places.setdefault(key, _Place())
        with place.lock:
            if place.failed is not None:
                raise place.failed
            if not place.made:
                try:
                    place.made.append(make())
                except RunnerError as exc:
                    place.failed = exc
                    raise
            return place.made[0]
