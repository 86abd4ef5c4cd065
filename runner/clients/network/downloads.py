"""Files by URL: plain ones, without any login."""

from __future__ import annotations

import shutil
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

from runner.clients.kept import sha256
from runner.clients.network.failures import Refused
from runner.clients.network.http import Http
from runner.clients.network.messages import Request
from runner.clients.network.retries import Passing
from runner.rendered import Page

LIMIT = 16 << 20
"""Bytes of one file; a build reads no larger one."""


@dataclass(slots=True)
class HttpDownloads:
    """Asks for every URL once in a run, so that all of it sees the same."""

    http: Http
    directory: Path  # where bodies are for as long as the run lasts
    limit: int = LIMIT
    _known: dict[str, Page] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, url: str) -> Page:
        with self._lock:
            if url not in self._known:
                self._known[url] = self._got(url)
            return self._known[url]

    def cancel(self) -> None:
        """End every wait."""
        self.http.close()

    def _got(self, url: str) -> Page:
        try:
            reply = self.http.send(Request(url, self.limit))
        except (Refused, Passing) as exc:
            if not exc.code:
                raise
            return Page(exc.code)
        with reply.body as body, tempfile.NamedTemporaryFile(dir=self.directory, delete=False) as file:
            digest = sha256(body)
            body.seek(0)
            shutil.copyfileobj(body, file)
        return Page(reply.status, Path(file.name), digest)
