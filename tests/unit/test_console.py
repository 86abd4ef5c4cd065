"""Progress as people see it: lines in a log, a board on a terminal, silence when nobody listens."""

from __future__ import annotations

import io
import itertools
import os
import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console, Group

from runner.console import console
from runner.ports import Phase, Progress
from runner.report.board import Board
from runner.report.drawing import draw

GOLDEN = Path(__file__).parent / "golden"
STEPS = (
    (0.0, Progress("", Phase.RENDERING, "clusters/production")),
    (0.4, Progress("flux-system/infra", Phase.WAITING)),
    (0.4, Progress("flux-system/apps", Phase.WAITING, "for flux-system/infra")),
    (0.4, Progress("team/web", Phase.WAITING, "for flux-system/apps")),
    (0.4, Progress("flux-system/legacy", Phase.SUSPENDED)),
    (0.5, Progress("flux-system/infra", Phase.APPLYING, "stage 1 of 2")),
    (0.5, Progress("flux-system/infra", Phase.APPLYING, "stage 1 of 2")),
    (2.3, Progress("flux-system/infra", Phase.APPLYING, "stage 2 of 2")),
    (12.3, Progress("flux-system/infra", Phase.CHECKING, "1 of 3: Deployment/ingress/nginx")),
    (75.0, Progress("flux-system/infra", Phase.READY, "3 created")),
    (75.1, Progress("flux-system/apps", Phase.RENDERING)),
    (76.2, Progress("flux-system/apps", Phase.FAILED, "Deployment/grades/api: \x1b[31mbad\x1b[0m\nspec")),
    (76.2, Progress("team/web", Phase.BLOCKED, "by flux-system/apps")),
)


class Clock:
    """Stands still until it is set."""

    def __init__(self):
        self.time = 1000.0

    def now(self):
        return self.time

    def monotonic(self):
        return self.time

    def set(self, elapsed):
        self.time = 1000.0 + elapsed


class Stream(io.StringIO):
    """Keeps every write apart, and tells who waits for a text that it came."""

    def __init__(self, awaited="", encoding="utf-8"):
        super().__init__()
        self.writes = []
        self.came = threading.Event()
        self._awaited = awaited
        self._encoding = encoding

    @property
    def encoding(self):
        return self._encoding

    def write(self, text):
        text.encode(self._encoding)
        self.writes.append(text)
        if self._awaited in text:
            self.came.set()
        return len(text)


class Broken(io.StringIO):
    """Its reader went away."""

    def __init__(self, error):
        super().__init__()
        self.error = error
        self.writes = 0

    def write(self, text):
        self.writes += 1
        raise self.error


def golden(name, got):
    file = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(got, encoding="utf-8")
    assert got == file.read_text(encoding="utf-8"), f"UPDATE_GOLDEN=1 rewrites {name}"


def play(stream, *, live, steps=STEPS, heartbeat=3600.0):
    clock = Clock()
    with console(stream, clock, live=live, heartbeat=heartbeat) as listener:
        for elapsed, step in steps:
            clock.set(elapsed)
            listener(step)


def drawn(steps, *, until=1e9, height=24, finished=False, whole=False):
    """What the board looks like on a screen of 80 columns."""
    board = Board()
    for elapsed, step in steps:
        if elapsed <= until:
            board.note(step, elapsed)
    screen = Console(file=io.StringIO(), record=True, width=80, height=height, legacy_windows=False)
    screen.print(Group(draw(board, min(until, 80.0), height, finished=finished, whole=whole)))
    return screen.export_text()


def many(count, phase, first=0):
    return [(0.0, Progress(f"team/app-{number:04}", phase)) for number in range(first, first + count)]


def test_a_log_has_a_line_for_every_step():
    stream = Stream()
    play(stream, live=False)
    golden("log.txt", "".join(stream.writes))
    assert all(write.endswith("\n") and write.count("\n") == 1 for write in stream.writes)


def test_a_log_shows_life_while_nothing_happens():
    stream = Stream("for 45.0s")
    clock = Clock()
    with console(stream, clock, live=False, heartbeat=0.01) as listener:
        for number in range(3):
            listener(Progress(f"team/app-{number}", Phase.WAITING))
        listener(Progress("team/web", Phase.CHECKING, "0 of 1"))
        clock.set(45)
        assert stream.came.wait(30)
    said = "".join(stream.writes)
    assert "[ 45.0s] still at it: 1 in progress, 3 waiting\n" in said
    assert "[ 45.0s]   team/web  checking health  for 45.0s  (0 of 1)\n" in said


def test_a_heartbeat_names_few_of_many():
    stream = Stream("and 15 more")
    with console(stream, Clock(), live=False, heartbeat=0.01) as listener:
        for _, step in many(25, Phase.APPLYING):
            listener(step)
        assert stream.came.wait(30)


def test_no_heartbeat_outlives_its_run():
    play(Stream(), live=False, heartbeat=0.001)
    assert "heartbeat" not in {thread.name for thread in threading.enumerate()}


def test_threads_do_not_tear_lines():
    stream = Stream()
    phases = (Phase.RENDERING, Phase.APPLYING, Phase.CHECKING, Phase.READY)
    with console(stream, Clock(), live=False, heartbeat=0.001) as listener:

        def work(name):
            for phase in phases:
                listener(Progress(name, phase))

        threads = [threading.Thread(target=work, args=(f"team/app-{n:02}",)) for n in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    line = re.compile(r"\[  0\.0s\] .*\n")
    assert all(line.fullmatch(write) for write in stream.writes)
    ready = [write for write in stream.writes if re.search(r"app-\d\d  ready", write)]
    assert len(ready) == 32


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(5, "gone"), ValueError("closed file")])
def test_nobody_listening_is_no_reason_to_stop(live, error):
    stream = Broken(error)
    play(stream, live=live)
    assert stream.writes == 1


@pytest.mark.parametrize("live", [False, True])
def test_the_runs_own_error_gets_through(live):
    with pytest.raises(ZeroDivisionError), console(Stream(), Clock(), live=live):
        _ = 1 / 0


@pytest.mark.parametrize("live", [False, True])
def test_a_stream_that_is_not_utf_8_gets_ascii(live, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Stream(encoding="ascii")
    play(stream, live=live, steps=[*STEPS, (80, Progress("team/ü", Phase.FAILED, "→ ✗"))])
    assert "team/?" in "".join(stream.writes)


def test_a_live_board_ends_with_what_went_wrong(monkeypatch):
    for name, value in (("TERM", "xterm"), ("COLUMNS", "80"), ("LINES", "24")):
        monkeypatch.setenv(name, value)
    stream = Stream()
    play(stream, live=True)
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", "".join(stream.writes)).replace("\r", "\n")
    assert drawn(STEPS, finished=True).splitlines()[:2] == last.splitlines()[-3:-1]
    assert "1m16s  1 failed, 1 blocked, 1 ready, 1 suspended" in last.splitlines()[-1]
    assert "".join(stream.writes).endswith("\x1b[?25h")


def test_the_board():
    frames = [drawn(STEPS, until=until) for until in (0.1, 2.5, 13.0, 75.5)]
    golden("board.txt", "\n".join([*frames, drawn(STEPS), drawn(STEPS, finished=True)]))


def test_the_whole_table_has_waves_and_stays():
    waves = {"flux-system/infra": 1, "flux-system/legacy": 1, "flux-system/apps": 2, "team/web": 3}
    steps = [(at, replace(step, wave=waves.get(step.subject, 0))) for at, step in STEPS]
    late = (76.3, Progress("team/late", Phase.READY))
    frames = [drawn(steps, until=0.4, whole=True), drawn(steps, until=13.0, whole=True)]
    ended = drawn([*steps, late], finished=True, whole=True, height=5)
    golden("table.txt", "\n".join([*frames, ended]))


def test_the_board_fits_the_screen():
    steps = many(900, Phase.WAITING) + many(40, Phase.READY) + many(20, Phase.APPLYING, 40)
    steps += [*many(50, Phase.FAILED, 100), (0.0, Progress("team/long", Phase.CHECKING, "x" * 500))]
    for height, finished in itertools.product((1, 3, 10, 24, 200), (False, True)):
        lines = drawn(steps, height=height, finished=finished).splitlines()
        assert len(lines) <= max(height - 1, 2)
        assert all(len(line) <= 80 for line in lines)
        assert "50 failed, 40 ready, 21 in progress, 790 waiting" in lines[-1]
    shown = drawn(steps).splitlines()
    assert sum("  failed" in line for line in shown[:-1]) == 7
    assert sum("  applying" in line for line in shown) == 15
    assert not any("  waiting" in line or "  ready" in line for line in shown[:-1])


def test_pruning_after_ready_is_at_work_again():
    steps = [
        (0.0, Progress("a/b", Phase.APPLYING)),
        (3.0, Progress("a/b", Phase.READY)),
        (4.0, Progress("a/b", Phase.PRUNING)),
    ]
    assert "● a/b  pruning            9.0s" in drawn(steps, until=9.0)
    assert "✓ a/b  ready             10.0s" in drawn([*steps, (10.0, Progress("a/b", Phase.READY))])
