"""When a request is sent again, and how long every request waits for a busy server."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum

from runner.clients.kubernetes.failures import Reply, not_executed, passes
from runner.errors import ClusterError

PATIENCE = 60.0
"""Seconds after its start in which a request may be sent again."""
FIRST_PATIENCE = 15.0
"""The same, while the server has not answered anything yet: its address may well be wrong."""
REFUSED_PATIENCE = 5.0
"""The same, when such a server's host says at once that there is nobody."""
LONGEST_WAIT = 30.0
"""Seconds that a `Retry-After` can hold everybody."""


class Policy(Enum):
    """What a second sending of a request could do."""

    REPEATABLE = "nothing that one sending does not"
    ONCE = "something else; only when the first was certainly not executed"
    NEVER = "the caller does its own retries"


class Stage(Enum):
    """How far a request came that has no answer."""

    HOPELESS = "the server cannot be talked to at all, such as with a certificate that does not verify"
    NOBODY = "its host says that nobody listens there"
    CONNECTING = "nothing was sent"
    SENT = "it may have reached the server, and been executed"


class Lost(ClusterError):
    """There was no answer."""

    def __init__(self, message: str, *, stage: Stage, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.stage = stage


class Cancelled(ClusterError):
    """The run is being interrupted: nothing is waited for any more."""

    def __init__(self, server: str) -> None:
        super().__init__(f"waiting for {server} was cancelled", reason="Cancelled")


class Gate:
    """Where all requests wait while the server asks for less of them."""

    def __init__(self, cancelled: threading.Event) -> None:
        self._cancelled = cancelled
        self._lock = threading.Lock()
        self._opens_at = 0.0

    def hold(self, seconds: float) -> None:
        """Keep the gate closed for so long from now."""
        with self._lock:
            self._opens_at = max(self._opens_at, time.monotonic() + min(seconds, LONGEST_WAIT))

    def enter(self, deadline: float) -> None:
        """Wait until the gate is open, or the deadline: then the server says itself how busy it is."""
        while (left := min(self._opens_at, deadline) - time.monotonic()) > 0:
            # A little later than the opening, each at another moment: not all at once again.
            if self._cancelled.wait(left + random.uniform(0.0, 0.1)):  # noqa: S311 - no secret in it
                return


@dataclass(slots=True)
class Attempts:
    """Sends a request until it has an answer that counts, as `policy` allows."""

    gate: Gate
    cancelled: threading.Event
    server: str
    answered: threading.Event  # this server answered something, once

    def make(self, send: Callable[[], Reply], policy: Policy, patience: float = PATIENCE) -> Reply:
        """The last answer, a refusal included. Raises the last failure when there was none."""
        started = time.monotonic()

        def attempt() -> Reply:
            if policy is not Policy.NEVER:
                self.gate.enter(started + patience)
            reply = send()
            self.answered.set()
            if not reply.ok and reply.retry_after is not None:
                self.gate.hold(reply.retry_after)
            return reply

        try:
            reply, lost = attempt(), None
        except Lost as error:
            reply, lost = None, error
        if reply is not None and not worth_retrying(policy, reply, None):
            return reply  # as nearly all are: what retries costs a tenth of a request
        return self._again(attempt, (reply, lost), started, policy, patience)

    def _again(
        self,
        attempt: Callable[[], Reply],
        first: tuple[Reply | None, Lost | None],
        started: float,
        policy: Policy,
        patience: float,
    ) -> Reply:
        """Go on after a first attempt, that came to this."""
        from tenacity import RetryCallState, Retrying, wait_random_exponential

        backoff = wait_random_exponential(multiplier=0.25, max=8.0, min=0.1)
        made = iter([first])

        def following() -> Reply:
            reply, lost = next(made, (None, None))
            if lost is not None:
                raise lost
            return reply or attempt()

        def again(state: RetryCallState) -> bool:
            return not self.cancelled.is_set() and worth_retrying(policy, *_outcome(state.outcome))

        def pause(state: RetryCallState) -> float:
            reply, _ = _outcome(state.outcome)
            if reply is None or reply.retry_after is None:
                return backoff(state)
            return min(reply.retry_after, LONGEST_WAIT) + random.uniform(0.0, 0.1)  # noqa: S311 - no secret in it

        def over(state: RetryCallState) -> bool:
            _, error = _outcome(state.outcome)
            limit = min(patience, self._patience(error))
            return time.monotonic() - started + state.upcoming_sleep > limit

        def last(state: RetryCallState) -> Reply:
            answer: Reply = state.outcome.result() if state.outcome else attempt()
            return answer

        retrying = Retrying(retry=again, wait=pause, stop=over, sleep=self._sleep, retry_error_callback=last)
        return retrying(following)

    def _patience(self, error: Lost | None) -> float:
        if error is None or self.answered.is_set():
            return PATIENCE
        return REFUSED_PATIENCE if error.stage is Stage.NOBODY else FIRST_PATIENCE

    def _sleep(self, seconds: float) -> None:
        if self.cancelled.wait(seconds):
            raise Cancelled(self.server)


def worth_retrying(policy: Policy, reply: Reply | None, error: Lost | None) -> bool:
    """Whether the failure passes, and a second sending does no harm."""
    if policy is Policy.NEVER:
        return False
    if error is not None:
        unsent = error.stage in {Stage.NOBODY, Stage.CONNECTING}
        return unsent or (policy is Policy.REPEATABLE and error.stage is Stage.SENT)
    if reply is None or reply.ok:
        return False
    return passes(reply) if policy is Policy.REPEATABLE else not_executed(reply)


def _outcome(outcome: Future[Reply] | None) -> tuple[Reply | None, Lost | None]:
    if outcome is None:
        return None, None
    error = outcome.exception()
    if error is not None:
        return None, error if isinstance(error, Lost) else None
    return outcome.result(), None
