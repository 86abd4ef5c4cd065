"""Every way a run can stop early, and the exit code of each.

    RunnerError            1   some Kustomization failed or is blocked
    ├── UsageError         2   an input, a flag, an event or a Kustomization is wrong
    │   ├── CycleError     2   Kustomizations wait for each other in a circle
    │   └── NotFetched     2   a source would have to be fetched, and nothing is fetched here
    ├── RenderError        3   the entry cannot be rendered at all
    │   ├── WorkerError    3   the render worker died, timed out or answered too much
    │   └── DecryptionError 3  a key is of no use, or the decryptor died or timed out
    ├── ClusterError       4   the API server cannot be reached, or refuses
    │   ├── Refused        4   it answered with an error; `code` and `reason` say which
    │   └── NotServed      4   it does not serve this kind
    ├── SourceError        1   a source could not be fetched, or not be used
    ├── NotThisBranch      0   the cluster is deployed from another branch; the action alone asks
    ├── GuardError         6   a guard stopped the run before it could do harm
    └── LockError          7   another run holds the lock
        ├── LockLost       7   another run took the lock from this one
        └── Superseded     7   a newer commit is deployed, or being deployed

What goes wrong with one Kustomization after the run began is an `Outcome`, not an exception
that escapes: the others go on and are reported.
"""

from __future__ import annotations

from enum import IntEnum

FORBIDDEN = 403
"""The code of every refusal for want of rights."""

IMPERSONATION = "Impersonation"
"""The reason of a refusal to act as somebody else; ours, the server's is Forbidden."""


class ExitCode(IntEnum):
    """What the process says to its caller; a promise of the command line."""

    DONE = 0
    FAILED = 1
    WRONG_INPUT = 2
    CANNOT_RENDER = 3
    CLUSTER = 4
    DIFFERENCES = 5
    GUARD = 6
    LOCKED = 7
    BUG = 70
    INTERRUPTED = 130
    TERMINATED = 143


class RunnerError(Exception):
    """A failure that the user can act on: shown as message and hint, never as a traceback.

    `message` names the object first, then what went wrong, then the cause; `hint` says what to do.
    """

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(RunnerError):
    """An input, a flag, an event or a Kustomization is wrong."""

    exit_code = ExitCode.WRONG_INPUT


class CycleError(UsageError):
    """Kustomizations wait for each other in a circle, so none of them can go first."""

    def __init__(self, cycle: tuple[str, ...], message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.cycle = cycle


class NotFetched(UsageError):
    """A source would have to be fetched, or something read for that, and this command does neither."""


class RenderError(RunnerError):
    """The entry cannot be rendered at all."""

    exit_code = ExitCode.CANNOT_RENDER


class WorkerError(RenderError):
    """The render worker died, timed out or answered too much."""


class SourceError(RunnerError):
    """A source could not be fetched, or what it holds not be used; it fails what is built from it."""


class DecryptionError(RenderError):
    """A key is of no use, or the decryptor died, timed out or answered too much."""


class ClusterError(RunnerError):
    """The API server cannot be reached, or refuses.

    `code` is the HTTP status, 0 when there was no answer; `reason` the server's own word for it
    (`NotFound`, `Conflict`, `Forbidden`, `Invalid` …), "" when it gave none; `fields` are those it names.
    """

    exit_code = ExitCode.CLUSTER

    def __init__(
        self,
        message: str,
        *,
        code: int = 0,
        reason: str = "",
        hint: str = "",
        fields: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.reason = reason
        self.fields = fields

    @property
    def unanswered(self) -> bool:
        """Whether only a look at the cluster can tell what became of a write."""
        return not (self.code or self.reason)


class Refused(ClusterError):
    """The API server answered, with an error."""


class NotServed(ClusterError):
    """The API server does not serve this kind."""


class GuardError(RunnerError):
    """A guard stopped the run before it could do harm."""

    exit_code = ExitCode.GUARD


class LockError(RunnerError):
    """Another run holds the lock."""

    exit_code = ExitCode.LOCKED


class LockLost(LockError):
    """Another run took the lock from this one; nothing may be written any more."""


class Superseded(LockError):
    """A newer commit is deployed, or being deployed: this run has nothing to add."""


class NotThisBranch(RunnerError):
    """The cluster is deployed from another branch: there is nothing to do."""

    exit_code = ExitCode.DONE


class TimeUp(RunnerError):
    """The run took longer than it may; what was done is on record."""


class Interrupted(RunnerError):
    """A signal asked the run to end; `signal` is its number."""

    def __init__(self, message: str, *, signal: int) -> None:
        super().__init__(message)
        self.signal = signal
