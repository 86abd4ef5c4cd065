"""As many render workers as there are cores, for any number of threads."""

from __future__ import annotations

import base64
import contextlib
import itertools
import os
import queue
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from runner.clients.kustomize import answers
from runner.clients.kustomize.locate import find_worker
from runner.clients.kustomize.process import Died, Limits, Oversized, Process, TimedOut
from runner.errors import UsageError, WorkerError
from runner.rendered import ArtifactListing, BuildRequest, Built, ParsedFile, WorkerVersion

_GIB = 1 << 30
_MIB = 1 << 20


class WorkerPool:
    """Renders with at most `size` workers, started when first needed and kept.

    A worker that dies, times out or answers too much is replaced. `timeout` is in seconds, and so is
    `grace`, the time a worker has to say itself that it timed out; the sizes are in bytes.
    """

    def __init__(  # noqa: PLR0913 — one argument per limit
        self,
        size: int | None = None,
        *,
        memory_limit: int = 4 * _GIB,
        timeout: float = 60.0,
        max_answer: int = 256 * _MIB,
        max_file: int = 16 * _MIB,
        max_objects: int = 50_000,
        grace: float = 5.0,
    ) -> None:
        self._timeout = timeout
        self._grace = grace
        self._limits = Limits(memory_limit, max_answer, max_file, max_objects)
        self._ids = itertools.count(1)
        self._closed = threading.Event()
        self._starting = threading.Lock()
        self._running: set[Process] = set()
        self._slots: queue.LifoQueue[Process | None] = queue.LifoQueue()
        for _ in range(size or os.cpu_count() or 1):
            self._slots.put(None)
        self._finalizer = weakref.finalize(self, _end_all, self._running)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the workers that run."""
        return tuple(worker.pid for worker in list(self._running) if worker.alive)

    def close(self) -> None:
        """End every worker; a call that is still waiting for one fails."""
        with self._starting:
            self._closed.set()
        self._finalizer()  # the threads that wait for an answer notice, and clean up after themselves
        idle = []
        with contextlib.suppress(queue.Empty):
            while True:
                idle.append(self._slots.get_nowait())
        for worker in idle:
            if worker is not None:
                worker.kill()
            self._slots.put(None)

    def build(self, request: BuildRequest) -> Built:
        """Render one Kustomization; what is wrong with it is in `Built.problems`.

        Raises:
            WorkerError: the worker died, timed out or answered too much.
        """
        subject = f"rendering {request.path or '.'}"
        return answers.built(self._ask(subject, answers.build_request(request), request.timeout))

    def parse(self, data: bytes, name: str) -> ParsedFile:
        """Read the objects of a YAML file; `name` is for messages.

        Raises:
            WorkerError: the worker died, timed out or answered too much.
        """
        return answers.parsed(name, self._ask(f"reading {name}", {"op": "parse", "data": _base64(data)}))

    def artifact(self, root: Path, ignore: str = "") -> ArtifactListing:
        """List what source-controller would leave out of a tree; `ignore` is the source's `spec.ignore`.

        Raises:
            WorkerError: the tree cannot be read, or the worker died or timed out.
        """
        answer = self._ask("listing the artifact", {"op": "artifact", "root": str(root), "ignore": ignore})
        return answers.artifact(_sound("listing the artifact", answer))

    def encode(self, objects: Sequence[Mapping[str, Any]]) -> str:
        """Objects as a YAML text of one document each, keys sorted.

        Raises:
            WorkerError: the worker died, timed out or answered too much.
        """
        answer = self._ask("writing YAML", {"op": "encode", "objects": objects})
        return str(_sound("writing YAML", answer).get("text", ""))

    def newest(self, tags: Sequence[str], within: str, matching: str = "", *, chart: bool = False) -> str:
        """The tag of the newest version in a range, chosen as source-controller does; "" when there is none.

        Raises:
            UsageError: the range, or the pattern that tags have to match, is none.
            WorkerError: the worker died or timed out.
        """
        request = {"op": "newest", "tags": tags, "range": within, "filter": matching, "chart": chart}
        answer = self._ask("choosing a tag", request)
        for problem in answers.problems(answer.get("errors")):
            if problem.code == "invalid":
                raise UsageError(problem.message)
        return str(_sound("choosing a tag", answer).get("text", ""))

    def version(self) -> WorkerVersion:
        """What the worker is made of.

        Raises:
            WorkerError: there is no worker, or it does not start.
        """
        return answers.version(self._ask("asking for the version", {"op": "version"}))

    def _ask(self, subject: str, request: dict[str, Any], timeout: float | None = None) -> dict[str, Any]:
        seconds = self._timeout if timeout is None else timeout
        request |= {"id": next(self._ids), "timeoutMs": max(1, int(seconds * 1000))}
        line = orjson.dumps(request, option=orjson.OPT_NON_STR_KEYS) + b"\n"
        answer = orjson.loads(self._answer(subject, line, seconds))
        for problem in answers.problems(answer.get("errors")):
            if problem.code in {"timeout", "too_big"}:
                raise WorkerError(f"{subject}: {problem.message}", hint=_HINTS[problem.code])
        return dict(answer)

    def _answer(self, subject: str, line: bytes, seconds: float) -> bytes:
        """One try, and a second one with a new worker when the first one died."""
        try:
            return self._try(line, seconds)
        except TimedOut as error:
            raise WorkerError(f"{subject}: timed out after {seconds:g} s", hint=_HINTS["timeout"]) from error
        except Oversized as error:
            raise WorkerError(f"{subject}: {error}", hint=_HINTS["too_big"]) from error
        except Died:
            pass
        try:
            return self._try(line, seconds)
        except Died as error:
            raise WorkerError(f"{subject}: the render worker died twice: {error}", hint=_DIED) from error

    def _try(self, line: bytes, seconds: float) -> bytes:
        with self._worker() as worker:
            answer = worker.ask(line, seconds + self._grace)
            if _is_last(answer):
                worker.kill()
            return answer

    @contextmanager
    def _worker(self) -> Iterator[Process]:
        slot = self._slots.get()
        try:
            if slot is not None and not slot.alive:  # it died while nobody asked it anything
                slot.kill()
                self._running.discard(slot)
                slot = None
            slot = slot or self._start()
            yield slot
        finally:
            if slot is not None and not slot.alive:
                slot.kill()
                self._running.discard(slot)
                slot = None
            self._slots.put(slot)

    def _start(self) -> Process:
        with self._starting:
            if self._closed.is_set():
                raise WorkerError("the render workers are closed")
            try:
                worker = Process(find_worker(), self._limits)
            except OSError as error:
                raise WorkerError(f"the render worker does not start: {error}") from error
            self._running.add(worker)
            return worker


_HINTS = {
    "timeout": "raise the time limit, or look for bases that include each other many times over.",
    "too_big": "split the Kustomization into several.",
}
_DIED = "the manifests may need more memory than a worker has; build them in smaller parts."


def _is_last(answer: bytes) -> bool:
    """Whether the worker that said this is to be replaced; only a short answer can be such."""
    if len(answer) > 4096 or b'"errors"' not in answer:  # noqa: PLR2004
        return False
    found = answers.problems(orjson.loads(answer).get("errors"))
    return any(problem.code in {"timeout", "too_big"} for problem in found)


def _sound(subject: str, answer: dict[str, Any]) -> dict[str, Any]:
    for problem in answers.problems(answer.get("errors")):
        raise WorkerError(f"{subject}: {problem.message}")
    return answer


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _end_all(running: set[Process]) -> None:
    for worker in list(running):
        worker.end()
