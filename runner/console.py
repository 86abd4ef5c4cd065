"""Progress while a run goes on: a board on a terminal, lines in a log."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TextIO, cast

from runner.ports import Clock, Listener, Phase, Progress
from runner.report import style
from runner.report.board import Board, Row

HEARTBEAT = 30.0
"""Seconds between two signs of life in a log."""

_BEAT_ROWS = 10
_REFRESHES = 8  # a second
_PHASE = max(map(len, Phase))


def console(
    stream: TextIO, clock: Clock, *, live: bool, whole: bool = False, heartbeat: float = HEARTBEAT
) -> AbstractContextManager[Listener]:
    """A listener that shows what it is told on `stream`: redrawn in place, or as lines.

    With `whole` what is redrawn has the waves, and all of it stays.
    A stream that can't be written to any more silences it; the run goes on.
    """
    quiet = _Quiet(stream)
    elapsed = _stopwatch(clock)
    return _live(quiet, elapsed, whole=whole) if live else _plain(quiet, elapsed, heartbeat)


def _stopwatch(clock: Clock) -> Callable[[], float]:
    begun = clock.monotonic()
    return lambda: clock.monotonic() - begun


class _Quiet(io.TextIOBase):
    """A stream that swallows its own end: when nobody reads progress any more, that is no reason to stop."""

    encoding = "utf-8"

    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream
        # A text stream in memory has no encoding, and takes everything.
        self.encoding = getattr(stream, "encoding", None) or "utf-8"

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """Each call is one write below."""
        if self._stream is not None:
            try:
                self._stream.write(style.fit(text, self.encoding))
            except (OSError, ValueError):
                self._stream = None
        return len(text)

    def flush(self) -> None:
        if self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._stream = None


@contextmanager
def _plain(stream: _Quiet, elapsed: Callable[[], float], heartbeat: float) -> Iterator[Listener]:
    log = _Log(stream, elapsed)
    over = threading.Event()

    def beat() -> None:
        while not over.wait(heartbeat):
            log.beat()

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield log.listen
    finally:
        over.set()
        thread.join()


class _Log:
    """One line for every step, and now and then one for each Kustomization that takes its time."""

    def __init__(self, stream: _Quiet, elapsed: Callable[[], float]) -> None:
        self._stream = stream
        self._elapsed = elapsed
        self._board = Board()
        self._lock = threading.Lock()

    def listen(self, progress: Progress) -> None:
        with self._lock:
            now = self._elapsed()
            row = self._board.note(progress, now)
            # Who waits is no news, and at the start it is nearly everybody; the heartbeat counts them.
            if row is None or (row.phase is Phase.WAITING and row.name):
                return
            name = f"{row.name:<{self._board.width}}  " if row.name else ""
            took = f"after {row.took(now)}" if row.ended is not None and row.started is not None else ""
            self._write(now, name + _rest(row, took))

    def beat(self) -> None:
        """What is still being waited for."""
        with self._lock:
            now, active = self._elapsed(), self._board.active
            self._write(now, f"still at it: {self._board.summary()}")
            width = max((len(row.name) for row in active), default=0)
            for row in active[:_BEAT_ROWS]:
                self._write(now, f"  {row.name:<{width}}  {_rest(row, f'for {row.took(now)}')}")
            if len(active) > _BEAT_ROWS:
                self._write(now, f"  and {len(active) - _BEAT_ROWS:,} more")

    def _write(self, now: float, text: str) -> None:
        self._stream.write(f"[{style.duration(now):>6}] {text}".rstrip() + "\n")
        self._stream.flush()


def _rest(row: Row, took: str) -> str:
    detail = row.detail and f"({row.detail})"
    return "  ".join(part for part in (f"{row.phase:<{_PHASE}}", took, detail) if part)


@contextmanager
def _live(stream: _Quiet, elapsed: Callable[[], float], *, whole: bool) -> Iterator[Listener]:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from runner.report.drawing import draw

    screen = Console(
        file=cast("TextIO", stream), force_terminal=True, markup=False, emoji=False, highlight=False
    )
    board, lock, over = Board(), threading.Lock(), threading.Event()

    def listen(progress: Progress) -> None:
        with lock:
            board.note(progress, elapsed())

    def render() -> Text:
        with lock:
            return draw(board, elapsed(), screen.size.height, finished=over.is_set(), whole=whole)

    # stdout is the result's, and the stream may well be stderr itself: neither is taken over.
    with Live(
        console=screen,
        get_renderable=render,
        refresh_per_second=_REFRESHES,
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        try:
            yield listen
        finally:
            over.set()  # the last drawing is the compact one; the result tells the rest
