"""`python -m examples.demo`: tell the story, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from types import FrameType

from examples.demo.clusters import own
from examples.demo.mine import mine
from examples.demo.repository import Repository
from examples.demo.story import tell
from examples.demo.terminal import DemoError, Kustodian, Stopped, say
from runner.errors import RunnerError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WIDTH = 100
PLACES = {"": own, "mine": mine}


def main() -> int:
    """Run the demo; 0 when everything was as promised, 1 when not."""
    for number in SIGNALS:
        signal.signal(number, _stop)
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        _demo()
    except Stopped as stopped:
        say("\ndemo: stopped; nothing is left running")
        return 128 + stopped.number
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except RunnerError as error:
        _fail(error.message, error.hint)
        return 1
    except (DemoError, RuntimeError, OSError) as error:
        _fail(str(error))
        return 1
    return 0


def _demo() -> None:
    begun = time.monotonic()
    place = os.environ.get("DEMO_CLUSTER", "")
    if place not in PLACES:
        raise DemoError(f"DEMO_CLUSTER={place}: is mine (your KUBECONFIG's cluster), or not set")
    say("kustodian demo: a fleet of five Kustomizations on a real API server. Nothing is left behind.\n")
    with tempfile.TemporaryDirectory(prefix="kustodian-demo-") as directory, PLACES[place]() as target:
        repository = Repository(Path(directory))
        kustodian = Kustodian(repository.directory, target.environment, target.flags)
        seen = tell(repository, kustodian, target)
    say("\n\n" + textwrap.fill(f"Seen: {seen}. {time.monotonic() - begun:.0f}s in all.", WIDTH))


def _stop(number: int, _frame: FrameType | None) -> None:
    # A second Ctrl-C is the same wish; ending takes a moment.
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(number)


def _fail(message: str, hint: str = "") -> None:
    sys.stdout.flush()
    sys.stderr.write(f"\ndemo: {message}\n" + (f"hint: {hint}\n" if hint else ""))


if __name__ == "__main__":
    sys.exit(main())
