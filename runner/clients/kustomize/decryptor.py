"""The one process that is given keys: it opens what SOPS has sealed."""

from __future__ import annotations

import base64
import itertools
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from runner.clients.kustomize.locate import find_decryptor
from runner.clients.kustomize.process import Died, Limits, Oversized, Process, TimedOut
from runner.errors import DecryptionError
from runner.rendered import Opened, Sealed

_MIB = 1 << 20
_CLOUDS = ("AWS_", "AZURE_", "CLOUDSDK_", "GOOGLE_", "SOPS_GCP_KMS_", "VAULT_")
"""Variables with a cloud's own credentials begin so; no other process of ours is handed them on."""


class Decryptor:
    """Starts its process with the first request, and serves one at a time.

    `timeout` is in seconds, and so is `grace`, the time the process has to end itself.
    """

    def __init__(
        self, binary: Path | None = None, *, limits: Limits | None = None, timeout: float = 60.0
    ) -> None:
        self._binary = binary
        self._limits = limits or Limits(1024 * _MIB, 256 * _MIB, 16 * _MIB, 50_000)
        self._timeout = timeout
        self._grace = 5.0
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._process: Process | None = None

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
    def pid(self) -> int | None:
        """The process id, once it was started."""
        return self._process.pid if self._process is not None else None

    def close(self) -> None:
        """End the process; whoever waits for an answer of it fails."""
        if self._process is not None:
            self._process.end()
            with self._lock:
                self._process.kill()

    def open(
        self, secret: str, keys: Mapping[str, str], given: Mapping[str, str], items: Sequence[Sealed]
    ) -> Sequence[Opened]:
        """What each of the sealed texts holds, or why that cannot be had.

        Raises:
            DecryptionError: a key cannot be read, or the process died, timed out or answered too much.
        """
        request = {
            "id": next(self._ids),
            "timeoutMs": int(self._timeout * 1000),
            "secret": secret,
            "keys": dict(keys),
            "given": dict(given),
            "items": [
                {"data": base64.b64encode(item.data).decode(), "input": item.input, "output": item.output}
                for item in items
            ],
        }
        answer: dict[str, Any] = orjson.loads(self._ask(orjson.dumps(request) + b"\n"))
        if told := answer.get("error"):
            raise DecryptionError(told)
        return [
            Opened(base64.b64decode(each.get("data", "")), each.get("error", ""))
            for each in answer["results"]
        ]

    def _ask(self, line: bytes) -> bytes:
        """What the process said last is not quoted: it has seen keys."""
        with self._lock:
            if self._process is None or not self._process.alive:
                self._process = self._start()
            try:
                return self._process.ask(line, self._timeout + self._grace)
            except TimedOut as error:
                raise DecryptionError(f"decryption timed out after {self._timeout:g} s") from error
            except Oversized as error:
                raise DecryptionError("what was decrypted is larger than the limit") from error
            except Died as error:
                raise DecryptionError(
                    "the decryptor ended before it answered",
                    hint="it has a minute and a GiB; a cloud that does not answer may be the reason.",
                ) from error

    def _start(self) -> Process:
        try:
            return Process(self._binary or find_decryptor(), self._limits, _credentials())
        except OSError as error:
            raise DecryptionError(f"the decryptor does not start: {error.strerror}") from error


def _credentials() -> dict[str, str]:
    found = {name: value for name, value in os.environ.items() if name.startswith(_CLOUDS)}
    if found and (home := os.environ.get("HOME")):
        found["HOME"] = home  # profiles and caches of the clouds' own tools
    return found
