"""The API server at another address, behind a network that breaks down when a test wants it to."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Self
from urllib.parse import urlsplit

import yaml


class Relay:
    """Passes bytes on in both directions; TLS stays between the ends."""

    def __init__(self, server: str, host: str = "127.0.0.1") -> None:
        url = urlsplit(server)
        self._upstream = (url.hostname, url.port)
        self._open = threading.Event()
        self._open.set()
        self._refusals: Iterator[int] = iter(())
        self._server = ThreadingTCPServer((host, 0), self._handler())
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def kubeconfig(self, path: Path) -> str:
        """The text of a kubeconfig that goes through here; the certificate is still the server's own."""
        config = yaml.safe_load(path.read_text())
        cluster = {"server": f"https://{self.address}", "tls-server-name": "localhost"}
        config["clusters"][0]["cluster"] |= cluster
        return str(yaml.safe_dump(config))

    @property
    def address(self) -> str:
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def go_deaf(self) -> None:
        """From now on nothing is passed on, while connections stay, as in a network that breaks down."""
        self._open.clear()

    def hang_up(self, times: int) -> None:
        """End so many connections in the middle of the handshake, as a server does that is restarted."""
        self._refusals = iter(range(times))

    def _handler(self) -> type[BaseRequestHandler]:
        relay = self

        class Connection(BaseRequestHandler):
            def handle(self) -> None:
                if next(relay._refusals, None) is not None:
                    with contextlib.suppress(OSError):
                        self.request.recv(65536)
                    return
                with contextlib.suppress(OSError), socket.create_connection(relay._upstream) as upstream:
                    back = threading.Thread(target=relay._pump, args=(upstream, self.request), daemon=True)
                    back.start()
                    relay._pump(self.request, upstream)
                    back.join()

        return Connection

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._open.wait()
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
