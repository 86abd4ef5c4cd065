"""The lock of an entry's root, and why a run that has it may have to begin anew."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from runner import lock
from runner.errors import RunnerError
from runner.lock import LockOptions
from runner.options import Options
from runner.ports import Phase, Progress
from runner.world import World


class Moved(RunnerError):
    """Another run wrote between our reading and our lock: what was planned counts no more."""


@dataclass(slots=True)
class Lock:
    """The root's lock, taken before the first write and not earlier; it outlives a re-plan."""

    world: World
    options: Options
    root: str
    commit: str
    is_newer: Callable[[str], bool]
    held: lock.Held | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def take(self) -> lock.Held:
        if self.held is None:
            patience = min(self.options.lock_timeout, self.options.timeout)
            wanted = LockOptions(self.options.lease_duration, patience, self.commit)
            self.held = self._stack.enter_context(
                lock.hold(
                    self.root,
                    self.world.cluster,
                    self.world.observer,
                    self.world.clock,
                    wanted,
                    is_newer=self.is_newer,
                    listener=lambda text: self.world.listener(Progress("", Phase.WAITING, text)),
                )
            )
        return self.held

    def release(self) -> None:
        self._stack.close()
        self.held = None
