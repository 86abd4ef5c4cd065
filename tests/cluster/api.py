"""Raw requests to the test control plane, as one of its users."""

from __future__ import annotations

import dataclasses
import json
import ssl
from pathlib import Path
from typing import Any

import urllib3

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
TIMEOUT_SECONDS = 30.0


@dataclasses.dataclass(frozen=True)
class Answer:
    """The status and the JSON body (or the text, when it is no JSON) of a response."""

    status: int
    body: Any


class Api:
    """An HTTP client that presents one user's certificate."""

    def __init__(self, server: str, authority: Path, certificate: Path, key: Path) -> None:
        """Trust only `authority`; nothing is sent before the first request."""
        context = ssl.create_default_context(cafile=str(authority))
        context.load_cert_chain(certificate, key)
        self._server = server
        self._pool = urllib3.PoolManager(ssl_context=context, retries=False, timeout=TIMEOUT_SECONDS)

    def request(
        self, method: str, path: str, body: object = None, content_type: str = "application/json"
    ) -> Answer:
        """Send one request; a body is sent as JSON, which is YAML too."""
        response = self._pool.request(
            method,
            self._server + path,
            body=None if body is None else json.dumps(body),
            headers={"Content-Type": content_type, "Accept": "application/json"},
        )
        try:
            return Answer(response.status, json.loads(response.data))
        except ValueError:
            return Answer(response.status, response.data.decode(errors="replace"))

    def get(self, path: str) -> Answer:
        """Read one address."""
        return self.request("GET", path)

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()
